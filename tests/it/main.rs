//! All integration tests: one binary, one file a subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// What is done when a port is taken: for one run, and for good.
mod conflicts;
/// Stacks without a dev.toml.
mod detect;
/// `cargo xtask dev` with scripted services: errors, stopping, watching, events.
mod dev;
/// What a hold keeps away.
mod hold;
/// Who is stopped on a port, and who never is.
mod kill_safety;
/// What checkouts had last, and ports for whoever wants any.
mod leases;
/// Which servers listen over a hold.
mod matrix;
/// Who has a port, whatever he does there and whoever he is.
mod owners;
/// Golden files: `before`, `edits`, `after`.
mod patch;
/// Holds and owners on the real system.
mod ports;
/// A killed launcher, and what the next command makes of it.
mod recovery;
/// Ports that are reserved for a command, and across commands.
mod reserve;
/// The real thing: axum, Vite and Chromium.
mod template;
/// The layers, and what may be used where.
mod tidy;
/// The truth table of verdicts.
mod verdicts;

/// Services that do not listen where they should, and those that cannot listen over a hold.
mod whereabouts;

use tests::{Programs, Stage};

const PROGRAMS: Programs = Programs {
    xtask: env!("CARGO_BIN_EXE_xtask-under-test"),
    fake_service: env!("CARGO_BIN_EXE_fake-service"),
    allocator: env!("CARGO_BIN_EXE_allocator"),
    target: env!("CARGO_TARGET_TMPDIR"),
};

fn stage() -> Stage {
    Stage::new(PROGRAMS)
}
