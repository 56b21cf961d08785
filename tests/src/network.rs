//! A network of a test's own: its ports are all free, and no other test can take one.

#![expect(unsafe_code, reason = "there is no safe wrapper for a thread's own network")]

use std::io;
use std::mem::zeroed;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use crate::not_run;

/// Moves this thread, and all it starts from now on, into a network with nothing but a loopback interface. False when
/// that is not possible here; the test has been reported as not run then.
pub fn own_network(test: &str) -> bool {
    match enter() {
        Ok(()) => true,
        Err(error) => {
            not_run(test, &format!("a network of its own needs root: {error}"));
            false
        }
    }
}

fn enter() -> io::Result<()> {
    // SAFETY: a new network concerns only this thread and what it starts; no memory is touched.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    // SAFETY: all bytes zero is a valid value of this plain structure.
    let mut request: libc::ifreq = unsafe { zeroed() };
    request.ifr_name[..2].copy_from_slice(&[b'l'.cast_signed(), b'o'.cast_signed()]);
    request.ifr_ifru.ifru_flags =
        libc::c_short::try_from(libc::IFF_UP | libc::IFF_RUNNING).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads an ifreq, and this one is whole and outlives the call.
    checked(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &request) })
}

fn checked(result: i32) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
