//! What stands on each service's port.

use portman::allocate::{self, Request};
use portman::owner::Scope;
use portman::process::is_marked;
use portman::report::{self, PortReport, Report, Word};

use crate::config::{self, Stack};
use crate::failure::Kind;
use crate::flags::PortsOfStack;
use crate::recover::recover;
use crate::session::{self, Record, VARIABLE};
use crate::ui::Ui;

/// Prints the report; the exit code says whether something in it is unknown.
///
/// # Errors
/// When the stack or the system's sockets cannot be read.
pub fn report(flags: &PortsOfStack, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    recover(&state, &flags.place, ui)?;
    let stack = config::load(&flags.place)?;
    let running = session::running(&state, &stack.root)?;
    let report = gather(&stack, running.as_ref())?;
    ui.report(&report);
    let is_all_known = report.ports.iter().all(|port| port.status != Word::Unknown);
    Ok(if is_all_known { 0 } else { Kind::Port as u8 })
}

fn gather(stack: &Stack, running: Option<&Record>) -> anyhow::Result<Report> {
    let requests = stack.requests();
    let mut ports = Vec::with_capacity(requests.len());
    for request in &requests {
        ports.push(look(request, running)?);
    }
    if running.is_none() {
        let foreseen = allocate::foresee(&requests, &stack.pool)?;
        for (report, port) in ports.iter_mut().zip(foreseen) {
            report.port = port;
        }
    }
    Ok(Report { version: report::VERSION, ports })
}

/// The report on the port that a running service has, or else on the one it would like.
fn look(request: &Request, running: Option<&Record>) -> anyhow::Result<PortReport> {
    let Request { service, preferred } = request;
    let assigned = running.and_then(|run| run.ports.iter().find(|(name, _)| name == service));
    let assigned = assigned.map(|(_, port)| *port);
    let (status, reason, owners) = match assigned.or(*preferred) {
        Some(port) => {
            let standing = report::look(port, Scope::Group)?;
            (standing.status, standing.reason, standing.owners)
        }
        None => (Word::Available, None, Vec::new()),
    };
    let is_own = |pid| running.is_some_and(|run| is_marked(pid, VARIABLE, run.session()));
    Ok(PortReport {
        service: service.clone(),
        preferred: *preferred,
        port: assigned,
        status,
        reason,
        running: owners.iter().any(|owner| is_own(owner.pid)),
        owners,
    })
}
