//! Stops what is on a port, if that is safe.

use std::time::Duration;

use portman::port::Port;
use portman::process::Process;
use portman::report::{OwnerReport, Word};
use portman::safety::{Asker, Asking, Holder, Reason, Verdict, nature};
use portman::stop::{self, Freed, State};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::flags::{Free, Where};
use crate::recover::recover;
use crate::session;
use crate::ui::Ui;

/// The version of the object that `--json` prints.
const VERSION: u32 = 1;
/// How long a process gets to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// Stops what is on the ports; the exit code says whether all of them are free now.
///
/// # Errors
/// When what killed runs have left cannot be put in order, or nothing is known about ourselves.
pub fn free(flags: &Free, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    recover(&state, &Where::default(), ui)?;
    let grace = if flags.now { Duration::ZERO } else { GRACE };
    let asking = Asking::ByNumber { force: flags.force };
    let mut answer = Answer { version: VERSION, ports: Vec::with_capacity(flags.ports.len()) };
    for port in &flags.ports {
        // Asked anew each time: while one port was freed, a stack may have come up on the next.
        let asker = session::asker(&state)?;
        answer.ports.push(free_one(*port, &asker, asking, grace));
    }
    let text: String = answer.ports.iter().map(PortAnswer::text).collect();
    ui.answer(&answer, &text);
    Ok(answer.ports.iter().map(|port| port.outcome.code()).max().unwrap_or_default())
}

#[derive(Serialize)]
struct Answer {
    version: u32,
    ports: Vec<PortAnswer>,
}

/// What became of one port.
#[derive(Serialize)]
struct PortAnswer {
    port: Port,
    outcome: Outcome,
    status: Word,
    reason: Option<String>,
    stopped: Vec<Stopped>,
    owners: Vec<Left>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Outcome {
    /// It was free before.
    WasFree,
    /// It is free now.
    Freed,
    /// Nobody was touched.
    Refused,
    /// Somebody is still on it.
    Held,
    /// It is not known.
    Unknown,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::WasFree | Self::Freed => 0,
            Self::Refused => Kind::Unsafe as u8,
            Self::Held | Self::Unknown => Kind::Port as u8,
        }
    }
}

/// A process that was stopped.
#[derive(Serialize)]
struct Stopped {
    pid: u32,
    name: String,
    cmdline: String,
    /// What it was: `a development server`.
    what: String,
}

/// A process that was not.
#[derive(Serialize)]
struct Left {
    #[serde(flatten)]
    owner: OwnerReport,
    hint: Option<String>,
}

fn free_one(port: Port, asker: &Asker, asking: Asking<'_>, grace: Duration) -> PortAnswer {
    match stop::free(port, asker, asking, grace) {
        Ok(Freed { stopped, state }) => {
            let stopped = stopped.iter().map(|owner| Stopped {
                pid: owner.process.pid,
                name: owner.name.clone(),
                cmdline: owner.cmdline.clone(),
                what: nature(owner).to_string(),
            });
            answer(port, stopped.collect(), &state)
        }
        Err(error) => PortAnswer {
            port,
            outcome: Outcome::Unknown,
            status: Word::Unknown,
            reason: Some(Failure::chain(&error)),
            stopped: Vec::new(),
            owners: Vec::new(),
        },
    }
}

fn answer(port: Port, stopped: Vec<Stopped>, state: &State) -> PortAnswer {
    let (outcome, left) = match state {
        State::Free if stopped.is_empty() => (Outcome::WasFree, &[][..]),
        State::Free => (Outcome::Freed, &[][..]),
        State::Refused(left) if !left.is_empty() && left.iter().all(is_unknown) => {
            (Outcome::Unknown, left.as_slice())
        }
        State::Refused(left) => (Outcome::Refused, left.as_slice()),
        State::Held(left) => (Outcome::Held, left.as_slice()),
    };
    let (status, reason) = match outcome {
        Outcome::WasFree | Outcome::Freed => (Word::Available, None),
        _ => (Word::Occupied, Some(reason(left))),
    };
    let owners = left.iter().filter_map(|holder| {
        Some(Left { owner: OwnerReport::new(holder)?, hint: hint(holder, port) })
    });
    PortAnswer { port, outcome, status, reason, stopped, owners: owners.collect() }
}

fn is_unknown(holder: &Holder) -> bool {
    matches!(holder.verdict, Verdict::MayNot(Reason::Unproven(_)))
}

/// Why a port is not free, somebody after somebody.
fn reason(left: &[Holder]) -> String {
    if left.is_empty() {
        return "another stack holds it".to_owned();
    }
    let one = |holder: &Holder| match (&holder.owner, &holder.verdict) {
        (Some(owner), Verdict::MayNot(reason)) => {
            format!("{} (pid {}): {reason}", owner.name, owner.process.pid)
        }
        (Some(owner), Verdict::May) => {
            format!("{} (pid {}) is on it now", owner.name, owner.process.pid)
        }
        (None, _) => format!("a process of user {}: {}", holder.user, holder.why()),
    };
    left.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// The safe way out where somebody may not be stopped.
fn hint(holder: &Holder, port: Port) -> Option<String> {
    match (&holder.verdict, &holder.owner) {
        (Verdict::MayNot(reason), Some(owner)) => Some(way_out(reason, owner.process, port)),
        _ => None,
    }
}

/// What to do instead where a process may not be stopped.
pub fn way_out(reason: &Reason, process: Process, port: Port) -> String {
    let elsewhere = format!("use another port: cargo xtask ports find --from {port}");
    match reason {
        Reason::System => elsewhere,
        Reason::Ourselves | Reason::Ancestor | Reason::TerminalLeader => {
            "end it yourself, where you started it".to_owned()
        }
        Reason::AnotherUser(user) => format!("ask {user} to stop it, or {elsewhere}"),
        Reason::Container(container) => match container.split_once(' ') {
            Some((runtime @ ("docker" | "podman" | "nerdctl"), name)) => {
                format!("{runtime} stop {name}")
            }
            _ => "stop the container".to_owned(),
        },
        Reason::Apart => {
            format!("stop its container (docker ps lists them), or {elsewhere}")
        }
        Reason::Relay(_) => {
            format!("docker ps --filter publish={port} names the container; docker stop NAME")
        }
        Reason::Live { launcher, .. } => {
            format!("press Ctrl-C where the stack runs, or: kill -INT {}", launcher.pid)
        }
        Reason::Unproven(_) => format!("see what is on it: cargo xtask ports who {port}"),
        Reason::Service(unit) => {
            format!("systemctl --user stop {unit}, or systemctl stop {unit} if it is the system's")
        }
        Reason::NoListener(_) => format!("wait until it has ended, or {elsewhere}"),
        Reason::Database(_) => {
            format!("stop it by its own means, or: cargo xtask ports free {port} --force")
        }
        Reason::NotDevelopment(_) => {
            format!("stop it by its own means; if you know that it may go: kill {}", process.pid)
        }
        Reason::OtherFolder { .. } => {
            format!("if you know that it may go: cargo xtask ports free {port}")
        }
    }
}

impl PortAnswer {
    /// A line a process, and one about the port.
    fn text(&self) -> String {
        let Self { port, .. } = self;
        let mut text = String::new();
        for Stopped { pid, name, cmdline, what } in &self.stopped {
            text += &format!("{port}: stopped {name} (pid {pid}), {what}: {cmdline}\n");
        }
        match (self.outcome, &self.reason) {
            (Outcome::WasFree, _) => text += &format!("{port} was free already\n"),
            (Outcome::Freed, _) => text += &format!("{port} is free now\n"),
            (_, Some(reason)) if self.owners.is_empty() => {
                text += &format!("{port} is not free: {reason}\n");
            }
            (Outcome::Held, _) => text += &format!("{port} is still held\n"),
            _ => text += &format!("{port} is not free; nothing was stopped\n"),
        }
        for Left { owner, hint } in &self.owners {
            let OwnerReport { pid, name, why, .. } = owner;
            text += &format!("{port}: left {name} (pid {pid}): {why}\n");
            text += &hint.as_ref().map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
        }
        text
    }
}
