//! Linux and macOS: process groups and signals.

#![expect(
    unsafe_code,
    reason = "asking whether a signal is ignored, and closing what others opened, have no safe wrapper"
)]

use std::fs::{File, read_dir};
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use portman::process::runs_in_group;
use rustix::io::Errno;
use rustix::process::{
    Pid, Signal as OsSignal, kill_process_group, setsid, test_kill_process_group,
};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;

use super::Request;
use crate::config::Signal;

pub(crate) fn own_group(command: &mut Command) {
    command.process_group(0);
}

pub(crate) fn signal_group(group: u32, signal: Signal) -> io::Result<()> {
    let signal = match signal {
        Signal::Term => OsSignal::TERM,
        Signal::Int => OsSignal::INT,
        Signal::Hup => OsSignal::HUP,
        Signal::Quit => OsSignal::QUIT,
    };
    send(group, signal)
}

pub(crate) fn kill_group(group: u32) -> io::Result<()> {
    send(group, OsSignal::KILL)
}

fn send(group: u32, signal: OsSignal) -> io::Result<()> {
    match kill_process_group(pid(group)?, signal) {
        // An empty group has ended, which is what was wanted.
        Ok(()) | Err(Errno::SRCH) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// A group with zombies alone can still be signalled, so the quick answer is not the whole one.
pub(crate) fn group_is_empty(group: u32) -> io::Result<bool> {
    Ok(test_kill_process_group(pid(group)?) == Err(Errno::SRCH) || !runs_in_group(group)?)
}

fn pid(group: u32) -> io::Result<Pid> {
    let pid = i32::try_from(group).ok().and_then(Pid::from_raw);
    pid.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))
}

pub(crate) fn exit_signal(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// A SIGHUP that was ignored when we started (nohup) stays ignored.
pub(crate) fn on_termination(send: impl Fn(Request) + Send + 'static) -> io::Result<()> {
    let mut wanted = vec![SIGTERM];
    if !is_ignored(SIGHUP)? {
        wanted.push(SIGHUP);
    }
    let mut signals = Signals::new(wanted)?;
    let deliver = move || {
        for signal in signals.forever() {
            send(if signal == SIGHUP { Request::Hangup } else { Request::Terminate });
        }
    };
    std::thread::Builder::new().name("signals".into()).spawn(deliver).map(drop)
}

/// By a handler, since what is ignored would be ignored by all that we start, too. What was ignored when we started (in
/// the background of a script) stays so for us and for them.
pub(crate) fn outlive_interrupts() -> io::Result<()> {
    for signal in [SIGINT, SIGQUIT] {
        if !is_ignored(signal)? {
            signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
        }
    }
    Ok(())
}

pub(crate) fn number(request: Request) -> i32 {
    match request {
        Request::Interrupt => SIGINT,
        Request::Terminate => SIGTERM,
        Request::Hangup => SIGHUP,
    }
}

pub(crate) fn own_session() -> io::Result<()> {
    Ok(setsid().map(drop)?)
}

pub(crate) fn close_inherited() -> io::Result<()> {
    let numbers = read_dir("/dev/fd")?.flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let inherited: Vec<i32> = numbers.filter(|number| *number > 2).collect();
    for number in inherited {
        // SAFETY: nothing of this program is open yet but the list, which is closed by now: nobody owns this number.
        unsafe { libc::close(number) };
    }
    Ok(())
}

pub(crate) fn drop_outputs() -> io::Result<()> {
    let nothing = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nothing)?;
    dup2_stdout(&nothing)?;
    Ok(dup2_stderr(&nothing)?)
}

fn is_ignored(signal: i32) -> io::Result<bool> {
    let mut current = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: with a null new action sigaction only writes the current one to the place it is given.
    let done = unsafe { libc::sigaction(signal, std::ptr::null(), current.as_mut_ptr()) };
    if done != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: sigaction succeeded, so it has written the whole value.
    let current = unsafe { current.assume_init() };
    Ok(current.sa_sigaction == libc::SIG_IGN)
}
