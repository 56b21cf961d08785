//! Is a port free? The answer "free" is a [`Hold`]: sockets that keep it free until the service listens over them.

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket as OwnSocket, Type};

use crate::port::Port;
use crate::sys::{self, Claim, Listing};
pub use crate::sys::{Activity, Socket};

/// What is known about a port. `Free` is what one gets of a free one: a [`Hold`], or nothing from a mere look.
#[derive(Debug)]
pub enum Status<Free> {
    /// Nobody has it.
    Available(Free),
    /// These sockets keep it from being taken. None of them: somebody keeps it without listening, and this system does
    /// not show who.
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
/// Both are one step, the bind. One that fails disturbs nobody, and it never succeeds where somebody is.
///
/// Among all holds of this machine one has the claim on a port; the rest of the world is kept away by the bind.
pub fn check(port: Port) -> Status<Hold> {
    let claim = match sys::claim(port) {
        Ok(claim) => claim,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return held(port),
        Err(error) => return Status::Unknown(format!("it could not be claimed: {error}")),
    };
    match bind_open(port) {
        Ok(sockets) => Status::Available(Hold { port, sockets, _claim: claim }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => occupied(port),
        Err(error) => refused(port, &error),
    }
}

/// Looks at `port` for a report, without being in the way of an ordinary server that may just be starting there. It may
/// have changed by the time it is told: only a [`Hold`] keeps a port free.
pub fn look(port: Port) -> Status<()> {
    match seen(&[port]) {
        Ok(seen) => seen.status(port),
        Err(error) => unlisted(&error),
    }
}

/// [`look`] at each of `ports`, in the same order, with one question to the system for all of them.
pub fn look_all(ports: &[Port]) -> Vec<Status<()>> {
    let seen = seen(ports);
    let status = |&port: &Port| match &seen {
        Ok(seen) => seen.status(port),
        Err(error) => unlisted(error),
    };
    ports.iter().map(status).collect()
}

/// Is this port kept by a [`Hold`]?
pub fn is_held(port: Port) -> io::Result<bool> {
    Ok(sys::claimed(&[port])?.contains(&port))
}

struct Seen {
    sockets: HashMap<u16, Vec<Socket>>,
    is_complete: bool,
    claimed: HashSet<Port>,
    /// Ports of nothing but connections.
    connected: HashSet<u16>,
    unprivileged_start: u16,
}

fn seen(ports: &[Port]) -> io::Result<Seen> {
    let Listing { sockets, is_complete } = sys::sockets(ports)?;
    let sockets = by_port(sockets);
    let others: Vec<Port> =
        ports.iter().copied().filter(|port| !sockets.contains_key(&port.get())).collect();
    let claimed = sys::claimed(&others)?;
    // To look through all connections takes the system longest, and beside a server they are no news.
    let connections = sys::connections(&others)?;
    let connected = connections.iter().map(|socket| socket.local.port()).collect();
    let unprivileged_start = sys::unprivileged_start()?;
    Ok(Seen { sockets, is_complete, claimed, connected, unprivileged_start })
}

fn by_port(sockets: Vec<Socket>) -> HashMap<u16, Vec<Socket>> {
    let mut by_port: HashMap<u16, Vec<Socket>> = HashMap::new();
    for socket in sockets {
        by_port.entry(socket.local.port()).or_default().push(socket);
    }
    by_port
}

impl Seen {
    fn status(&self, port: Port) -> Status<()> {
        if let Some(sockets) = self.sockets.get(&port.get()) {
            return Status::Occupied(sockets.clone());
        }
        if self.claimed.contains(&port) {
            return Status::Occupied(Vec::new());
        }
        // Where the system does not show all that could be there, only a hold can tell.
        if !self.is_complete {
            return check(port).map(drop);
        }
        if self.connected.contains(&port.get()) || port.get() < self.unprivileged_start {
            return try_lightly(port);
        }
        Status::Available(())
    }
}

/// Whether we have the permission is known only by trying. And connections of an earlier server leave room for the next one,
/// those of a client do not: what tells them apart are options of their sockets that the system does not show. So it is
/// tried, in a way over which a server can start.
fn try_lightly(port: Port) -> Status<()> {
    match bind_shared(port) {
        Ok(_) => Status::Available(()),
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
    // Without a connection it is somebody else who forbids the plain bind, whether the system shows him or not.
    if sys::connections(&[port])?.is_empty() {
        return Err(io::Error::from(io::ErrorKind::AddrInUse));
    }
    bind_shared(port)
}

/// A bind that succeeds over connections, and over nobody else.
fn bind_shared(port: Port) -> io::Result<Vec<OwnSocket>> {
    let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
    // It would succeed over a server that has not begun to listen.
    if !sys::sockets(&[port])?.sockets.is_empty() {
        return Err(in_use());
    }
    let sockets = bind(port, Reuse::Address)?;
    let own: Vec<u64> = sockets.iter().map(sys::inode).collect::<io::Result<_>>()?;
    let is_own = |socket: &Socket| socket.inode.is_some_and(|inode| own.contains(&inode));
    if sys::sockets(&[port])?.sockets.iter().all(is_own) { Ok(sockets) } else { Err(in_use()) }
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
    if reuse == Reuse::Address {
        socket.set_reuse_address(true)?;
    }
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

/// Another hold has the claim; it may not have bound its sockets yet.
fn held(port: Port) -> Status<Hold> {
    match sys::sockets(&[port]) {
        Ok(Listing { sockets, .. }) => Status::Occupied(sockets),
        Err(error) => unlisted(&error),
    }
}

/// It cannot be bound: says which sockets are the reason.
fn occupied<Free>(port: Port) -> Status<Free> {
    let seen = sys::sockets(&[port]).and_then(|listing| {
        let Listing { mut sockets, is_complete } = listing;
        if sockets.is_empty() {
            sockets = sys::connections(&[port])?;
        }
        Ok((sockets, is_complete))
    });
    match seen {
        Ok((sockets, true)) if sockets.is_empty() => {
            Status::Unknown("it is in use, but the system lists no socket on it".to_owned())
        }
        Ok((sockets, _)) => Status::Occupied(sockets),
        Err(error) => unlisted(&error),
    }
}

fn unlisted<Free>(error: &io::Error) -> Status<Free> {
    Status::Unknown(format!("the system does not list its sockets: {error}"))
}

fn refused<Free>(port: Port, error: &io::Error) -> Status<Free> {
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Ok(unprivileged_start) = sys::unprivileged_start()
        && port.get() < unprivileged_start
    {
        return match sys::sockets(&[port]) {
            Ok(Listing { sockets, .. }) if sockets.is_empty() => {
                Status::Blocked(Block::Permission { unprivileged_start })
            }
            Ok(Listing { sockets, .. }) => Status::Occupied(sockets),
            Err(error) => unlisted(&error),
        };
    }
    Status::Unknown(format!("binding it failed: {error}"))
}

/// The sockets that listen on `port`. Holds never listen, so none of them is one.
pub fn listeners(port: Port) -> io::Result<Vec<Socket>> {
    let sockets = sys::sockets(&[port])?.sockets;
    Ok(sockets.into_iter().filter(|socket| socket.activity == Activity::Listening).collect())
}

/// Every socket of this machine that listens, on whatever port.
pub fn all_listeners() -> io::Result<Vec<Socket>> {
    sys::listeners()
}
