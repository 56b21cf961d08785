//! Sockets by `sock_diag`; by `/proc/net/tcp` only where there is no `sock_diag`, since that is slower and leaves out
//! what is bound and does not listen.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use rustix::system::uname;

use super::super::parse::{self, Diag};
use super::super::{Activity, Listing, Socket};
use crate::port::Port;

const LISTEN: u32 = 1 << 10;
/// Bound, not connected, not listening. Kernels before [`FIRST_WITH_BOUND`] answer with nothing.
const BOUND_INACTIVE: u32 = 1 << 13;
const FIRST_WITH_BOUND: (u32, u32) = (6, 8);
const ALL_STATES: u32 = u32::MAX;

pub(crate) fn sockets(ports: &[Port]) -> io::Result<Listing> {
    let mut listing = find(ports, LISTEN | BOUND_INACTIVE)?;
    listing
        .sockets
        .retain(|socket| matches!(socket.activity, Activity::Listening | Activity::Bound));
    Ok(listing)
}

pub(crate) fn listeners() -> io::Result<Vec<Socket>> {
    let mut sockets = find_between(Port::FIRST, Port::LAST, LISTEN)?.sockets;
    sockets.retain(|socket| socket.activity == Activity::Listening);
    Ok(sockets)
}

pub(crate) fn connections(ports: &[Port]) -> io::Result<Vec<Socket>> {
    let mut listing = find(ports, ALL_STATES & !LISTEN & !BOUND_INACTIVE)?;
    listing
        .sockets
        .retain(|socket| matches!(socket.activity, Activity::Connected | Activity::Lingering));
    Ok(listing.sockets)
}

/// Sockets on `ports` in the given TCP states, of both families.
fn find(ports: &[Port], states: u32) -> io::Result<Listing> {
    let (Some(first), Some(last)) = (ports.iter().min(), ports.iter().max()) else {
        return Ok(Listing { sockets: Vec::new(), is_complete: true });
    };
    let mut listing = find_between(*first, *last, states)?;
    listing
        .sockets
        .retain(|socket| Port::new(socket.local.port()).is_some_and(|port| ports.contains(&port)));
    // The system tells them in the order of its tables.
    listing.sockets.sort_by_key(|socket| socket.local);
    Ok(listing)
}

/// The same of a range of ports; more may come with them.
fn find_between(first: Port, last: Port, states: u32) -> io::Result<Listing> {
    Ok(match dump(&request(first, last, states)) {
        Err(error) if is_without_diag(&error) => Listing { sockets: listed()?, is_complete: false },
        dumped => Listing { sockets: dumped?, is_complete: shows_bound() },
    })
}

fn shows_bound() -> bool {
    let system = uname();
    let version = system.release().to_str().ok().and_then(parse::kernel_version);
    version.is_some_and(|version| version >= FIRST_WITH_BOUND)
}

/// The module that lists TCP sockets is absent, or a sandbox keeps it from us.
fn is_without_diag(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::NOENT, Errno::PROTONOSUPPORT, Errno::AFNOSUPPORT, Errno::PERM, Errno::ACCESS]
        .iter()
        .any(|errno| number == Some(errno.raw_os_error()))
}

fn dump(request: &[u8]) -> io::Result<Vec<Socket>> {
    let netlink = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    send(&netlink, request, SendFlags::empty())?;
    receive(&netlink)
}

/// `nlmsghdr`, `inet_diag_req` and a filter: all TCP sockets in these states whose local port is one from `first` to
/// `last`. Of both families: the request of the first version names none, and is half the work for the kernel.
fn request(first: Port, last: Port, states: u32) -> [u8; 96] {
    const TCPDIAG_GETSOCK: u16 = 18;
    const REQUEST_DUMP: u16 = 0x301;
    const BYTECODE: u16 = 1;
    const PORT_AT_LEAST: u8 = 2;
    const PORT_AT_MOST: u8 = 3;
    let mut bytes = [0; 96];
    bytes[..4].copy_from_slice(&96_u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&TCPDIAG_GETSOCK.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    bytes[68..72].copy_from_slice(&states.to_ne_bytes());
    bytes[76..78].copy_from_slice(&20_u16.to_ne_bytes());
    bytes[78..80].copy_from_slice(&BYTECODE.to_ne_bytes());
    // Each comparison: its code, where it goes on when it is true, where when not (past the end: no), and its number.
    for (at, code, past_end, port) in
        [(80, PORT_AT_LEAST, 20_u16, first), (88, PORT_AT_MOST, 12, last)]
    {
        bytes[at] = code;
        bytes[at + 1] = 8;
        bytes[at + 2..at + 4].copy_from_slice(&past_end.to_ne_bytes());
        bytes[at + 6..at + 8].copy_from_slice(&port.get().to_ne_bytes());
    }
    bytes
}

fn receive(netlink: &OwnedFd) -> io::Result<Vec<Socket>> {
    let mut found = Vec::new();
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (_, length) = recv(netlink, buffer.as_mut_slice(), RecvFlags::empty())?;
        for message in parse::sock_diag(&buffer[..length.min(buffer.len())]) {
            match message {
                Diag::Socket(socket) => found.push(socket),
                Diag::Done => return Ok(found),
                Diag::Failed(number) => return Err(io::Error::from_raw_os_error(number)),
            }
        }
    }
}

/// All TCP sockets of this thread's network that are no mere bound ones.
fn listed() -> io::Result<Vec<Socket>> {
    let mut found = parse::net_tcp(&fs::read_to_string("/proc/thread-self/net/tcp")?);
    match fs::read_to_string("/proc/thread-self/net/tcp6") {
        Ok(text) => found.extend(parse::net_tcp(&text)),
        // No IPv6 here.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(found)
}

pub(crate) fn inode(socket: &impl AsFd) -> io::Result<u64> {
    let file = File::from(socket.as_fd().try_clone_to_owned()?);
    Ok(file.metadata()?.ino())
}

pub(crate) fn is_family_absent(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| number == Some(errno.raw_os_error()))
}
