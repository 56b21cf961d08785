//! Readers of texts and messages that operating systems produce. Pure, so every system tests them all.

mod sockets;
mod units;

use std::ops::RangeInclusive;

pub(crate) use sockets::{Diag, net_tcp, sock_diag, socket_link};
pub(crate) use units::{unit, unit_of_process};

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

/// Linux, the release of a kernel: `6.8.0-45-generic` is 6.8.
pub(crate) fn kernel_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Stat, kernel_version, port_range, reserved_ports, stat};

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
    fn the_version_of_a_kernel_is_read() {
        assert_eq!(kernel_version("6.8.0-45-generic"), Some((6, 8)));
        assert_eq!(kernel_version("5.15.167.4-microsoft-standard-WSL2"), Some((5, 15)));
        assert_eq!(kernel_version("4.4.0"), Some((4, 4)), "gVisor says this");
        assert_eq!(kernel_version("mainline"), None);
    }
}
