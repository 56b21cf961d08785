//! Everything a run tells its user, as data. `ui` words it for people or prints it as JSON, so both say the same.

use std::time::Duration;

use portman::patch::Change;
use portman::port::Port;
use serde::{Serialize, Serializer};

use crate::detect::Found;

/// The version of the events that `--json` prints.
pub const VERSION: u32 = 1;

/// One thing to tell.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Notice {
    /// Something a killed run had left was put in order.
    Recovered {
        /// The checkout it ran in.
        checkout: String,
        /// How many of its processes were stopped.
        stopped: usize,
    },
    /// A file holds its original text again.
    Restored {
        /// The file.
        file: String,
        /// Was it edited meanwhile? The edit is still there.
        edited: bool,
    },
    /// A file could not be put back.
    NotRestored {
        /// The file.
        file: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The stack was found by convention, since no dev.toml says it.
    Detected {
        /// What was found.
        services: Vec<Found>,
    },
    /// Something that is used as it is, but looks wrong.
    Warning {
        /// What.
        message: String,
    },
    /// Something that is as it should be, and good to know.
    Note {
        /// What.
        message: String,
    },
    /// A service got its port.
    Reserved {
        /// The service.
        service: String,
        /// The port it got.
        port: Port,
        /// The port it would have liked; none for any.
        preferred: Option<Port>,
        /// Why it did not get that one; none when it did.
        reason: Option<String>,
    },
    /// A process that had a service's port was stopped.
    StoppedOwner {
        /// The port.
        port: Port,
        /// The process.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// A service is left out of this run.
    Skipped {
        /// The service.
        service: String,
        /// Why.
        reason: String,
    },
    /// Ports were written into files for good.
    Fixed {
        /// How many files.
        files: usize,
    },
    /// A setup command started.
    Setup {
        /// The service.
        service: String,
        /// The command line.
        command: String,
    },
    /// A value in a file was changed for this run.
    Patched {
        /// The file, relative to the checkout.
        file: String,
        /// The value.
        #[serde(flatten)]
        change: Change,
    },
    /// A service was started.
    Started {
        /// The service.
        service: String,
        /// Its process.
        pid: u32,
        /// How often it has been started before.
        restarts: u32,
    },
    /// A line a service wrote.
    Output {
        /// The service.
        service: String,
        /// The line; what is not UTF-8 is replaced.
        line: String,
    },
    /// A service is ready.
    Ready {
        /// The service.
        service: String,
        /// How long it took, in milliseconds.
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
    },
    /// A service listens on another port than it was given, or on one that another service was given.
    WrongPort {
        /// The service.
        service: String,
        /// The port it was given; none for a service without one.
        port: Option<Port>,
        /// The ports it has instead, or another's ports that it has.
        listens: Vec<Port>,
    },
    /// All services are ready.
    StackReady {
        /// How long it took from the command on, in milliseconds.
        #[serde(rename = "after_ms", serialize_with = "millis")]
        after: Duration,
        /// Where they are.
        services: Vec<Address>,
    },
    /// A service ended by itself.
    Exited {
        /// The service.
        service: String,
        /// How: `exit code 1`, `signal 9`.
        how: String,
    },
    /// A service will be started again.
    Restarting {
        /// The service.
        service: String,
        /// Why.
        reason: RestartReason,
        /// In how many milliseconds.
        #[serde(rename = "in_ms", serialize_with = "millis")]
        delay: Duration,
    },
    /// A service ended too often; it stays down until one of its files changes.
    CrashLooped {
        /// The service.
        service: String,
    },
    /// A service did not become ready.
    Failed {
        /// The service.
        service: String,
        /// What happened.
        reason: String,
        /// What to do; none when its own words are the best answer.
        hint: Option<String>,
    },
    /// The stack is being stopped.
    Stopping {
        /// Why.
        reason: String,
    },
    /// A service is asked to end.
    StoppingService {
        /// The service.
        service: String,
    },
    /// A service did not end in time and is killed.
    Killing {
        /// The service.
        service: String,
    },
    /// A service and all processes of its group have ended.
    Stopped {
        /// The service.
        service: String,
    },
    /// The command failed.
    Error {
        /// What happened.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The command is over.
    Finished {
        /// Its exit code.
        code: u8,
    },
}

/// Why a service is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartReason {
    /// It ended by itself.
    Ended,
    /// One of its files changed.
    Changed,
    /// Its server refuses to listen on a port that is held; it gets the port the moment it starts.
    Refused,
}

/// What to do about a service that does not listen on its port.
pub const OBEY: &str =
    "it is told the port in PORT; give it a flag with `{port}` in its command, or patch its config";

/// What became of a value: `8000 → 8001`, `new → 8001`.
pub fn became(change: &Change) -> String {
    format!("{} → {}", change.old.as_deref().unwrap_or("new"), change.new)
}

/// Ports in a sentence: `5174 and 5175`.
pub fn listed(ports: &[Port]) -> String {
    let words: Vec<String> = ports.iter().map(Port::to_string).collect();
    words.join(" and ")
}

/// Where a service is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Address {
    /// The service.
    pub service: String,
    /// Its address; none when it has no port.
    pub url: Option<String>,
}

fn millis<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
