//! Linux: sockets by `sock_diag`, processes by `/proc`, signals by pidfd.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;

use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::netlink::SOCK_DIAG;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::parse::{self, Diag};
use super::{Activity, Ending, Limits, Socket};
use crate::port::Port;

const LISTEN: u32 = 1 << 10;
/// Linux 6.8 and later: bound, not connected, not listening. Earlier kernels answer with nothing.
const BOUND_INACTIVE: u32 = 1 << 13;
const ALL_STATES: u32 = u32::MAX;

pub(crate) fn sockets(port: Port) -> io::Result<Vec<Socket>> {
    dump(Some(port), LISTEN | BOUND_INACTIVE)
}

pub(crate) fn listeners() -> io::Result<Vec<Socket>> {
    dump(None, LISTEN)
}

pub(crate) fn connections(port: Port) -> io::Result<Vec<Socket>> {
    let taken = dump(Some(port), ALL_STATES & !LISTEN & !BOUND_INACTIVE)?;
    let connected =
        |socket: &Socket| matches!(socket.activity, Activity::Connected | Activity::Lingering);
    Ok(taken.into_iter().filter(connected).collect())
}

/// Sockets in the given TCP states, of both families; on `port` only, if that is some.
fn dump(port: Option<Port>, states: u32) -> io::Result<Vec<Socket>> {
    let netlink = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(SOCK_DIAG),
    )?;
    let mut found = Vec::new();
    for family in [AddressFamily::INET, AddressFamily::INET6] {
        send(&netlink, &request(family, port, states), SendFlags::empty())?;
        receive(&netlink, &mut found)?;
    }
    // Some states ignore the port of the request.
    found.retain(|socket: &Socket| port.is_none_or(|port| socket.local.port() == port.get()));
    Ok(found)
}

/// `nlmsghdr` and `inet_diag_req_v2`: all sockets of a family and states, whose local port is `port` if that is some.
fn request(family: AddressFamily, port: Option<Port>, states: u32) -> [u8; 72] {
    const SOCK_DIAG_BY_FAMILY: u16 = 20;
    const REQUEST_DUMP: u16 = 0x301;
    const TCP: u8 = 6;
    let mut bytes = [0; 72];
    bytes[..4].copy_from_slice(&72_u32.to_ne_bytes());
    bytes[4..6].copy_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes[6..8].copy_from_slice(&REQUEST_DUMP.to_ne_bytes());
    bytes[16] = u8::try_from(family.as_raw()).unwrap_or_default();
    bytes[17] = TCP;
    bytes[20..24].copy_from_slice(&states.to_ne_bytes());
    bytes[24..26].copy_from_slice(&port.map_or(0, Port::get).to_be_bytes());
    bytes
}

fn receive(netlink: &OwnedFd, found: &mut Vec<Socket>) -> io::Result<()> {
    let mut buffer = vec![0; 32 * 1024];
    loop {
        let (_, length) = recv(netlink, buffer.as_mut_slice(), RecvFlags::empty())?;
        for message in parse::sock_diag(&buffer[..length.min(buffer.len())]) {
            match message {
                Diag::Socket(socket) => found.push(socket),
                Diag::Done => return Ok(()),
                Diag::Failed(number) => return Err(io::Error::from_raw_os_error(number)),
            }
        }
    }
}

/// A name in the abstract namespace, which is as wide as a network and as long as its socket.
#[derive(Debug)]
pub(crate) struct Claim {
    _name: UnixDatagram,
}

pub(crate) fn claim(port: Port) -> io::Result<Claim> {
    Ok(Claim { _name: UnixDatagram::bind_addr(&claim_name(port)?)? })
}

pub(crate) fn is_claimed(port: Port) -> io::Result<bool> {
    match UnixDatagram::unbound()?.connect_addr(&claim_name(port)?) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(false),
        Err(error) => Err(error),
    }
}

fn claim_name(port: Port) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("portman/hold/{port}"))
}

pub(crate) fn inode(socket: &impl AsFd) -> io::Result<u64> {
    let file = File::from(socket.as_fd().try_clone_to_owned()?);
    Ok(file.metadata()?.ino())
}

pub(crate) fn holders(inodes: &HashSet<u64>) -> io::Result<HashMap<u64, Vec<u32>>> {
    let mut holders: HashMap<u64, Vec<u32>> = HashMap::new();
    if inodes.is_empty() {
        return Ok(holders);
    }
    for pid in pids()? {
        // A process that has ended meanwhile, or that we may not look into, is passed over.
        let Ok(open) = open_sockets(pid) else { continue };
        for inode in open.filter(|inode| inodes.contains(inode)) {
            let pids = holders.entry(inode).or_default();
            if pids.last() != Some(&pid) {
                pids.push(pid);
            }
        }
    }
    Ok(holders)
}

pub(crate) fn has_open(pid: u32, inodes: &HashSet<u64>) -> io::Result<bool> {
    match open_sockets(pid) {
        Ok(mut open) => Ok(open.any(|inode| inodes.contains(&inode))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// The inodes of the sockets that a process has open.
fn open_sockets(pid: u32) -> io::Result<impl Iterator<Item = u64>> {
    let open = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let links = open.flatten().filter_map(|entry| fs::read_link(entry.path()).ok());
    Ok(links.filter_map(|link| parse::socket_link(link.to_str()?)))
}

pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let entries = fs::read_dir("/proc")?;
    Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
}

pub(crate) fn started(pid: u32) -> io::Result<Option<u64>> {
    Ok(stat(pid)?.map(|stat| stat.started))
}

pub(crate) fn parent(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.map(|stat| stat.parent))
}

pub(crate) fn group(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.map(|stat| stat.group))
}

pub(crate) fn is_system(pid: u32) -> io::Result<bool> {
    Ok(pid <= 1 || stat(pid)?.is_some_and(|stat| stat.is_kernel))
}

pub(crate) fn terminal_leader(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.filter(|stat| stat.has_terminal).map(|stat| stat.session))
}

pub(crate) fn is_apart(pid: u32) -> io::Result<bool> {
    for kind in ["pid", "user"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        if fs::read_link(format!("/proc/{pid}/ns/{kind}"))? != own {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stat(pid: u32) -> io::Result<Option<parse::Stat>> {
    // A program may give itself a name that is not UTF-8, and a long one is cut in the middle of a character.
    match fs::read(format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse::stat(&String::from_utf8_lossy(&text))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn environment(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ"))
}

/// Gone, or hidden from us, which only other users' processes are.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// A pidfd, and the process was still the one that was asked for once it was open.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

pub(crate) fn handle(pid: u32, started_at: u64) -> io::Result<Option<Handle>> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The handle is fixed now: if the start time still fits, it is this process and stays it.
    Ok((started(pid)? == Some(started_at)).then_some(Handle(pidfd)))
}

pub(crate) fn signal(Handle(pidfd): &Handle, ending: Ending) -> io::Result<()> {
    let signal = match ending {
        Ending::Terminate => Signal::TERM,
        Ending::Kill => Signal::KILL,
    };
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn wait_gone(Handle(pidfd): &Handle, deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            polled => return Ok(polled? > 0),
        }
    }
}

pub(crate) fn limits() -> io::Result<Limits> {
    Ok(Limits {
        ephemeral: setting("ip_local_port_range", parse::port_range)?,
        reserved: setting("ip_local_reserved_ports", parse::reserved_ports)?,
        unprivileged_start: setting("ip_unprivileged_port_start", |text| text.trim().parse().ok())?,
    })
}

fn setting<T>(name: &str, read: impl Fn(&str) -> Option<T>) -> io::Result<T> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    let text = fs::read_to_string(&path)?;
    read(&text).ok_or_else(|| io::Error::other(format!("{path} says {text:?}")))
}

pub(crate) fn keep_owner(file: &File, like: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

pub(crate) fn make_private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

pub(crate) fn is_shared(file: &Metadata) -> bool {
    file.nlink() > 1
}

pub(crate) fn forbids_rename(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    // BUSY, XDEV: it is a mount point. PERM: its owner cannot be given to another file.
    [Errno::BUSY, Errno::XDEV, Errno::PERM].iter().any(|errno| number == Some(errno.raw_os_error()))
}

pub(crate) fn is_family_absent(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .iter()
        .any(|errno| number == Some(errno.raw_os_error()))
}
