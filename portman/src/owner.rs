//! Who has the sockets on a port.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System, UpdateKind, Users};

use crate::error::{Error, Result};
use crate::process::{self, Process};
use crate::sys::{self, Activity, Socket};
pub use crate::sys::{Scope, Unit};

/// The variable that cargo sets for what it runs.
const OF_CARGO: &str = "CARGO_MANIFEST_DIR";

/// A process that has a socket open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Which process.
    pub process: Process,
    /// Its name: `node`.
    pub name: String,
    /// Its command line, its words joined by spaces.
    pub cmdline: String,
    /// Its user: a name, or the number of one without a name; none when we may not know.
    pub user: Option<String>,
    /// The number of its user; none when we may not know.
    pub uid: Option<u32>,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The file of its program; none when we may not know.
    pub program: Option<PathBuf>,
    /// The folder it runs in; none when we may not know.
    pub dir: Option<PathBuf>,
    /// What supervises it; none for what was started by hand.
    pub unit: Option<Unit>,
    /// Does cargo run it, or what has started it? False when we may not know.
    pub by_cargo: bool,
}

/// A socket on a port, with the processes that have it open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// The address it is bound to.
    pub address: SocketAddr,
    /// What it does there.
    pub activity: Activity,
    /// The user who made it: a name, or the number of one without a name.
    pub user: String,
    /// What supervises the one who made it; known even where its process is not.
    pub unit: Option<Unit>,
    /// The processes. Empty when we may not look into them (another user's), or when none has it open any more.
    pub owners: Vec<Owner>,
}

/// What one process has on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Presence<'a> {
    /// The process.
    pub owner: &'a Owner,
    /// What it does there.
    pub activity: Activity,
    /// Where it does that.
    pub addresses: Vec<SocketAddr>,
}

/// One entry a process and activity, with all its addresses.
pub fn presences(occupants: &[Occupant]) -> Vec<Presence<'_>> {
    let mut presences: Vec<Presence<'_>> = Vec::new();
    for Occupant { address, activity, owners, .. } in occupants {
        for owner in owners {
            let known = presences
                .iter_mut()
                .find(|known| known.owner.process == owner.process && known.activity == *activity);
            match known {
                Some(known) => known.addresses.push(*address),
                None => presences.push(Presence {
                    owner,
                    activity: *activity,
                    addresses: vec![*address],
                }),
            }
        }
    }
    presences
}

/// Names the processes behind `sockets`, in the same order, with one search for all of them. `hints` are pids that are
/// looked into first.
///
/// # Errors
/// When the system does not list its processes.
pub fn occupants(sockets: &[Socket], scope: Scope, hints: &[u32]) -> Result<Vec<Occupant>> {
    if sockets.is_empty() {
        return Ok(Vec::new());
    }
    let holders = holders(sockets, scope, hints)?;
    let users = users()?;
    let owners = describe(holders.values().flatten().copied(), &users)?;
    let mut groups = HashMap::new();
    let occupant = |socket: &Socket| {
        let pids =
            socket.inode.and_then(|inode| holders.get(&inode)).map_or(&[][..], Vec::as_slice);
        let owners: Vec<Owner> = pids.iter().filter_map(|pid| owners.get(pid).cloned()).collect();
        let unit = match owners.first() {
            Some(owner) => owner.unit.clone(),
            None => unit_of_group(socket.cgroup, &mut groups),
        };
        let user = user_name(&users, socket.uid);
        Occupant { address: socket.local, activity: socket.activity, user, unit, owners }
    };
    Ok(sockets.iter().map(occupant).collect())
}

/// The pids that have these sockets open, by the sockets' inodes. `hints` are pids that are looked into first.
///
/// # Errors
/// When the system does not list its processes.
pub fn holders(sockets: &[Socket], scope: Scope, hints: &[u32]) -> Result<HashMap<u64, Vec<u32>>> {
    sys::holders(sockets, scope, hints).map_err(unlisted)
}

#[cfg(test)]
impl Owner {
    /// A `node` of which no more is known, for tests.
    pub(crate) fn sample(pid: u32) -> Self {
        Self {
            process: Process { pid, started: 1 },
            name: "node".to_owned(),
            cmdline: "node server.js".to_owned(),
            user: None,
            uid: None,
            started: 0,
            program: None,
            dir: None,
            unit: None,
            by_cargo: false,
        }
    }
}

/// One process by its pid; none when there is none.
#[cfg(test)]
pub(crate) fn find(pid: u32) -> Result<Option<Owner>> {
    Ok(describe(std::iter::once(pid), &users()?)?.remove(&pid))
}

/// The name of a user, or the number of one without a name.
///
/// # Errors
/// When the system does not list its users.
pub(crate) fn name_of(uid: u32) -> Result<String> {
    Ok(user_name(&users()?, uid))
}

/// What supervises a process; none for what was started by hand, and where the system does not say.
pub fn unit_of(pid: u32) -> Option<Unit> {
    sys::unit_of_process(pid)
}

/// To find a group's unit is a search, so it is done once a group.
fn unit_of_group(group: Option<u64>, known: &mut HashMap<u64, Option<Unit>>) -> Option<Unit> {
    let group = group?;
    known.entry(group).or_insert_with(|| sys::unit_of_group(group)).clone()
}

fn users() -> Result<Users> {
    Users::new_with_refreshed_list().map_err(|error| unlisted(io::Error::other(error)))
}

fn unlisted(source: io::Error) -> Error {
    Error::System { what: "which processes have a port open".into(), source }
}

fn describe(pids: impl Iterator<Item = u32>, users: &Users) -> Result<HashMap<u32, Owner>> {
    // Looked up before and after they are described: a pid may be given to somebody else in between.
    let processes: HashMap<u32, Process> =
        pids.filter_map(|pid| Some((pid, Process::find(pid).ok()??))).collect();
    let pids: Vec<Pid> = processes.keys().copied().map(Pid::from_u32).collect();
    let mut system = System::new().map_err(|error| unlisted(io::Error::other(error)))?;
    let wanted = ProcessRefreshKind::nothing()
        .with_cmd(UpdateKind::Always)
        .with_cwd(UpdateKind::Always)
        .with_exe(UpdateKind::Always)
        .with_user(UpdateKind::Always)
        .without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&pids), false, wanted);
    let owner = |pid: &Pid| {
        let described = system.process(*pid)?;
        let process = *processes.get(&pid.as_u32())?;
        // A process that ended meanwhile is no owner any more.
        process.is_alive().ok()?.then_some(())?;
        let uid = described.user_id().map(|id| **id);
        let owner = Owner {
            process,
            name: described.name().to_string_lossy().into_owned(),
            cmdline: joined(described.cmd()),
            user: uid.map(|uid| user_name(users, uid)),
            uid,
            started: described.start_time(),
            program: described.exe().map(Path::to_owned),
            dir: described.cwd().map(Path::to_owned),
            unit: unit_of(process.pid),
            by_cargo: process::has_variable(process.pid, OF_CARGO),
        };
        Some((process.pid, owner))
    };
    Ok(pids.iter().filter_map(owner).collect())
}

fn joined(words: &[OsString]) -> String {
    words.join(" ".as_ref()).to_string_lossy().into_owned()
}

fn user_name(users: &Users, uid: u32) -> String {
    let id = uid.to_string();
    let user = users.iter().find(|user| user.id().to_string() == id);
    user.map_or(id, |user| user.name().to_owned())
}
