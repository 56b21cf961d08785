//! Which ports are fit to be given at all, and where there is room for any number of them.

use std::ops::RangeInclusive;

use crate::error::{Error, Result};
use crate::port::Port;
use crate::sys::{self, Limits};

/// What makes a port that a user wrote a doubtful choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// Browsers refuse to open it.
    BadForBrowsers,
    /// The system may give it to any outgoing connection while the service is down.
    Ephemeral,
    /// The administrator keeps it back.
    Reserved,
}

/// What speaks against a port that a user wrote. It is used all the same.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn doubt(port: Port) -> Result<Option<Doubt>> {
    Ok(doubt_within(port, &limits()?))
}

pub(super) fn doubt_within(port: Port, limits: &Limits) -> Option<Doubt> {
    if port.is_bad_for_browsers() {
        Some(Doubt::BadForBrowsers)
    } else if limits.ephemeral.contains(&port.get()) {
        Some(Doubt::Ephemeral)
    } else if limits.reserved.iter().any(|range| range.contains(&port.get())) {
        Some(Doubt::Reserved)
    } else {
        None
    }
}

/// May a service be given this port unasked?
pub(super) fn is_safe_to_give(port: Port, limits: &Limits) -> bool {
    port.get() >= limits.unprivileged_start && doubt_within(port, limits).is_none()
}

/// The ports for whoever wants any: out of the way of those that people choose and of those that the system gives out.
/// Where the system leaves too few there, the larger part of what it leaves. Without those that nobody should be given.
pub(super) fn spare(limits: &Limits) -> Vec<Port> {
    const START: u16 = 20000;
    const ENOUGH: usize = 1000;
    let (first, last) = (*limits.ephemeral.start(), *limits.ephemeral.end());
    let safe = |numbers: RangeInclusive<u16>| -> Vec<Port> {
        crate::port::numbers(numbers).filter(|&port| is_safe_to_give(port, limits)).collect()
    };
    let below = |start: u16| if first > start { safe(start..=first - 1) } else { Vec::new() };
    let usual = below(START);
    if usual.len() >= ENOUGH {
        return usual;
    }
    let above = if last < u16::MAX { safe(last + 1..=u16::MAX) } else { Vec::new() };
    let below = below(limits.unprivileged_start);
    if above.len() > below.len() { above } else { below }
}

pub(super) fn limits() -> Result<Limits> {
    sys::limits().map_err(|source| Error::System {
        what: "which ports the system gives out by itself".into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::ops::RangeInclusive;

    use super::{Doubt, doubt_within, spare};
    use crate::port::Port;
    use crate::sys::Limits;

    fn limits(ephemeral: RangeInclusive<u16>) -> Limits {
        Limits { ephemeral, reserved: vec![20000..=20009], unprivileged_start: 1024 }
    }

    #[test]
    fn what_speaks_against_a_port_is_named() {
        for (port, expected) in [
            (8000, None),
            (80, None),
            (6000, Some(Doubt::BadForBrowsers)),
            (40000, Some(Doubt::Ephemeral)),
            (20009, Some(Doubt::Reserved)),
        ] {
            assert_eq!(doubt_within(Port::new(port).unwrap(), &limits(32768..=60999)), expected);
        }
    }

    #[test]
    fn spare_ports_are_out_of_everybodys_way() {
        for (ephemeral, first, last) in [
            (32768..=60999, 20010, 32767),
            (21010..=60999, 20010, 21009),
            // Too little room up there: the larger part of the rest.
            (21009..=60999, 1024, 21008),
            (15000..=25000, 25001, 65535),
            (10000..=65535, 1024, 9999),
            (1024..=64000, 64001, 65535),
        ] {
            let spare = spare(&limits(ephemeral.clone()));
            let ends = (spare[0].get(), spare[spare.len() - 1].get());
            assert_eq!(ends, (first, last), "{ephemeral:?}");
            assert!(spare.iter().all(|port| !port.is_bad_for_browsers()));
        }
        assert_eq!(spare(&limits(1024..=65535)), []);
    }
}
