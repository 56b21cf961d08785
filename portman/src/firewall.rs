//! Does the system let connections from other machines through to a program that listens?

use serde::Serialize;

/// What can be said about exceptions for incoming connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Exceptions {
    /// There is no such thing here: the system asks nobody before a program listens. A packet filter that the
    /// administrator has set up was not read, so it is not known whether one keeps connections away.
    DoNotApply,
}

/// What this system has in the way of exceptions.
pub fn exceptions() -> Exceptions {
    Exceptions::DoNotApply
}
