//! Is a port free? The answer "free" is a [`Hold`]: sockets that keep it free until the service listens over them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket as OwnSocket, Type};

use crate::port::Port;
use crate::sys::{self, Claim};
pub use crate::sys::{Activity, Socket};

/// What is known about a port. `Free` is what one gets of a free one: a [`Hold`], or nothing from a mere look.
#[derive(Debug)]
pub enum Status<Free> {
    /// Nobody has it.
    Available(Free),
    /// These sockets keep it from being taken. None of them: another hold does, and this system does not show its sockets.
    Occupied(Vec<Socket>),
    /// Nobody has it, but it may not be taken.
    Blocked(Block),
    /// It could not be found out; the reason, for people.
    Unknown(String),
}

impl<Free> Status<Free> {
    fn map<Other>(self, map: impl FnOnce(Free) -> Other) -> Status<Other> {
        match self {
            Self::Available(free) => Status::Available(map(free)),
            Self::Occupied(sockets) => Status::Occupied(sockets),
            Self::Blocked(block) => Status::Blocked(block),
            Self::Unknown(reason) => Status::Unknown(reason),
        }
    }
}

/// Why a port that nobody has may not be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Block {
    /// Ports below `unprivileged_start` need a permission we lack.
    Permission {
        /// The first port that needs none.
        unprivileged_start: u16,
    },
}

/// A port that is kept: bound in both address families, never listening, so that an ordinary server (one that sets
/// `SO_REUSEADDR` or `SO_REUSEPORT`) can listen over it while nobody is given the port by the system, no outgoing
/// connection uses it, and no second hold can be had. Dropping it gives the port up.
#[derive(Debug)]
pub struct Hold {
    port: Port,
    /// None while the port is released to a server.
    sockets: Vec<OwnSocket>,
    /// Outlives the sockets, so that nobody takes the port for held while they close.
    _claim: Claim,
}

impl Hold {
    /// The port that is held.
    pub fn port(&self) -> Port {
        self.port
    }

    /// Gives the port up to a server that sets neither `SO_REUSEADDR` nor `SO_REUSEPORT`, and so cannot listen over a
    /// hold. No other hold can be had until this one is dropped, but anybody else may be quicker than the server.
    pub fn release(&mut self) {
        self.sockets.clear();
    }

    /// Holds a released port again; false when somebody has it, the server itself perhaps.
    pub fn retake(&mut self) -> bool {
        if self.sockets.is_empty() {
            self.sockets = bind_open(self.port).unwrap_or_default();
        }
        !self.sockets.is_empty()
    }
}

/// Looks whether `port` is free on every address of IPv4 and IPv6, and takes it if so.
///
/// The look itself disturbs nobody: it asks the system for its sockets and binds only what it then holds.
pub fn check(port: Port) -> Status<Hold> {
    match sys::sockets(port) {
        Ok(sockets) if sockets.is_empty() => take(port),
        Ok(sockets) => Status::Occupied(sockets),
        Err(error) => unlisted(&error),
    }
}

/// Looks at `port` for a report, without being in the way of an ordinary server that may just be starting there. It may
/// have changed by the time it is told: only a [`Hold`] keeps a port free.
pub fn look(port: Port) -> Status<()> {
    match seen(port) {
        Ok(Seen { sockets, .. }) if !sockets.is_empty() => Status::Occupied(sockets),
        Ok(Seen { is_claimed: true, .. }) => Status::Occupied(Vec::new()),
        // Whether we have the permission is known only by trying.
        Ok(Seen { needs_permission: true, .. }) => check(port).map(drop),
        Ok(Seen { has_connections: true, .. }) => look_over_connections(port),
        Ok(_) => Status::Available(()),
        Err(error) => unlisted(&error),
    }
}

struct Seen {
    sockets: Vec<Socket>,
    has_connections: bool,
    is_claimed: bool,
    needs_permission: bool,
}

fn seen(port: Port) -> io::Result<Seen> {
    let sockets = sys::sockets(port)?;
    // Not asked without need: the system walks through a table of all connections.
    let has_connections = sockets.is_empty() && !sys::connections(port)?.is_empty();
    Ok(Seen {
        sockets,
        has_connections,
        is_claimed: sys::is_claimed(port)?,
        needs_permission: port.get() < sys::limits()?.unprivileged_start,
    })
}

/// Connections of an earlier server leave room for the next one, those of a client do not. What tells them apart are
/// options of their sockets that the system does not show, so it is tried, in a way over which a server can start.
fn look_over_connections(port: Port) -> Status<()> {
    match bind_over_connections(port) {
        Ok(_) => Status::Available(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => occupied(port),
        Err(error) => refused(port, &error),
    }
}

/// Among all holds of this machine one has the claim on a port; the rest of the world is kept away by the bind.
fn take(port: Port) -> Status<Hold> {
    let claim = match sys::claim(port) {
        Ok(claim) => claim,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return occupied_by_hold(port),
        Err(error) => return Status::Unknown(format!("it could not be claimed: {error}")),
    };
    match bind_open(port) {
        Ok(sockets) => Status::Available(Hold { port, sockets, _claim: claim }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => occupied(port),
        Err(error) => refused(port, &error),
    }
}

/// Binds the port for us alone, then lets servers bind over that.
fn bind_open(port: Port) -> io::Result<Vec<OwnSocket>> {
    // Without options a bind is the kernel's own test-and-set.
    let sockets = match bind(port, Reuse::No) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind_over_connections(port),
        bound => bound,
    }?;
    open(&sockets)?;
    Ok(sockets)
}

/// Connections of an earlier server keep a port, even ended ones for up to a minute. A server that sets `SO_REUSEADDR` may
/// have it all the same, and so may a hold, unless somebody else has done the same before.
fn bind_over_connections(port: Port) -> io::Result<Vec<OwnSocket>> {
    let sockets = bind(port, Reuse::Address)?;
    let own: Vec<u64> = sockets.iter().map(sys::inode).collect::<io::Result<_>>()?;
    let is_own = |socket: &Socket| socket.inode.is_some_and(|inode| own.contains(&inode));
    if sys::sockets(port)?.iter().all(is_own) {
        Ok(sockets)
    } else {
        Err(io::Error::from(io::ErrorKind::AddrInUse))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reuse {
    No,
    Address,
}

/// Binds `port` on the wildcard address of each family that this machine has.
fn bind(port: Port, reuse: Reuse) -> io::Result<Vec<OwnSocket>> {
    let wildcards = [
        (Domain::IPV4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, port.get()))),
        (Domain::IPV6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, port.get()))),
    ];
    let mut sockets = Vec::with_capacity(2);
    for (family, address) in wildcards {
        match bind_one(family, address, reuse) {
            Ok(socket) => sockets.push(socket),
            // No such family here.
            Err(error) if sys::is_family_absent(&error) => {}
            Err(error) => return Err(error),
        }
    }
    if sockets.is_empty() {
        Err(io::Error::other("this machine has neither IPv4 nor IPv6"))
    } else {
        Ok(sockets)
    }
}

fn bind_one(family: Domain, address: SocketAddr, reuse: Reuse) -> io::Result<OwnSocket> {
    let socket = OwnSocket::new(family, Type::STREAM, None)?;
    if family == Domain::IPV6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(reuse == Reuse::Address)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

/// From now on servers may bind over these sockets.
fn open(sockets: &[OwnSocket]) -> io::Result<()> {
    sockets.iter().try_for_each(|socket| {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)
    })
}

/// A bind failed: says which sockets are the reason.
fn occupied<Free>(port: Port) -> Status<Free> {
    let sockets = sys::sockets(port).and_then(|mut sockets| {
        if sockets.is_empty() {
            sockets = sys::connections(port)?;
        }
        Ok(sockets)
    });
    match sockets {
        Ok(sockets) if sockets.is_empty() => {
            Status::Unknown("it is in use, but the system lists no socket on it".to_owned())
        }
        Ok(sockets) => Status::Occupied(sockets),
        Err(error) => unlisted(&error),
    }
}

fn occupied_by_hold(port: Port) -> Status<Hold> {
    match sys::sockets(port) {
        Ok(sockets) => Status::Occupied(sockets),
        Err(error) => unlisted(&error),
    }
}

fn unlisted<Free>(error: &io::Error) -> Status<Free> {
    Status::Unknown(format!("the system does not list its sockets: {error}"))
}

fn refused<Free>(port: Port, error: &io::Error) -> Status<Free> {
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Ok(limits) = sys::limits()
        && port.get() < limits.unprivileged_start
    {
        let unprivileged_start = limits.unprivileged_start;
        return Status::Blocked(Block::Permission { unprivileged_start });
    }
    Status::Unknown(format!("binding it failed: {error}"))
}

/// The sockets that listen on `port`. Holds never listen, so none of them is one.
pub fn listeners(port: Port) -> io::Result<Vec<Socket>> {
    let sockets = sys::sockets(port)?;
    Ok(sockets.into_iter().filter(|socket| socket.activity == Activity::Listening).collect())
}

/// Every socket of this machine that listens, on whatever port.
pub fn all_listeners() -> io::Result<Vec<Socket>> {
    sys::listeners()
}
