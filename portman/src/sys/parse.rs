//! Readers of texts and messages that operating systems produce. Pure, so every system tests them all.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;

use super::{Activity, Socket};

/// A process as its `stat` describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Its parent.
    pub(crate) parent: u32,
    /// Its process group.
    pub(crate) group: u32,
    /// Its session, which is the pid of the session's leader.
    pub(crate) session: u32,
    /// Does its session have a terminal?
    pub(crate) has_terminal: bool,
    /// Is it a part of the kernel?
    pub(crate) is_kernel: bool,
    /// When it started, in clock ticks since boot.
    pub(crate) started: u64,
}

/// Linux, `/proc/PID/stat`; none for a zombie or a dead process.
pub(crate) fn stat(text: &str) -> Option<Stat> {
    const KERNEL_THREAD: u64 = 0x0020_0000;
    // The name in parentheses may hold anything, also `) `: the fields start after the last one.
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    if matches!(*fields.first()?, "Z" | "X" | "x") {
        return None;
    }
    let field = |place: usize| fields.get(place).copied();
    Some(Stat {
        parent: field(1)?.parse().ok()?,
        group: field(2)?.parse().ok()?,
        session: field(3)?.parse().ok()?,
        has_terminal: field(4)? != "0",
        is_kernel: field(6)?.parse::<u64>().ok()? & KERNEL_THREAD != 0,
        started: field(19)?.parse().ok()?,
    })
}

/// Linux, `/proc/sys/net/ipv4/ip_local_port_range`: two numbers.
pub(crate) fn port_range(text: &str) -> Option<RangeInclusive<u16>> {
    let mut ends = text.split_whitespace().map(str::parse);
    Some(ends.next()?.ok()?..=ends.next()?.ok()?)
}

/// Linux, `/proc/sys/net/ipv4/ip_local_reserved_ports`: `8080,9000-9010`, or nothing.
pub(crate) fn reserved_ports(text: &str) -> Option<Vec<RangeInclusive<u16>>> {
    let parts = text.trim().split(',').filter(|part| !part.is_empty());
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some(first.parse().ok()?..=last.parse().ok()?)
    };
    parts.map(range).collect()
}

/// Linux, `/proc/PID/fd/N` of a socket: `socket:[12345]`.
pub(crate) fn socket_link(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// One message of a netlink dump.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Diag {
    /// A socket.
    Socket(Socket),
    /// The dump is complete.
    Done,
    /// The system refused, with this error number.
    Failed(i32),
}

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const HEADER: usize = 16;
const DIAG: usize = 72;

/// Linux, the answer to a `sock_diag` dump: `nlmsghdr`, `inet_diag_msg`, attributes, and the next one.
pub(crate) fn sock_diag(mut bytes: &[u8]) -> Vec<Diag> {
    let mut messages = Vec::new();
    while let Some(length) = u32_at(bytes, 0).map(|length| length as usize) {
        let Some(message) = bytes.get(..length).filter(|message| message.len() >= HEADER) else {
            break;
        };
        messages.extend(match u16_at(message, 4) {
            Some(NLMSG_DONE) => Some(done(message)),
            Some(NLMSG_ERROR) => i32_at(message, HEADER).map(|number| Diag::Failed(-number)),
            _ => message.get(HEADER..HEADER + DIAG).and_then(inet_diag_msg).map(Diag::Socket),
        });
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    messages
}

/// A dump ends with 0, or with what went wrong in it: without the module that lists TCP sockets, say.
fn done(message: &[u8]) -> Diag {
    match i32_at(message, HEADER) {
        None | Some(0) => Diag::Done,
        Some(number) => Diag::Failed(-number),
    }
}

fn inet_diag_msg(message: &[u8]) -> Option<Socket> {
    const AF_INET: u8 = 2;
    let port = u16::from_be_bytes(message.get(4..6)?.try_into().ok()?);
    let address: [u8; 16] = message.get(8..24)?.try_into().ok()?;
    let ip = if message[0] == AF_INET {
        IpAddr::V4(Ipv4Addr::new(address[0], address[1], address[2], address[3]))
    } else {
        IpAddr::V6(Ipv6Addr::from(address))
    };
    let inode = u32_at(message, 68)?;
    Some(Socket {
        local: SocketAddr::new(ip, port),
        activity: activity(message[1], inode),
        inode: (inode != 0).then_some(u64::from(inode)),
        uid: u32_at(message, 64)?,
    })
}

/// The kernel's TCP states: 7 is a socket without a connection, 10 one that listens; the rest belong to connections.
fn activity(state: u8, inode: u32) -> Activity {
    match state {
        7 | 13 => Activity::Bound,
        10 => Activity::Listening,
        _ if inode == 0 => Activity::Lingering,
        _ => Activity::Connected,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Activity, Diag, Stat, port_range, reserved_ports, sock_diag, socket_link, stat};

    #[test]
    fn a_process_is_read_behind_any_name_and_a_zombie_is_none() {
        let fields = "R 1 77 66 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 4242 0 0";
        let read = Stat {
            parent: 1,
            group: 77,
            session: 66,
            has_terminal: false,
            is_kernel: false,
            started: 4242,
        };
        assert_eq!(stat(&format!("7 (sh) {fields}")), Some(read));
        assert_eq!(stat(&format!("7 (a) R 1 (b) {fields}")), Some(read));
        let in_terminal = fields.replace("66 0", "66 34816");
        assert_eq!(
            stat(&format!("7 (sh) {in_terminal}")),
            Some(Stat { has_terminal: true, ..read })
        );
        let of_kernel = fields.replace("4194560", "2129984");
        assert_eq!(
            stat(&format!("7 (kworker/0:1) {of_kernel}")),
            Some(Stat { is_kernel: true, ..read })
        );
        assert_eq!(stat(&format!("7 (sh) {}", fields.replacen('R', "Z", 1))), None);
        assert_eq!(stat("7 (sh) R"), None);
    }

    #[test]
    fn ranges_of_ports_are_read() {
        assert_eq!(port_range("32768\t60999\n"), Some(32768..=60999));
        assert_eq!(port_range("32768"), None);
        assert_eq!(reserved_ports("\n"), Some(vec![]));
        assert_eq!(reserved_ports("8080,9000-9010\n"), Some(vec![8080..=8080, 9000..=9010]));
        assert_eq!(reserved_ports("80a"), None);
    }

    #[test]
    fn a_socket_link_holds_the_inode() {
        assert_eq!(socket_link("socket:[991]"), Some(991));
        assert_eq!(socket_link("pipe:[991]"), None);
    }

    /// A dump message: header, family, state, local port and address, user, inode.
    fn message(family: u8, state: u8, port: u16, ip: &[u8], inode: u32) -> Vec<u8> {
        let mut bytes = vec![0; 88];
        bytes[..4].copy_from_slice(&88_u32.to_ne_bytes());
        bytes[4..6].copy_from_slice(&20_u16.to_ne_bytes());
        bytes[16] = family;
        bytes[17] = state;
        bytes[20..22].copy_from_slice(&port.to_be_bytes());
        bytes[24..24 + ip.len()].copy_from_slice(ip);
        bytes[80..84].copy_from_slice(&1000_u32.to_ne_bytes());
        bytes[84..88].copy_from_slice(&inode.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_dump_of_sockets_is_read() {
        let mut loopback = [0; 16];
        loopback[15] = 1;
        let mut bytes = message(2, 10, 8000, &[127, 0, 0, 1], 77);
        bytes.extend(message(10, 7, 5173, &loopback, 78));
        bytes.extend(message(2, 6, 8000, &[127, 0, 0, 1], 0));
        let done: Vec<u8> = [20_u32.to_ne_bytes().as_slice(), &3_u16.to_ne_bytes(), &[0; 14]]
            .into_iter()
            .flatten()
            .copied()
            .collect();
        bytes.extend(done);

        let read = sock_diag(&bytes);

        let sockets: Vec<_> = read
            .iter()
            .filter_map(|message| match message {
                Diag::Socket(socket) => {
                    Some((socket.local.to_string(), socket.activity, socket.inode))
                }
                _ => None,
            })
            .collect();
        assert_eq!(
            sockets,
            [
                ("127.0.0.1:8000".to_owned(), Activity::Listening, Some(77)),
                ("[::1]:5173".to_owned(), Activity::Bound, Some(78)),
                ("127.0.0.1:8000".to_owned(), Activity::Lingering, None),
            ]
        );
        assert_eq!(read.last(), Some(&Diag::Done));
    }

    #[test]
    fn a_refused_or_cut_dump_is_no_socket() {
        let mut refused = vec![0; 36];
        refused[..4].copy_from_slice(&36_u32.to_ne_bytes());
        refused[4..6].copy_from_slice(&2_u16.to_ne_bytes());
        refused[16..20].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(sock_diag(&refused), [Diag::Failed(2)]);
        refused[4..6].copy_from_slice(&3_u16.to_ne_bytes());
        assert_eq!(sock_diag(&refused), [Diag::Failed(2)], "at the end of the dump");
        assert_eq!(sock_diag(&message(2, 10, 8000, &[127, 0, 0, 1], 1)[..40]), []);
    }
}
