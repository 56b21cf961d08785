//! The one error of this library. Every variant carries its nouns; the program that uses it writes the sentences.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::port::Port;
use crate::process::Process;

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused something about a file.
    #[error("failed to {action} `{path}`", path = path.display())]
    File {
        /// What was attempted: `read`, `replace`, …
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file may not be written.
    #[error("`{path}` is read-only", path = .0.display())]
    ReadOnly(PathBuf),
    /// The file is not UTF-8 text.
    #[error("`{path}` is not UTF-8 text: byte {offset} is {found}", path = path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that does not fit, counted from 0.
        offset: usize,
        /// What stands there.
        found: String,
    },
    /// A value in the file could not be changed for certain.
    #[cfg(feature = "patch")]
    #[error("{path}:{refusal}", path = path.display())]
    Patch {
        /// The file.
        path: PathBuf,
        /// Where and why.
        refusal: crate::patch::PatchError,
    },
    /// A file of our own state cannot be understood.
    #[error("`{path}` does not hold what was written there: {reason}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What the reader said.
        reason: String,
    },
    /// The journal of an earlier run still holds originals that were not put back.
    #[error("`{path}` still holds originals of an earlier run", path = .0.display())]
    KeptOriginals(PathBuf),
    /// Somebody else kept the lock of our state for too long.
    #[error("`{path}` stays locked by another process: waited {limit:?} for it", path = path.display())]
    Locked {
        /// The file whose lock it is.
        path: PathBuf,
        /// How long we waited.
        limit: Duration,
    },
    /// The file is not any more as it was read.
    #[error("`{path}` was changed by somebody else meanwhile", path = .0.display())]
    Changed(PathBuf),
    /// The operating system would not tell about sockets, ports or processes.
    #[error("could not find out {what}")]
    System {
        /// What was asked.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// Two ports were asked for under one name.
    #[error("`{0}` is asked for twice")]
    AskedTwice(String),
    /// Every candidate was taken.
    #[error("no free port for `{service}`: tried {tried}")]
    NoPort {
        /// Who wanted one.
        service: String,
        /// Which ports were tried: `221 ports between 3000 and 9099`.
        tried: String,
    },
    /// Whether the port is free could not be found out, so it was not taken.
    #[error("could not find out whether port {port} is free for `{service}`: {reason}")]
    Unknown {
        /// Who wanted it.
        service: String,
        /// The port.
        port: Port,
        /// Why not.
        reason: String,
    },
    /// The operating system would not let us end a process.
    #[error("the system refused to end process {pid}", pid = process.pid)]
    Unendable {
        /// The process.
        process: Process,
        /// What the system said.
        source: io::Error,
    },
    /// A process is still there although it was killed.
    #[error("process {pid} did not end when it was killed", pid = .0.pid)]
    Unkillable(Process),
}

/// The result of this library's functions.
pub type Result<T> = std::result::Result<T, Error>;
