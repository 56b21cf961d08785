//! Runs what a plan says: one inbox, one loop. Threads only wait and send; the loop alone acts, tells and reads the
//! clock.

mod child;
mod ready;
mod setup;
mod state;
mod watch;

use std::collections::VecDeque;
use std::ffi::OsString;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::config::{Ready, Service, Stack};
use crate::notice::{Address, Notice};
use crate::plan::{Launch, Plan};
use crate::session::Session;
use crate::sys::{self, Request};
use crate::ui::Ui;
use child::{Child, Command, Heard, not_started};
use ready::Probe;
pub use state::Outcome;
use state::{Action, Event, Spec, State};
use watch::Watch;

/// How many messages may wait for the loop. Output that comes faster than it can be printed waits in the services.
const INBOX: usize = 1024;

/// Everything that can wake the loop.
enum Message {
    /// Lines of a service.
    Output { service: usize, lines: Vec<u8> },
    /// Something for the state machine.
    Event(Event),
}

/// Where everything that happens arrives. Once it is open, Ctrl-C and SIGTERM are messages.
pub struct Inbox {
    sender: SyncSender<Message>,
    receiver: Receiver<Message>,
    opened: Instant,
}

impl Inbox {
    /// Opens the one inbox of this process.
    ///
    /// # Errors
    /// When the signals are taken already.
    pub fn open() -> anyhow::Result<Self> {
        let (sender, receiver) = sync_channel(INBOX);
        let interrupts = sender.clone();
        ctrlc::set_handler(move || {
            interrupts.send(Message::Event(Event::Shutdown(Request::Interrupt))).ok();
        })
        .context("failed to listen for Ctrl-C")?;
        let terminations = sender.clone();
        sys::on_termination(move |request| {
            terminations.send(Message::Event(Event::Shutdown(request))).ok();
        })
        .context("failed to listen for signals")?;
        Ok(Self { sender, receiver, opened: Instant::now() })
    }

    /// The next message, or none at the deadline.
    fn next(&self, deadline: Option<Instant>) -> anyhow::Result<Option<Message>> {
        let Some(deadline) = deadline else { return Ok(Some(self.receiver.recv()?)) };
        match self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(error @ RecvTimeoutError::Disconnected) => Err(error.into()),
        }
    }
}

/// What a run works with.
pub struct Run<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// What to start.
    pub plan: &'a Plan,
    /// Which session its processes belong to.
    pub session: &'a Session,
    /// What services inherit.
    pub inherited: &'a [(OsString, OsString)],
    /// Where everything arrives.
    pub inbox: &'a Inbox,
}

impl Run<'_> {
    /// Runs the setup commands that are needed, all at once. Some means that somebody asked for the end meanwhile.
    ///
    /// # Errors
    /// When a setup command fails.
    pub fn set_up(&self, ui: &mut Ui) -> anyhow::Result<Option<Outcome>> {
        setup::run(self, ui)
    }

    /// Starts the services and keeps them until the end.
    ///
    /// # Errors
    /// When the system refuses something that the run cannot do without. What was started is then killed.
    pub fn supervise(&self, ui: &mut Ui) -> anyhow::Result<Outcome> {
        let changes = self.inbox.sender.clone();
        let _watch = Watch::start(self.stack, move |service| {
            changes.send(Message::Event(Event::Changed { service })).ok();
        })?;
        let specs = self.stack.services.iter().map(spec).collect();
        let mut supervisor = Supervisor {
            run: self,
            state: State::new(specs),
            children: self.plan.launches.iter().map(|_| None).collect(),
        };
        supervisor.until_over(ui)
    }

    fn environment(&self, launch: &Launch) -> Vec<(OsString, OsString)> {
        let own = launch.env.iter().map(|(name, value)| (name.into(), value.into()));
        self.inherited.iter().cloned().chain(own).collect()
    }
}

fn spec(service: &Service) -> Spec {
    Spec {
        name: service.name.clone(),
        depends_on: service.depends_on.clone(),
        is_probed: service.ready != Ready::None,
        ready_timeout: service.ready_timeout,
        restart: service.restart,
        grace: service.stop.grace,
        is_watched: !service.watch.is_empty(),
    }
}

struct Supervisor<'a> {
    run: &'a Run<'a>,
    state: State,
    /// The current life of each service, with its generation.
    children: Vec<Option<(u32, Child)>>,
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
                self.last_words(ui);
                return Ok(outcome);
            }
            event = self.next_event(ui)?;
        }
    }

    fn next_event(&self, ui: &mut Ui) -> anyhow::Result<Event> {
        loop {
            match self.run.inbox.next(self.state.next_deadline())? {
                None => return Ok(Event::Tick),
                Some(Message::Event(event)) => return Ok(event),
                Some(Message::Output { service, lines }) => {
                    ui.output(&self.run.plan.launches[service].service, &lines);
                }
            }
        }
    }

    /// Lines that have come and were not told yet.
    fn last_words(&self, ui: &mut Ui) {
        for message in self.run.inbox.receiver.try_iter() {
            if let Message::Output { service, lines } = message {
                ui.output(&self.run.plan.launches[service].service, &lines);
            }
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
            Action::StackReady => ui.tell(&self.stack_ready()),
            Action::Tell(notice) => ui.tell(&notice),
        }
        None
    }

    fn start(&mut self, service: usize, generation: u32) -> Event {
        let launch = &self.run.plan.launches[service];
        let command = Command {
            words: launch.command.clone(),
            dir: launch.dir.clone(),
            env: self.run.environment(launch),
        };
        let started = Child::start(command, &self.run.inbox.sender, move |heard| match heard {
            Heard::Output(lines) => Message::Output { service, lines },
            Heard::Exited(exit) => Message::Event(Event::Exited { service, generation, exit }),
        });
        match started {
            Ok(child) => {
                let pid = child.pid();
                self.children[service] = Some((generation, child));
                Event::Started { service, generation, pid }
            }
            Err(error) => {
                let (reason, hint) = not_started(&launch.command[0], &error);
                Event::NotStarted { service, generation, reason, hint }
            }
        }
    }

    /// Probes on a thread of its own, since an answer may take its time.
    fn probe(&self, service: usize, generation: u32) -> Option<Event> {
        let launch = &self.run.plan.launches[service];
        let probe = Probe {
            port: launch.port?,
            ready: launch.ready.clone(),
            session: self.run.session.id.clone(),
        };
        let inbox = self.run.inbox.sender.clone();
        let ask = move || {
            let is_ready = ready::is_ready(&probe);
            inbox.send(Message::Event(Event::Probed { service, generation, is_ready })).ok();
        };
        match thread::Builder::new().name("probe".into()).spawn(ask) {
            Ok(_) => None,
            Err(_) => Some(Event::Probed { service, generation, is_ready: false }),
        }
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
            after: self.run.inbox.opened.elapsed().max(Duration::from_millis(1)),
            services: self.run.plan.launches.iter().map(address).collect(),
        }
    }
}
