//! Settles what is to be done about ports that are taken, before any is reserved: another port, the process that has it
//! stopped, or the service left out.

use std::path::Path;
use std::time::Duration;

use portman::allocate;
use portman::conflict::{self, Conflict, Resolution, Resolved};
use portman::lease::Memory;
use portman::port::Port;
use portman::report::taken_reason;
use portman::safety::{Asker, Asking};

use crate::config::Stack;
use crate::failure::{Failure, Kind};
use crate::flags::OnConflict;
use crate::holds::tell_doubt;
use crate::notice::Notice;
use crate::session;
use crate::ui::Ui;

/// How long a process has to end before it is killed.
pub const GRACE: Duration = Duration::from_secs(5);

/// May more be stopped than is certainly a leftover of this checkout?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    /// Nobody was asked.
    None,
    /// Whoever sits at the terminal is asked about each process; without a terminal nobody is.
    Ask,
    /// It was given in advance.
    Given,
}

/// Settles the conflicts of `stack` and gives the stack that is left to be run.
///
/// # Errors
/// When it is unknown who has a port, when a process cannot be stopped, or when nothing is left to be run.
pub fn settle(
    stack: Stack,
    how: OnConflict,
    consent: Consent,
    state: &Path,
    ui: &mut Ui,
) -> anyhow::Result<Stack> {
    if how == OnConflict::Alternative {
        // What is reserved then says where it moved.
        return Ok(stack);
    }
    let asker = &session::asker(state)?;
    let unasked = Asking::Unasked { checkout: &stack.root };
    let mut skipped = Vec::new();
    for conflict in conflict::conflicts(&stack.requests())? {
        let (resolution, asking) = match how {
            OnConflict::Alternative => (Resolution::UseAlternative, unasked),
            OnConflict::Skip => (Resolution::Skip, unasked),
            OnConflict::Kill => {
                (Resolution::KillProcess, agreed(&conflict, unasked, consent, asker, ui))
            }
            OnConflict::Ask => (chosen(&conflict, asker, ui), BY_NUMBER),
        };
        let resolved = conflict::resolve(&conflict, resolution, asker, asking, GRACE)?;
        if matches!(resolved, Resolved::Skipped) {
            skipped.push(conflict.service.clone());
        }
        tell(&conflict, resolved, ui);
    }
    left_over(stack, &skipped, ui)
}

/// What settling, and choosing ports, would come to: the stack that would be run, and the ports of its services. All of it
/// is told; nobody is stopped or asked, and nothing is taken.
///
/// # Errors
/// As [`settle`], and when no port is free for a service.
pub fn foresee(
    stack: Stack,
    how: OnConflict,
    consent: Consent,
    memory: &Memory,
    state: &Path,
    ui: &mut Ui,
) -> anyhow::Result<(Stack, Vec<Option<Port>>)> {
    let requests = stack.requests();
    requests.iter().try_for_each(|request| tell_doubt(request, ui))?;
    let conflicts = conflict::conflicts(&requests)?;
    let root = stack.root.clone();
    let asker = &session::asker(state)?;
    let asking = match consent {
        Consent::Given => BY_NUMBER,
        Consent::None | Consent::Ask => Asking::Unasked { checkout: &root },
    };
    let (mut skipped, mut freed) = (Vec::new(), Vec::new());
    for conflict in &conflicts {
        let reason = taken_reason(conflict.port, &conflict.reason);
        if how == OnConflict::Skip {
            skipped.push(conflict.service.clone());
            ui.tell(&Notice::Skipped { service: conflict.service.clone(), reason });
        } else if how == OnConflict::Kill
            && conflict.options(asker, asking).contains(&Resolution::KillProcess)
        {
            freed.push(conflict.service.clone());
            let message = format!("{}; it would be stopped", sentence(conflict));
            ui.tell(&Notice::Note { message });
        }
    }
    let stack = left_over(stack, &skipped, ui)?;
    let requests = stack.requests();
    let given = allocate::foresee(&requests, &stack.pool, memory)?;
    let mut ports = Vec::with_capacity(stack.services.len());
    for service in &stack.services {
        let place = requests.iter().position(|request| request.service == service.name);
        let Some(place) = place else {
            ports.push(None);
            continue;
        };
        let preferred = requests[place].preferred;
        let port = if freed.contains(&service.name) { preferred } else { given[place] };
        let port = port.ok_or_else(|| no_port(&service.name))?;
        if let Some(conflict) = conflicts.iter().find(|conflict| conflict.service == service.name)
            && preferred != Some(port)
        {
            let reason = Some(taken_reason(conflict.port, &conflict.reason));
            let service = service.name.clone();
            ui.tell(&Notice::Reserved { service, port, preferred, reason });
        }
        ports.push(Some(port));
    }
    Ok((stack, ports))
}

fn no_port(service: &str) -> Failure {
    let message = format!("no port is free for `{service}`");
    Failure::new(Kind::Port, message, "add a range to `ranges` under [ports] in dev.toml")
}

/// Somebody named the very process.
const BY_NUMBER: Asking<'static> = Asking::ByNumber { force: false };

/// How far consent goes: what may be stopped unasked needs none, and nobody is asked about what may never be stopped.
fn agreed<'a>(
    conflict: &Conflict,
    unasked: Asking<'a>,
    consent: Consent,
    asker: &Asker,
    ui: &Ui,
) -> Asking<'a> {
    let may = |asking| conflict.options(asker, asking).contains(&Resolution::KillProcess);
    if may(unasked) || !may(BY_NUMBER) {
        return unasked;
    }
    let question = || format!("{}; stop it? [y/N]", sentence(conflict));
    match consent {
        Consent::None => unasked,
        Consent::Given => BY_NUMBER,
        Consent::Ask => match ui.ask(&question()).as_deref() {
            Some("y" | "Y" | "yes") => BY_NUMBER,
            _ => unasked,
        },
    }
}

/// What a person chooses; another port where nobody answers.
fn chosen(conflict: &Conflict, asker: &Asker, ui: &Ui) -> Resolution {
    let can_kill = conflict.options(asker, BY_NUMBER).contains(&Resolution::KillProcess);
    let kill = if can_kill { "   k: stop the process" } else { "" };
    let question = format!(
        "{}\n  a: another port{kill}   s: leave {} out   [a]",
        sentence(conflict),
        conflict.service
    );
    loop {
        match ui.ask(&question).as_deref() {
            Some("k" | "K" | "kill") if can_kill => return Resolution::KillProcess,
            Some("s" | "S" | "skip") => return Resolution::Skip,
            None | Some("" | "a" | "A") => return Resolution::UseAlternative,
            Some(_) => {}
        }
    }
}

fn sentence(conflict: &Conflict) -> String {
    format!("{}: port {}", conflict.service, taken_reason(conflict.port, &conflict.reason))
}

fn tell(conflict: &Conflict, resolved: Resolved, ui: &mut Ui) {
    let Conflict { service, port, .. } = conflict;
    let (stopped, left) = match resolved {
        Resolved::Elsewhere => return,
        Resolved::Skipped => {
            let reason = taken_reason(*port, &conflict.reason);
            return ui.tell(&Notice::Skipped { service: service.clone(), reason });
        }
        Resolved::Freed(stopped) => (stopped, Vec::new()),
        Resolved::StillTaken { stopped, left } => (stopped, left),
    };
    for owner in stopped {
        let (pid, name) = (owner.process.pid, owner.name);
        ui.tell(&Notice::StoppedOwner { port: *port, pid, name });
    }
    for holder in left {
        let who = holder.owner.as_ref().map_or_else(
            || "a process that cannot be looked into".to_owned(),
            |owner| format!("{} (pid {})", owner.name, owner.process.pid),
        );
        let message = format!("{who} on port {port} was not stopped: {}", holder.why());
        ui.tell(&Notice::Warning { message });
    }
}

/// The stack without what was skipped and what depends on it.
fn left_over(stack: Stack, skipped: &[String], ui: &mut Ui) -> anyhow::Result<Stack> {
    let left = stack.without(skipped);
    for service in &left.left_out {
        if !skipped.contains(&service.name) {
            let (service, reason) = (service.name.clone(), "it depends on one that is left out");
            ui.tell(&Notice::Skipped { service, reason: reason.to_owned() });
        }
    }
    if left.services.is_empty() {
        let message = "no service is left to be started";
        let hint = "let taken ports be replaced: --on-conflict alternative";
        return Err(Failure::new(Kind::Port, message, hint).into());
    }
    Ok(left)
}
