//! Where services really listen: one that ignores its port is named with the one it has, one that refuses a hold gets its
//! port without one.

use std::time::{Duration, Instant};

use portman::port::Port;

use super::{Action, Phase, State, Then};
use crate::notice::{Notice, RestartReason, listed};

/// Who listens where is asked this often …
const LOOK_PAUSE: Duration = Duration::from_millis(250);
/// … until so long after each start, and while a service is starting.
const WATCHED: Duration = Duration::from_secs(10);
/// A service that is elsewhere for this long is told. Some open a port for a debugger before their own.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known of where a life of a service listens.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    watched_until: Option<Instant>,
    /// Ports that are not its own, and since when.
    wrong: Option<(Vec<Port>, Instant)>,
    is_told: bool,
}

impl Whereabouts {
    /// A new life.
    pub(super) fn begin(&mut self, now: Instant) {
        *self = Self { watched_until: Some(now + WATCHED), ..Self::default() };
    }

    /// Is it looked after? Also what was only just seen is told, once it is time.
    fn is_watched(&self, now: Instant) -> bool {
        let is_untold = self.wrong.is_some() && !self.is_told;
        is_untold || self.watched_until.is_some_and(|until| now < until)
    }

    /// Where it listens instead, as a sentence.
    pub(super) fn elsewhere(&self) -> Option<String> {
        let (ports, _) = self.wrong.as_ref()?;
        Some(format!("it listens on {}", listed(ports)))
    }

    /// Takes in which wrong ports it has now; true when it is time to tell.
    fn note(&mut self, ports: Vec<Port>, now: Instant) -> bool {
        match &self.wrong {
            _ if ports.is_empty() => self.wrong = None,
            Some((known, since)) if *known == ports => {
                let is_due = !self.is_told && now - *since >= PATIENCE;
                self.is_told |= is_due;
                return is_due;
            }
            _ => {
                self.wrong = Some((ports, now));
                self.is_told = false;
            }
        }
        false
    }
}

impl State {
    /// Asks who listens where, as long as a start is under way or not long ago.
    pub(super) fn look_around(&mut self, now: Instant) {
        let is_new = |life: &super::Life| match life.phase {
            Phase::Starting { .. } => true,
            Phase::Ready { .. } => life.whereabouts.is_watched(now),
            _ => false,
        };
        let has_ports = self.lives.iter().any(|life| life.spec.port.is_some());
        if self.ending.is_some() || !has_ports || !self.lives.iter().any(is_new) {
            self.next_look = None;
            return;
        }
        match self.next_look {
            Some(at) if now < at => return,
            Some(_) => self.actions.push(Action::LookForListeners),
            None => {}
        }
        self.next_look = Some(now + LOOK_PAUSE);
    }

    pub(super) fn listening(&mut self, found: &[(usize, Port)], now: Instant) {
        let given: Vec<Option<Port>> = self.lives.iter().map(|life| life.spec.port).collect();
        for (service, life) in self.lives.iter_mut().enumerate() {
            if !matches!(life.phase, Phase::Starting { .. } | Phase::Ready { .. }) {
                continue;
            }
            let own = life.spec.port;
            let has = found.iter().filter(|(owner, _)| *owner == service).map(|(_, port)| *port);
            let mut has: Vec<Port> = has.collect();
            has.sort_unstable();
            has.dedup();
            let is_anothers =
                |port: &Port| Some(*port) != own && given.iter().flatten().any(|p| p == port);
            // Beside its own port a service may have any that is nobody else's.
            if own.is_none_or(|own| has.contains(&own)) {
                has.retain(is_anothers);
            }
            if life.whereabouts.note(has.clone(), now) {
                let service = life.spec.name.clone();
                let notice = Notice::WrongPort { service, port: own, listens: has };
                self.actions.push(Action::Tell(notice));
            }
        }
    }

    /// The service's server sets no option that lets it listen over a hold. It gets the port the moment it starts.
    pub(super) fn refused(&mut self, service: usize, generation: u32, now: Instant) {
        let life = &mut self.lives[service];
        let is_starting = matches!(life.phase, Phase::Starting { .. });
        let is_news = !life.spec.is_until_spawn && life.spec.port.is_some();
        if life.generation != generation || !is_starting || !is_news || self.ending.is_some() {
            return;
        }
        life.spec.is_until_spawn = true;
        let notice = Notice::Restarting {
            service: life.spec.name.clone(),
            reason: RestartReason::Refused,
            delay: Duration::ZERO,
        };
        life.is_refusal_new = true;
        self.actions.push(Action::Tell(notice));
        self.begin_stop(service, Then::StartAgain, now);
    }

    /// It listens once its port was released: that was it.
    pub(super) fn confirm_refusal(&mut self, service: usize) {
        if std::mem::take(&mut self.lives[service].is_refusal_new) {
            self.actions.push(Action::RememberRefusal { service });
        }
    }

    /// While nobody of the service runs, its port is held like any other.
    pub(super) fn hold_again(&mut self, service: usize) {
        if self.lives[service].spec.is_until_spawn {
            self.actions.push(Action::HoldPort { service });
        }
    }
}
