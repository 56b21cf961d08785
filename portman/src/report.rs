//! The status report: what stands on each service's port. Serialisable; [`VERSION`] changes when a key does.

use serde::Serialize;

use crate::allocate::{Allocation, Doubt, Taken};
use crate::check::{self, Activity, Block, Status};
use crate::error::Result;
use crate::owner::{Occupant, Owner, occupants};
use crate::port::Port;

/// The version of [`Report`]'s keys.
pub const VERSION: u32 = 1;

/// The ports of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// [`VERSION`].
    pub version: u32,
    /// One entry a service that has a port.
    pub ports: Vec<PortReport>,
}

/// One service's port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortReport {
    /// The service.
    pub service: String,
    /// The port it would like; none for any.
    pub preferred: Option<Port>,
    /// The port it has while the stack runs, or would get now; none when none could be had.
    pub port: Option<Port>,
    /// What is seen on the port that it has while the stack runs, else on the one that it would like.
    pub status: Word,
    /// Why, when it is not available; for people.
    pub reason: Option<String>,
    /// Does the service itself listen there?
    pub running: bool,
    /// The processes there.
    pub owners: Vec<OwnerReport>,
}

/// The four words of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// Nobody has it.
    Available,
    /// Somebody has it.
    Occupied,
    /// Nobody has it, and it may not be taken.
    Blocked,
    /// It could not be found out.
    Unknown,
}

/// A process on a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OwnerReport {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// Its command line.
    pub cmdline: String,
    /// Its user; none when that is not known.
    pub user: Option<String>,
    /// When it started, in seconds since 1970.
    pub started: u64,
    /// The addresses it has there: `127.0.0.1:8000`.
    pub addresses: Vec<String>,
    /// What it does there.
    pub activity: Activity,
}

/// What is seen on one port now. It is not taken even for a moment.
///
/// # Errors
/// When the system does not list its processes.
pub fn look(port: Port) -> Result<(Word, Option<String>, Vec<OwnerReport>)> {
    Ok(match check::look(port) {
        Status::Available(()) => (Word::Available, None, Vec::new()),
        Status::Blocked(block) => (Word::Blocked, Some(block_reason(block)), Vec::new()),
        Status::Unknown(reason) => (Word::Unknown, Some(reason), Vec::new()),
        Status::Occupied(sockets) => {
            let occupants = occupants(&sockets)?;
            (Word::Occupied, Some(occupied_reason(&occupants)), owners(&occupants))
        }
    })
}

/// Why a port may not be taken, for people.
pub fn block_reason(block: Block) -> String {
    match block {
        Block::Permission { unprivileged_start } => {
            format!("ports below {unprivileged_start} need a permission that you do not have")
        }
    }
}

/// Who has a port, in a few words for people: `python3 (pid 4711) listens on 127.0.0.1:8000`.
pub fn occupied_reason(occupants: &[Occupant]) -> String {
    if occupants.is_empty() {
        return "another stack holds it".to_owned();
    }
    // Beside a server that listens, its hold is no news.
    let listens = |occupant: &&Occupant| occupant.activity == Activity::Listening;
    let listening: Vec<Occupant> = occupants.iter().filter(listens).cloned().collect();
    let told = if listening.is_empty() { occupants } else { &listening };
    let known = owners(told).into_iter().map(|owner| {
        let place = owner.addresses.join(" and ");
        format!("{} (pid {}) {} {place}", owner.name, owner.pid, verb(owner.activity))
    });
    let unknown = told.iter().filter(|occupant| occupant.owners.is_empty()).map(unknown_owner);
    known.chain(unknown).collect::<Vec<_>>().join(", ")
}

/// Why a service did not get the port it would like; none when it did, or when any would do.
pub fn moved_reason(allocation: &Allocation) -> Option<String> {
    let preferred = allocation.preferred?;
    Some(match allocation.moved.as_ref()? {
        Taken::Occupied(occupants) => {
            format!("{preferred} is taken: {}", occupied_reason(occupants))
        }
        Taken::Blocked(block) => format!("{preferred} is blocked: {}", block_reason(*block)),
    })
}

/// What speaks against the port that a service would like, in a sentence.
pub fn doubt_reason(service: &str, port: Port, doubt: Doubt) -> String {
    match doubt {
        Doubt::BadForBrowsers => format!("browsers refuse to open port {port} of `{service}`"),
        Doubt::Ephemeral => {
            format!(
                "port {port} of `{service}` is one that the system gives to any outgoing connection"
            )
        }
    }
}

fn unknown_owner(Occupant { address, activity, user, .. }: &Occupant) -> String {
    match activity {
        Activity::Lingering => {
            format!("an ended connection on {address} that the system still keeps")
        }
        activity => format!("a process of user {user} {} {address}", verb(*activity)),
    }
}

fn verb(activity: Activity) -> &'static str {
    match activity {
        Activity::Listening => "listens on",
        Activity::Bound => "is bound to",
        Activity::Connected | Activity::Lingering => "has a connection from",
    }
}

/// One entry a process, with all its addresses.
fn owners(occupants: &[Occupant]) -> Vec<OwnerReport> {
    let mut reports: Vec<OwnerReport> = Vec::new();
    for occupant in occupants {
        for owner in &occupant.owners {
            let address = occupant.address.to_string();
            let known = reports.iter_mut().find(|report| {
                report.pid == owner.process.pid && report.activity == occupant.activity
            });
            match known {
                Some(report) => report.addresses.push(address),
                None => reports.push(owner_report(owner, occupant.activity, address)),
            }
        }
    }
    reports
}

fn owner_report(owner: &Owner, activity: Activity, address: String) -> OwnerReport {
    OwnerReport {
        pid: owner.process.pid,
        name: owner.name.clone(),
        cmdline: owner.cmdline.clone(),
        user: owner.user.clone(),
        started: owner.started,
        addresses: vec![address],
        activity,
    }
}

#[cfg(test)]
mod tests {
    use super::occupied_reason;
    use crate::owner::{Occupant, Owner};
    use crate::process::Process;
    use crate::sys::Activity;

    fn occupant(address: &str, activity: Activity, pids: &[u32]) -> Occupant {
        let owner = |&pid: &u32| Owner {
            process: Process { pid, started: 1 },
            name: "node".to_owned(),
            cmdline: "node server.js".to_owned(),
            user: None,
            uid: None,
            started: 0,
            program: None,
            dir: None,
            unit: None,
        };
        Occupant {
            address: address.parse().unwrap(),
            activity,
            user: "ann".to_owned(),
            unit: None,
            owners: pids.iter().map(owner).collect(),
        }
    }

    #[test]
    fn who_has_a_port_is_said_once_and_with_what_matters() {
        use Activity::{Bound, Connected, Lingering, Listening};
        let (v4, v6) = ("127.0.0.1:8000", "[::1]:8000");
        for (occupants, expected) in [
            (vec![], "another stack holds it"),
            (vec![occupant(v4, Listening, &[7])], "node (pid 7) listens on 127.0.0.1:8000"),
            (
                vec![occupant(v4, Listening, &[7]), occupant(v6, Listening, &[7])],
                "node (pid 7) listens on 127.0.0.1:8000 and [::1]:8000",
            ),
            (
                vec![occupant(v4, Listening, &[7]), occupant(v4, Bound, &[8])],
                "node (pid 7) listens on 127.0.0.1:8000",
            ),
            (
                vec![occupant(v4, Bound, &[8]), occupant(v4, Connected, &[])],
                "node (pid 8) is bound to 127.0.0.1:8000, \
                 a process of user ann has a connection from 127.0.0.1:8000",
            ),
            (
                vec![occupant(v4, Lingering, &[])],
                "an ended connection on 127.0.0.1:8000 that the system still keeps",
            ),
        ] {
            assert_eq!(occupied_reason(&occupants), expected);
        }
    }
}
