//! Linux: sockets by `sock_diag`, processes by `/proc`, signals by pidfd.

mod cgroup;
mod claim;
mod diag;
mod files;
mod holders;
mod limits;
mod processes;

pub(crate) use cgroup::{unit_of_group, unit_of_process};
pub(crate) use claim::{Claim, claim, claimed};
pub(crate) use diag::{connections, inode, is_family_absent, listeners, sockets};
pub(crate) use files::{forbids_rename, is_shared, keep_owner, make_private};
pub(crate) use holders::{has_open, holders};
pub(crate) use limits::{limits, unprivileged_start};
pub(crate) use processes::{
    Handle, children, environment, group, handle, is_apart, is_system, own_user, parent, pids,
    signal, started, started_and_parent, terminal_leader, wait_gone,
};
