//! Runs what a plan says: one inbox, one loop. Threads only wait and send; the loop alone acts, tells and reads the
//! clock.

mod child;
mod identity;
mod inbox;
mod listeners;
mod ready;
mod refusal;
mod run;
mod setup;
mod state;
mod watch;

use std::collections::VecDeque;
use std::thread;
use std::time::Instant;

use portman::check;

use crate::config::{Ready, Service};
use crate::memory::rebuilt;
use crate::notice::{Address, Notice};
use crate::plan::Launch;
use crate::ui::Ui;
pub(crate) use child::run_attached;
use child::{Child, not_started};
use identity::Identity;
pub use inbox::Inbox;
use inbox::Message;
use listeners::Listeners;
use ready::Probe;
use refusal::says_taken;
pub use run::Run;
pub use state::Outcome;
use state::{Action, Answer, Event, Spec, State};
use watch::Watch;

/// Opens the one inbox of this process.
///
/// # Errors
/// When the signals are taken already.
pub fn open_inbox() -> anyhow::Result<Inbox> {
    Inbox::open(Instant::now())
}

/// Runs the setup commands that are needed, all at once. Some means that somebody asked for the end meanwhile.
///
/// # Errors
/// When a setup command fails.
pub fn set_up(run: &Run<'_>, ui: &mut Ui) -> anyhow::Result<Option<Outcome>> {
    setup::run(run, ui, Instant::now)
}

/// Starts the services and keeps them until the end.
///
/// # Errors
/// When the system refuses something that the run cannot do without. What was started is then killed.
pub fn supervise(run: &Run<'_>, ui: &mut Ui) -> anyhow::Result<Outcome> {
    let changes = run.inbox.sender();
    let _watch = Watch::start(run.stack, move |service| {
        changes.send(Message::Event(Event::Changed { service })).ok();
    })?;
    let services = run.stack.services.iter().zip(&run.plan.launches);
    let state = State::new(services.map(|(service, launch)| spec(service, launch)).collect());
    let children = run.plan.launches.iter().map(|_| None).collect();
    let listeners = Listeners::strangers()?;
    Supervisor { run, state, children, listeners }.until_over(ui)
}

fn spec(service: &Service, launch: &Launch) -> Spec {
    Spec {
        name: service.name.clone(),
        depends_on: service.depends_on.clone(),
        is_probed: service.ready != Ready::None,
        ready_timeout: service.ready_timeout,
        restart: service.restart,
        grace: service.stop.grace,
        is_watched: !service.watch.is_empty(),
        port: launch.port,
        is_until_spawn: launch.is_until_spawn,
    }
}

struct Supervisor<'a> {
    run: &'a Run<'a>,
    state: State,
    /// The current life of each service, with its generation.
    children: Vec<Option<(u32, Child)>>,
    listeners: Listeners,
}

impl Supervisor<'_> {
    fn until_over(&mut self, ui: &mut Ui) -> anyhow::Result<Outcome> {
        let mut event = Event::Tick;
        loop {
            let mut events = VecDeque::from([event]);
            while let Some(event) = events.pop_front() {
                for action in self.state.step(event, Instant::now()) {
                    events.extend(self.perform(action, ui));
                }
            }
            if let Some(outcome) = self.state.outcome() {
                self.run.tell_last_words(ui);
                return Ok(outcome);
            }
            event = self.next_event(ui)?;
        }
    }

    fn next_event(&mut self, ui: &mut Ui) -> anyhow::Result<Event> {
        loop {
            match self.run.inbox.next(Instant::now(), self.state.next_deadline())? {
                None => return Ok(Event::Tick),
                Some(Message::Event(event)) => {
                    self.note_end(&event);
                    return Ok(event);
                }
                Some(Message::Output { service, lines }) => {
                    ui.output(&self.run.plan.launches[service].service, &lines.text);
                    if let Some(refused) = self.refused(service, &lines.text)? {
                        return Ok(refused);
                    }
                }
            }
        }
    }

    /// Does a service say that its port is taken although nobody listens there? Then it is our hold that it minds.
    fn refused(&self, service: usize, text: &[u8]) -> anyhow::Result<Option<Event>> {
        let (Some(port), Some((generation, _))) =
            (self.run.plan.launches[service].port, &self.children[service])
        else {
            return Ok(None);
        };
        if !says_taken(text, port) || !check::listeners(port)?.is_empty() {
            return Ok(None);
        }
        Ok(Some(Event::Refused { service, generation: *generation }))
    }

    fn note_end(&mut self, event: &Event) {
        if let &Event::Exited { service, generation, .. } = event
            && let Some((current, child)) = &mut self.children[service]
            && *current == generation
        {
            child.has_ended();
        }
    }

    /// Does what the machine wants; some actions have their answer at once.
    fn perform(&mut self, action: Action, ui: &mut Ui) -> Option<Event> {
        match action {
            Action::Start { service, generation } => return Some(self.start(service, generation)),
            Action::Probe { service, generation } => return self.probe(service, generation),
            Action::LookForGroup { service, generation } => {
                let is_empty = self
                    .child(service, generation)
                    .is_none_or(|child| child.group_is_empty().unwrap_or(false));
                return Some(Event::Group { service, generation, is_empty });
            }
            Action::Terminate { service, generation } => {
                let signal = self.run.stack.services[service].stop.signal;
                self.signal(service, generation, ui, |child| child.signal(signal));
            }
            Action::Kill { service, generation } => {
                self.signal(service, generation, ui, Child::kill);
            }
            Action::ReleasePort { service } => self.run.holds.release(service),
            Action::HoldPort { service } => self.run.holds.retake(service),
            Action::RememberRefusal { service } => self.remember_refusal(service, ui),
            Action::LookForListeners => return self.look_for_listeners(ui),
            Action::StackReady => ui.tell(&self.stack_ready()),
            Action::Tell(notice) => ui.tell(&notice),
        }
        None
    }

    fn start(&mut self, service: usize, generation: u32) -> Event {
        let launch = &self.run.plan.launches[service];
        match self.run.start(service, generation, &launch.command) {
            Ok(child) => {
                let pid = child.group();
                self.children[service] = Some((generation, child));
                Event::Started { service, generation, pid }
            }
            Err(error) => {
                let (reason, hint) = not_started(&launch.command[0], &launch.dir, &error);
                Event::NotStarted { service, generation, reason, hint }
            }
        }
    }

    fn remember_refusal(&self, service: usize, ui: &mut Ui) {
        let launch = &self.run.plan.launches[service];
        let Some(port) = launch.port else { return };
        let command = self.run.stack.services[service].command.join(" ");
        let message = match self.run.session.remember_refusal(&launch.service, port, command) {
            Ok(None) => return,
            Ok(Some(broken)) => rebuilt(&broken),
            Err(error) => format!("{error:#}"),
        };
        ui.tell(&Notice::Warning { message });
    }

    fn look_for_listeners(&mut self, ui: &mut Ui) -> Option<Event> {
        let identity = |(service, child): (usize, &Option<(u32, Child)>)| {
            let (_, child) = child.as_ref()?;
            Some(self.identity(service, child))
        };
        let services: Vec<Option<Identity>> =
            self.children.iter().enumerate().map(identity).collect();
        match self.listeners.look(&services) {
            Ok(found) => Some(Event::Listening { found }),
            Err(error) => {
                let message = format!("which ports the services listen on is not known: {error:#}");
                ui.tell(&Notice::Warning { message });
                None
            }
        }
    }

    fn identity(&self, service: usize, child: &Child) -> Identity {
        let mark = self.run.session.service_mark(&self.run.plan.launches[service].service);
        Identity { mark, group: child.group() }
    }

    /// Probes on a thread of its own, since an answer may take its time.
    fn probe(&self, service: usize, generation: u32) -> Option<Event> {
        let launch = &self.run.plan.launches[service];
        let probe = Probe {
            port: launch.port?,
            ready: launch.ready.clone(),
            identity: self.identity(service, self.child(service, generation)?),
        };
        let inbox = self.run.inbox.sender();
        let ask = move || {
            let answer = ready::ask(&probe).map_or_else(Answer::NotYet, |()| Answer::Ready);
            inbox.send(Message::Event(Event::Probed { service, generation, answer })).ok();
        };
        let failed = thread::Builder::new().name("probe".into()).spawn(ask).err()?;
        let answer = Answer::NotYet(format!("it could not be asked: {failed}"));
        Some(Event::Probed { service, generation, answer })
    }

    fn child(&self, service: usize, generation: u32) -> Option<&Child> {
        let (current, child) = self.children[service].as_ref()?;
        (*current == generation).then_some(child)
    }

    fn signal(
        &self,
        service: usize,
        generation: u32,
        ui: &mut Ui,
        send: impl FnOnce(&Child) -> std::io::Result<()>,
    ) {
        let Some(child) = self.child(service, generation) else { return };
        if let Err(error) = send(child) {
            let name = &self.run.plan.launches[service].service;
            ui.tell(&Notice::Warning {
                message: format!("`{name}` could not be signalled: {error}"),
            });
        }
    }

    fn stack_ready(&self) -> Notice {
        let address =
            |launch: &Launch| Address { service: launch.service.clone(), url: launch.url.clone() };
        Notice::StackReady {
            after: self.run.inbox.opened().elapsed(),
            services: self.run.plan.launches.iter().map(address).collect(),
        }
    }
}
