//! The status report: what stands on a port, of a service or of nobody. Serialisable; [`VERSION`] changes when a key
//! does.

use std::io;

use serde::Serialize;

use crate::allocate::{Doubt, Taken};
use crate::check::{self, Activity, Block, Socket, Status};
use crate::error::{Error, Result};
use crate::firewall::{Exceptions, exceptions};
use crate::localhost::{Split, split};
use crate::owner::{Occupant, Presence, Scope, Unit, occupants, presences};
use crate::port::Port;
use crate::safety::{Asker, Asking, Holder, Verdict, holders};

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
    /// Is it held for a service or a reservation? A server may listen there as well.
    pub held: bool,
    /// The two servers that answer `localhost`, when they are two.
    pub localhost: Option<Split>,
    /// The processes there.
    pub owners: Vec<OwnerReport>,
    /// The sockets whose processes are not known.
    pub hidden: Vec<HiddenReport>,
    /// Do connections from other machines need an exception? It never stops a server from having the port.
    pub firewall: Exceptions,
}

impl PortReport {
    /// The report on a service that takes any port and has none: nothing to look at.
    pub fn of_any() -> Self {
        Self {
            service: String::new(),
            preferred: None,
            port: None,
            status: Word::Available,
            reason: None,
            running: false,
            held: false,
            localhost: None,
            owners: Vec::new(),
            hidden: Vec::new(),
            firewall: exceptions(),
        }
    }
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
    /// The folder it runs in; none when that is not known.
    pub dir: Option<String>,
    /// What supervises it; none for what was started by hand.
    pub unit: Option<Unit>,
    /// May it be stopped?
    pub can_terminate: bool,
    /// Why, or why not; for people.
    pub why: String,
}

/// A socket on a port whose process we may not see.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HiddenReport {
    /// The address it has there: `127.0.0.1:8000`.
    pub address: String,
    /// What it does there.
    pub activity: Activity,
    /// The user who made it.
    pub user: String,
    /// What supervises its process; none for what was started by hand, and when that is not known.
    pub unit: Option<Unit>,
}

/// What stands on one port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The port.
    pub port: Port,
    /// What it is.
    pub status: Word,
    /// Why, when it is not available; for people.
    pub reason: Option<String>,
    /// Is it held for a service or a reservation? A server may listen there as well.
    pub held: bool,
    /// The two servers that answer `localhost`, when they are two.
    pub localhost: Option<Split>,
    /// The processes there.
    pub owners: Vec<OwnerReport>,
    /// The sockets whose processes are not known.
    pub hidden: Vec<HiddenReport>,
}

impl OwnerReport {
    /// The report on somebody; none when it is not known which process it is.
    pub fn new(holder: &Holder) -> Option<Self> {
        let owner = holder.owner.as_ref()?;
        Some(Self {
            pid: owner.process.pid,
            name: owner.name.clone(),
            cmdline: owner.cmdline.clone(),
            user: owner.user.clone(),
            started: owner.started,
            addresses: holder.addresses.iter().map(ToString::to_string).collect(),
            activity: holder.activity,
            dir: owner.dir.as_ref().map(|dir| dir.display().to_string()),
            unit: owner.unit.clone(),
            can_terminate: holder.verdict == Verdict::May,
            why: holder.why(),
        })
    }
}

/// What is seen on each of `ports` now, in the same order, and whether `asker` may stop who is there. None is taken even
/// for a moment, and one search serves all of them.
///
/// # Errors
/// When the system does not list its processes.
pub fn look_all(
    ports: &[Port],
    scope: Scope,
    asker: &Asker,
    asking: Asking<'_>,
) -> Result<Vec<Standing>> {
    let statuses = check::look_all(ports);
    let all: Vec<Socket> = statuses.iter().flat_map(sockets).copied().collect();
    let occupants = occupants(&all, scope, &[])?;
    let standing = |(&port, status): (&Port, &Status<()>)| {
        let is_here = |occupant: &&Occupant| occupant.address.port() == port.get();
        let here: Vec<Occupant> = occupants.iter().filter(is_here).cloned().collect();
        standing(port, status, &here, asker, asking)
    };
    ports.iter().zip(&statuses).map(standing).collect()
}

fn sockets(status: &Status<()>) -> &[Socket] {
    if let Status::Occupied(sockets) = status { sockets } else { &[] }
}

fn standing(
    port: Port,
    status: &Status<()>,
    occupants: &[Occupant],
    asker: &Asker,
    asking: Asking<'_>,
) -> Result<Standing> {
    let (word, reason) = match status {
        Status::Available(()) => (Word::Available, None),
        Status::Blocked(block) => (Word::Blocked, Some(block_reason(*block))),
        Status::Unknown(reason) => (Word::Unknown, Some(reason.clone())),
        Status::Occupied(_) => (Word::Occupied, Some(occupied_reason(occupants))),
    };
    let held =
        word == Word::Occupied && check::is_held(port).map_err(|source| unheld(port, source))?;
    let hidden = occupants.iter().filter(|occupant| occupant.owners.is_empty());
    Ok(Standing {
        port,
        status: word,
        reason,
        held,
        localhost: split(occupants),
        owners: holders(occupants, asker, asking).iter().filter_map(OwnerReport::new).collect(),
        hidden: hidden.map(hidden_report).collect(),
    })
}

fn unheld(port: Port, source: io::Error) -> Error {
    Error::System { what: format!("whether port {port} is held"), source }
}

fn hidden_report(occupant: &Occupant) -> HiddenReport {
    HiddenReport {
        address: occupant.address.to_string(),
        activity: occupant.activity,
        user: occupant.user.clone(),
        unit: occupant.unit.clone(),
    }
}

/// Why a port may not be taken, for people.
pub fn block_reason(block: Block) -> String {
    match block {
        Block::Permission { unprivileged_start } => {
            format!("ports below {unprivileged_start} need a permission that you do not have")
        }
    }
}

/// What makes a port a doubtful choice, for people.
pub fn doubt_reason(doubt: Doubt) -> &'static str {
    match doubt {
        Doubt::BadForBrowsers => "browsers refuse to open it",
        Doubt::Ephemeral => "the system gives it to any outgoing connection",
        Doubt::Reserved => "the administrator keeps it back",
    }
}

/// Why a preferred port could not be had: `8000 is taken: node (pid 7) listens on 127.0.0.1:8000`.
pub fn taken_reason(port: Port, taken: &Taken) -> String {
    match taken {
        Taken::Occupied(occupants) => format!("{port} is taken: {}", occupied_reason(occupants)),
        Taken::Blocked(block) => format!("{port} is blocked: {}", block_reason(*block)),
    }
}

/// Who has a port, in a few words for people: `python3 (pid 4711) listens on 127.0.0.1:8000`.
pub fn occupied_reason(occupants: &[Occupant]) -> String {
    if occupants.is_empty() {
        return "somebody keeps it without listening".to_owned();
    }
    // Beside a server that listens, its hold is no news.
    let listens = |occupant: &&Occupant| occupant.activity == Activity::Listening;
    let listening: Vec<Occupant> = occupants.iter().filter(listens).cloned().collect();
    let told = if listening.is_empty() { occupants } else { &listening };
    let known = presences(told);
    let known = known.iter().map(|Presence { owner, activity, addresses }| {
        let addresses: Vec<String> = addresses.iter().map(ToString::to_string).collect();
        let place = addresses.join(" and ");
        format!("{} (pid {}) {} {place}", owner.name, owner.process.pid, verb(*activity))
    });
    let unknown = told.iter().filter(|occupant| occupant.owners.is_empty()).map(unknown_owner);
    known.chain(unknown).collect::<Vec<_>>().join(", ")
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

#[cfg(test)]
mod tests {
    use super::occupied_reason;
    use crate::owner::{Occupant, Owner};
    use crate::sys::Activity;

    fn occupant(address: &str, activity: Activity, pids: &[u32]) -> Occupant {
        Occupant {
            address: address.parse().unwrap(),
            activity,
            user: "ann".to_owned(),
            unit: None,
            owners: pids.iter().map(|&pid| Owner::sample(pid)).collect(),
        }
    }

    #[test]
    fn who_has_a_port_is_said_once_and_with_what_matters() {
        use Activity::{Bound, Connected, Lingering, Listening};
        let (v4, v6) = ("127.0.0.1:8000", "[::1]:8000");
        for (occupants, expected) in [
            (vec![], "somebody keeps it without listening"),
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
