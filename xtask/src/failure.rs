//! What a command fails with: the kind, which is the exit code; the sentence; and what the user can do.

use std::fmt;

/// Why a command failed. The numbers are the exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A service, or its setup, failed.
    Service = 1,
    /// Wrong flags, or a wrong dev.toml.
    Usage = 2,
    /// A port could not be had, or something stayed unknown.
    Port = 3,
    /// A file could not be patched, or not be put back.
    File = 4,
    /// It would not be safe.
    Unsafe = 5,
    /// The command that was to be run is there and cannot be.
    NotRunnable = 126,
    /// The command that was to be run is not there.
    NotFound = 127,
}

/// A failure as the user is told it.
#[derive(Debug)]
pub struct Failure {
    /// What kind.
    pub kind: Kind,
    /// What happened, naming the thing and what was expected; no trailing period.
    pub message: String,
    /// What the user can do.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with a hint.
    pub fn new(kind: Kind, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hint: Some(hint.into()) }
    }

    /// An error with all its causes in one line.
    pub fn chain(error: &dyn std::error::Error) -> String {
        let causes = std::iter::successors(Some(error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    }

    /// Words for what a command ended with. Errors of portman get their hint here.
    pub fn from_error(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let kind = error.downcast_ref().map_or(Kind::Service, kind_of);
        let hint = error.downcast_ref().and_then(hint_for);
        Self { kind, message: shortened(&format!("{error:#}")), hint }
    }
}

/// Paths below the current folder as one would type them there.
fn shortened(message: &str) -> String {
    let Ok(folder) = std::env::current_dir() else { return message.to_owned() };
    let folder = format!("{}/", folder.display());
    let short = message.strip_prefix(&folder).unwrap_or(message);
    // Only where a path begins: the folder's name may be part of another one.
    short.replace(&format!("`{folder}"), "`").replace(&format!(" {folder}"), " ")
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

fn kind_of(error: &portman::error::Error) -> Kind {
    use portman::error::Error;
    match error {
        Error::File { .. }
        | Error::KeptOriginals(_)
        | Error::Changed(_)
        | Error::ReadOnly(_)
        | Error::NotText { .. }
        | Error::Patch { .. }
        | Error::State { .. } => Kind::File,
        Error::AskedTwice(_) => Kind::Usage,
        _ => Kind::Port,
    }
}

fn hint_for(error: &portman::error::Error) -> Option<String> {
    use portman::error::Error;
    Some(match error {
        Error::Patch { refusal, .. } => refusal.hint.clone(),
        Error::ReadOnly(path) => format!("make it writable: chmod u+w {}", path.display()),
        Error::NotText { path, .. } => format!("save {} as UTF-8", path.display()),
        Error::State { path, .. } => {
            format!(
                "it is our own record; look into it for originals, then move it away: {}",
                path.display()
            )
        }
        Error::File { action: "write" | "open" | "lock" | "list", .. } => {
            "our records have to be somewhere: PORTMAN_STATE_DIR names another folder".to_owned()
        }
        Error::File { action: "replace" | "create", .. } => {
            "may you write in its folder?".to_owned()
        }
        Error::KeptOriginals(_) => "settle them first: cargo xtask restore".to_owned(),
        Error::Changed(_) => "run the command again".to_owned(),
        Error::Locked { .. } => {
            "another command is writing there: try again; if it hangs, end it".to_owned()
        }
        Error::AskedTwice(_) => "give each port a name of its own".to_owned(),
        Error::NoPort { .. } => "add a range to `ranges` under [ports] in dev.toml".to_owned(),
        Error::Unknown { .. } => "see what is on it: cargo xtask ports".to_owned(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::PathBuf;
    use std::time::Duration;

    use anyhow::Context;
    use portman::error::Error;
    use portman::patch::{Code, PatchError};
    use portman::port::Port;
    use portman::process::Process;

    use super::{Failure, Kind};

    fn refusal() -> PatchError {
        PatchError {
            line: 2,
            column: 7,
            code: Code::Computed,
            message: "`port` is computed".to_owned(),
            hint: "write a number there".to_owned(),
        }
    }

    #[track_caller]
    fn assert_told(cases: Vec<(Error, u8, &str, Option<&str>)>) {
        for (error, code, message, hint) in cases {
            let failure = Failure::from_error(error.into());
            assert_eq!(failure.message, message);
            assert_eq!(failure.kind as u8, code, "{message}");
            assert_eq!(failure.hint.as_deref(), hint, "{message}");
        }
    }

    #[test]
    fn every_error_about_a_file_has_its_exit_code_and_what_to_do() {
        let path = || PathBuf::from("a.toml");
        assert_told(vec![
            (
                Error::File { action: "read", path: path(), source: io::Error::other("no") },
                4,
                "failed to read `a.toml`: no",
                None,
            ),
            (
                Error::ReadOnly(path()),
                4,
                "`a.toml` is read-only",
                Some("make it writable: chmod u+w a.toml"),
            ),
            (
                Error::NotText { path: path(), offset: 3, found: "0xff".to_owned() },
                4,
                "`a.toml` is not UTF-8 text: byte 3 is 0xff",
                Some("save a.toml as UTF-8"),
            ),
            (
                Error::Patch { path: path(), refusal: refusal() },
                4,
                "a.toml:2:7 `port` is computed (computed)",
                Some("write a number there"),
            ),
            (
                Error::State { path: path(), reason: "odd".to_owned() },
                4,
                "`a.toml` does not hold what was written there: odd",
                Some("it is our own record; look into it for originals, then move it away: a.toml"),
            ),
            (
                Error::Locked { path: path(), limit: Duration::from_secs(2) },
                3,
                "`a.toml` stays locked by another process: waited 2s for it",
                Some("another command is writing there: try again; if it hangs, end it"),
            ),
        ]);
    }

    #[test]
    fn every_error_about_a_port_has_its_exit_code_and_what_to_do() {
        let service = || "api".to_owned();
        let port = Port::new(8000).unwrap();
        assert_told(vec![
            (
                Error::AskedTwice(service()),
                2,
                "`api` is asked for twice",
                Some("give each port a name of its own"),
            ),
            (
                Error::System { what: "who listens".to_owned(), source: io::Error::other("no") },
                3,
                "could not find out who listens: no",
                None,
            ),
            (
                Error::NoPort { service: service(), tried: "8000 to 8099 (100 ports)".to_owned() },
                3,
                "no free port for `api`: tried 8000 to 8099 (100 ports)",
                Some("add a range to `ranges` under [ports] in dev.toml"),
            ),
            (
                Error::Unknown { service: service(), port, reason: "odd".to_owned() },
                3,
                "could not find out whether port 8000 is free for `api`: odd",
                Some("see what is on it: cargo xtask ports"),
            ),
            (
                Error::Unendable {
                    process: Process { pid: 7, started: 0 },
                    source: io::Error::other("no"),
                },
                3,
                "the system refused to end process 7: no",
                None,
            ),
            (
                Error::Unkillable(Process { pid: 7, started: 0 }),
                3,
                "process 7 did not end when it was killed",
                None,
            ),
        ]);
    }

    #[test]
    fn context_is_told_and_hides_neither_the_exit_code_nor_the_hint() {
        let error = Err::<(), _>(Error::ReadOnly("a.toml".into())).context("failed to restore");
        let failure = Failure::from_error(error.unwrap_err());
        assert_eq!(failure.kind, Kind::File);
        assert_eq!(failure.message, "failed to restore: `a.toml` is read-only");
        assert_eq!(failure.hint.as_deref(), Some("make it writable: chmod u+w a.toml"));
    }

    #[test]
    fn a_failure_stays_as_it_is_and_anything_else_is_one_of_a_service() {
        let failure = Failure::from_error(Failure::new(Kind::Usage, "no", "yes").into());
        assert_eq!((failure.kind as u8, failure.hint.as_deref()), (2, Some("yes")));
        let failure = Failure::from_error(anyhow::anyhow!("inner").context("outer"));
        assert_eq!((failure.kind as u8, failure.message.as_str()), (1, "outer: inner"));
    }
}
