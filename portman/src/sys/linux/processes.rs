//! Processes by `/proc`, and signals to exactly one of them by pidfd.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, Mode, OFlags, RawDir, openat};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, geteuid, pidfd_open, pidfd_send_signal};

use super::super::{Ending, parse};

pub(crate) fn pids() -> io::Result<Vec<u32>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let folder = openat(CWD, "/proc", flags, Mode::empty())?;
    let mut buffer = Vec::with_capacity(64 * 1024);
    let mut entries = RawDir::new(folder, buffer.spare_capacity_mut());
    let mut pids = Vec::new();
    while let Some(entry) = entries.next() {
        pids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
    }
    Ok(pids)
}

pub(crate) fn started(pid: u32) -> io::Result<Option<u64>> {
    Ok(stat(pid)?.map(|stat| stat.started))
}

pub(crate) fn parent(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.map(|stat| stat.parent))
}

pub(crate) fn started_and_parent(pid: u32) -> io::Result<Option<(u64, u32)>> {
    Ok(stat(pid)?.map(|stat| (stat.started, stat.parent)))
}

pub(crate) fn group(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.map(|stat| stat.group))
}

pub(crate) fn is_system(pid: u32) -> io::Result<bool> {
    Ok(pid <= 1 || stat(pid)?.is_some_and(|stat| stat.is_kernel))
}

pub(crate) fn terminal_leader(pid: u32) -> io::Result<Option<u32>> {
    Ok(stat(pid)?.filter(|stat| stat.has_terminal).map(|stat| stat.session))
}

pub(crate) fn is_apart(pid: u32) -> io::Result<bool> {
    for kind in ["pid", "user"] {
        let own = fs::read_link(format!("/proc/self/ns/{kind}"))?;
        if fs::read_link(format!("/proc/{pid}/ns/{kind}"))? != own {
            return Ok(true);
        }
    }
    Ok(false)
}

fn stat(pid: u32) -> io::Result<Option<parse::Stat>> {
    // A program may give itself a name that is not UTF-8, and a long one is cut in the middle of a character.
    match read_short(&format!("/proc/{pid}/stat")) {
        Ok(text) => Ok(parse::stat(&String::from_utf8_lossy(&text))),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// By one read: such a file is written anew for each, and shorter than this.
fn read_short(path: &str) -> io::Result<Vec<u8>> {
    let mut text = vec![0; 2048];
    let length = File::open(path)?.read(&mut text)?;
    text.truncate(length);
    Ok(text)
}

pub(crate) fn own_user() -> u32 {
    geteuid().as_raw()
}

pub(crate) fn children(pid: u32) -> Vec<u32> {
    // Each thread has children of its own.
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let lists = threads
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok());
    let pids = lists.map(|list| {
        list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
    });
    pids.flatten().collect()
}

pub(crate) fn environment(pid: u32) -> io::Result<Vec<u8>> {
    fs::read(format!("/proc/{pid}/environ"))
}

/// Gone, or hidden from us, which only other users' processes are.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        || error.raw_os_error() == Some(Errno::SRCH.raw_os_error())
}

/// A pidfd, and the process was still the one that was asked for once it was open.
#[derive(Debug)]
pub(crate) struct Handle(OwnedFd);

pub(crate) fn handle(pid: u32, started_at: u64) -> io::Result<Option<Handle>> {
    let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(Errno::SRCH | Errno::INVAL) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // The handle is fixed now: if the start time still fits, it is this process and stays it.
    Ok((started(pid)? == Some(started_at)).then_some(Handle(pidfd)))
}

pub(crate) fn signal(Handle(pidfd): &Handle, ending: Ending) -> io::Result<()> {
    let signal = match ending {
        Ending::Terminate => Signal::TERM,
        Ending::Kill => Signal::KILL,
    };
    match pidfd_send_signal(pidfd, signal) {
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

pub(crate) fn wait_gone(Handle(pidfd): &Handle, deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let left = left.map(Timespec::try_from).transpose().map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(pidfd, PollFlags::IN)], left.as_ref()) {
            Err(Errno::INTR) => {}
            polled => return Ok(polled? > 0),
        }
    }
}
