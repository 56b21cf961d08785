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

    /// Words for what a command ended with. Errors of portman get their hint here.
    pub fn from_error(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(failure) => return failure,
            Err(error) => error,
        };
        let kind = error.downcast_ref().map_or(Kind::Service, kind_of);
        let hint = error.downcast_ref().and_then(hint_for);
        Self { kind, message: format!("{error:#}"), hint }
    }
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
        | Error::ReadOnly(_)
        | Error::NotText { .. }
        | Error::Patch { .. }
        | Error::State { .. } => Kind::File,
        _ => Kind::Port,
    }
}

fn hint_for(error: &portman::error::Error) -> Option<String> {
    use portman::error::Error;
    Some(match error {
        Error::Patch { source, .. } => source.hint.clone(),
        Error::ReadOnly(path) => format!("make it writable: chmod u+w {}", path.display()),
        Error::NotText { path, .. } => format!("save {} as UTF-8", path.display()),
        Error::State { path, .. } => {
            format!(
                "it is our own record; look into it for originals, then move it away: {}",
                path.display()
            )
        }
        Error::NoPort { .. } => "add a range to `ranges` under [ports] in dev.toml".to_owned(),
        Error::Unknown { .. } => "see what is on it: cargo xtask ports".to_owned(),
        _ => return None,
    })
}
