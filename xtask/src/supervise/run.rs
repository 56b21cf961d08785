//! What a run works with.

use std::ffi::OsString;

use super::child::{Child, Command, Heard, PIECES};
use super::inbox::{Inbox, Message};
use super::state::Event;
use crate::config::Stack;
use crate::holds::Holds;
use crate::plan::{Launch, Plan};
use crate::session::Session;
use crate::ui::Ui;

/// What a run works with.
pub struct Run<'a> {
    /// The stack.
    pub stack: &'a Stack,
    /// What to start.
    pub plan: &'a Plan,
    /// The ports, held.
    pub holds: &'a Holds,
    /// Which session its processes belong to.
    pub session: &'a Session,
    /// What services inherit.
    pub inherited: &'a [(OsString, OsString)],
    /// Where everything arrives.
    pub inbox: &'a Inbox,
}

impl Run<'_> {
    /// Starts a command for a service; all that becomes of it arrives in the inbox.
    pub(super) fn start(
        &self,
        service: usize,
        generation: u32,
        words: &[String],
    ) -> std::io::Result<Child> {
        let launch = &self.plan.launches[service];
        let command = Command {
            words: words.to_vec(),
            dir: launch.dir.clone(),
            env: self.environment(launch),
        };
        let inbox = self.inbox.sender();
        Child::start(command, move |heard| {
            let message = match heard {
                Heard::Output(lines) => Message::Output { service, lines },
                Heard::Exited(exit) => Message::Event(Event::Exited { service, generation, exit }),
            };
            inbox.send(message).is_ok()
        })
    }

    /// Tells the lines that have come and were not told yet.
    pub(super) fn tell_last_words(&self, ui: &mut Ui) {
        let most = PIECES * self.plan.launches.len();
        for message in self.inbox.rest(most) {
            if let Message::Output { service, lines } = message {
                ui.output(&self.plan.launches[service].service, &lines.text);
            }
        }
    }

    fn environment(&self, launch: &Launch) -> Vec<(OsString, OsString)> {
        let own = launch.env.iter().map(|(name, value)| (name.into(), value.into()));
        self.inherited.iter().cloned().chain(own).collect()
    }
}
