//! Ends proven processes: first by asking, then by force, each by its identity and never by a bare pid.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::process::Process;
use crate::sys::{self, Ending};

/// How long the system gets to take a killed process away.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// Asks all of `processes` to end, waits up to `grace` for them together, and kills what is left.
///
/// # Errors
/// When the system refuses the signal, or a process survives being killed.
pub fn stop_all(processes: &[Process], grace: Duration) -> Result<()> {
    end(processes, Ending::Terminate, grace)?;
    let left = alive(processes)?;
    end(&left, Ending::Kill, KILL_WAIT)?;
    match alive(&left)?.first() {
        Some(&survivor) => Err(Error::Unkillable(survivor)),
        None => Ok(()),
    }
}

fn end(processes: &[Process], ending: Ending, patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
    for &process in processes {
        let signalled = sys::signal(process.pid, process.started, ending);
        signalled.map_err(|source| about(process, source))?;
    }
    for &process in processes {
        let waited = sys::wait_gone(process.pid, process.started, deadline);
        waited.map_err(|source| about(process, source))?;
    }
    Ok(())
}

fn alive(processes: &[Process]) -> Result<Vec<Process>> {
    let mut left = Vec::new();
    for &process in processes {
        if process.is_alive().map_err(|source| about(process, source))? {
            left.push(process);
        }
    }
    Ok(left)
}

fn about(process: Process, source: std::io::Error) -> Error {
    Error::System { what: format!("whether process {} has ended", process.pid), source }
}

#[cfg(test)]
mod tests {
    use super::stop_all;
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
    fn a_later_process_of_the_same_pid_is_left_alone() {
        let (mut child, process) = shell("echo up; read wait");
        stop_all(&[Process { started: process.started + 1, ..process }], Duration::ZERO).unwrap();
        assert!(process.is_alive().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
