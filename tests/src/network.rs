//! A network of a test's own: its ports are all free, and no other test can take one.

#![expect(unsafe_code, reason = "there is no safe wrapper for a thread's own network")]

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::mem::zeroed;
use std::net::{SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::{Command, Stdio};

use rustix::io::FdFlags;
use rustix::net::{self, AddressFamily, SocketType};

use crate::not_run;

/// Set in a process that was started in a network of its own.
const INSIDE: &str = "TESTS_OWN_NETWORK";
/// Set in a process that was started for one test.
const ALONE: &str = "TESTS_OWN_PROCESS";

/// Moves this thread, and all it starts from now on, into a network with nothing but a loopback interface, and says with
/// true that the test can go on. That needs root; an ordinary user's test is run in a process of its own instead, as root
/// of a user namespace, and is over when this says false. Where that is not possible either, it is reported as not run.
pub fn own_network(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        loopback_up().expect("who made this network may use it");
        return true;
    }
    match enter() {
        Ok(()) => return true,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => panic!("{test}: no network of its own: {error}"),
    }
    if unshare().arg("true").status().is_ok_and(|status| status.success()) {
        let program = env::current_exe().expect("we are a file");
        run_again(unshare().arg(program).env(INSIDE, "1"), test);
    } else {
        not_run(test, "a network of its own needs root, or user namespaces and `unshare`");
    }
    false
}

/// The same in a process of the test's own. In ours other tests start programs, and until such a one is that program it has
/// every socket of ours open: one that was just closed is not yet gone.
pub fn own_process(test: &str) -> bool {
    if env::var_os(ALONE).is_some() {
        return own_network(test);
    }
    let program = env::current_exe().expect("we are a file");
    run_again(Command::new(program).env(ALONE, "1"), test);
    false
}

/// Says which ports this network gives out by itself.
#[track_caller]
pub fn ephemeral_range(ports: RangeInclusive<u16>) {
    let range = format!("{} {}", ports.start(), ports.end());
    // The system's file is written where it stands, with no other in its place.
    OpenOptions::new()
        .write(true)
        .open("/proc/sys/net/ipv4/ip_local_port_range")
        .and_then(|mut file| file.write_all(range.as_bytes()))
        .expect("who made this network may say so");
}

/// A socket that is bound to `address` and does not listen.
pub fn bound(address: &str) -> OwnedFd {
    let address: SocketAddr = address.parse().expect("an address");
    let socket = net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    net::bind(&socket, &address).expect("the address is free");
    socket
}

/// A connection from one address to another.
pub fn connected(from: &str, to: &str) -> OwnedFd {
    let socket = bound(from);
    let to: SocketAddr = to.parse().expect("an address");
    net::connect(&socket, &to).expect("somebody listens there");
    socket
}

/// Lets what this process starts from now on have `socket` open too.
pub fn share(socket: &OwnedFd) {
    rustix::io::fcntl_setfd(socket, FdFlags::empty()).expect("a flag of ours");
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net"]).stderr(Stdio::null());
    command
}

/// Runs this one test again, by a command that is this program or ends with it.
fn run_again(command: &mut Command, test: &str) {
    command.args([test, "--nocapture"]).stderr(Stdio::inherit());
    let output = command.output().expect("we were started too");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(" 1 passed; 0 failed;"), "{test} in a place of its own:\n{told}");
}

fn enter() -> io::Result<()> {
    // SAFETY: a new network concerns only this thread and what it starts; no memory is touched.
    checked(unsafe { libc::unshare(libc::CLONE_NEWNET) })?;
    loopback_up()
}

fn loopback_up() -> io::Result<()> {
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
