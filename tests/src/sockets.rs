//! Sockets as servers and clients of all kinds make them: each way in which the system gives out a port.

#![expect(unsafe_code, reason = "one socket option has no safe wrapper")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::{
    set_ipv6_v6only, set_socket_linger, set_socket_reuseaddr, set_socket_reuseport,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};

/// The addresses that a server on one machine may choose.
pub const ADDRESSES: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::UNSPECIFIED),
];

/// What a socket says about sharing its port before it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reuse {
    /// Nothing.
    None,
    /// `SO_REUSEADDR`.
    Address,
    /// `SO_REUSEPORT`.
    Port,
    /// Both.
    Both,
}

/// A way in which the system gives a port out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// To a server that asks for any port on this address.
    Bind(IpAddr, Reuse),
    /// To a client of a server on this address. A late one has its address before, its port only now
    /// (`IP_BIND_ADDRESS_NO_PORT`).
    Connect {
        /// Where the server is.
        to: IpAddr,
        /// Was the address bound before?
        is_late: bool,
    },
}

impl Way {
    /// All sixteen binds and four connects.
    pub fn all() -> Vec<Self> {
        let reuses = [Reuse::None, Reuse::Address, Reuse::Port, Reuse::Both];
        let binds =
            ADDRESSES.iter().flat_map(|address| reuses.map(|reuse| Self::Bind(*address, reuse)));
        let loopback = ADDRESSES.iter().filter(|address| address.is_loopback());
        let connects =
            loopback.flat_map(|to| [false, true].map(|is_late| Self::Connect { to: *to, is_late }));
        binds.chain(connects).collect()
    }
}

/// A port that the system gave out. Dropping it gives the port back at once: it leaves no ended connection behind.
#[derive(Debug)]
pub struct Taken {
    /// Which.
    pub port: u16,
    _socket: OwnedFd,
}

/// Servers on both loopback addresses, for connections to them.
#[derive(Debug)]
pub struct Targets {
    listeners: [TcpListener; 2],
}

impl Targets {
    /// Starts them on `port`.
    #[track_caller]
    pub fn start(port: u16) -> Self {
        let listeners = [ADDRESSES[0], ADDRESSES[2]].map(|address| {
            let listener = TcpListener::bind((address, port)).expect("a port of this test");
            listener.set_nonblocking(true).expect("a socket of ours");
            listener
        });
        Self { listeners }
    }

    /// Takes a port in this way.
    pub fn take(&self, way: Way) -> io::Result<Taken> {
        match way {
            Way::Bind(address, reuse) => {
                let server = bound(SocketAddr::new(address, 0), reuse)?;
                listen(&server, 1)?;
                taken(server.into())
            }
            Way::Connect { to, is_late } => self.take_by_connecting(to, is_late),
        }
    }

    fn take_by_connecting(&self, to: IpAddr, is_late: bool) -> io::Result<Taken> {
        let listener = &self.listeners[usize::from(to.is_ipv6())];
        let client = new(to)?;
        // Its end is a reset.
        set_socket_linger(&client, Some(Duration::ZERO))?;
        if is_late {
            bind_without_port(&client, to)?;
        }
        connect(&client, &listener.local_addr()?)?;
        // Their ends do not interest; more than one may be waiting.
        while listener.accept().is_ok() {}
        taken(client)
    }
}

fn taken(socket: OwnedFd) -> io::Result<Taken> {
    let stream = TcpStream::from(socket);
    Ok(Taken { port: stream.local_addr()?.port(), _socket: stream.into() })
}

/// A socket that is bound and does not listen. One on `::` is for IPv4 too.
pub fn bound(address: SocketAddr, reuse: Reuse) -> io::Result<TcpListener> {
    let socket = new(address.ip())?;
    set_socket_reuseaddr(&socket, matches!(reuse, Reuse::Address | Reuse::Both))?;
    set_socket_reuseport(&socket, matches!(reuse, Reuse::Port | Reuse::Both))?;
    bind(&socket, &address)?;
    Ok(socket.into())
}

/// A connection from one address to another.
pub fn connected(from: SocketAddr, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = new(from.ip())?;
    bind(&socket, &from)?;
    connect(&socket, &to)?;
    Ok(socket.into())
}

/// Lets what this process starts from now on have `socket` open too.
pub fn share(socket: &impl AsFd) -> io::Result<()> {
    Ok(fcntl_setfd(socket, FdFlags::empty())?)
}

fn new(address: IpAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        set_ipv6_v6only(&socket, false)?;
    }
    Ok(socket)
}

fn bind_without_port(socket: &OwnedFd, address: IpAddr) -> io::Result<()> {
    let on: libc::c_int = 1;
    // SAFETY: the option is an int, and this one outlives the call.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            libc::IP_BIND_ADDRESS_NO_PORT,
            (&raw const on).cast(),
            libc::socklen_t::try_from(size_of_val(&on)).unwrap_or_default(),
        )
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(bind(socket, &SocketAddr::new(address, 0))?)
}
