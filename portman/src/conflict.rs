//! Conflicts: ports that services would like and cannot have, what can be done about each, and doing it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::allocate::{Refused, Request, Taken, with_processes};
use crate::check::{Status, look_all};
use crate::error::{Error, Result};
use crate::owner::{Owner, Scope};
use crate::port::Port;
use crate::safety::{Asker, Asking, Holder, holders};
use crate::stop::{self, State};

/// What to do about a conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resolution {
    /// Take another port.
    UseAlternative,
    /// Stop the process that has the port.
    KillProcess,
    /// Do without the service.
    Skip,
}

/// A port that a service would like and cannot have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The service.
    pub service: String,
    /// The port.
    pub port: Port,
    /// Why not.
    pub reason: Taken,
}

impl Conflict {
    /// What can be done about it.
    pub fn options(&self, asker: &Asker, asking: Asking<'_>) -> Vec<Resolution> {
        let can_kill = match &self.reason {
            Taken::Occupied(found) => stop::can_free(found, &holders(found, asker, asking)),
            Taken::Blocked(_) => false,
        };
        let kill = can_kill.then_some(Resolution::KillProcess);
        [Resolution::UseAlternative, Resolution::Skip].into_iter().chain(kill).collect()
    }
}

/// What came of a resolution.
#[derive(Debug)]
pub enum Resolved {
    /// These were stopped, and the port is free now.
    Freed(Vec<Owner>),
    /// These were stopped, and the port is still not free: another is the way out. None of them was, when none may be.
    StillTaken {
        /// Who was stopped.
        stopped: Vec<Owner>,
        /// Who has it, each with why it is left alone.
        left: Vec<Holder>,
    },
    /// Another port is to be taken.
    Elsewhere,
    /// The service is to be left out.
    Skipped,
}

/// The conflicts among these requests, in their order. Nothing is taken. All processes of the machine are searched, once
/// for all ports.
///
/// # Errors
/// [`Error::Unknown`] when it cannot be found out whether a port is free.
pub fn conflicts(requests: &[Request]) -> Result<Vec<Conflict>> {
    let wanted: Vec<(&str, Port)> = requests
        .iter()
        .filter_map(|request| Some((request.service.as_str(), request.preferred?)))
        .collect();
    let ports: Vec<Port> = wanted.iter().map(|(_, port)| *port).collect();
    let mut taken = Vec::new();
    for ((service, port), status) in wanted.into_iter().zip(look_all(&ports)) {
        let service = service.to_owned();
        match status {
            Status::Available(()) => {}
            Status::Blocked(block) => taken.push((service, port, Refused::Blocked(block))),
            Status::Occupied(sockets) => taken.push((service, port, Refused::Occupied(sockets))),
            Status::Unknown(reason) => return Err(Error::Unknown { service, port, reason }),
        }
    }
    let (named, refused): (Vec<(String, Port)>, Vec<Refused>) =
        taken.into_iter().map(|(service, port, refused)| ((service, port), refused)).unzip();
    let reasons = with_processes(refused, Scope::Machine)?;
    let conflict = |((service, port), reason)| Conflict { service, port, reason };
    Ok(named.into_iter().zip(reasons).map(conflict).collect())
}

/// Does what was chosen. Who has the port is found out and judged anew: it may be somebody else by now.
///
/// # Errors
/// When it is not known who has the port, or the system refuses to stop somebody.
pub fn resolve(
    conflict: &Conflict,
    resolution: Resolution,
    asker: &Asker,
    asking: Asking<'_>,
    grace: Duration,
) -> Result<Resolved> {
    match resolution {
        Resolution::UseAlternative => Ok(Resolved::Elsewhere),
        Resolution::Skip => Ok(Resolved::Skipped),
        Resolution::KillProcess => {
            let stop::Freed { stopped, state } = stop::free(conflict.port, asker, asking, grace)?;
            Ok(match state {
                State::Free => Resolved::Freed(stopped),
                State::Refused(left) | State::Held(left) => Resolved::StillTaken { stopped, left },
                State::Blocked(_) => Resolved::StillTaken { stopped, left: Vec::new() },
                State::Unknown(error) => return Err(error),
            })
        }
    }
}
