//! The supervisor as a pure machine: an event and the time go in, actions come out. Nothing here starts, waits or
//! reads a clock.
//!
//! Every life of a service has a generation; what is heard of an earlier one is passed over.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

use portman::port::Port;

use crate::config::Restart;
use crate::notice::{Notice, OBEY, RestartReason};
use crate::sys::Request;
use whereabouts::Whereabouts;

/// A starting service is asked again this long after it was not ready yet.
const PROBE_PAUSE: Duration = Duration::from_millis(50);
/// Whether a stopped service's group has emptied is asked again after this long.
const GROUP_PAUSE: Duration = Duration::from_millis(20);
/// Changes of files that come within this time are one change.
const QUIET: Duration = Duration::from_millis(150);
/// How long the system gets to take killed processes away.
const KILL_WAIT: Duration = Duration::from_secs(5);
/// The first pause before a restart; it doubles with every further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause before a restart.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A life this long makes the pause start over.
const STABLE: Duration = Duration::from_secs(30);
/// This many ends …
const CRASHES: usize = 5;
/// … within this time are a crash loop.
const CRASH_WINDOW: Duration = Duration::from_mins(1);

/// What the machine has to know about a service.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    /// Its name.
    pub(super) name: String,
    /// Places of the services that are ready before it starts.
    pub(super) depends_on: Vec<usize>,
    /// Is it probed? Otherwise it is ready once it has started.
    pub(super) is_probed: bool,
    /// How long it may take until it is ready.
    pub(super) ready_timeout: Duration,
    /// What to do when it ends by itself.
    pub(super) restart: Restart,
    /// How long its processes have between being asked to end and being killed.
    pub(super) grace: Duration,
    /// Does a change of files restart it?
    pub(super) is_watched: bool,
    /// The port it is given; none for a service without one.
    pub(super) port: Option<Port>,
    /// Does its server refuse to listen over a hold? Then the port is released at every start.
    pub(super) is_until_spawn: bool,
}

/// What the machine hears.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// The program of this life runs.
    Started { service: usize, generation: u32, pid: u32 },
    /// The program of this life could not be started; why, and what to do.
    NotStarted { service: usize, generation: u32, reason: String, hint: String },
    /// A probe's answer.
    Probed { service: usize, generation: u32, answer: Answer },
    /// The program of this life has ended; others of its group may still run.
    Exited { service: usize, generation: u32, exit: Exit },
    /// The group of this life was looked at.
    Group { service: usize, generation: u32, is_empty: bool },
    /// The program of this life said that its port is taken, and nobody but our hold has it.
    Refused { service: usize, generation: u32 },
    /// Every port that a process of a service listens on.
    Listening { found: Vec<(usize, Port)> },
    /// One of its files changed.
    Changed { service: usize },
    /// Somebody wants the stack to end.
    Shutdown(Request),
    /// Time has passed.
    Tick,
}

/// What a probe found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is ready.
    Ready,
    /// It is not, and why; for people.
    NotYet(String),
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

impl Exit {
    fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Action {
    /// Start this life of the service.
    Start { service: usize, generation: u32 },
    /// Ask whether it is ready; answered by [`Event::Probed`].
    Probe { service: usize, generation: u32 },
    /// Ask its processes to end.
    Terminate { service: usize, generation: u32 },
    /// End its processes.
    Kill { service: usize, generation: u32 },
    /// See whether its group has emptied; answered by [`Event::Group`].
    LookForGroup { service: usize, generation: u32 },
    /// Let go of its port, so that a server which cannot listen over a hold can have it.
    ReleasePort { service: usize },
    /// Hold its port again.
    HoldPort { service: usize },
    /// Remember for the next run that its server refuses a hold.
    RememberRefusal { service: usize },
    /// See who listens where; answered by [`Event::Listening`].
    LookForListeners,
    /// All services are ready.
    StackReady,
    /// Tell the user.
    Tell(Notice),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Every service ended by itself, and well.
    Ended,
    /// A service failed.
    Failed,
    /// Somebody asked for the end.
    Requested(Request),
    /// Somebody asked twice.
    Forced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// For those it depends on.
    Waiting,
    /// It runs; `next_probe` is none while a probe is under way.
    Starting { since: Instant, next_probe: Option<Instant> },
    /// It runs and is ready.
    Ready { since: Instant },
    /// Its processes were asked to end, and are killed at `kill_at`; none once they were.
    Stopping { kill_at: Option<Instant>, give_up_at: Instant, look_at: Option<Instant>, then: Then },
    /// It ended, and starts again then.
    Pausing { until: Instant },
    /// It ended by itself and stays so.
    Over { failed: bool },
    /// It was stopped.
    Stopped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Then {
    Stay,
    StartAgain,
    Fail,
}

#[derive(Debug)]
struct Life {
    spec: Spec,
    phase: Phase,
    generation: u32,
    /// Has it ever been ready? A service that never was brings the stack down when it ends.
    was_ready: bool,
    restarts: u32,
    pause: Duration,
    /// When it ended by itself, latest last.
    ends: VecDeque<Instant>,
    changed: Option<Instant>,
    /// Why the last probe found it not ready.
    not_ready: Option<String>,
    /// What is known of where it listens.
    whereabouts: Whereabouts,
    /// Has its server refused a hold in this run, and not listened since?
    is_refusal_new: bool,
}

/// The state of all services of a run.
#[derive(Debug)]
pub(super) struct State {
    lives: Vec<Life>,
    /// Why the stack is being stopped; none while it is not.
    ending: Option<Outcome>,
    is_stack_ready: bool,
    /// When to see next who listens where; none while that is settled.
    next_look: Option<Instant>,
    actions: Vec<Action>,
}

impl State {
    /// The state before anything was started.
    pub(super) fn new(specs: Vec<Spec>) -> Self {
        let life = |spec| Life {
            spec,
            phase: Phase::Waiting,
            generation: 0,
            was_ready: false,
            restarts: 0,
            pause: FIRST_PAUSE,
            ends: VecDeque::new(),
            changed: None,
            not_ready: None,
            whereabouts: Whereabouts::default(),
            is_refusal_new: false,
        };
        Self {
            lives: specs.into_iter().map(life).collect(),
            ending: None,
            is_stack_ready: false,
            next_look: None,
            actions: Vec::new(),
        }
    }

    /// Takes in what happened at `now` and says what is to be done.
    pub(super) fn step(&mut self, event: Event, now: Instant) -> Vec<Action> {
        match event {
            Event::Started { service, generation, pid } => {
                self.started(service, generation, pid, now);
            }
            Event::NotStarted { service, generation, reason, hint } => {
                self.not_started(service, generation, reason, hint);
            }
            Event::Probed { service, generation, answer } => {
                self.probed(service, generation, answer, now);
            }
            Event::Exited { service, generation, exit } => {
                self.exited(service, generation, exit, now);
            }
            Event::Group { service, generation, is_empty } => {
                self.group(service, generation, is_empty, now);
            }
            Event::Refused { service, generation } => self.refused(service, generation, now),
            Event::Listening { found } => self.listening(&found, now),
            Event::Changed { service } => self.lives[service].changed = Some(now),
            Event::Shutdown(request) => self.shutdown(request, now),
            Event::Tick => {}
        }
        self.advance(now);
        std::mem::take(&mut self.actions)
    }

    /// When to step next even if nothing happens.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.lives.iter().flat_map(Life::deadlines).flatten().chain(self.next_look).min()
    }

    /// How the run ended; none while a service may still do something.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        let is_over = |life: &Life| matches!(life.phase, Phase::Over { .. } | Phase::Stopped);
        if !self.lives.iter().all(is_over) {
            return None;
        }
        // A service that may come back by a change of its files keeps the run going.
        if self.ending.is_none() && self.lives.iter().any(|life| life.spec.is_watched) {
            return None;
        }
        let failed = self.lives.iter().any(|life| life.phase == Phase::Over { failed: true });
        Some(self.ending.unwrap_or(if failed { Outcome::Failed } else { Outcome::Ended }))
    }
}

/// What each event does to one service.
impl State {
    fn started(&mut self, service: usize, generation: u32, pid: u32, now: Instant) {
        let life = &mut self.lives[service];
        if life.generation != generation {
            return;
        }
        self.actions.push(Action::Tell(Notice::Started {
            service: life.spec.name.clone(),
            pid,
            restarts: life.restarts,
        }));
        // What failed beside it may have begun to stop it already.
        if !life.spec.is_probed && matches!(life.phase, Phase::Starting { .. }) {
            self.ready(service, now, now);
        }
    }

    fn not_started(&mut self, service: usize, generation: u32, reason: String, hint: String) {
        let life = &mut self.lives[service];
        if life.generation == generation {
            life.phase = Phase::Over { failed: true };
            self.fail(service, reason, Some(hint));
        }
    }

    fn probed(&mut self, service: usize, generation: u32, answer: Answer, now: Instant) {
        let life = &mut self.lives[service];
        let Phase::Starting { since, .. } = life.phase else { return };
        if life.generation != generation {
            return;
        }
        match answer {
            Answer::Ready => self.ready(service, since, now),
            Answer::NotYet(why) => {
                life.not_ready = Some(why);
                life.phase = Phase::Starting { since, next_probe: Some(now + PROBE_PAUSE) };
            }
        }
    }

    fn ready(&mut self, service: usize, since: Instant, now: Instant) {
        self.confirm_refusal(service);
        let life = &mut self.lives[service];
        life.phase = Phase::Ready { since: now };
        life.was_ready = true;
        let name = life.spec.name.clone();
        if life.spec.is_probed {
            self.actions.push(Action::Tell(Notice::Ready { service: name, after: now - since }));
        }
    }

    fn exited(&mut self, service: usize, generation: u32, exit: Exit, now: Instant) {
        let life = &mut self.lives[service];
        if life.generation != generation {
            return;
        }
        match life.phase {
            Phase::Stopping { kill_at, give_up_at, then, .. } => {
                life.phase = Phase::Stopping { kill_at, give_up_at, look_at: Some(now), then };
            }
            Phase::Starting { .. } | Phase::Ready { .. } => {
                // What its program has left behind would keep the port.
                self.actions.push(Action::Kill { service, generation });
                self.hold_again(service);
                self.ended_by_itself(service, exit, now);
            }
            Phase::Waiting | Phase::Pausing { .. } | Phase::Over { .. } | Phase::Stopped => {}
        }
    }

    fn ended_by_itself(&mut self, service: usize, exit: Exit, now: Instant) {
        let life = &mut self.lives[service];
        let was_starting = matches!(life.phase, Phase::Starting { .. });
        let failed = was_starting || !exit.is_success();
        let name = life.spec.name.clone();
        self.actions.push(Action::Tell(Notice::Exited { service: name, how: exit.to_string() }));
        if failed && !life.was_ready {
            life.phase = Phase::Over { failed };
            return self.fail(service, format!("it ended with {exit} before it was ready"), None);
        }
        let again = match life.spec.restart {
            _ if self.ending.is_some() => false,
            Restart::Never => false,
            Restart::OnFailure => failed,
            Restart::Always => true,
        };
        if again { self.pause(service, now) } else { life.phase = Phase::Over { failed } }
    }

    /// Starts the service again after a pause, unless it ends too often.
    fn pause(&mut self, service: usize, now: Instant) {
        let life = &mut self.lives[service];
        if matches!(life.phase, Phase::Ready { since } if now - since >= STABLE) {
            life.pause = FIRST_PAUSE;
            life.ends.clear();
        }
        life.ends.push_back(now);
        life.ends.retain(|end| now - *end < CRASH_WINDOW);
        let name = life.spec.name.clone();
        if life.ends.len() >= CRASHES {
            life.phase = Phase::Over { failed: true };
            return self.actions.push(Action::Tell(Notice::CrashLooped { service: name }));
        }
        let delay = life.pause;
        life.phase = Phase::Pausing { until: now + delay };
        life.pause = (delay * 2).min(LONGEST_PAUSE);
        self.actions.push(Action::Tell(Notice::Restarting {
            service: name,
            reason: RestartReason::Ended,
            delay,
        }));
    }

    fn group(&mut self, service: usize, generation: u32, is_empty: bool, now: Instant) {
        let life = &mut self.lives[service];
        let Phase::Stopping { kill_at, give_up_at, then, .. } = life.phase else { return };
        if life.generation != generation {
            return;
        }
        if !is_empty {
            life.phase =
                Phase::Stopping { kill_at, give_up_at, look_at: Some(now + GROUP_PAUSE), then };
            return;
        }
        self.stopped(service, then);
    }

    fn stopped(&mut self, service: usize, then: Then) {
        let life = &mut self.lives[service];
        let name = life.spec.name.clone();
        self.actions.push(Action::Tell(Notice::Stopped { service: name }));
        self.hold_again(service);
        let life = &mut self.lives[service];
        match then {
            Then::Stay => life.phase = Phase::Stopped,
            Then::Fail => life.phase = Phase::Over { failed: true },
            Then::StartAgain if self.ending.is_some() => life.phase = Phase::Stopped,
            Then::StartAgain => life.phase = Phase::Waiting,
        }
    }

    fn shutdown(&mut self, request: Request, now: Instant) {
        let reason = request.to_string();
        match self.ending {
            Some(Outcome::Forced) => {}
            Some(Outcome::Requested(_)) => {
                self.ending = Some(Outcome::Forced);
                self.kill_all(now);
                self.actions
                    .push(Action::Tell(Notice::Stopping { reason: format!("{reason} again") }));
            }
            // The stack already ends because a service failed: a request now is the wish to be quick.
            Some(Outcome::Failed | Outcome::Ended) => {
                self.kill_all(now);
                self.actions.push(Action::Tell(Notice::Stopping { reason }));
            }
            None => self.end(Outcome::Requested(request), reason),
        }
    }

    fn kill_all(&mut self, now: Instant) {
        for life in &mut self.lives {
            match &mut life.phase {
                Phase::Stopping { kill_at: Some(kill_at), .. } => *kill_at = now,
                Phase::Starting { .. } | Phase::Ready { .. } => life.spec.grace = Duration::ZERO,
                _ => {}
            }
        }
    }

    /// A service that was ready once leaves the others alone when it fails; before that the stack cannot come up.
    fn fail(&mut self, service: usize, reason: String, hint: Option<String>) {
        let life = &self.lives[service];
        let (name, was_ready) = (life.spec.name.clone(), life.was_ready);
        let failed = Notice::Failed { service: name.clone(), reason, hint };
        self.actions.push(Action::Tell(failed));
        if !was_ready && self.ending.is_none() {
            self.end(Outcome::Failed, format!("{name} failed"));
        }
    }

    fn end(&mut self, outcome: Outcome, reason: String) {
        self.ending = Some(outcome);
        self.actions.push(Action::Tell(Notice::Stopping { reason }));
    }
}

/// What becomes due, and what became possible by the last event.
impl State {
    fn advance(&mut self, now: Instant) {
        for service in 0..self.lives.len() {
            self.due(service, now);
        }
        self.look_around(now);
        if self.ending.is_some() {
            self.stop_next(now);
        } else {
            self.start_next(now);
            self.tell_when_ready();
        }
    }

    fn due(&mut self, service: usize, now: Instant) {
        let life = &mut self.lives[service];
        let generation = life.generation;
        match &mut life.phase {
            Phase::Starting { since, .. } if *since + life.spec.ready_timeout <= now => {
                self.not_ready(service, now);
            }
            Phase::Starting { next_probe, .. } if next_probe.is_some_and(|at| at <= now) => {
                *next_probe = None;
                self.actions.push(Action::Probe { service, generation });
            }
            Phase::Stopping { kill_at, give_up_at, look_at, then } => {
                if kill_at.is_some_and(|at| at <= now) {
                    *kill_at = None;
                    *give_up_at = now + KILL_WAIT;
                    self.actions
                        .push(Action::Tell(Notice::Killing { service: life.spec.name.clone() }));
                    self.actions.push(Action::Kill { service, generation });
                }
                if kill_at.is_none() && *give_up_at <= now {
                    let then = *then;
                    self.stopped(service, then);
                } else if look_at.is_some_and(|at| at <= now) {
                    *look_at = None;
                    self.actions.push(Action::LookForGroup { service, generation });
                }
            }
            Phase::Pausing { until } if *until <= now => life.phase = Phase::Waiting,
            _ => {}
        }
        if self.lives[service].changed.is_some_and(|at| at + QUIET <= now) {
            self.lives[service].changed = None;
            self.restart_changed(service, now);
        }
    }

    fn not_ready(&mut self, service: usize, now: Instant) {
        let life = &mut self.lives[service];
        let timeout = life.spec.ready_timeout;
        let why = life.not_ready.take().unwrap_or_else(|| "no probe was answered".to_owned());
        let elsewhere = life.whereabouts.elsewhere();
        let hint = match elsewhere {
            Some(_) => OBEY,
            None => "a longer `timeout` in its `ready` gives it more time",
        };
        let elsewhere = elsewhere.map(|place| format!("; {place}")).unwrap_or_default();
        let reason = format!("it was not ready within {timeout:?}: {why}{elsewhere}");
        self.begin_stop(service, Then::Fail, now);
        self.fail(service, reason, Some(hint.to_owned()));
    }

    fn restart_changed(&mut self, service: usize, now: Instant) {
        if self.ending.is_some() {
            return;
        }
        let life = &mut self.lives[service];
        match &mut life.phase {
            Phase::Starting { .. } | Phase::Ready { .. } => {
                self.begin_stop(service, Then::StartAgain, now);
            }
            Phase::Stopping { then, .. } => *then = Then::StartAgain,
            Phase::Pausing { .. } | Phase::Over { .. } => life.phase = Phase::Waiting,
            Phase::Waiting | Phase::Stopped => return,
        }
        let life = &mut self.lives[service];
        life.pause = FIRST_PAUSE;
        life.ends.clear();
        let notice = Notice::Restarting {
            service: life.spec.name.clone(),
            reason: RestartReason::Changed,
            delay: Duration::ZERO,
        };
        self.actions.push(Action::Tell(notice));
    }

    fn begin_stop(&mut self, service: usize, then: Then, now: Instant) {
        let life = &mut self.lives[service];
        let kill_at = now + life.spec.grace;
        life.phase = Phase::Stopping {
            kill_at: Some(kill_at),
            give_up_at: kill_at + KILL_WAIT,
            look_at: None,
            then,
        };
        self.actions.push(Action::Terminate { service, generation: life.generation });
    }

    /// Stops whatever nothing that runs depends on any more: the last started goes first.
    fn stop_next(&mut self, now: Instant) {
        for service in (0..self.lives.len()).rev() {
            let is_needed = self
                .lives
                .iter()
                .any(|life| life.has_processes() && life.spec.depends_on.contains(&service));
            let life = &mut self.lives[service];
            match life.phase {
                Phase::Waiting | Phase::Pausing { .. } => life.phase = Phase::Stopped,
                Phase::Starting { .. } | Phase::Ready { .. } if !is_needed => {
                    let name = life.spec.name.clone();
                    self.actions.push(Action::Tell(Notice::StoppingService { service: name }));
                    self.begin_stop(service, Then::Stay, now);
                }
                _ => {}
            }
        }
    }

    fn start_next(&mut self, now: Instant) {
        for service in 0..self.lives.len() {
            let life = &self.lives[service];
            let is_free = life.spec.depends_on.iter().all(|need| self.lives[*need].was_ready);
            if life.phase != Phase::Waiting || !is_free {
                continue;
            }
            let life = &mut self.lives[service];
            life.restarts += u32::from(life.generation > 0);
            life.generation += 1;
            life.not_ready = None;
            life.whereabouts.begin(now);
            life.phase = Phase::Starting {
                since: now,
                next_probe: life.spec.is_probed.then_some(now + PROBE_PAUSE),
            };
            if life.spec.is_until_spawn {
                self.actions.push(Action::ReleasePort { service });
            }
            self.actions.push(Action::Start { service, generation: life.generation });
        }
    }

    fn tell_when_ready(&mut self) {
        if !self.is_stack_ready && self.lives.iter().all(|life| life.was_ready) {
            self.is_stack_ready = true;
            self.actions.push(Action::StackReady);
        }
    }
}

impl Life {
    fn has_processes(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Ready { .. } | Phase::Stopping { .. })
    }

    fn deadlines(&self) -> [Option<Instant>; 4] {
        let changed = self.changed.map(|at| at + QUIET);
        match self.phase {
            Phase::Starting { since, next_probe } => {
                [changed, next_probe, Some(since + self.spec.ready_timeout), None]
            }
            Phase::Stopping { kill_at, give_up_at, look_at, .. } => {
                [changed, kill_at, Some(give_up_at), look_at]
            }
            Phase::Pausing { until } => [changed, Some(until), None, None],
            Phase::Waiting | Phase::Ready { .. } | Phase::Over { .. } | Phase::Stopped => {
                [changed, None, None, None]
            }
        }
    }
}

mod whereabouts;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
