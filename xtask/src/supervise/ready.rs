//! Asks whether a service is ready.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use portman::check::{self, Socket};
use portman::owner::{self, Scope, occupants};
use portman::port::Port;
use portman::process;
use portman::report::occupied_reason;

use super::identity::Identity;
use crate::config::Ready;

/// How long one http answer may take. A service that computes its first page for longer is asked again.
const ANSWER: Duration = Duration::from_secs(5);
/// The first status that is no answer of a ready service.
const FIRST_BAD_STATUS: u16 = 400;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// The service's port.
    pub(super) port: Port,
    /// Tcp, or http with its path.
    pub(super) ready: Ready,
    /// Whose process has to be the one that listens.
    pub(super) identity: Identity,
}

/// Is the service ready? If not, why; for people. Nobody is connected to before a process of this service listens: a
/// stranger's answer would be taken for the service's.
pub(super) fn ask(probe: &Probe) -> Result<(), String> {
    let port = probe.port;
    let sockets = check::listeners(port).map_err(|error| {
        format!("the system does not say whether anybody listens on port {port}: {error}")
    })?;
    if sockets.is_empty() {
        return Err(format!("nobody listens on port {port}"));
    }
    let is_ours = |socket: &&Socket| is_ours(socket, &probe.identity).unwrap_or(false);
    let Some(socket) = sockets.iter().find(is_ours) else {
        let who = occupants(&sockets, Scope::Group, &[])
            .map_or_else(|_| String::new(), |who| occupied_reason(&who));
        return Err(format!("port {port} is listened on by a process that is not its own: {who}"));
    };
    match &probe.ready {
        Ready::None | Ready::Tcp => Ok(()),
        Ready::Http(path) => get(reachable(socket.local), path),
    }
}

fn is_ours(socket: &Socket, identity: &Identity) -> io::Result<bool> {
    // Nearly always it is a descendant of the program that was started, and then nobody else is looked into.
    let family = process::family(identity.group);
    for scope in [Scope::Hinted, Scope::Group] {
        let holders = owner::holders(&[*socket], scope, &family).map_err(io::Error::other)?;
        for pid in holders.into_values().flatten() {
            if identity.has(pid)? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// A wildcard address is reached by its family's loopback.
fn reachable(local: SocketAddr) -> SocketAddr {
    let ip = match local.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, local.port())
}

fn get(address: SocketAddr, path: &str) -> Result<(), String> {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .build();
    match config.new_agent().get(format!("http://{address}{path}")).call() {
        Ok(answer) if answer.status().as_u16() < FIRST_BAD_STATUS => Ok(()),
        Ok(answer) => Err(format!("GET {path} was answered with {}", answer.status())),
        Err(error) => Err(format!("GET {path} was not answered: {error}")),
    }
}
