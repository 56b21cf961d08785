//! Which port a service gets: `choose` is pure and says the order, [`reserve`] asks the system for each until one is
//! held.

use crate::check::{Block, Hold, Status, check, look_all};
use crate::error::{Error, Result};
use crate::owner::{Occupant, Scope, occupants};
use crate::port::{Port, PortRange};
use crate::sys::{self, Limits};

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

/// What makes a port that a user wrote a doubtful choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Browsers refuse to open it.
    BadForBrowsers,
    /// The system may give it to any outgoing connection while the service is down.
    Ephemeral,
}

/// The candidates for one request in the order in which they are tried; the first free one wins. The order is the same
/// every time.
///
/// The preferred port comes as it was written; every other candidate is one that a service can be given safely.
fn choose(preferred: Option<Port>, pool: &Pool, limits: &Limits) -> Vec<Port> {
    let nearby = |port: Port| port.get().saturating_add(1)..=port.get().saturating_add(pool.nearby);
    let above = preferred.map(nearby).into_iter().flat_map(crate::port::numbers);
    let elsewhere =
        pool.ranges.iter().filter(|range| !preferred.is_some_and(|port| range.contains(port)));
    let alternatives = above.chain(elsewhere.flat_map(|range| range.iter()));
    let mut candidates: Vec<Port> = preferred.into_iter().collect();
    for port in alternatives {
        if is_safe_to_give(port, limits) && !candidates.contains(&port) {
            candidates.push(port);
        }
    }
    candidates
}

fn is_safe_to_give(port: Port, limits: &Limits) -> bool {
    let number = port.get();
    number >= limits.unprivileged_start
        && !limits.ephemeral.contains(&number)
        && !limits.reserved.iter().any(|range| range.contains(&number))
        && !port.is_bad_for_browsers()
}

/// Gets a port for every request, each held from here on. All preferred ports are tried before the first alternative,
/// so that a service which has to move never takes the port that another one would like.
///
/// # Errors
/// [`Error::NoPort`] when every candidate is taken, [`Error::Unknown`] when it cannot be found out whether a preferred
/// port is free. Nothing stays held then.
pub fn reserve(requests: &[Request], pool: &Pool) -> Result<Vec<Allocation>> {
    let limits = limits()?;
    let mut tries = Vec::with_capacity(requests.len());
    for request in requests {
        tries.push(try_preferred(request)?);
    }
    let settle = |(request, tried): (&Request, Try)| match tried {
        Try::Held(hold) => Ok(allocation(request, hold, None)),
        Try::Elsewhere(moved) => {
            alternative(request, moved, &choose(request.preferred, pool, &limits))
        }
    };
    requests.iter().zip(tries).map(settle).collect()
}

/// The ports that [`reserve`] would give now, as far as that can be seen without taking one; none where there is none.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn foresee(requests: &[Request], pool: &Pool) -> Result<Vec<Option<Port>>> {
    let limits = limits()?;
    let wanted: Vec<Port> = requests.iter().filter_map(|request| request.preferred).collect();
    let mut given = free(&wanted);
    let mut foreseen = Vec::with_capacity(requests.len());
    for request in requests {
        if request.preferred.is_some_and(|port| given.contains(&port)) {
            foreseen.push(request.preferred);
            continue;
        }
        let candidates = choose(request.preferred, pool, &limits);
        let port = free(&candidates).into_iter().find(|port| !given.contains(port));
        given.extend(port);
        foreseen.push(port);
    }
    Ok(foreseen)
}

/// Those of `ports` that are free, as far as that can be seen.
fn free(ports: &[Port]) -> Vec<Port> {
    let looked = ports.iter().zip(look_all(ports));
    looked
        .filter(|(_, status)| matches!(status, Status::Available(())))
        .map(|(port, _)| *port)
        .collect()
}

enum Try {
    Held(Hold),
    Elsewhere(Option<Taken>),
}

fn try_preferred(request: &Request) -> Result<Try> {
    let Some(port) = request.preferred else { return Ok(Try::Elsewhere(None)) };
    match check(port) {
        Status::Available(hold) => Ok(Try::Held(hold)),
        Status::Occupied(sockets) => {
            Ok(Try::Elsewhere(Some(Taken::Occupied(occupants(&sockets, Scope::Group, &[])?))))
        }
        Status::Blocked(block) => Ok(Try::Elsewhere(Some(Taken::Blocked(block)))),
        Status::Unknown(reason) => {
            Err(Error::Unknown { service: request.service.clone(), port, reason })
        }
    }
}

fn alternative(request: &Request, moved: Option<Taken>, candidates: &[Port]) -> Result<Allocation> {
    let others = candidates.iter().filter(|&&port| Some(port) != request.preferred);
    for &port in others {
        // One that is not certainly free is no alternative, whatever the reason.
        if let Status::Available(hold) = check(port) {
            return Ok(allocation(request, hold, moved));
        }
    }
    Err(Error::NoPort { service: request.service.clone(), tried: tried(candidates) })
}

fn allocation(request: &Request, hold: Hold, moved: Option<Taken>) -> Allocation {
    Allocation { service: request.service.clone(), preferred: request.preferred, hold, moved }
}

fn tried(candidates: &[Port]) -> String {
    match candidates {
        [] => "none, since no candidate is a port that may be given".to_owned(),
        [only] => only.to_string(),
        [first, .., last] => format!("{} ports from {first} to {last}", candidates.len()),
    }
}

/// What speaks against a port that a user wrote. It is used all the same.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn doubt(port: Port) -> Result<Option<Doubt>> {
    if port.is_bad_for_browsers() {
        return Ok(Some(Doubt::BadForBrowsers));
    }
    Ok(limits()?.ephemeral.contains(&port.get()).then_some(Doubt::Ephemeral))
}

fn limits() -> Result<Limits> {
    sys::limits().map_err(|source| Error::System {
        what: "which ports the system gives out by itself".into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{Pool, choose};
    use crate::port::Port;
    use crate::sys::Limits;

    fn limits() -> Limits {
        Limits { ephemeral: 32768..=60999, reserved: vec![8003..=8004], unprivileged_start: 1024 }
    }

    fn chosen(preferred: u16, nearby: u16, ranges: &[&str]) -> Vec<u16> {
        let ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
        choose(Port::new(preferred), &Pool { nearby, ranges }, &limits())
            .into_iter()
            .map(Port::get)
            .collect()
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
}
