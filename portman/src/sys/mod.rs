//! What only the operating system knows, in one contract; a file per system keeps it.
//!
//! - `sockets(ports)`: every socket that keeps one of `ports` from being taken: it listens, or is bound and may yet; and
//!   whether this system can show them all.
//! - `listeners()`: every socket that listens, on whatever port.
//! - `connections(ports)`: sockets of connections, also ended ones that still linger, with one of `ports` on this side.
//! - `claim(port)`: among all holds of this machine's network, of whatever user, at most one has the claim on a port; it
//!   ends with its process. `claimed(ports)` asks without claiming.
//! - `inode(socket)`: the number under which the system knows a socket of ours.
//! - `holders(sockets, scope, hints)`: which processes have these sockets open, by their inodes. Processes we may not
//!   look into are left out. `has_open(pid, inodes)`: does this one have one of them open?
//! - `unit_of_process(pid)`, `unit_of_group(group)`: what supervises a process, or those of a [`Socket::cgroup`].
//! - `pids()`, `started(pid)`, `parent(pid)`, `group(pid)`, `environment(pid)`: processes; a zombie has nothing of these.
//!   `started_and_parent(pid)` asks once for both.
//!   `children(pid)` may leave some out.
//! - `own_user()`: the number of the user that this process acts for.
//! - `is_system(pid)`: the system itself is this process: its first one, or a part of the kernel.
//! - `terminal_leader(pid)`: the process that leads the session of this one's terminal.
//! - `is_apart(pid)`: it sees other processes or users than we do, as in a container.
//! - `handle(pid, started)`: a `Handle` on exactly this process, never on a later one that has its pid; `signal(handle, …)`
//!   and `wait_gone(handle, deadline)` go through it, the latter says whether the process has ended, and without a
//!   deadline waits for as long as it lives.
//! - `is_family_absent(error)`: this machine has no IPv6, or no IPv4.
//! - `limits()`: which ports the system gives out or keeps by itself; `unprivileged_start()`: one of these alone.
//! - `keep_owner(file, like)`: a file that replaces another belongs to the same user.
//! - `make_private(options)`: a file that is made with them is for this user alone.
//! - `is_shared(file)`, `forbids_rename(error)`: the file has other names, is a mount point, or is another user's:
//!   write into it instead.
//!
//! Texts that a system prints are read in [`parse`], which every system compiles and tests.

pub(crate) mod parse;

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{
    Claim, Handle, children, claim, claimed, connections, environment, forbids_rename, group,
    handle, has_open, holders, inode, is_apart, is_family_absent, is_shared, is_system, keep_owner,
    limits, listeners, make_private, own_user, parent, pids, signal, sockets, started,
    started_and_parent, terminal_leader, unit_of_group, unit_of_process, unprivileged_start,
    wait_gone,
};

#[cfg(not(target_os = "linux"))]
compile_error!("portman runs on Linux so far; macOS and Windows are not written yet");

/// What a socket does on its local port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Activity {
    /// It accepts connections.
    Listening,
    /// It is bound and does not listen: a server about to start, or a hold.
    Bound,
    /// It is one end of a connection, outgoing or accepted, that a process has open.
    Connected,
    /// Its connection has ended and no process has it any more; the system keeps it for up to a minute.
    Lingering,
}

/// A TCP socket as the system reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Socket {
    /// The address it is bound to, with its port.
    pub local: SocketAddr,
    /// What it does there.
    pub activity: Activity,
    /// The system's number for it, by which its processes are found; none when no process has it open.
    pub inode: Option<u64>,
    /// The user who made it.
    pub uid: u32,
    /// The control group in which it was made; none where the system does not say.
    pub cgroup: Option<u64>,
}

/// The sockets of some ports.
#[derive(Debug)]
pub(crate) struct Listing {
    /// Those that are seen.
    pub(crate) sockets: Vec<Socket>,
    /// Are these all? Older systems do not show a socket that is bound and does not listen.
    pub(crate) is_complete: bool,
}

/// Where to look for the processes that have a socket open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The hinted processes and nobody else.
    Hinted,
    /// On from there, the likely ones first, until each socket has somebody; and the family of those, who may have
    /// inherited it. Good for telling people who has it.
    Group,
    /// All processes of this machine that we may look into. Who stops something has to know them all.
    Machine,
}

/// What started a process and looks after it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// A container: its runtime and its name or id, `docker 3f2a91c0d4e5`.
    Container(String),
    /// A service of the system or of the user: `nginx.service`.
    Service(String),
}

/// Ports the system gives out or keeps by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Given to outgoing connections and to servers that ask for any port.
    pub(crate) ephemeral: RangeInclusive<u16>,
    /// Kept back by the administrator.
    pub(crate) reserved: Vec<RangeInclusive<u16>>,
    /// Ports below this number need a permission that ordinary users lack.
    pub(crate) unprivileged_start: u16,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It may clean up first.
    Terminate,
    /// At once.
    Kill,
}
