//! Any free ports, for tests and CI: no state, nothing written, nothing to remember.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Index;

use super::fit::{limits, spare};
use super::tried;
use crate::check::{Hold, Status, check};
use crate::error::{Error, Result};
use crate::port::Port;

/// Ports that are held under names until this is dropped: `ports["api"]`.
#[derive(Debug)]
pub struct Reservation {
    ports: Vec<Reserved>,
}

#[derive(Debug)]
struct Reserved {
    name: String,
    port: Port,
    _hold: Hold,
}

impl Reservation {
    /// The port of this name; none when there is no such name.
    pub fn port(&self, name: &str) -> Option<Port> {
        self.iter().find(|(known, _)| *known == name).map(|(_, port)| port)
    }

    /// The names with their ports, in the order in which they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Port)> {
        self.ports.iter().map(|reserved| (reserved.name.as_str(), reserved.port))
    }
}

impl Index<&str> for Reservation {
    type Output = Port;

    /// # Panics
    /// When no port was asked for under this name.
    fn index(&self, name: &str) -> &Port {
        match self.ports.iter().find(|reserved| reserved.name == name) {
            Some(reserved) => &reserved.port,
            None => panic!("no port was reserved for `{name}`"),
        }
    }
}

/// Reserves a free port for each name: any port that nobody has and that the system does not give out by itself. All are
/// held until the [`Reservation`] is dropped, also against other processes that call this at the same moment.
///
/// # Errors
/// [`Error::AskedTwice`] when a name comes twice, [`Error::NoPort`] when no port is left, [`Error::Unknown`] when the
/// system does not tell which are free. Nothing stays held then.
pub fn reserve<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Result<Reservation> {
    let names: Vec<String> = names.into_iter().map(Into::into).collect();
    let twice = names.iter().enumerate().find(|(place, name)| names[..*place].contains(name));
    if let Some((_, name)) = twice {
        return Err(Error::AskedTwice(name.clone()));
    }
    let spare = spare(&limits()?);
    let mut left = from_anywhere(&spare);
    let mut ports = Vec::with_capacity(names.len());
    for name in names {
        let hold = first_free(&name, &mut left, &spare)?;
        ports.push(Reserved { name, port: hold.port(), _hold: hold });
    }
    Ok(Reservation { ports })
}

fn first_free(name: &str, left: &mut impl Iterator<Item = Port>, all: &[Port]) -> Result<Hold> {
    let mut unknown = None;
    for port in left {
        match check(port) {
            Status::Available(hold) => return Ok(hold),
            Status::Unknown(reason) => unknown = Some((port, reason)),
            Status::Occupied(_) | Status::Blocked(_) => {}
        }
    }
    let service = name.to_owned();
    Err(match unknown {
        Some((port, reason)) => Error::Unknown { service, port, reason },
        None => Error::NoPort { service, tried: tried(all) },
    })
}

/// All of `ports` once around from a random place: many processes that begin at the same moment do not all ask for the
/// same ports.
fn from_anywhere(ports: &[Port]) -> impl Iterator<Item = Port> {
    let random = RandomState::new().build_hasher().finish();
    let start = usize::try_from(random % ports.len().max(1) as u64).unwrap_or_default();
    let (before, after) = ports.split_at(start);
    after.iter().chain(before).copied()
}

#[cfg(test)]
mod tests {
    use super::{from_anywhere, reserve};
    use crate::error::Error;
    use crate::port::{Port, numbers};

    #[test]
    fn a_name_that_comes_twice_is_refused() {
        let refused = reserve(["api", "web", "api"]).unwrap_err();
        assert!(matches!(refused, Error::AskedTwice(name) if name == "api"));
        assert!(reserve(Vec::<String>::new()).unwrap().iter().next().is_none());
    }

    #[test]
    fn every_port_is_tried_once_wherever_the_search_begins() {
        let ports: Vec<Port> = numbers(20000..=20019).collect();
        let mut starts = Vec::new();
        for _ in 0..200 {
            let mut tried: Vec<Port> = from_anywhere(&ports).collect();
            starts.push(tried[0]);
            tried.sort_unstable();
            assert_eq!(tried, ports);
        }
        assert!(starts.iter().any(|start| *start != starts[0]), "always {}", starts[0]);
        assert_eq!(from_anywhere(&[]).next(), None);
    }
}
