//! Runs the setup commands, all at once, before anything is patched or started.

use std::time::{Duration, Instant};

use portman::fs;

use super::child::{Child, not_started};
use super::inbox::Message;
use super::run::Run;
use super::state::{Event, Exit, Outcome};
use crate::config::{Setup, Signal};
use crate::failure::{Failure, Kind};
use crate::notice::Notice;
use crate::plan::Launch;
use crate::sys::Request;
use crate::ui::Ui;

/// How long the setups have to end once somebody asked for that.
const GRACE: Duration = Duration::from_secs(10);

pub(super) fn run(
    run: &Run<'_>,
    ui: &mut Ui,
    now: impl Fn() -> Instant,
) -> anyhow::Result<Option<Outcome>> {
    let mut running = start_needed(run, ui)?;
    let mut ending: Option<(Request, Instant)> = None;
    // An early return drops the children, which kills their groups.
    while running.iter().any(Option::is_some) {
        let deadline = ending.map(|(_, deadline)| deadline);
        let Some(message) = run.inbox.next(now(), deadline)? else { break };
        match message {
            Message::Output { service, lines } => {
                ui.output(&run.plan.launches[service].service, &lines.text);
            }
            Message::Event(Event::Exited { service, exit, .. }) => {
                let launch = &run.plan.launches[service];
                running[service].take().iter_mut().for_each(Child::has_ended);
                if exit == Exit::Code(0) {
                    fs::remove(&run.session.setup_mark(&launch.service))?;
                } else if ending.is_none() {
                    run.tell_last_words(ui);
                    return Err(failed(launch, exit).into());
                }
            }
            Message::Event(Event::Shutdown(request)) => {
                ui.tell(&Notice::Stopping { reason: request.to_string() });
                if ending.is_some() {
                    return Ok(Some(Outcome::Forced));
                }
                ending = Some((request, now() + GRACE));
                for child in running.iter().flatten() {
                    child.signal(Signal::Term)?;
                }
            }
            Message::Event(_) => {}
        }
    }
    Ok(ending.map(|(request, _)| Outcome::Requested(request)))
}

fn start_needed(run: &Run<'_>, ui: &mut Ui) -> anyhow::Result<Vec<Option<Child>>> {
    let launches = &run.plan.launches;
    let mut running = Vec::with_capacity(launches.len());
    for (service, launch) in launches.iter().enumerate() {
        let needed = launch.setup.as_ref().filter(|setup| is_needed(run, launch, setup));
        // Two services of one folder may share their setup.
        let is_same = |other: &Launch| other.dir == launch.dir && other.setup == launch.setup;
        let needed = needed.filter(|_| !launches[..service].iter().any(is_same));
        running.push(needed.map(|setup| start(run, service, launch, setup, ui)).transpose()?);
    }
    Ok(running)
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
    let started = run.start(service, 0, &setup.command);
    Ok(started.map_err(|error| {
        let (message, hint) = not_started(&setup.command[0], &launch.dir, &error);
        let message = format!("the setup of `{}` did not start: {message}", launch.service);
        Failure::new(Kind::Service, message, hint)
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
