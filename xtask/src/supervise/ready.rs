//! Asks whether a service is ready.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use portman::check::{self, Socket};
use portman::owner::{self, Scope};
use portman::port::Port;
use portman::process;

use crate::config::Ready;
use crate::session::VARIABLE;

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
    /// The session, and the process group, whose process has to be the one that listens.
    pub(super) session: String,
    /// See `session`. Some programs lose the session's mark when they rename themselves.
    pub(super) group: u32,
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
    let ours = sockets.iter().find(|socket| is_ours(socket, probe).unwrap_or(false));
    let Some(socket) = ours else {
        return Err(format!("port {port} is listened on by a process that is not of this service"));
    };
    match &probe.ready {
        Ready::None | Ready::Tcp => Ok(()),
        Ready::Http(path) => get(reachable(socket.local), path),
    }
}

fn is_ours(socket: &Socket, probe: &Probe) -> io::Result<bool> {
    // Nearly always it is a descendant of the program that was started, and then nobody else is looked into.
    let family = process::family(probe.group);
    for scope in [Scope::Hinted, Scope::Group] {
        for pid in owner::holders(&[*socket], scope, &family).map_err(io::Error::other)? {
            if process::is_marked(pid, VARIABLE, &probe.session)
                || process::is_in_group(pid, probe.group)?
            {
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
