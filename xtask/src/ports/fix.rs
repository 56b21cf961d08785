//! `cargo xtask ports --fix`: settles every conflict and writes the outcome for good; `--undo` takes that back.

use std::path::{Path, PathBuf};

use portman::allocate::foresee;
use portman::fs;
use portman::lease::{Book, Memory};
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
use crate::settle::{Consent, settle, would_free};
use crate::stack;
use crate::ui::Ui;

/// Settles the conflicts and writes which port each service has from now on.
///
/// # Errors
/// When a stack runs there, a port cannot be had, or a file cannot be changed for certain.
pub fn fix(flags: &PortsOfStack, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    recover(&state, &flags.place, ui)?;
    let stack = stack::load(&flags.place, ui)?;
    // A stack that runs has its files patched: what was written now would be taken back at its end.
    let session = Session::begin(&state, &stack.root)?;
    let asker = session::asker(&state)?;
    let how = flags.fix.on_conflict.unwrap_or(stack.on_conflict);
    let consent = if flags.fix.yes { Consent::Given } else { Consent::Ask };
    if flags.fix.dry_run {
        let freed = would_free(&stack, how, consent, &asker, ui)?;
        let ports = foreseen(&stack, &memory::read(&state, &stack.root, ui)?, &freed)?;
        for change in restore::prepare(&written(&stack, &ports))? {
            ui.print(&change.diff(&relative(&change.path, &stack.root)));
        }
        return Ok(0);
    }
    let stack = settle(stack, how, consent, &asker, ui)?;
    let holds = Holds::reserve(&stack, &Book::read(&state)?.memory(&stack.root), ui)?;
    let changes = restore::prepare(&written(&stack, &holds.ports()))?;
    memory::keep(&state, &stack.root, &holds.leases(), ui)?;
    write(&session.fixes(), &changes)?;
    told(&changes, &stack.root, ui);
    Ok(0)
}

/// The ports that the services would get, one entry a service; the preferred one where it would be freed first.
fn foreseen(stack: &Stack, memory: &Memory, freed: &[String]) -> anyhow::Result<Vec<Option<Port>>> {
    let requests = stack.requests();
    let given = foresee(&requests, &stack.pool, memory)?;
    let port = |service: &Service| {
        let place = requests.iter().position(|request| request.service == service.name)?;
        if freed.contains(&service.name) { requests[place].preferred } else { given[place] }
    };
    Ok(stack.services.iter().map(port).collect())
}

/// Everything that says a port: what a run would patch, and dev.toml itself.
fn written(stack: &Stack, ports: &[Option<Port>]) -> Vec<FilePatch> {
    let mut files = plan(stack, ports, &Surroundings::default()).patches;
    if let Source::File(path) = &stack.source {
        let edit = |(service, port): (&Service, &Option<Port>)| {
            let (old, new) = (service.port?.preferred()?, (*port)?);
            let key = format!("services.{}.port", service.name).parse().ok()?;
            (old != new).then(|| Edit::Set { key, value: new.to_string() })
        };
        let edits = stack.services.iter().zip(ports).filter_map(edit).collect();
        files.push(FilePatch { path: path.clone(), format: Format::Toml, edits });
    }
    files
}

/// Writes the files, with a record of how to undo it.
fn write(fixes: &Path, changes: &[FileChange]) -> anyhow::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let last = records(fixes)?.pop().map_or(0, |(number, _)| number);
    Patches::apply(&fixes.join(format!("{}.json", last + 1)), changes)?.keep();
    Ok(())
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
        return ui.print("nothing to write: the files say these ports already\n");
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
