//! Which ports the system gives out or keeps by itself.

use std::fs;
use std::io;

use super::super::{Limits, parse};

pub(crate) fn limits() -> io::Result<Limits> {
    Ok(Limits {
        ephemeral: setting("ip_local_port_range", parse::port_range)?,
        reserved: setting("ip_local_reserved_ports", parse::reserved_ports)?,
        unprivileged_start: unprivileged_start()?,
    })
}

pub(crate) fn unprivileged_start() -> io::Result<u16> {
    setting("ip_unprivileged_port_start", |text| text.trim().parse().ok())
}

fn setting<T>(name: &str, read: impl Fn(&str) -> Option<T>) -> io::Result<T> {
    let path = format!("/proc/sys/net/ipv4/{name}");
    let text = fs::read_to_string(&path)?;
    read(&text).ok_or_else(|| io::Error::other(format!("{path} says {text:?}")))
}
