//! Where everything that can wake the loop arrives.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Instant;

use anyhow::Context;

use super::child::Lines;
use super::state::Event;
use crate::sys::{self, Request};

/// One thing that has happened.
pub(super) enum Message {
    /// Lines of a service.
    Output { service: usize, lines: Lines },
    /// Something for the state machine.
    Event(Event),
}

/// The one inbox of a run. Once it is open, Ctrl-C and SIGTERM are messages.
pub struct Inbox {
    sender: Sender<Message>,
    receiver: Receiver<Message>,
    opened: Instant,
}

impl Inbox {
    /// Opens the inbox, once in a process.
    ///
    /// # Errors
    /// When the signals are taken already.
    pub fn open(now: Instant) -> anyhow::Result<Self> {
        let (sender, receiver) = channel();
        let request = |sender: &Sender<Message>, request| {
            // Nobody listens any more when the run is over.
            sender.send(Message::Event(Event::Shutdown(request))).ok();
        };
        let interrupts = sender.clone();
        ctrlc::set_handler(move || request(&interrupts, Request::Interrupt))
            .context("failed to listen for Ctrl-C")?;
        let terminations = sender.clone();
        sys::on_termination(move |asked| request(&terminations, asked))
            .context("failed to listen for signals")?;
        Ok(Self { sender, receiver, opened: now })
    }

    /// For those who have something to tell.
    pub(super) fn sender(&self) -> Sender<Message> {
        self.sender.clone()
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// The next message, or none at the deadline.
    pub(super) fn next(
        &self,
        now: Instant,
        deadline: Option<Instant>,
    ) -> anyhow::Result<Option<Message>> {
        let Some(deadline) = deadline else { return Ok(Some(self.receiver.recv()?)) };
        match self.receiver.recv_timeout(deadline.saturating_duration_since(now)) {
            Ok(message) => Ok(Some(message)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(error @ RecvTimeoutError::Disconnected) => Err(error.into()),
        }
    }

    /// What has come and was not taken yet, `most` of it: where somebody still writes, there is no end of it.
    pub(super) fn rest(&self, most: usize) -> impl Iterator<Item = Message> {
        self.receiver.try_iter().take(most)
    }
}
