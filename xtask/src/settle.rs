//! Settles what is to be done about ports that are taken, before any is reserved: another port, the process that has it
//! stopped, or the service left out.

use std::time::Duration;

use portman::conflict::{self, Conflict, Resolution, Resolved};
use portman::report::taken_reason;
use portman::safety::{Asker, Asking};

use crate::config::Stack;
use crate::failure::{Failure, Kind};
use crate::flags::OnConflict;
use crate::notice::Notice;
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
    asker: &Asker,
    ui: &mut Ui,
) -> anyhow::Result<Stack> {
    if how == OnConflict::Alternative {
        // What is reserved then says where it moved.
        return Ok(stack);
    }
    let unasked = Asking::Unasked { checkout: &stack.root };
    let mut skipped = Vec::new();
    for conflict in conflict::conflicts(&stack.requests(), asker, unasked)? {
        let (resolution, asking) = match how {
            OnConflict::Alternative => (Resolution::UseAlternative, unasked),
            OnConflict::Skip => (Resolution::Skip, unasked),
            OnConflict::Kill => (Resolution::KillProcess, agreed(&conflict, unasked, consent, ui)),
            OnConflict::Ask => (chosen(&conflict, ui), BY_NUMBER),
        };
        let resolved = conflict::resolve(&conflict, resolution, asker, asking, GRACE)?;
        if matches!(resolved, Resolved::Skipped) {
            skipped.push(conflict.service.clone());
        }
        tell(&conflict, resolved, ui);
    }
    left_over(stack, &skipped, ui)
}

/// The services whose port [`settle`] would free by stopping a process. It tells which, and stops none.
///
/// # Errors
/// When it is unknown who has a port.
pub fn would_free(
    stack: &Stack,
    how: OnConflict,
    consent: Consent,
    asker: &Asker,
    ui: &mut Ui,
) -> anyhow::Result<Vec<String>> {
    if how != OnConflict::Kill {
        return Ok(Vec::new());
    }
    let asking = match consent {
        Consent::Given => BY_NUMBER,
        Consent::None | Consent::Ask => Asking::Unasked { checkout: &stack.root },
    };
    let mut conflicts = conflict::conflicts(&stack.requests(), asker, asking)?;
    conflicts.retain(|conflict| conflict.options.contains(&Resolution::KillProcess));
    for conflict in &conflicts {
        let message = format!("{}; it would be stopped", sentence(conflict));
        ui.tell(&Notice::Warning { message });
    }
    Ok(conflicts.into_iter().map(|conflict| conflict.service).collect())
}

/// Somebody named the very process.
const BY_NUMBER: Asking<'static> = Asking::ByNumber { force: false };

/// How far consent goes: what may be stopped unasked needs none.
fn agreed<'a>(conflict: &Conflict, unasked: Asking<'a>, consent: Consent, ui: &Ui) -> Asking<'a> {
    if conflict.options.contains(&Resolution::KillProcess) {
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

/// What a person chooses; another port where nobody answers, or what was answered is none of the choices.
fn chosen(conflict: &Conflict, ui: &Ui) -> Resolution {
    let question = format!(
        "{}\n  a: another port   k: stop the process   s: leave {} out   [a]",
        sentence(conflict),
        conflict.service
    );
    match ui.ask(&question).as_deref() {
        Some("k" | "K" | "kill") => Resolution::KillProcess,
        Some("s" | "S" | "skip") => Resolution::Skip,
        _ => Resolution::UseAlternative,
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
