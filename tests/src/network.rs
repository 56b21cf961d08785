//! A network of a test's own: its ports are all free, and no other test can take one.

#![expect(unsafe_code, reason = "there is no safe wrapper for an interface's flags")]

use std::env;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::mem::zeroed;
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use crate::not_run;

/// Set in a process that was started in a network of its own.
const INSIDE: &str = "TESTS_OWN_NETWORK";

/// Runs this one test again, in a process and a network of its own with nothing but a loopback interface; there this says
/// with true that the test can go on. Here it says false, and the test is over. That needs root or user namespaces; where
/// there are neither, the test is reported as not run.
///
/// The process is its own because a socket is every child's until that becomes its program, also a child that another
/// test starts: no test could say who has its port, nor that nobody has it any more.
pub fn own_network(test: &str) -> bool {
    if env::var_os(INSIDE).is_some() {
        loopback_up().expect("who made this network may use it");
        return true;
    }
    let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    let works = |way: &&[&str]| {
        let tried = Command::new("unshare").args(*way).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    match ways.into_iter().find(works) {
        Some(way) => run_inside(test, way),
        None => not_run(test, "a network of its own needs `unshare`, and root or user namespaces"),
    }
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

fn run_inside(test: &str, way: &[&str]) {
    let mut inside = Command::new("unshare");
    inside.args(way).arg(env::current_exe().expect("we are a file"));
    inside.args([test, "--nocapture"]).env(INSIDE, "1").stderr(Stdio::inherit());
    let output = inside.output().expect("it could be started a moment ago");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.contains(" 1 passed; 0 failed;"), "{test} in a place of its own:\n{told}");
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
