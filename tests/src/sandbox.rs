//! A sandbox in which the system does not list its sockets, as in gVisor, or where a kernel lacks a module.

#![expect(unsafe_code, reason = "a filter of system calls has no safe wrapper")]

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// What `command` becomes may not have a netlink socket: to it that is a protocol unknown to this system.
pub fn without_netlink(command: &mut Command) -> &mut Command {
    // SAFETY: prctl may be called between fork and exec, and nothing is allocated there.
    unsafe {
        command.pre_exec(|| {
            let filter = filter();
            let program = libc::sock_fprog {
                len: u16::try_from(filter.len()).unwrap_or_default(),
                filter: filter.as_ptr().cast_mut(),
            };
            let is_set = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program)
                    == 0;
            if is_set { Ok(()) } else { Err(io::Error::last_os_error()) }
        });
    }
    command
}

/// Is it `socket`, and is its first argument the netlink family? Then the error; all else is allowed.
fn filter() -> [libc::sock_filter; 6] {
    const LOAD: u32 = libc::BPF_LD | libc::BPF_W | libc::BPF_ABS;
    const IF_EQUAL: u32 = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K;
    const RETURN: u32 = libc::BPF_RET | libc::BPF_K;
    const NUMBER: u32 = 0;
    const FIRST_ARGUMENT: u32 = 16;
    let step = |code: u32, k: u32, jf: u8| libc::sock_filter {
        code: u16::try_from(code).unwrap_or_default(),
        jt: 0,
        jf,
        k,
    };
    let is = |value: i64, jf: u8| step(IF_EQUAL, u32::try_from(value).unwrap_or_default(), jf);
    let refused = libc::SECCOMP_RET_ERRNO | libc::EPROTONOSUPPORT.cast_unsigned();
    [
        step(LOAD, NUMBER, 0),
        is(libc::SYS_socket, 3),
        step(LOAD, FIRST_ARGUMENT, 0),
        is(libc::AF_NETLINK.into(), 1),
        step(RETURN, refused, 0),
        step(RETURN, libc::SECCOMP_RET_ALLOW, 0),
    ]
}
