//! THE PIPELINE: what `cargo xtask dev` does, in the order in which it does it. Read this first.

use std::env;
use std::path::Path;

use portman::allocate::{self, Allocation, Doubt, Request, Taken};
use portman::port::Port;
use portman::report::{block_reason, occupied_reason};
use portman::restore::{self, FileChange, Patches};

use crate::config::Stack;
use crate::environment::inherited;
use crate::flags;
use crate::notice::Notice;
use crate::plan::{Plan, Surroundings, plan};
use crate::recover::{recover, relative, tell_restored};
use crate::session::{self, Session};
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

    let inbox = supervise::open_inbox()?;
    let session = Session::begin(&state, &stack.root)?;
    let allocations = reserve(&stack, ui)?;
    let plan = plan(&stack, &ports(&stack, &allocations), &surroundings(session.list(), ui));
    session.record(
        named(&allocations, |got| Some(got.port())),
        named(&allocations, |got| got.preferred),
    )?;
    // A file that cannot be patched is told before anything takes its time.
    restore::prepare(&plan.patches)?;

    ui.set_services(plan.launches.iter().map(|launch| launch.service.clone()));
    let inherited = inherited(env::vars_os(), env::current_exe().ok().as_deref());
    let run =
        Run { stack: &stack, plan: &plan, session: &session, inherited: &inherited, inbox: &inbox };
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
    let stack = stack::load(&flags.place, ui)?;
    let allocations = reserve(&stack, ui)?;
    let plan = plan(&stack, &ports(&stack, &allocations), &surroundings(String::new(), ui));
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

fn reserve(stack: &Stack, ui: &mut Ui) -> anyhow::Result<Vec<Allocation>> {
    let requests = stack.requests();
    for Request { service, preferred } in &requests {
        if let Some(port) = preferred
            && let Some(doubt) = allocate::doubt(*port)?
        {
            ui.tell(&Notice::Warning { message: doubtful(service, *port, doubt) });
        }
    }
    let allocations = allocate::reserve(&requests, &stack.pool)?;
    for allocation in &allocations {
        ui.tell(&Notice::Reserved {
            service: allocation.service.clone(),
            port: allocation.port(),
            preferred: allocation.preferred,
            reason: moved(allocation),
        });
    }
    Ok(allocations)
}

fn doubtful(service: &str, port: Port, doubt: Doubt) -> String {
    match doubt {
        Doubt::BadForBrowsers => format!("browsers refuse to open port {port} of `{service}`"),
        Doubt::Ephemeral => {
            format!(
                "port {port} of `{service}` is one that the system gives to any outgoing connection"
            )
        }
    }
}

/// Why a service did not get the port it would like.
fn moved(allocation: &Allocation) -> Option<String> {
    let preferred = allocation.preferred?;
    Some(match allocation.moved.as_ref()? {
        Taken::Occupied(occupants) => {
            format!("{preferred} is taken: {}", occupied_reason(occupants))
        }
        Taken::Blocked(block) => format!("{preferred} is blocked: {}", block_reason(*block)),
    })
}

/// One entry a service.
fn ports(stack: &Stack, allocations: &[Allocation]) -> Vec<Option<Port>> {
    let port = |name: &str| {
        allocations.iter().find(|allocation| allocation.service == name).map(Allocation::port)
    };
    stack.services.iter().map(|service| port(&service.name)).collect()
}

/// The services with one of their ports, as the record of the run has them.
fn named(
    allocations: &[Allocation],
    port: impl Fn(&Allocation) -> Option<Port>,
) -> Vec<(String, Port)> {
    let named = |allocation: &Allocation| Some((allocation.service.clone(), port(allocation)?));
    allocations.iter().filter_map(named).collect()
}

fn surroundings(sessions: String, ui: &Ui) -> Surroundings {
    // A user who chose how much colour there is has the last word.
    let is_chosen = env::var_os("FORCE_COLOR").is_some();
    Surroundings { sessions, has_colour: ui.has_colour() && !is_chosen }
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
