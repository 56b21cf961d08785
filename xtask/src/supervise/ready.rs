//! Asks whether a service is ready.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use portman::port::Port;
use portman::{check, owner, process};

use crate::config::Ready;
use crate::session::VARIABLE;

/// How long one http answer may take. A service that computes its first page for longer is asked again.
const ANSWER: Duration = Duration::from_secs(5);

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Probe {
    /// The service's port.
    pub(super) port: Port,
    /// Tcp, or http with its path.
    pub(super) ready: Ready,
    /// The session whose process has to be the one that listens.
    pub(super) session: String,
}

/// Is the service ready? Nobody is connected to before a process of this session listens: a stranger's answer would
/// be taken for the service's.
pub(super) fn is_ready(probe: &Probe) -> bool {
    let Some(address) = listening_address(probe) else { return false };
    match &probe.ready {
        Ready::None | Ready::Tcp => true,
        Ready::Http(path) => answers(address, path),
    }
}

fn listening_address(probe: &Probe) -> Option<SocketAddr> {
    let sockets = check::listeners(probe.port).ok()?;
    if sockets.is_empty() {
        return None;
    }
    let holders = owner::holders(&sockets).ok()?;
    let is_ours = holders.iter().any(|&pid| process::is_marked(pid, VARIABLE, &probe.session));
    is_ours.then(|| reachable(sockets[0].local))
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

fn answers(address: SocketAddr, path: &str) -> bool {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .build();
    let answer = config.new_agent().get(format!("http://{address}{path}")).call();
    answer.is_ok_and(|answer| answer.status().as_u16() < 400)
}
