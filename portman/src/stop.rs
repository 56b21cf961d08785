//! Ends proven processes: first by asking, then by force, each by its identity and never by a bare pid.

use std::io;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process::Process;
use crate::sys::{self, Ending};

/// How long the system gets to take a killed process away.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Asks all of `processes` to end, waits up to `grace` for them together, and kills what is left.
///
/// # Errors
/// When the system refuses the signal to one of them, or one survives being killed. The others have been stopped then.
pub fn stop_all(processes: &[Process], grace: Duration) -> Result<()> {
    // What cannot be asked can perhaps be killed; what cannot be killed is the error.
    end(processes, Ending::Terminate, grace).ok();
    let left: Vec<Process> =
        processes.iter().copied().filter(|process| may_be_alive(*process)).collect();
    let killed = end(&left, Ending::Kill, KILL_WAIT);
    match left.into_iter().find(|process| may_be_alive(*process)) {
        Some(survivor) => Err(killed.err().unwrap_or(Error::Unkillable(survivor))),
        None => Ok(()),
    }
}

/// Waits until a process has ended, or for `patience`; none is for ever. The process is not touched, and may be anybody's.
///
/// # Errors
/// When the system does not tell.
pub fn wait(process: Process, patience: Option<Duration>) -> Result<()> {
    // More time than the clock can count is for ever.
    let deadline = patience.and_then(|patience| Instant::now().checked_add(patience));
    sys::wait_gone(process.pid, process.started, deadline).map_err(about(&process))
}

/// Signals all of them and waits for them together; the first error comes last.
fn end(processes: &[Process], ending: Ending, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    let signalled: Vec<Result<()>> = processes
        .iter()
        .map(|process| sys::signal(process.pid, process.started, ending).map_err(about(process)))
        .collect();
    let waited: Vec<Result<()>> = processes
        .iter()
        .map(|process| {
            sys::wait_gone(process.pid, process.started, Some(deadline)).map_err(about(process))
        })
        .collect();
    signalled.into_iter().chain(waited).collect()
}

fn about(process: &Process) -> impl FnOnce(io::Error) -> Error + use<> {
    let what = format!("whether process {} has ended", process.pid);
    move |source| Error::System { what, source }
}

/// What cannot be found out is not taken for dead.
fn may_be_alive(process: Process) -> bool {
    process.is_alive().unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use super::{stop_all, wait};
    use crate::process::Process;
    use std::io::{BufRead, BufReader};
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    /// A shell that has said that it is set up, and then waits.
    fn shell(script: &str) -> (Child, Process) {
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let process = Process::find(child.id()).unwrap().unwrap();
        (child, process)
    }

    #[test]
    fn asks_first_and_kills_what_does_not_listen() {
        let (mut polite, polite_process) = shell("echo up; read wait");
        let (mut deaf, deaf_process) = shell("trap '' TERM; echo up; read wait");
        stop_all(&[polite_process, deaf_process], Duration::from_millis(50)).unwrap();
        assert_eq!(polite.wait().unwrap().signal(), Some(15));
        assert_eq!(deaf.wait().unwrap().signal(), Some(9));
    }

    #[test]
    fn the_end_is_waited_for_as_long_as_was_said() {
        let (mut child, process) = shell("echo up; read wait");
        wait(process, Some(Duration::ZERO)).unwrap();
        assert!(process.is_alive().unwrap());
        drop(child.stdin.take());
        for patience in [None, Some(Duration::MAX)] {
            wait(process, patience).unwrap();
            assert!(!process.is_alive().unwrap());
        }
        child.wait().unwrap();
    }

    #[test]
    fn a_later_process_of_the_same_pid_is_left_alone() {
        let (mut child, process) = shell("echo up; read wait");
        stop_all(&[Process { started: process.started + 1, ..process }], Duration::ZERO).unwrap();
        assert!(process.is_alive().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
