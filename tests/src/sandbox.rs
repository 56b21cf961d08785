//! Sandboxes: a system that does not list its sockets, as gVisor or a kernel without that module; one without
//! binds; one in which nobody can be killed.

#![expect(unsafe_code, reason = "a filter of system calls has no safe wrapper")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use libc::sock_filter;

/// What `command` becomes may not have a netlink socket: to it that is a protocol unknown to this system.
pub fn without_netlink(command: &mut Command) -> &mut Command {
    const FIRST_ARGUMENT: u32 = 16;
    filtered(
        command,
        [
            step(LOAD, NUMBER, 0),
            is(libc::SYS_socket, 3),
            step(LOAD, FIRST_ARGUMENT, 0),
            is(libc::AF_NETLINK.into(), 1),
            refuse(libc::EPROTONOSUPPORT),
            allow(),
        ],
    )
}

/// What `command` becomes may bind nothing.
pub fn without_bind(command: &mut Command) -> &mut Command {
    filtered(command, [step(LOAD, NUMBER, 0), is(libc::SYS_bind, 1), refuse(libc::EPERM), allow()])
}

/// What `command` becomes may ask processes to end, and may not kill them.
pub fn without_kill(command: &mut Command) -> &mut Command {
    const SECOND_ARGUMENT: u32 = 24;
    filtered(
        command,
        [
            step(LOAD, NUMBER, 0),
            is(libc::SYS_pidfd_send_signal, 3),
            step(LOAD, SECOND_ARGUMENT, 0),
            is(libc::SIGKILL.into(), 1),
            refuse(libc::EPERM),
            allow(),
        ],
    )
}

/// Where a filter finds the number of the system call.
const NUMBER: u32 = 0;
const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;

/// Goes on when what was loaded is this, and else so many steps further.
fn is(value: i64, further: u8) -> sock_filter {
    let value = u32::try_from(value).unwrap_or_default();
    step(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, value, further)
}

fn refuse(error: i32) -> sock_filter {
    step(RETURN, libc::SECCOMP_RET_ERRNO | error.cast_unsigned(), 0)
}

fn allow() -> sock_filter {
    step(RETURN, libc::SECCOMP_RET_ALLOW, 0)
}

fn step(code: u32, k: u32, jf: u8) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt: 0, jf, k }
}

fn filtered<const STEPS: usize>(
    command: &mut Command,
    mut filter: [sock_filter; STEPS],
) -> &mut Command {
    // SAFETY: prctl may be called between fork and exec, and nothing is allocated there.
    unsafe {
        command.pre_exec(move || {
            let program = libc::sock_fprog {
                len: u16::try_from(STEPS).unwrap_or_default(),
                filter: filter.as_mut_ptr(),
            };
            let is_set = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    == 0;
            if is_set { Ok(()) } else { Err(io::Error::last_os_error()) }
        })
    }
}
