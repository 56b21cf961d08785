//! Linux: sockets by `sock_diag`, processes by `/proc`, signals by pidfd.

mod cgroup;
mod claim;
mod diag;
mod files;
mod holders;
mod limits;
mod processes;

pub(crate) use cgroup::{unit_of_group, unit_of_process};
pub(crate) use claim::{Claim, claim, is_claimed};
pub(crate) use diag::{connections, inode, is_family_absent, sockets};
pub(crate) use files::{forbids_rename, is_shared, keep_owner, make_private};
pub(crate) use holders::holders;
pub(crate) use limits::{limits, unprivileged_start};
pub(crate) use processes::{
    children, environment, group, parent, pids, signal, started, wait_gone,
};
