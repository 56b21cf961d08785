//! Linux: sockets as the kernel tells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::super::{Activity, Socket};

/// Linux, `/proc/PID/fd/N` of a socket: `socket:[12345]`.
pub(crate) fn socket_link(link: &[u8]) -> Option<u64> {
    let number = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(number).ok()?.parse().ok()
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
/// An attribute: the control group in which the socket was made.
const CGROUP_ID: u16 = 21;

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
            _ => message.get(HEADER..).and_then(inet_diag_msg).map(Diag::Socket),
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
    let attributes = message.get(DIAG..)?;
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
        cgroup: attribute(attributes, CGROUP_ID).and_then(|value| u64_at(value, 0)),
    })
}

/// Each attribute: its length with this head, its kind, its value.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(bytes, 0)?);
        let value = bytes.get(4..length)?;
        if u16_at(bytes, 2)? == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
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

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Linux, `/proc/net/tcp` and `tcp6`: a title, then a line a socket. Its words: number, local address, remote address,
/// state, queues, timer, retransmits, user, timeout, inode.
pub(crate) fn net_tcp(text: &str) -> Vec<Socket> {
    text.lines().skip(1).filter_map(net_tcp_line).collect()
}

fn net_tcp_line(line: &str) -> Option<Socket> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    let word = |place: usize| words.get(place).copied();
    let (ip, port) = word(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let inode = word(9)?.parse().ok()?;
    Some(Socket {
        local: SocketAddr::new(hex_ip(ip)?, port),
        activity: activity(u8::from_str_radix(word(3)?, 16).ok()?, inode),
        inode: (inode != 0).then_some(u64::from(inode)),
        uid: word(7)?.parse().ok()?,
        cgroup: None,
    })
}

/// Numbers of 32 bits, printed as this machine has them in its memory.
fn hex_ip(hex: &str) -> Option<IpAddr> {
    let word =
        |at: usize| Some(u32::from_str_radix(hex.get(at * 8..at * 8 + 8)?, 16).ok()?.to_ne_bytes());
    match hex.len() {
        8 => Some(IpAddr::V4(Ipv4Addr::from(word(0)?))),
        32 => {
            let bytes = [word(0)?, word(1)?, word(2)?, word(3)?].concat();
            Some(IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Diag, net_tcp, sock_diag, socket_link};

    #[test]
    fn a_socket_link_holds_the_inode() {
        assert_eq!(socket_link(b"socket:[991]"), Some(991));
        assert_eq!(socket_link(b"pipe:[991]"), None);
        assert_eq!(socket_link(b"socket:[991"), None, "cut");
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
    fn the_control_group_is_one_of_the_attributes() {
        let mut bytes = message(2, 10, 8000, &[127, 0, 0, 1], 77);
        // A byte with its padding, then the group.
        bytes.extend([5, 0, 8, 0, 9, 0, 0, 0]);
        bytes.extend([12, 0, 21, 0]);
        bytes.extend(4242_u64.to_ne_bytes());
        let group = |bytes: &[u8]| match sock_diag(bytes).as_slice() {
            [Diag::Socket(socket)] => socket.cgroup,
            other => panic!("{other:?}"),
        };
        bytes[..4].copy_from_slice(&108_u32.to_ne_bytes());
        assert_eq!(group(&bytes), Some(4242));
        bytes[98] = 22;
        assert_eq!(group(&bytes), None, "another attribute");
        bytes[98] = 21;
        bytes[96] = 3;
        assert_eq!(group(&bytes), None, "an attribute shorter than its head");
        bytes[..4].copy_from_slice(&104_u32.to_ne_bytes());
        bytes[96] = 12;
        assert_eq!(group(&bytes[..104]), None, "cut");
    }

    #[test]
    fn the_lists_of_the_proc_folder_are_read() {
        let v4 = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 77 1 0000 100 0 0 10 0
   1: 0100007F:1F41 0100007F:9C40 06 00000000:00000000 03:00001770 00000000     0        0 0 3 0000
   2: 0100007F:1F4 cut
";
        let v6 = "  sl  local_address                         remote_address                        st
   0: 00000000000000000000000001000000:1435 00000000000000000000000000000000:0000 01 00000000:00000000 00:00000000 00000000     7        0 78 1
";
        let shown = |text: &str| -> Vec<_> {
            let sockets = net_tcp(text).into_iter();
            sockets
                .map(|socket| (socket.local.to_string(), socket.activity, socket.inode, socket.uid))
                .collect()
        };
        assert_eq!(
            shown(v4),
            [
                ("127.0.0.1:8000".to_owned(), Activity::Listening, Some(77), 1000),
                ("127.0.0.1:8001".to_owned(), Activity::Lingering, None, 0),
            ]
        );
        assert_eq!(shown(v6), [("[::1]:5173".to_owned(), Activity::Connected, Some(78), 7)]);
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
