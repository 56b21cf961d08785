//! Ports that are free now. A look takes none, not even for a moment: somebody may just be starting there.

use std::io;

use super::fit::{doubt_within, is_safe_to_give, limits, spare};
use super::tried;
use crate::check::{Status, look_all};
use crate::error::{Error, Result};
use crate::port::{Port, PortRange, numbers};
use crate::sys::Limits;

/// One question to the system is about so many ports: it costs about as much for one.
const AT_ONCE: usize = 256;

/// Where to look for free ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Search {
    /// Where there is room for any number of them.
    Anywhere,
    /// From this port up, without those that nobody should be given, unless this one is of their kind.
    From(Port),
    /// Every port of this range.
    Range(PortRange),
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Ports that are free, in the order of the search.
    pub ports: Vec<Port>,
    /// Where it has looked, for people: `10 ports between 8000 and 8009`.
    pub tried: String,
    /// Why it could not be found out of some port whether it is free; for people.
    pub unknown: Option<(Port, String)>,
}

/// Looks for `count` free ports, at no more than `attempts` ports. It may find fewer.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn search(search: Search, count: usize, attempts: Option<usize>) -> Result<Found> {
    let mut candidates = candidates(search, &limits()?);
    candidates.truncate(attempts.unwrap_or(usize::MAX));
    let mut found = Found { ports: Vec::new(), tried: tried(&candidates), unknown: None };
    for some in candidates.chunks(AT_ONCE) {
        for (&port, status) in some.iter().zip(look_all(some)) {
            match status {
                _ if found.ports.len() == count => return Ok(found),
                Status::Available(()) => found.ports.push(port),
                Status::Unknown(reason) => found.unknown = Some((port, reason)),
                Status::Occupied(_) | Status::Blocked(_) => {}
            }
        }
    }
    Ok(found)
}

/// The first free port of so many from `from` up.
///
/// # Errors
/// As [`search`].
pub fn find(from: Port, attempts: usize) -> Result<Option<Port>> {
    Ok(known(search(Search::From(from), 1, Some(attempts))?)?.pop())
}

/// All free ports of a range.
///
/// # Errors
/// As [`search`].
pub fn find_all(range: PortRange) -> Result<Vec<Port>> {
    known(search(Search::Range(range), usize::MAX, None)?)
}

/// What was found; that nothing was is only said where all is known.
fn known(Found { ports, unknown, .. }: Found) -> Result<Vec<Port>> {
    match unknown {
        Some((port, reason)) if ports.is_empty() => Err(Error::System {
            what: format!("whether port {port} is free"),
            source: io::Error::other(reason),
        }),
        _ => Ok(ports),
    }
}

fn candidates(search: Search, limits: &Limits) -> Vec<Port> {
    match search {
        Search::Anywhere => spare(limits),
        Search::From(from) => {
            let is_named = |port: &Port| {
                *port == from
                    || is_safe_to_give(*port, limits)
                    || doubt_within(*port, limits)
                        .is_some_and(|doubt| doubt_within(from, limits) == Some(doubt))
            };
            numbers(from.get()..=u16::MAX).filter(is_named).collect()
        }
        Search::Range(range) => range.iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Search, candidates};
    use crate::port::Port;
    use crate::sys::Limits;

    #[test]
    fn what_nobody_should_be_given_is_looked_at_only_where_the_user_says_so() {
        let limits = Limits {
            ephemeral: 32768..=60999,
            reserved: vec![8003..=8004],
            unprivileged_start: 1024,
        };
        let from = |port| Search::From(Port::new(port).unwrap());
        for (search, expected) in [
            (Search::Anywhere, &[20000, 20001, 20002][..]),
            (from(8002), &[8002, 8005, 8006]),
            (from(8003), &[8003, 8004, 8005]),
            (from(5999), &[5999, 6001, 6002]),
            (from(6666), &[6666, 6667, 6668]),
            (from(32767), &[32767, 61000, 61001]),
            (from(40000), &[40000, 40001, 40002]),
            (from(80), &[80, 1024, 1025]),
            (from(65534), &[65534, 65535]),
            (Search::Range("5999-6001".parse().unwrap()), &[5999, 6000, 6001]),
        ] {
            let candidates = candidates(search, &limits);
            let first: Vec<u16> = candidates.iter().take(3).map(|port| port.get()).collect();
            assert_eq!(first, expected, "{search:?}");
        }
    }
}
