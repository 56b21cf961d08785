//! `cargo xtask ports --fix`: settles every conflict and writes the outcome for good; `--undo` takes that back.

use std::path::{Path, PathBuf};

use portman::fs;
use portman::lease::Book;
use portman::patch::{Edit, Format};
use portman::port::Port;
use portman::restore::{self, FileChange, FilePatch, Patches};

use crate::config::{self, Service, Source, Stack};
use crate::failure::{Failure, Kind};
use crate::flags::PortsOfStack;
use crate::holds::Holds;
use crate::memory;
use crate::notice::Notice;
use crate::patch::summary;
use crate::plan::{Surroundings, plan};
use crate::recover::{recover, relative, tell_outcomes};
use crate::session::{self, Session};
use crate::settle::{Consent, foresee, settle};
use crate::stack;
use crate::ui::Ui;

/// Settles the conflicts and writes which port each service has from now on.
///
/// # Errors
/// When a stack runs there, a port cannot be had, or a file cannot be changed for certain.
pub fn fix(flags: &PortsOfStack, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    if !flags.fix.dry_run {
        recover(&state, &flags.place, ui)?;
    }
    let stack = stack::load(&flags.place, ui)?;
    let how = flags.fix.on_conflict.unwrap_or(stack.on_conflict);
    let consent = if flags.fix.yes { Consent::Given } else { Consent::Ask };
    if flags.fix.dry_run {
        session::refuse_while_running(&state, &stack.root)?;
        let memory = memory::read(&state, &stack.root, ui)?;
        let (stack, ports) = foresee(stack, how, consent, &memory, &state, ui)?;
        let changes = restore::prepare(&written(&stack, &ports)?)?;
        for change in &changes {
            ui.print(&change.diff(&relative(&change.path, &stack.root)));
        }
        if changes.is_empty() {
            ui.print(NOTHING);
        }
        return Ok(0);
    }
    // A stack that runs has its files patched: what was written now would be taken back at its end.
    let session = Session::begin(&state, &stack.root)?;
    let stack = settle(stack, how, consent, &state, ui)?;
    let holds = Holds::reserve(&stack, &Book::read(&state)?.memory(&stack.root), ui)?;
    let changes = restore::prepare(&written(&stack, &holds.ports())?)?;
    memory::keep(&state, &stack.root, &holds.leases(), ui)?;
    write(&session, &changes)?;
    told(&changes, &stack.root, ui);
    Ok(0)
}

const NOTHING: &str = "nothing to write: the files say these ports already\n";

/// Everything that says a port: what a run would patch, and dev.toml itself.
fn written(stack: &Stack, ports: &[Option<Port>]) -> Result<Vec<FilePatch>, Failure> {
    let mut files = plan(stack, ports, &Surroundings::default()).patches;
    let moved = stack.services.iter().zip(ports).filter_map(|(service, port)| {
        let (old, new) = (service.port?.preferred()?, (*port)?);
        (old != new).then_some((service, new))
    });
    match &stack.source {
        Source::File(path) => {
            let edit = |(service, new): (&Service, Port)| {
                let key = format!("services.{}.port", service.name).parse().ok()?;
                Some(Edit::Set { key, value: new.to_string() })
            };
            let edits = moved.filter_map(edit).collect();
            files.push(FilePatch { path: path.clone(), format: Format::Toml, edits });
        }
        // The next one is detected out of these files: a port that none of them says would not have moved.
        Source::Detected { services: found, .. } => {
            for (service, _) in moved {
                let is_said =
                    found.iter().any(|one| one.service == service.name && one.port_from.is_some());
                if !is_said {
                    let message = format!("no file says the port of `{}`", service.name);
                    let hint = "write down what was found first: cargo xtask init";
                    return Err(Failure::new(Kind::File, message, hint));
                }
            }
        }
    }
    Ok(files)
}

/// Writes the files, all of them or, after a crash and recovery, none; with a record of how to undo it.
fn write(session: &Session, changes: &[FileChange]) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let last = records(&session.fixes())?.pop().map_or(0, |(number, _)| number);
    let patches = Patches::apply(&session.journal(), changes)?;
    Ok(patches.keep(&session.fixes().join(format!("{}.json", last + 1)))?)
}

/// The records of what was written, by their numbers, the last one last.
fn records(fixes: &Path) -> anyhow::Result<Vec<(u32, PathBuf)>> {
    let number = |path: &Path| path.file_stem()?.to_str()?.parse().ok();
    let files = fs::entries(fixes)?.into_iter();
    let mut records: Vec<_> = files.filter_map(|path| Some((number(&path)?, path))).collect();
    records.sort();
    Ok(records)
}

fn told(changes: &[FileChange], root: &Path, ui: &mut Ui) {
    if changes.is_empty() {
        return ui.print(NOTHING);
    }
    for change in changes {
        ui.print(&summary(&relative(&change.path, root), change));
    }
    ui.tell(&Notice::Fixed { files: changes.len() });
}

/// Puts back what the last `--fix` in this checkout wrote.
///
/// # Errors
/// When there is nothing to put back, or a value was edited since.
pub fn undo(flags: &PortsOfStack, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    recover(&state, &flags.place, ui)?;
    let checkout = config::checkout(&flags.place)?;
    let session = Session::begin(&state, &checkout)?;
    let Some((_, record)) = records(&session.fixes())?.pop() else {
        let message =
            format!("nothing that `--fix` wrote is left to undo in `{}`", checkout.display());
        return Err(
            Failure::new(Kind::Usage, message, "is it another checkout? -C DIR names it").into()
        );
    };
    let left = tell_outcomes(&restore::recover(&record)?, &checkout, ui);
    if left.is_empty() {
        return Ok(0);
    }
    let message =
        format!("{} could not be put back; how to is kept in our records", left.join(", "));
    let hint = "set the value to what `--fix` wrote, and run `cargo xtask ports --undo` again";
    Err(Failure::new(Kind::File, message, hint).into())
}
