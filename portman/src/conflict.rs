//! Conflicts: ports that services would like and cannot have, what can be done about each, and doing it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::allocate::{Request, Taken};
use crate::check::{self, Status};
use crate::error::{Error, Result};
use crate::owner::{Owner, Scope, occupants};
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
    /// What can be done.
    pub options: Vec<Resolution>,
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

/// The conflicts among these requests, in their order. Nothing is taken, not even for a moment.
///
/// # Errors
/// [`Error::Unknown`] when it cannot be found out whether a port is free.
pub fn conflicts(requests: &[Request], asker: &Asker, asking: Asking<'_>) -> Result<Vec<Conflict>> {
    let mut conflicts = Vec::new();
    for Request { service, preferred } in requests {
        let Some(port) = *preferred else { continue };
        let (service, mut options) =
            (service.clone(), vec![Resolution::UseAlternative, Resolution::Skip]);
        let reason = match check::look(port) {
            Status::Available(()) => continue,
            Status::Blocked(block) => Taken::Blocked(block),
            Status::Unknown(reason) => return Err(Error::Unknown { service, port, reason }),
            Status::Occupied(sockets) => {
                let found = occupants(&sockets, Scope::Machine, &[])?;
                if stop::can_free(&found, &holders(&found, asker, asking)) {
                    options.insert(1, Resolution::KillProcess);
                }
                Taken::Occupied(found)
            }
        };
        conflicts.push(Conflict { service, port, reason, options });
    }
    Ok(conflicts)
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
