//! Is a port free? The answer "free" is a [`Hold`]: sockets that keep it free until the service listens over them.

use std::collections::HashMap;
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
    _sockets: Vec<OwnSocket>,
    /// Outlives the sockets, so that nobody takes the port for held while they close.
    _claim: Claim,
}

impl Hold {
    /// The port that is held.
    pub fn port(&self) -> Port {
        self.port
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
    // Without options a bind is the kernel's own test-and-set.
    let bound = match bind(port, Reuse::No) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => bind_over_lingering(port),
        bound => bound,
    };
    match bound.and_then(|sockets| open(&sockets).map(|()| sockets)) {
        Ok(sockets) => Status::Available(Hold { port, _sockets: sockets, _claim: claim }),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => occupied(port),
        Err(error) => refused(port, &error),
    }
}

/// Looks at `port` for a report, without taking it even for a moment: somebody may just be starting there. (It is tried
/// only where the system does not show all that could be there, or would not let us have it.) It may have changed by the
/// time it is told: only a [`Hold`] keeps a port free.
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
    sys::is_claimed(port)
}

struct Seen {
    sockets: HashMap<u16, Vec<Socket>>,
    /// From here on, a port that nobody is seen on is free. On others only a bind can tell: the system does not let us
    /// have ports below, or (none) does not show all that could be on any.
    certain_from: Option<u16>,
}

fn seen(ports: &[Port]) -> io::Result<Seen> {
    let Listing { sockets, is_complete } = sys::sockets(ports)?;
    let mut sockets = by_port(sockets);
    let others: Vec<Port> =
        ports.iter().copied().filter(|port| !sockets.contains_key(&port.get())).collect();
    // To look through all connections takes the system longest, and beside a server they are no news.
    let mut connections = sys::connections(&others)?;
    // An ended connection does not keep a server away.
    connections.retain(|socket| socket.activity != Activity::Lingering);
    sockets.extend(by_port(connections));
    let is_certain = is_complete && !others.is_empty();
    let certain_from = is_certain.then(sys::unprivileged_start).transpose()?;
    Ok(Seen { sockets, certain_from })
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
        match self.sockets.get(&port.get()) {
            Some(sockets) => Status::Occupied(sockets.clone()),
            None if self.certain_from.is_some_and(|first| port.get() >= first) => {
                Status::Available(())
            }
            None => check(port).map(drop),
        }
    }
}

/// Ended connections of an earlier server keep a port for up to a minute. A server that sets `SO_REUSEADDR` may have it
/// all the same, and so may a hold, unless somebody else has done the same before.
fn bind_over_lingering(port: Port) -> io::Result<Vec<OwnSocket>> {
    let in_use = || io::Error::from(io::ErrorKind::AddrInUse);
    // This bind would succeed over a server that has not begun to listen.
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
fn occupied(port: Port) -> Status<Hold> {
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

fn refused(port: Port, error: &io::Error) -> Status<Hold> {
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
