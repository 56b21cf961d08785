//! Runs the setup commands, all at once, before anything is patched or started.

use portman::fs;

use super::child::{Child, Command, Heard, not_started};
use super::state::{Event, Exit};
use super::{Message, Outcome, Run};
use crate::config::Setup;
use crate::failure::{Failure, Kind};
use crate::notice::Notice;
use crate::plan::Launch;
use crate::ui::Ui;

pub(super) fn run(run: &Run<'_>, ui: &mut Ui) -> anyhow::Result<Option<Outcome>> {
    let mut running: Vec<Option<Child>> = Vec::new();
    for (service, launch) in run.plan.launches.iter().enumerate() {
        let needed = launch.setup.as_ref().filter(|setup| is_needed(run, launch, setup));
        running.push(needed.map(|setup| start(run, service, launch, setup, ui)).transpose()?);
    }
    // An early return drops the children, which kills their groups.
    while running.iter().any(Option::is_some) {
        let Some(message) = run.inbox.next(None)? else { continue };
        match message {
            Message::Output { service, lines } => {
                ui.output(&run.plan.launches[service].service, &lines);
            }
            Message::Event(Event::Exited { service, exit: Exit::Code(0), .. }) => {
                running[service] = None;
                fs::remove(&run.session.setup_mark(&run.plan.launches[service].service))?;
            }
            Message::Event(Event::Exited { service, exit, .. }) => {
                return Err(failed(&run.plan.launches[service], exit).into());
            }
            Message::Event(Event::Shutdown(request)) => {
                ui.tell(&Notice::Stopping { reason: request.to_string() });
                return Ok(Some(Outcome::Requested(request)));
            }
            Message::Event(_) => {}
        }
    }
    Ok(None)
}

/// A setup that was begun and did not end well is needed again, whatever it has left.
fn is_needed(run: &Run<'_>, launch: &Launch, setup: &Setup) -> bool {
    let is_done = setup.unless.as_ref().is_some_and(|path| path.exists());
    !is_done || run.session.setup_mark(&launch.service).exists()
}

fn start(
    run: &Run<'_>,
    service: usize,
    launch: &Launch,
    setup: &Setup,
    ui: &mut Ui,
) -> anyhow::Result<Child> {
    fs::save(&run.session.setup_mark(&launch.service), "")?;
    ui.tell(&Notice::Setup { service: launch.service.clone(), command: setup.command.join(" ") });
    let command = Command {
        words: setup.command.clone(),
        dir: launch.dir.clone(),
        env: run.environment(launch),
    };
    let started = Child::start(command, &run.inbox.sender, move |heard| match heard {
        Heard::Output(lines) => Message::Output { service, lines },
        Heard::Exited(exit) => Message::Event(Event::Exited { service, generation: 0, exit }),
    });
    Ok(started.map_err(|error| {
        let (message, hint) = not_started(&setup.command[0], &error);
        Failure::new(
            Kind::Service,
            format!("the setup of `{}` did not start: {message}", launch.service),
            hint,
        )
    })?)
}

fn failed(launch: &Launch, exit: Exit) -> Failure {
    let command = launch.setup.as_ref().map(|setup| setup.command.join(" ")).unwrap_or_default();
    Failure::new(
        Kind::Service,
        format!("the setup of `{}` failed: `{command}` ended with {exit}", launch.service),
        format!("its own words are above; try it by hand in `{}`", launch.dir.display()),
    )
}
