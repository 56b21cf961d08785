//! Which processes are a service's: those of its group, and those that carry its mark wherever they went.

use std::io;

use portman::process::{is_in_group, is_marked};

use crate::marks::SERVICE_VARIABLE;

/// How to know the processes of one life of a service.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// What its processes carry in [`SERVICE_VARIABLE`].
    pub(super) mark: String,
    /// Its process group. Some programs lose the mark when they rename themselves.
    pub(super) group: u32,
}

impl Identity {
    /// Is this process one of them?
    pub(super) fn has(&self, pid: u32) -> io::Result<bool> {
        Ok(is_marked(pid, SERVICE_VARIABLE, &self.mark) || is_in_group(pid, self.group)?)
    }
}
