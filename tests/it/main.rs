//! All integration tests: one binary, one file a subject.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

/// `cargo xtask dev` with scripted services: errors, stopping, watching, events.
mod dev;
/// Who has a port, whatever he does there and whoever he is.
mod owners;
/// Golden files: `before`, `edits`, `after`.
mod patch;
/// Holds and owners on the real system.
mod ports;
/// A killed launcher, and what the next command makes of it.
mod recovery;
/// The real thing: axum, Vite and Chromium.
mod template;
/// The layers, and what may be used where.
mod tidy;

use tests::{Programs, Stage};

const PROGRAMS: Programs = Programs {
    xtask: env!("CARGO_BIN_EXE_xtask-under-test"),
    fake_service: env!("CARGO_BIN_EXE_fake-service"),
    target: env!("CARGO_TARGET_TMPDIR"),
};

fn stage() -> Stage {
    Stage::new(PROGRAMS)
}
