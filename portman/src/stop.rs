//! Ends proven processes: first by asking, then by force, each by its identity and never by a bare pid.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use crate::check::{self, Activity, Status};
use crate::error::{Error, Result};
use crate::owner::{Occupant, Owner, Scope, occupants};
use crate::port::Port;
use crate::process::Process;
use crate::safety::{Asker, Asking, Holder, Verdict, holders};
use crate::sys::{self, Ending, Handle};

/// How long the system gets to take a killed process away.
const KILL_WAIT: Duration = Duration::from_secs(5);

/// What became of a port that was to be free.
#[derive(Debug)]
pub struct Freed {
    /// Who was stopped.
    pub stopped: Vec<Owner>,
    /// How the port is now.
    pub state: State,
}

/// How a port is after the attempt to free it.
#[derive(Debug)]
pub enum State {
    /// Nobody is on it.
    Free,
    /// Nobody was touched, since these may not all be stopped. None of them: a hold of somebody unseen is on it.
    Refused(Vec<Holder>),
    /// These are still on it. None of them: a hold of somebody unseen is.
    Held(Vec<Holder>),
}

/// Stops who listens on `port`, if `safety` lets it: each is asked to end, and killed after `grace`. Unless every
/// socket that listens there has an owner that may be stopped, nobody is touched.
///
/// # Errors
/// When it is not known who is on the port, or the system refuses to stop somebody.
pub fn free(port: Port, asker: &Asker, asking: Asking<'_>, grace: Duration) -> Result<Freed> {
    let freed = |stopped, state| Ok(Freed { stopped, state });
    let Some(sockets) = on(port)? else { return freed(Vec::new(), State::Free) };
    let found = occupants(&sockets, Scope::Machine, &[])?;
    let all = holders(&found, asker, asking);
    if !can_free(&found, &all) {
        return freed(Vec::new(), State::Refused(all));
    }
    let listening = sockets.iter().filter(|one| one.activity == Activity::Listening);
    let inodes: HashSet<u64> = listening.filter_map(|one| one.inode).collect();
    let permitted: Vec<&Owner> = all.iter().filter_map(permitted).collect();
    let stopped = stop_holding(&permitted, &inodes, grace)?;
    freed(
        stopped,
        match on(port)? {
            None => State::Free,
            Some(left) => {
                State::Held(holders(&occupants(&left, Scope::Machine, &[])?, asker, asking))
            }
        },
    )
}

/// Has every socket that listens an owner that may be stopped, and is there one that listens?
pub(crate) fn can_free(found: &[Occupant], holders: &[Holder]) -> bool {
    let permitted: Vec<&Owner> = holders.iter().filter_map(permitted).collect();
    let mut listening = found.iter().filter(|one| one.activity == Activity::Listening).peekable();
    listening.peek().is_some()
        && listening.all(|one| one.owners.iter().any(|owner| permitted.contains(&owner)))
}

/// The sockets on a port; none when nobody has it.
fn on(port: Port) -> Result<Option<Vec<check::Socket>>> {
    match check::look(port) {
        Status::Available(()) | Status::Blocked(_) => Ok(None),
        Status::Occupied(sockets) => Ok(Some(sockets)),
        Status::Unknown(reason) => Err(Error::System {
            what: format!("who is on port {port}"),
            source: io::Error::other(reason),
        }),
    }
}

fn permitted(holder: &Holder) -> Option<&Owner> {
    let is_candidate = holder.verdict == Verdict::May && holder.activity == Activity::Listening;
    holder.owner.as_ref().filter(|_| is_candidate)
}

/// Stops those that still have one of these sockets open, and says which these were.
fn stop_holding(owners: &[&Owner], inodes: &HashSet<u64>, grace: Duration) -> Result<Vec<Owner>> {
    let mut stopped = Vec::new();
    let mut handles = Vec::new();
    for owner in owners {
        let process = owner.process;
        let Some(handle) = open(process)? else { continue };
        // Looked up once the handle is fixed: who has closed the socket meanwhile is nobody's business.
        if sys::has_open(process.pid, inodes).map_err(unknown(process))? {
            handles.push((process, handle));
            stopped.push((*owner).clone());
        }
    }
    end_all(&handles, grace)?;
    Ok(stopped)
}

/// Asks all of `processes` to end, waits up to `grace` for them together, and kills what is left.
///
/// # Errors
/// When the system refuses the signal to one of them, or one survives being killed. The others have been stopped then.
pub fn stop_all(processes: &[Process], grace: Duration) -> Result<()> {
    let mut handles = Vec::with_capacity(processes.len());
    let mut failed = None;
    for process in processes {
        match open(*process) {
            Ok(handle) => handles.extend(handle.map(|handle| (*process, handle))),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    end_all(&handles, grace)?;
    failed.map_or(Ok(()), Err)
}

/// A handle on this process; none when it has ended.
fn open(process: Process) -> Result<Option<Handle>> {
    sys::handle(process.pid, process.started).map_err(unknown(process))
}

fn end_all(handles: &[(Process, Handle)], grace: Duration) -> Result<()> {
    let all: Vec<&(Process, Handle)> = handles.iter().collect();
    // What cannot be asked can perhaps be killed; what cannot be killed is the error.
    let (left, _) = end(&all, Ending::Terminate, grace);
    let (left, killed) = end(&left, Ending::Kill, KILL_WAIT);
    match left.first() {
        Some((survivor, _)) => Err(killed.err().unwrap_or(Error::Unkillable(*survivor))),
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
    let Some(handle) = open(process)? else { return Ok(()) };
    sys::wait_gone(&handle, deadline).map(drop).map_err(unknown(process))
}

/// Signals all of them and waits for them together: says who is left, and the first error.
fn end<'a>(
    handles: &[&'a (Process, Handle)],
    ending: Ending,
    patience: Duration,
) -> (Vec<&'a (Process, Handle)>, Result<()>) {
    let deadline = Instant::now() + patience;
    let signalled: Vec<Result<()>> = handles
        .iter()
        .map(|(process, handle)| sys::signal(handle, ending).map_err(unknown(*process)))
        .collect();
    // What cannot be found out is not taken for dead.
    let is_left =
        |(_, handle): &&(Process, Handle)| !sys::wait_gone(handle, Some(deadline)).unwrap_or(false);
    let left = handles.iter().copied().filter(is_left).collect();
    (left, signalled.into_iter().collect())
}

fn unknown(process: Process) -> impl FnOnce(io::Error) -> Error {
    let what = format!("whether process {} has ended", process.pid);
    move |source| Error::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::{stop_all, stop_holding, wait};
    use crate::owner;
    use crate::process::Process;
    use std::collections::HashSet;
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

    #[test]
    fn who_does_not_have_the_socket_any_more_is_left_alone() {
        let (mut child, process) = shell("echo up; read wait");
        let owner = owner::find(process.pid).unwrap().unwrap();
        let stopped = stop_holding(&[&owner], &HashSet::from([0]), Duration::ZERO).unwrap();
        assert!(stopped.is_empty() && process.is_alive().unwrap());
        drop(child.stdin.take());
        child.wait().unwrap();
    }

    #[test]
    fn who_has_the_socket_is_stopped_and_a_later_process_of_its_pid_is_not() {
        let (socket, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let inodes = HashSet::from([crate::sys::inode(&theirs).unwrap()]);
        let mut child = Command::new("sh")
            .args(["-c", "read wait"])
            .stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)))
            .spawn()
            .unwrap();
        let now = owner::find(child.id()).unwrap().unwrap();
        let mut before = now.clone();
        before.process.started -= 1;
        assert!(stop_holding(&[&before], &inodes, Duration::ZERO).unwrap().is_empty());
        assert!(now.process.is_alive().unwrap());
        let stopped = stop_holding(&[&now], &inodes, Duration::from_mins(1)).unwrap();
        assert_eq!(stopped, [now]);
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        drop(socket);
    }
}
