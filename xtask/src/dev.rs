//! THE PIPELINE: what `cargo xtask dev` does, in the order in which it does it. Read this first.

use std::collections::BTreeSet;
use std::env;
use std::path::Path;

use portman::lease::Book;
use portman::port::Port;
use portman::restore::{self, FileChange, Patches};

use crate::config::Stack;
use crate::environment::inherited;
use crate::flags;
use crate::holds::Holds;
use crate::marks::Marks;
use crate::memory;
use crate::notice::Notice;
use crate::plan::{Plan, Surroundings, plan};
use crate::recover::{recover, relative, tell_restored};
use crate::session::{self, Session};
use crate::settle::{Consent, foresee, settle};
use crate::stack;
use crate::supervise::{self, Outcome, Run};
use crate::ui::Ui;

/// Brings the stack up and keeps it until the end.
///
/// # Errors
/// When anything cannot be had that the stack needs. What was begun has then been undone.
pub fn dev(flags: &flags::Dev, ui: &mut Ui) -> anyhow::Result<Outcome> {
    let state = session::state_dir()?;
    recover(&state, &flags.place, ui)?;
    let stack = stack::load(&flags.place, ui)?;

    let session = Session::begin(&state, &stack.root)?;
    let how = flags.on_conflict.unwrap_or(stack.on_conflict);
    let stack = settle(stack, how, Consent::None, &state, ui)?;
    let inbox = supervise::open_inbox()?;
    let memory = Book::read(&state)?.memory(&stack.root);
    let holds = Holds::reserve(&stack, &memory, ui)?;
    memory::keep(&state, &stack.root, &holds.leases(), ui)?;
    let plan =
        plan(&stack, &holds.ports(), &surroundings(session.marks(), holds.until_spawn(), ui));
    session.record(named_ports(&plan), preferred_ports(&stack))?;
    // A file that cannot be patched is told before anything takes its time.
    restore::prepare(&plan.patches)?;

    ui.set_services(plan.launches.iter().map(|launch| launch.service.clone()));
    let inherited = inherited(env::vars_os(), env::current_exe().ok().as_deref());
    let run = Run {
        stack: &stack,
        plan: &plan,
        holds: &holds,
        session: &session,
        inherited: &inherited,
        inbox: &inbox,
    };
    match supervise::set_up(&run, ui)? {
        Some(ended) => {
            if ended == Outcome::Forced {
                session.hurry();
            }
            Ok(ended)
        }
        None => up(&run, ui),
    }
}

/// Files are patched exactly as long as services run. The holds of the ports outlive both.
fn up(run: &Run<'_>, ui: &mut Ui) -> anyhow::Result<Outcome> {
    let changes = restore::prepare(&run.plan.patches)?;
    let patches = Patches::apply(&run.session.journal(), &changes)?;
    tell_patched(&changes, &run.stack.root, ui);
    let outcome = supervise::supervise(run, ui);
    if matches!(outcome, Ok(Outcome::Forced)) {
        run.session.hurry();
    }
    let rest = run.session.stop_rest();
    // Whatever else went wrong, the files go back first.
    tell_restored(&patches.restore()?, &run.stack.root, ui)?;
    tell_rest(rest?, ui);
    outcome
}

/// Prints what [`dev`] would do now. Nothing is written, started or put back.
///
/// # Errors
/// As [`dev`], up to the first process.
pub fn dry_run(flags: &flags::Dev, ui: &mut Ui) -> anyhow::Result<()> {
    let state = session::state_dir()?;
    let stack = stack::load(&flags.place, ui)?;
    let how = flags.on_conflict.unwrap_or(stack.on_conflict);
    let memory = memory::read(&state, &stack.root, ui)?;
    let (stack, ports) = foresee(stack, how, Consent::None, &memory, &state, ui)?;
    let plan = plan(&stack, &ports, &surroundings(Marks::default(), BTreeSet::new(), ui));
    let changes = restore::prepare(&plan.patches)?;
    ui.print(&described(&plan, &changes, &stack.root));
    Ok(())
}

/// Processes that outlived their service although they were not in its group any more.
fn tell_rest(stopped: usize, ui: &mut Ui) {
    if stopped > 0 {
        let message = format!("stopped {stopped} more that services had started and left behind");
        ui.tell(&Notice::Warning { message });
    }
}

fn named_ports(plan: &Plan) -> Vec<(String, Port)> {
    plan.launches.iter().filter_map(|launch| Some((launch.service.clone(), launch.port?))).collect()
}

fn preferred_ports(stack: &Stack) -> Vec<(String, Port)> {
    stack.requests().into_iter().filter_map(|one| Some((one.service, one.preferred?))).collect()
}

fn surroundings(marks: Marks, until_spawn: BTreeSet<String>, ui: &Ui) -> Surroundings {
    // A user who chose how much colour there is has the last word.
    let is_chosen = env::var_os("FORCE_COLOR").is_some();
    Surroundings { marks, has_colour: ui.has_colour() && !is_chosen, until_spawn }
}

fn tell_patched(changes: &[FileChange], root: &Path, ui: &mut Ui) {
    for FileChange { path, changes, .. } in changes {
        for change in changes {
            ui.tell(&Notice::Patched { file: relative(path, root), change: change.clone() });
        }
    }
}

fn described(plan: &Plan, changes: &[FileChange], root: &Path) -> String {
    let mut text = String::new();
    for launch in &plan.launches {
        let place = launch.url.as_deref().unwrap_or("no port");
        let dir = relative(&launch.dir, root);
        text += &format!("{}: {place}\n", launch.service);
        if let Some(setup) = &launch.setup {
            let unless = setup
                .unless
                .as_ref()
                .map(|path| format!(" (unless {} is there)", relative(path, root)));
            text += &format!(
                "  first, in {dir}: {}{}\n",
                setup.command.join(" "),
                unless.unwrap_or_default()
            );
        }
        text += &format!("  then, in {dir}: {}\n", launch.command.join(" "));
    }
    if changes.is_empty() {
        return text + "no file changes: they say these ports already\n";
    }
    text += "\n";
    for change in changes {
        text += &change.diff(&relative(&change.path, root));
    }
    text
}
