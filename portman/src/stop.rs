//! Ends proven processes: first by asking, then by force, each by its identity and never by a bare pid.

use std::collections::HashSet;
use std::io;
use std::time::{Duration, Instant};

use crate::check::{self, Activity, Block, Status};
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
    /// Nobody is on it, but it may not be taken.
    Blocked(Block),
    /// Somebody was to be stopped, and then this went wrong: somebody is left, or it is not known whether anybody is.
    Unknown(Error),
}

/// Stops who listens on `port`, if `safety` lets it: each is asked to end, and killed after `grace`. Unless every
/// socket that listens there has an owner that may be stopped, nobody is touched.
///
/// # Errors
/// When it is not known who is on the port. What goes wrong later is the [`State`], beside those who were stopped.
pub fn free(port: Port, asker: &Asker, asking: Asking<'_>, grace: Duration) -> Result<Freed> {
    let untouched = |state| Ok(Freed { stopped: Vec::new(), state });
    let sockets = match on(port)? {
        Ok(sockets) => sockets,
        Err(state) => return untouched(state),
    };
    let found = occupants(&sockets, Scope::Machine, &[])?;
    let all = holders(&found, asker, asking);
    if !can_free(&found, &all) {
        return untouched(State::Refused(all));
    }
    let listening = sockets.iter().filter(|one| one.activity == Activity::Listening);
    let inodes: HashSet<u64> = listening.filter_map(|one| one.inode).collect();
    let permitted: Vec<&Owner> = all.iter().filter_map(permitted).collect();
    let (stopped, outcome) = stop_holding(&permitted, &inodes, grace);
    let state = outcome.and_then(|()| afterwards(port, asker, asking));
    Ok(Freed { stopped, state: state.unwrap_or_else(State::Unknown) })
}

fn afterwards(port: Port, asker: &Asker, asking: Asking<'_>) -> Result<State> {
    Ok(match on(port)? {
        Ok(left) => State::Held(holders(&occupants(&left, Scope::Machine, &[])?, asker, asking)),
        Err(state) => state,
    })
}

/// Has every socket that listens an owner that may be stopped, and is there one that listens?
pub(crate) fn can_free(found: &[Occupant], holders: &[Holder]) -> bool {
    let permitted: Vec<&Owner> = holders.iter().filter_map(permitted).collect();
    let mut listening = found.iter().filter(|one| one.activity == Activity::Listening).peekable();
    listening.peek().is_some()
        && listening.all(|one| one.owners.iter().any(|owner| permitted.contains(&owner)))
}

/// The sockets on a port, or how it is when nobody has it.
fn on(port: Port) -> Result<std::result::Result<Vec<check::Socket>, State>> {
    match check::look(port) {
        Status::Available(()) => Ok(Err(State::Free)),
        Status::Blocked(block) => Ok(Err(State::Blocked(block))),
        Status::Occupied(sockets) => Ok(Ok(sockets)),
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

/// Stops those that still have one of these sockets open: says which have ended, and what went wrong.
fn stop_holding(
    owners: &[&Owner],
    inodes: &HashSet<u64>,
    grace: Duration,
) -> (Vec<Owner>, Result<()>) {
    let handles = match open_holding(owners, inodes) {
        Ok(handles) => handles,
        // Nobody is touched as long as not all can be.
        Err(error) => return (Vec::new(), Err(error)),
    };
    let (left, outcome) = end_all(&handles, grace);
    let is_stopped = |owner: &&Owner| {
        let process = owner.process;
        handles.iter().any(|(one, _)| *one == process) && !left.contains(&process)
    };
    (owners.iter().copied().filter(is_stopped).cloned().collect(), outcome)
}

fn open_holding(owners: &[&Owner], inodes: &HashSet<u64>) -> Result<Vec<(Process, Handle)>> {
    let mut handles = Vec::new();
    for process in owners.iter().map(|owner| owner.process) {
        let Some(handle) = open(process)? else { continue };
        let unknown = |source| Error::System {
            what: format!("whether process {} still has the port", process.pid),
            source,
        };
        // Looked up once the handle is fixed: who has closed the socket meanwhile is nobody's business.
        if sys::has_open(process.pid, inodes).map_err(unknown)? {
            handles.push((process, handle));
        }
    }
    Ok(handles)
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
    let (_, outcome) = end_all(&handles, grace);
    outcome.and_then(|()| failed.map_or(Ok(()), Err))
}

/// A handle on this process; none when it has ended.
fn open(process: Process) -> Result<Option<Handle>> {
    sys::handle(process.pid, process.started).map_err(unknown(process))
}

/// Says who is left, and why.
fn end_all(handles: &[(Process, Handle)], grace: Duration) -> (Vec<Process>, Result<()>) {
    let all: Vec<&(Process, Handle)> = handles.iter().collect();
    // What cannot be asked can perhaps be killed; what cannot be killed is the error.
    let left = end(&all, Ending::Terminate, grace);
    let left: Vec<&(Process, Handle)> = left.into_iter().map(|(one, _)| one).collect();
    let left = end(&left, Ending::Kill, KILL_WAIT);
    let survivors = left.iter().map(|((process, _), _)| *process).collect();
    let outcome = match left.into_iter().next() {
        Some(((survivor, _), signalled)) => signalled.and(Err(Error::Unkillable(*survivor))),
        None => Ok(()),
    };
    (survivors, outcome)
}

/// Waits until a process has ended, or for `patience`; none is for ever. The process is not touched, and may be anybody's.
///
/// # Errors
/// When the system does not tell.
pub fn wait(process: Process, patience: Option<Duration>) -> Result<()> {
    let deadline = patience.and_then(deadline);
    let Some(handle) = open(process)? else { return Ok(()) };
    sys::wait_gone(&handle, deadline).map(drop).map_err(unknown(process))
}

/// Signals all of them and waits for them together: says who is left, each with whether it was signalled.
fn end<'a>(
    handles: &[&'a (Process, Handle)],
    ending: Ending,
    patience: Duration,
) -> Vec<(&'a (Process, Handle), Result<()>)> {
    let deadline = deadline(patience);
    let signal = |(process, handle): &(Process, Handle)| {
        let refused = |source| Error::Unendable { process: *process, source };
        sys::signal(handle, ending).map_err(refused)
    };
    let signalled: Vec<_> = handles.iter().map(|one| (*one, signal(one))).collect();
    // What cannot be found out is not taken for dead.
    let is_left =
        |(_, handle): &(Process, Handle)| !sys::wait_gone(handle, deadline).unwrap_or(false);
    signalled.into_iter().filter(|(one, _)| is_left(one)).collect()
}

/// More time than the clock can count is for ever.
fn deadline(patience: Duration) -> Option<Instant> {
    Instant::now().checked_add(patience)
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
    fn a_grace_beyond_all_clocks_is_for_ever() {
        let (mut child, process) = shell("echo up; read wait");
        stop_all(&[process], Duration::MAX).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(15));
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
        let (stopped, outcome) = stop_holding(&[&owner], &HashSet::from([0]), Duration::ZERO);
        outcome.unwrap();
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
        let (stopped, outcome) = stop_holding(&[&before], &inodes, Duration::ZERO);
        outcome.unwrap();
        assert!(stopped.is_empty());
        assert!(now.process.is_alive().unwrap());
        let (stopped, outcome) = stop_holding(&[&now], &inodes, Duration::from_mins(1));
        outcome.unwrap();
        assert_eq!(stopped, [now]);
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        drop(socket);
    }
}
