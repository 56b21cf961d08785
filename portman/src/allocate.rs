//! Which port a service gets: `choose` and `settle` are pure and say the order, [`reserve`] asks the system for each port
//! until one is held.

pub mod any;
mod find;
mod fit;

use std::collections::{BTreeSet, HashSet};

use crate::check::{Block, Hold, Socket, Status, check, look_all};
use crate::error::{Error, Result};
use crate::lease::Memory;
use crate::owner::{Occupant, Scope, occupants};
use crate::port::{Port, PortRange};
use crate::sys::Limits;
pub use find::{Found, Search, find, find_all, search};
pub use fit::{Doubt, doubt};
use fit::{is_safe_to_give, limits};

/// A port that is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Who wants it.
    pub service: String,
    /// The port it would like; none for any.
    pub preferred: Option<Port>,
}

/// Where to look when the preferred port is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// How many ports right above the preferred one come first.
    pub nearby: u16,
    /// The ranges that come then, in this order; the one that the preferred port is in is passed over.
    pub ranges: Vec<PortRange>,
}

impl Default for Pool {
    fn default() -> Self {
        let range = |first, last| PortRange::new(Port::new(first)?, Port::new(last)?);
        let ranges = [range(8000, 8099), range(3000, 3099), range(9000, 9099)];
        Self { nearby: 20, ranges: ranges.into_iter().flatten().collect() }
    }
}

impl Pool {
    /// The pool for whoever wants any port: the one that [`any::reserve`] takes from, and behind it the usual ranges, for
    /// one who would like a port of the former and finds it and its neighbours taken.
    ///
    /// # Errors
    /// When the system does not tell its ranges.
    pub fn spare() -> Result<Self> {
        let spare = fit::spare(&limits()?);
        let range = spare.first().zip(spare.last());
        let range = range.and_then(|(first, last)| PortRange::new(*first, *last));
        let usual = Self::default();
        Ok(Self { ranges: range.into_iter().chain(usual.ranges).collect(), ..usual })
    }
}

/// A port that a service has got.
#[derive(Debug)]
pub struct Allocation {
    /// Who has it.
    pub service: String,
    /// The port it asked for.
    pub preferred: Option<Port>,
    /// Keeps the port; drop it to give the port up.
    pub hold: Hold,
    /// Why it is not the preferred port; none when it is, or when any would do.
    pub moved: Option<Taken>,
}

impl Allocation {
    /// The port it has got.
    pub fn port(&self) -> Port {
        self.hold.port()
    }
}

/// Why a preferred port could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// These have it.
    Occupied(Vec<Occupant>),
    /// It may not be taken.
    Blocked(Block),
}

/// The candidates for one request, by rank. The order is the same every time.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidates {
    /// What the user wrote, as it is.
    preferred: Option<Port>,
    /// What the service had last, if that is not the preferred port and may be given.
    last: Option<Port>,
    /// What may be given otherwise. What services of other checkouts had last is at its end: an idle checkout finds its
    /// ports again as long as there are others, and a small range is never used up by idle ones.
    rest: Vec<Port>,
}

impl Candidates {
    fn of(&self, rank: Rank) -> &[Port] {
        match rank {
            Rank::Preferred => self.preferred.as_slice(),
            Rank::Last => self.last.as_slice(),
            Rank::Rest => &self.rest,
        }
    }

    fn all(&self) -> impl Iterator<Item = Port> {
        RANKS.into_iter().flat_map(|rank| self.of(rank)).copied()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rank {
    Preferred,
    Last,
    Rest,
}

const RANKS: [Rank; 3] = [Rank::Preferred, Rank::Last, Rank::Rest];

/// Which ports a request may get. The preferred port comes as it was written; every other candidate is one that a
/// service can be given safely.
fn choose(request: &Request, pool: &Pool, memory: &Memory, limits: &Limits) -> Candidates {
    let preferred = request.preferred;
    let nearby = |port: Port| port.get().saturating_add(1)..=port.get().saturating_add(pool.nearby);
    let above = preferred.map(nearby).into_iter().flat_map(crate::port::numbers);
    let elsewhere =
        pool.ranges.iter().filter(|range| !preferred.is_some_and(|port| range.contains(port)));
    let mut seen: HashSet<Port> = preferred.into_iter().collect();
    let alternatives: Vec<Port> = above
        .chain(elsewhere.flat_map(|range| range.iter()))
        .filter(|&port| seen.insert(port) && is_safe_to_give(port, limits))
        .collect();
    let last = memory.own.get(&request.service).map(|lease| lease.port);
    let last = last.filter(|last| alternatives.contains(last));
    let (leased, mut rest): (Vec<Port>, Vec<Port>) = alternatives
        .into_iter()
        .filter(|port| Some(*port) != last)
        .partition(|port| memory.others.contains(port));
    rest.extend(leased);
    Candidates { preferred, last, rest }
}

/// Gives every request the first of its candidates that `take` gets for it. All preferred ports are tried before the
/// first one that a service had last, and all those before any other, so that a service which has to move never takes
/// the port that another one would like.
fn settle<T>(
    candidates: &[Candidates],
    mut take: impl FnMut(usize, Port) -> Result<Option<T>>,
) -> Result<Vec<Option<T>>> {
    let mut settled: Vec<Option<T>> = candidates.iter().map(|_| None).collect();
    for rank in RANKS {
        for (request, (candidates, taken)) in candidates.iter().zip(&mut settled).enumerate() {
            for &port in candidates.of(rank) {
                if taken.is_none() {
                    *taken = take(request, port)?;
                }
            }
        }
    }
    Ok(settled)
}

/// Gets a port for every request, each held from here on: the preferred one; or what the service had last; or the first
/// free one of the pool, and only if there is none one that another checkout had last.
///
/// # Errors
/// [`Error::NoPort`] when every candidate is taken, [`Error::Unknown`] when it cannot be found out whether a preferred
/// port is free, or one of the candidates when none is certainly free. Nothing stays held then.
pub fn reserve(requests: &[Request], pool: &Pool, memory: &Memory) -> Result<Vec<Allocation>> {
    let candidates = candidates(requests, pool, memory)?;
    let mut refused: Vec<Option<Refused>> = requests.iter().map(|_| None).collect();
    let mut unknown: Vec<Option<Error>> = requests.iter().map(|_| None).collect();
    let holds = settle(&candidates, |at, port| {
        let is_preferred = requests[at].preferred == Some(port);
        match check(port) {
            Status::Available(hold) => return Ok(Some(hold)),
            Status::Unknown(reason) => {
                let service = requests[at].service.clone();
                let error = Error::Unknown { service, port, reason };
                if is_preferred {
                    return Err(error);
                }
                // One that is not certainly free is no alternative; it matters where there is none.
                unknown[at].get_or_insert(error);
            }
            Status::Occupied(sockets) if is_preferred => {
                refused[at] = Some(Refused::Occupied(sockets));
            }
            Status::Blocked(block) if is_preferred => refused[at] = Some(Refused::Blocked(block)),
            Status::Occupied(_) | Status::Blocked(_) => {}
        }
        Ok(None)
    })?;
    let is_refused: Vec<bool> = refused.iter().map(Option::is_some).collect();
    let refused = refused.into_iter().flatten().collect();
    let mut reasons = with_processes(refused, Scope::Group)?.into_iter();
    let mut allocations = Vec::with_capacity(requests.len());
    for (at, (request, hold)) in requests.iter().zip(holds).enumerate() {
        let Request { service, preferred } = request.clone();
        let moved = if is_refused[at] { reasons.next() } else { None };
        let Some(hold) = hold else {
            let tried = tried(&candidates[at].all().collect::<Vec<_>>());
            return Err(unknown[at].take().unwrap_or(Error::NoPort { service, tried }));
        };
        allocations.push(Allocation { service, preferred, hold, moved });
    }
    Ok(allocations)
}

/// Why a preferred port could not be had, before its processes are looked for.
pub(crate) enum Refused {
    Occupied(Vec<Socket>),
    Blocked(Block),
}

/// The same with its processes: one search of the system for all ports together.
pub(crate) fn with_processes(refused: Vec<Refused>, scope: Scope) -> Result<Vec<Taken>> {
    let sockets = refused.iter().flat_map(|refused| match refused {
        Refused::Occupied(sockets) => sockets.as_slice(),
        Refused::Blocked(_) => &[],
    });
    let sockets: Vec<Socket> = sockets.copied().collect();
    let mut occupants = occupants(&sockets, scope, &[])?.into_iter();
    let named = |refused| match refused {
        Refused::Occupied(sockets) => {
            Taken::Occupied(occupants.by_ref().take(sockets.len()).collect())
        }
        Refused::Blocked(block) => Taken::Blocked(block),
    };
    Ok(refused.into_iter().map(named).collect())
}

/// The ports that [`reserve`] would give now, as far as that can be seen without taking one; none where there is none.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn foresee(requests: &[Request], pool: &Pool, memory: &Memory) -> Result<Vec<Option<Port>>> {
    let candidates = candidates(requests, pool, memory)?;
    let all: BTreeSet<Port> = candidates.iter().flat_map(Candidates::all).collect();
    let all: Vec<Port> = all.into_iter().collect();
    let looked = all.iter().zip(look_all(&all));
    let free = looked.filter(|(_, status)| matches!(status, Status::Available(())));
    let mut free: HashSet<Port> = free.map(|(port, _)| *port).collect();
    settle(&candidates, |_, port| Ok(free.take(&port)))
}

fn candidates(requests: &[Request], pool: &Pool, memory: &Memory) -> Result<Vec<Candidates>> {
    let limits = limits()?;
    Ok(requests.iter().map(|request| choose(request, pool, memory, &limits)).collect())
}

/// What was tried in vain, for people.
fn tried(candidates: &[Port]) -> String {
    match (candidates.iter().min(), candidates.iter().max()) {
        (Some(first), Some(last)) if first < last => {
            format!("{} ports between {first} and {last}", candidates.len())
        }
        (Some(only), _) => only.to_string(),
        _ => "none, since no candidate is a port that may be given".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Candidates, Pool, Request, choose, settle, tried};
    use crate::lease::{Lease, Memory};
    use crate::port::Port;
    use crate::sys::Limits;

    fn limits() -> Limits {
        Limits { ephemeral: 32768..=60999, reserved: vec![8003..=8004], unprivileged_start: 1024 }
    }

    fn request(service: &str, preferred: u16) -> Request {
        Request { service: service.to_owned(), preferred: Port::new(preferred) }
    }

    fn pool(nearby: u16, ranges: &[&str]) -> Pool {
        Pool { nearby, ranges: ranges.iter().map(|range| range.parse().unwrap()).collect() }
    }

    /// What the service `api` had last, and services of other checkouts.
    fn memory(last: u16, others: &[u16]) -> Memory {
        let lease = |port| ("api".to_owned(), Lease { port, until_spawn: None });
        let others: BTreeSet<Port> = others.iter().filter_map(|&port| Port::new(port)).collect();
        Memory { own: Port::new(last).map(lease).into_iter().collect(), others }
    }

    fn candidates(preferred: u16, pool: &Pool, memory: &Memory) -> Candidates {
        choose(&request("api", preferred), pool, memory, &limits())
    }

    fn chosen(preferred: u16, nearby: u16, ranges: &[&str]) -> Vec<u16> {
        let candidates = candidates(preferred, &pool(nearby, ranges), &Memory::default());
        candidates.all().map(Port::get).collect()
    }

    #[test]
    fn the_preferred_port_then_nearby_then_the_ranges_without_its_own() {
        let ranges = ["8000-8099", "3000-3002", "9000-9001"];
        assert_eq!(chosen(8000, 2, &ranges), [8000, 8001, 8002, 3000, 3001, 3002, 9000, 9001]);
        assert_eq!(chosen(5173, 1, &["3000-3001"]), [5173, 5174, 3000, 3001]);
    }

    #[test]
    fn any_port_is_one_of_the_ranges() {
        assert_eq!(chosen(0, 20, &["3000-3001"]), [3000, 3001]);
    }

    #[test]
    fn ports_that_nobody_should_be_given_are_passed_over() {
        assert_eq!(chosen(8001, 4, &[]), [8001, 8002, 8005], "reserved by the administrator");
        assert_eq!(chosen(32766, 3, &[]), [32766, 32767], "in the ephemeral range");
        assert_eq!(chosen(5999, 2, &[]), [5999, 6001], "refused by browsers");
        assert_eq!(chosen(1022, 3, &[]), [1022, 1024, 1025], "below the unprivileged start");
        assert_eq!(chosen(65534, 20, &[]), [65534, 65535], "the end of all ports");
    }

    #[test]
    fn a_port_that_the_user_wrote_is_tried_as_it_is() {
        assert_eq!(chosen(6000, 0, &[]), [6000]);
        assert_eq!(chosen(40000, 1, &[]), [40000]);
        assert_eq!(chosen(80, 0, &[]), [80]);
    }

    #[test]
    fn overlapping_ranges_give_each_port_once() {
        assert_eq!(chosen(7999, 2, &["8000-8002", "8001-8005"]), [7999, 8000, 8001, 8002, 8005]);
    }

    #[test]
    fn what_a_service_had_last_comes_after_the_preferred_port() {
        let pool = pool(3, &["3000-3001"]);
        for (preferred, last, expected) in [
            (8000, 8002, &[8000, 8002, 8001, 3000, 3001][..]),
            (8000, 3001, &[8000, 3001, 8001, 8002, 3000]),
            (0, 3001, &[3001, 3000]),
            (8000, 8000, &[8000, 8001, 8002, 3000, 3001]),
            // Of an earlier dev.toml: not a port that may be given any more.
            (8000, 9000, &[8000, 8001, 8002, 3000, 3001]),
            (8000, 8003, &[8000, 8001, 8002, 3000, 3001]),
        ] {
            let candidates = candidates(preferred, &pool, &memory(last, &[]));
            let ports: Vec<u16> = candidates.all().map(Port::get).collect();
            assert_eq!(ports, expected, "preferred {preferred}, last {last}");
        }
    }

    #[test]
    fn what_other_checkouts_had_last_comes_at_the_very_end() {
        let pool = pool(2, &["3000-3002"]);
        for (last, others, expected) in [
            (0, &[8001, 3000][..], &[8000, 8002, 3001, 3002, 8001, 3000][..]),
            (0, &[8001, 8002, 3000, 3001, 3002], &[8000, 8001, 8002, 3000, 3001, 3002]),
            // The user's own word, and our own memory, count for more than another's.
            (8001, &[8000, 8001], &[8000, 8001, 8002, 3000, 3001, 3002]),
        ] {
            let candidates = candidates(8000, &pool, &memory(last, others));
            let ports: Vec<u16> = candidates.all().map(Port::get).collect();
            assert_eq!(ports, expected, "last {last}, others {others:?}");
        }
    }

    /// Which of the ports `free` two services get that both have to choose among 8000 to 8003.
    fn settled(wanted: [(u16, u16); 2], free: &[u16]) -> [Option<u16>; 2] {
        let candidates = wanted.map(|(preferred, last)| {
            candidates(preferred, &pool(0, &["8000-8002"]), &memory(last, &[]))
        });
        let mut free = free.to_vec();
        let take = |_, port: Port| {
            let place = free.iter().position(|&free| free == port.get());
            Ok(place.map(|place| free.remove(place)))
        };
        settle(&candidates, take).unwrap().try_into().unwrap()
    }

    #[test]
    fn nobody_who_moves_takes_what_another_would_like_or_had_last() {
        for (wanted, free, expected) in [
            ([(0, 0), (0, 0)], &[8000, 8001][..], [Some(8000), Some(8001)]),
            ([(0, 0), (8000, 0)], &[8000, 8001], [Some(8001), Some(8000)]),
            ([(0, 0), (0, 8000)], &[8000, 8001], [Some(8001), Some(8000)]),
            ([(0, 8000), (8000, 0)], &[8000, 8001], [Some(8001), Some(8000)]),
            ([(0, 8001), (9000, 8001)], &[8001, 8002], [Some(8001), Some(8002)]),
            ([(9000, 8001), (0, 0)], &[9000, 8001], [Some(9000), Some(8001)]),
            ([(9000, 0), (0, 0)], &[8002], [Some(8002), None]),
        ] {
            assert_eq!(settled(wanted, free), expected, "{wanted:?} of {free:?}");
        }
    }

    #[test]
    fn what_was_tried_is_said_in_a_few_words() {
        let ports = |ports: &[u16]| ports.iter().filter_map(|&port| Port::new(port)).collect();
        for (candidates, expected) in [
            (vec![], "none, since no candidate is a port that may be given"),
            (vec![8000], "8000"),
            (vec![8000, 3000, 8001], "3 ports between 3000 and 8001"),
        ] {
            let candidates: Vec<Port> = ports(&candidates);
            assert_eq!(tried(&candidates), expected);
        }
    }
}
