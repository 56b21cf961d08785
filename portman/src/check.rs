//! Is a port free? The answer "free" is a [`Hold`]: sockets that keep it free until the service listens over them.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Socket as OwnSocket, Type};

use crate::port::Port;
use crate::sys::{self, Activity, Socket};

/// What is known about a port.
#[derive(Debug)]
pub enum Status {
    /// It was free, and now this hold has it.
    Available(Hold),
    /// These sockets keep it from being taken.
    Occupied(Vec<Socket>),
    /// Nobody has it, but it may not be taken.
    Blocked(Block),
    /// It could not be found out; the reason, for people.
    Unknown(String),
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
}

impl Hold {
    /// The port that is held.
    pub fn port(&self) -> Port {
        self.port
    }
}

/// Looks whether `port` is free on every address of IPv4 and IPv6, and takes it if so.
///
/// The look itself disturbs nobody: it asks the system for its sockets and binds only what it then holds.
pub fn check(port: Port) -> Status {
    match sys::sockets(port) {
        Ok(sockets) if sockets.is_empty() => take(port),
        Ok(sockets) => Status::Occupied(sockets),
        Err(error) => Status::Unknown(format!("the system does not list its sockets: {error}")),
    }
}

/// What can be seen of a port without touching it. It may have changed by the time it is told: only a [`Hold`] keeps a
/// port free.
#[derive(Debug)]
pub enum Sight {
    /// Nobody seems to have it.
    Free,
    /// These sockets keep it from being taken.
    Occupied(Vec<Socket>),
    /// Nobody has it, but it may not be taken.
    Blocked(Block),
    /// It could not be found out; the reason, for people.
    Unknown(String),
}

/// Looks at `port` for a report, without taking it even for a moment: somebody may just be starting there.
pub fn look(port: Port) -> Sight {
    let seen = sys::limits().and_then(|limits| {
        let mut sockets = sys::sockets(port)?;
        sockets.extend(sys::connections(port)?);
        // An ended connection does not keep a server away.
        sockets.retain(|socket| socket.activity != Activity::Lingering);
        Ok((sockets, limits.unprivileged_start))
    });
    match seen {
        Ok((sockets, _)) if !sockets.is_empty() => Sight::Occupied(sockets),
        // Whether we have the permission is known only by trying.
        Ok((_, unprivileged_start)) if port.get() < unprivileged_start => match check(port) {
            Status::Available(_hold) => Sight::Free,
            Status::Occupied(sockets) => Sight::Occupied(sockets),
            Status::Blocked(block) => Sight::Blocked(block),
            Status::Unknown(reason) => Sight::Unknown(reason),
        },
        Ok(_) => Sight::Free,
        Err(error) => Sight::Unknown(format!("the system does not list its sockets: {error}")),
    }
}

fn take(port: Port) -> Status {
    // Without options a bind is the kernel's own test-and-set.
    match bind(port, Reuse::No) {
        Ok(sockets) => hold(port, sockets),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => take_over_lingering(port),
        Err(error) => refused(port, &error),
    }
}

/// Ended connections of an earlier server keep a port for up to a minute. A server that sets `SO_REUSEADDR` may have it
/// all the same, and so may a hold, but then two holds could both bind: each looks afterwards whether it is alone, and
/// gives up if it is not, so that at most one stays.
fn take_over_lingering(port: Port) -> Status {
    let sockets = match bind(port, Reuse::Address) {
        Ok(sockets) => sockets,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return occupied(port),
        Err(error) => return refused(port, &error),
    };
    let own: io::Result<Vec<u64>> = sockets.iter().map(sys::inode).collect();
    let alone = own.and_then(|own| {
        let seen = sys::sockets(port)?;
        let all_ours =
            seen.iter().all(|socket| socket.inode.is_some_and(|inode| own.contains(&inode)));
        // A kernel before 6.8 does not list bound sockets, ours neither: then nothing is known.
        Ok(all_ours && seen.len() == own.len())
    });
    match alone {
        Ok(true) => hold(port, sockets),
        Ok(false) => {
            drop(sockets);
            occupied(port)
        }
        Err(error) => Status::Unknown(format!("the system does not list its sockets: {error}")),
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

/// The port is ours; from now on servers may bind over it.
fn hold(port: Port, sockets: Vec<OwnSocket>) -> Status {
    let opened = sockets.iter().try_for_each(|socket| {
        socket.set_reuse_address(true)?;
        socket.set_reuse_port(true)
    });
    match opened {
        Ok(()) => Status::Available(Hold { port, _sockets: sockets }),
        Err(error) => Status::Unknown(format!("its hold could not be shared: {error}")),
    }
}

/// A bind failed: says which sockets are the reason.
fn occupied(port: Port) -> Status {
    let sockets = sys::sockets(port).and_then(|mut sockets| {
        if sockets.is_empty() {
            sockets = sys::connections(port)?;
        }
        Ok(sockets)
    });
    match sockets {
        Ok(sockets) if sockets.is_empty() => {
            Status::Unknown("it is in use, but the system lists no socket on it".into())
        }
        Ok(sockets) => Status::Occupied(sockets),
        Err(error) => Status::Unknown(format!(
            "it is in use, and the system does not list its sockets: {error}"
        )),
    }
}

fn refused(port: Port, error: &io::Error) -> Status {
    if error.kind() == io::ErrorKind::PermissionDenied
        && let Ok(limits) = sys::limits()
        && port.get() < limits.unprivileged_start
    {
        return Status::Blocked(Block::Permission {
            unprivileged_start: limits.unprivileged_start,
        });
    }
    Status::Unknown(format!("binding it failed: {error}"))
}

/// The sockets that listen on `port`. Holds never listen, so none of them is one.
pub fn listeners(port: Port) -> io::Result<Vec<Socket>> {
    let sockets = sys::sockets(port)?;
    Ok(sockets.into_iter().filter(|socket| socket.activity == Activity::Listening).collect())
}
