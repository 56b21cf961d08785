//! What differs between systems when services are run, in one contract; a file per system keeps it.
//!
//! - `own_group(command)`: the process and all it starts can be signalled together.
//! - `signal_group(group, signal)`, `kill_group(group)`, `group_is_empty(group)`.
//! - `exit_signal(status)`: the signal that ended a program.
//! - `on_termination(send)`: hands on the requests to end that are not Ctrl-C.
//! - `outlive_interrupts()`: Ctrl-C ends what we start, and not us.
//! - `number(request)`: the signal by which one asks for it.
//! - `own_session()`: no terminal reaches this process any more. `drop_outputs()`: it reads and writes nothing any more.
//! - `close_inherited()`: as the first thing of a process, closes what its starter left open beside the standard streams.

use std::fmt;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::{
    close_inherited, drop_outputs, exit_signal, group_is_empty, kill_group, number, on_termination,
    outlive_interrupts, own_group, own_session, signal_group,
};

#[cfg(not(unix))]
compile_error!("xtask runs on Linux so far; Windows is not written yet");

/// Somebody wants the stack to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, by a CI job that is cancelled, say.
    Terminate,
    /// SIGHUP: the terminal was closed.
    Hangup,
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Interrupt => "Ctrl-C",
            Self::Terminate => "SIGTERM",
            Self::Hangup => "the terminal was closed",
        })
    }
}
