//! Stops what is on a port, if that is safe.

use std::time::Duration;

use portman::check::{Activity, Block};
use portman::error::Error;
use portman::port::Port;
use portman::report::{OwnerReport, Word, block_reason};
use portman::safety::{Asker, Asking, Holder, Reason, Verdict, nature};
use portman::stop::{self, Freed, State};
use serde::Serialize;

use crate::failure::{Failure, Kind};
use crate::flags::{Free, Where};
use crate::ports::each_once;
use crate::recover::recover;
use crate::session;
use crate::settle::GRACE;
use crate::ui::Ui;

/// The version of the object that `--json` prints.
const VERSION: u32 = 1;

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
    for port in each_once(&flags.ports) {
        // Asked anew each time: while one port was freed, a stack may have come up on the next.
        let asker = session::asker(&state)?;
        answer.ports.push(free_one(port, &asker, asking, grace));
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
    /// The safe ways out.
    hints: Vec<String>,
    stopped: Vec<Stopped>,
    owners: Vec<OwnerReport>,
    /// Who is left and why, one after the other.
    #[serde(skip)]
    left: Vec<String>,
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
    /// Somebody is still on it, or the system keeps it for a while.
    Held,
    /// Nobody is on it, and it may not be taken.
    Blocked,
    /// It is not known.
    Unknown,
}

impl Outcome {
    fn code(self) -> u8 {
        match self {
            Self::WasFree | Self::Freed => 0,
            Self::Refused => Kind::Unsafe as u8,
            Self::Held | Self::Blocked | Self::Unknown => Kind::Port as u8,
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
        Err(error) => unknown(port, Vec::new(), &error),
    }
}

fn unknown(port: Port, stopped: Vec<Stopped>, error: &Error) -> PortAnswer {
    PortAnswer {
        port,
        outcome: Outcome::Unknown,
        status: Word::Unknown,
        reason: Some(Failure::chain(error)),
        hints: Vec::new(),
        stopped,
        owners: Vec::new(),
        left: Vec::new(),
    }
}

fn blocked(port: Port, stopped: Vec<Stopped>, block: Block) -> PortAnswer {
    PortAnswer {
        port,
        outcome: Outcome::Blocked,
        status: Word::Blocked,
        reason: Some(block_reason(block)),
        hints: vec![elsewhere(port)],
        stopped,
        owners: Vec::new(),
        left: Vec::new(),
    }
}

fn answer(port: Port, stopped: Vec<Stopped>, state: &State) -> PortAnswer {
    let (outcome, left) = match state {
        State::Free if stopped.is_empty() => (Outcome::WasFree, &[][..]),
        State::Free => (Outcome::Freed, &[][..]),
        State::Refused(left) => (refusal(left), left.as_slice()),
        State::Held(left) => (Outcome::Held, left.as_slice()),
        State::Blocked(block) => return blocked(port, stopped, *block),
        State::Unknown(error) => return unknown(port, stopped, error),
    };
    let is_free = matches!(outcome, Outcome::WasFree | Outcome::Freed);
    // Beside who listens, a hold is no news.
    let listens = |holder: &&Holder| holder.activity == Activity::Listening;
    let is_listened_on = left.iter().any(|holder| listens(&holder));
    let blamed = || left.iter().filter(|holder| !is_listened_on || listens(holder));
    let mut told: Vec<String> = blamed().map(sentence).collect();
    if told.is_empty() && !is_free {
        told.push("another stack: it holds the port for a service".to_owned());
    }
    let mut hints: Vec<String> = blamed().filter_map(|holder| hint(holder, port)).collect();
    if outcome == Outcome::Held && left.iter().any(|holder| holder.verdict == Verdict::May) {
        hints.push("something has started it anew: stop that first".to_owned());
    }
    hints.dedup();
    PortAnswer {
        port,
        outcome,
        status: if is_free { Word::Available } else { Word::Occupied },
        reason: (!is_free).then(|| told.join("; ")),
        hints,
        stopped,
        owners: left.iter().filter_map(OwnerReport::new).collect(),
        left: told,
    }
}

/// What it is that nobody was touched.
fn refusal(left: &[Holder]) -> Outcome {
    let is_ended = |holder: &&Holder| holder.verdict == Verdict::MayNot(Reason::Ended);
    let is_unknown =
        |holder: &Holder| matches!(holder.verdict, Verdict::MayNot(Reason::Unproven(_)));
    let somebody: Vec<&Holder> = left.iter().filter(|holder| !is_ended(holder)).collect();
    match somebody.as_slice() {
        // A hold of somebody unseen.
        [] if left.is_empty() => Outcome::Refused,
        // There is nobody who could be stopped.
        [] => Outcome::Held,
        somebody if somebody.iter().all(|holder| is_unknown(holder)) => Outcome::Unknown,
        _ => Outcome::Refused,
    }
}

/// Who is left on a port, and why.
fn sentence(holder: &Holder) -> String {
    if let Verdict::MayNot(reason @ Reason::Ended) = &holder.verdict {
        return reason.to_string();
    }
    let who = match &holder.owner {
        Some(owner) => format!("{} (pid {})", owner.name, owner.process.pid),
        None => format!("a process of user {}", holder.user),
    };
    match &holder.verdict {
        Verdict::MayNot(reason) => format!("{who}: {reason}"),
        Verdict::May => format!("{who}: it may be stopped"),
    }
}

fn hint(holder: &Holder, port: Port) -> Option<String> {
    match &holder.verdict {
        Verdict::MayNot(reason) => Some(way_out(reason, port)),
        Verdict::May => None,
    }
}

fn elsewhere(port: Port) -> String {
    format!("use another port: cargo xtask ports find --from {port}")
}

/// What to do instead where a process may not be stopped.
fn way_out(reason: &Reason, port: Port) -> String {
    let elsewhere = elsewhere(port);
    match reason {
        Reason::System => elsewhere,
        Reason::Ourselves | Reason::Ancestor | Reason::TerminalLeader => {
            "end it yourself, where you started it".to_owned()
        }
        Reason::AnotherUser(user) => format!("ask user {user} to stop it, or {elsewhere}"),
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
        Reason::Ended => format!("wait a minute, or {elsewhere}"),
        Reason::NoListener(_) => format!("wait until it has ended, or {elsewhere}"),
        Reason::Database(_) => {
            format!("stop it by its own means, or: cargo xtask ports free {port} --force")
        }
        Reason::NotDevelopment(_) => format!("stop it by its own means, or {elsewhere}"),
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
        text += &match (self.outcome, &self.reason) {
            (Outcome::WasFree, _) => format!("{port} was free already\n"),
            (Outcome::Freed, _) => format!("{port} is free now\n"),
            (Outcome::Held, _) => format!("{port} is still held\n"),
            (Outcome::Blocked, Some(reason)) => format!("{port} is blocked: {reason}\n"),
            (_, Some(reason)) if self.left.is_empty() => format!("{port}: {reason}\n"),
            _ => format!("{port} is not free; nothing was stopped\n"),
        };
        for left in &self.left {
            text += &format!("{port}: left {left}\n");
        }
        for hint in &self.hints {
            text += &format!("hint: {hint}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use portman::check::{Activity, Block};
    use portman::error::Error;
    use portman::owner::Owner;
    use portman::port::Port;
    use portman::process::Process;
    use portman::safety::{Holder, Reason, Verdict};
    use portman::stop::State;

    use super::{Outcome, Stopped, answer, refusal, way_out};

    fn port() -> Port {
        Port::new(8000).unwrap()
    }

    fn holder(pid: Option<u32>, verdict: Verdict) -> Holder {
        let owner = pid.map(|pid| Owner {
            process: Process { pid, started: 1 },
            name: "node".to_owned(),
            cmdline: "node server.js".to_owned(),
            user: Some("ann".to_owned()),
            uid: Some(1000),
            started: 0,
            program: Some("/usr/bin/node".into()),
            dir: None,
            unit: None,
            by_cargo: false,
        });
        let addresses = vec!["127.0.0.1:8000".parse().unwrap()];
        let user = if owner.is_some() { "ann" } else { "bob" }.to_owned();
        Holder { owner, user, activity: Activity::Listening, addresses, verdict }
    }

    fn stopped() -> Vec<Stopped> {
        vec![Stopped {
            pid: 7,
            name: "node".to_owned(),
            cmdline: "node server.js".to_owned(),
            what: "a development server".to_owned(),
        }]
    }

    #[track_caller]
    fn assert_answer(
        stopped: Vec<Stopped>,
        state: &State,
        (outcome, code): (Outcome, u8),
        text: &str,
    ) {
        let answer = answer(port(), stopped, state);
        assert_eq!((answer.outcome, answer.outcome.code()), (outcome, code), "{text}");
        assert_eq!(answer.text(), text);
    }

    #[test]
    fn what_was_stopped_is_told_and_what_is_left() {
        const STOPPED: &str = "8000: stopped node (pid 7), a development server: node server.js\n";
        let held = (Outcome::Held, 3);
        assert_answer(vec![], &State::Free, (Outcome::WasFree, 0), "8000 was free already\n");
        let text = STOPPED.to_owned() + "8000 is free now\n";
        assert_answer(stopped(), &State::Free, (Outcome::Freed, 0), &text);
        let heir = Verdict::MayNot(Reason::NotDevelopment("tail".to_owned()));
        let text = STOPPED.to_owned()
            + "8000 is still held\n\
               8000: left node (pid 9): `tail` is no development server\n\
               hint: stop it by its own means, or use another port: cargo xtask ports find --from 8000\n";
        assert_answer(stopped(), &State::Held(vec![holder(Some(9), heir)]), held, &text);
        let text = STOPPED.to_owned()
            + "8000 is still held\n\
               8000: left node (pid 9): it may be stopped\n\
               hint: something has started it anew: stop that first\n";
        assert_answer(stopped(), &State::Held(vec![holder(Some(9), Verdict::May)]), held, &text);
    }

    #[test]
    fn what_was_stopped_is_told_whatever_came_after() {
        const STOPPED: &str = "8000: stopped node (pid 7), a development server: node server.js\n";
        let error = State::Unknown(Error::Unkillable(Process { pid: 8, started: 1 }));
        let text = STOPPED.to_owned() + "8000: process 8 did not end when it was killed\n";
        assert_answer(stopped(), &error, (Outcome::Unknown, 3), &text);
        let blocked = State::Blocked(Block::Permission { unprivileged_start: 9000 });
        let text = STOPPED.to_owned()
            + "8000 is blocked: ports below 9000 need a permission that you do not have\n\
               hint: use another port: cargo xtask ports find --from 8000\n";
        assert_answer(stopped(), &blocked, (Outcome::Blocked, 3), &text);
    }

    #[test]
    fn an_ended_connection_is_nobody() {
        let other = |reason| holder(None, Verdict::MayNot(reason));
        let ended = || other(Reason::Ended);
        let unknown = || other(Reason::Unproven("whose it is".to_owned()));
        let theirs = || other(Reason::AnotherUser("bob".to_owned()));
        for (left, expected) in [
            (vec![], Outcome::Refused),
            (vec![ended()], Outcome::Held),
            (vec![ended(), unknown()], Outcome::Unknown),
            (vec![ended(), theirs()], Outcome::Refused),
            (vec![unknown(), theirs()], Outcome::Refused),
        ] {
            assert_eq!(refusal(&left), expected, "{left:?}");
        }
    }

    #[test]
    fn a_refusal_names_everybody_and_what_to_do() {
        let not = |reason| Verdict::MayNot(reason);
        let database = not(Reason::Database("postgres".to_owned()));
        let unproven = not(Reason::Unproven("whose it is".to_owned()));
        let unseen = not(Reason::AnotherUser("bob".to_owned()));
        let refused = (Outcome::Refused, 5);
        for (left, outcome, text) in [
            (
                vec![holder(Some(8), Verdict::May), holder(Some(7), database)],
                refused,
                "8000: left node (pid 8): it may be stopped\n\
                 8000: left node (pid 7): `postgres` is a database\n\
                 hint: stop it by its own means, or: cargo xtask ports free 8000 --force\n",
            ),
            (
                vec![holder(Some(7), unproven)],
                (Outcome::Unknown, 3),
                "8000: left node (pid 7): it is not known whose it is\n\
                 hint: see what is on it: cargo xtask ports who 8000\n",
            ),
            (
                vec![holder(None, unseen)],
                refused,
                "8000: left a process of user bob: it belongs to user bob\n\
                 hint: ask user bob to stop it, or use another port: cargo xtask ports find --from 8000\n",
            ),
            (vec![], refused, "8000: left another stack: it holds the port for a service\n"),
        ] {
            let text = format!("8000 is not free; nothing was stopped\n{text}");
            assert_answer(vec![], &State::Refused(left), outcome, &text);
        }
    }

    #[test]
    fn every_refusal_has_a_way_out() {
        let (find, text) = ("cargo xtask ports find --from 8000", str::to_owned);
        let live = || Reason::Live {
            launcher: Process { pid: 50, started: 1 },
            checkout: PathBuf::from("/app"),
        };
        let other = || Reason::OtherFolder { dir: None, checkout: PathBuf::from("/app") };
        for (reason, expected) in [
            (Reason::System, find),
            (Reason::Ourselves, "end it yourself"),
            (Reason::Ancestor, "end it yourself"),
            (Reason::TerminalLeader, "end it yourself"),
            (Reason::AnotherUser(text("bob")), "ask user bob to stop it"),
            (Reason::Container(text("docker web")), "docker stop web"),
            (Reason::Container(text("podman 3f2a")), "podman stop 3f2a"),
            (Reason::Container(text("lxc web")), "stop the container"),
            (Reason::Apart, "docker ps"),
            (Reason::Relay(text("docker-proxy")), "docker ps --filter publish=8000"),
            (live(), "kill -INT 50"),
            (Reason::Unproven(text("whose it is")), "cargo xtask ports who 8000"),
            (Reason::Service(text("a.service")), "systemctl --user stop a.service"),
            (Reason::Ended, "wait a minute"),
            (Reason::NoListener(Activity::Bound), find),
            (Reason::Database(text("postgres")), "cargo xtask ports free 8000 --force"),
            (Reason::NotDevelopment(text("nginx")), find),
            (other(), "cargo xtask ports free 8000"),
        ] {
            let told = way_out(&reason, port());
            assert!(told.contains(expected), "{reason:?}: {told}");
        }
    }
}
