//! The harness of the integration tests: a place for each test, real processes in it, and waiting for events with a
//! deadline.

#![expect(clippy::missing_panics_doc, reason = "a harness panics: that is how a test fails")]

mod network;
mod process;
mod sandbox;
pub mod sockets;
mod stage;
mod template;
mod user;

use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub use network::{ephemeral_range, own_network};
pub use process::{Ended, Running, Signal, become_user, ignore_term};
pub use sandbox::{without_bind, without_kill, without_netlink};
pub use stage::{Programs, Stage};
pub use template::{Browser, chromium, copy_folder, template};
pub use user::as_another_user;

/// How long anything may take that a test waits for. A loaded machine builds and starts slowly; an event that comes
/// later than this does not come.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// How often a long test repeats what it does: a tenth of `full`, or what `TESTS_PERCENT` says.
pub fn rounds(full: usize) -> usize {
    let percent = std::env::var("TESTS_PERCENT").ok();
    let percent = percent.map_or(10, |text| text.parse().expect("TESTS_PERCENT is a number"));
    (full * percent).div_ceil(100)
}

/// Says on the real standard error that a test was not run, which cargo would hide otherwise; in CI that is a failure.
pub fn not_run(test: &str, reason: &str) {
    let line = format!("not run here: {test}: {reason}\n");
    tell(&line);
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{line}");
}

/// Says what a test measured, or what it left out, on the real standard error.
pub fn tell(line: &str) {
    // `eprintln` is captured by the test runner, a write is not.
    std::io::stderr().write_all(line.as_bytes()).ok();
}

/// Is this program on the PATH?
pub fn is_installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Is this program on the PATH? Where it is not, the test is reported as not run.
pub fn has(test: &str, program: &str) -> bool {
    let is_there = is_installed(program);
    if !is_there {
        not_run(test, &format!("`{program}` is not installed"));
    }
    is_there
}

/// Asks `look` again and again until it has an answer.
#[track_caller]
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    // Nobody sends: the channel is only a clock that clippy lets us wait on, and what we ask has no event of its own.
    let (_keep, clock) = channel::<()>();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        assert_eq!(clock.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout));
    }
}

/// Waits until a file is there.
pub fn wait_for_file(path: &Path) {
    eventually("a file appears", || path.exists().then_some(()));
}
