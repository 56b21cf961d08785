//! What stands on each service's port.

use portman::allocate::{self, Request};
use portman::lease::Memory;
use portman::owner::Scope;
use portman::port::Port;
use portman::process::is_marked;
use portman::report::{self, PortReport, Report, Word};
use portman::safety::{Asker, Asking};

use crate::config::{Source, Stack};
use crate::failure::Kind;
use crate::flags::PortsOfStack;
use crate::marks::VARIABLE;
use crate::memory;
use crate::recover::recover;
use crate::session::{self, Record};
use crate::stack;
use crate::ui::Ui;

/// Prints the report; the exit code says whether something in it is unknown.
///
/// # Errors
/// When the stack or the system's sockets cannot be read.
pub fn report(flags: &PortsOfStack, ui: &mut Ui) -> anyhow::Result<u8> {
    let state = session::state_dir()?;
    recover(&state, &flags.place, ui)?;
    let stack = stack::load(&flags.place, ui)?;
    let running = session::running(&state, &stack.root)?;
    let memory = memory::read(&state, &stack.root, ui)?;
    let asker = session::asker(&state)?;
    let report = gather(&stack, &memory, running.as_ref(), &asker)?;
    ui.report(&report);
    let is_all_known = report.ports.iter().all(|port| port.status != Word::Unknown);
    Ok(if is_all_known { 0 } else { Kind::Port as u8 })
}

fn gather(
    stack: &Stack,
    memory: &Memory,
    running: Option<&Record>,
    asker: &Asker,
) -> anyhow::Result<Report> {
    let requests = requests(stack, running);
    let mut ports = Vec::with_capacity(requests.len());
    for request in &requests {
        ports.push(look(request, running, asker)?);
    }
    if running.is_none() {
        let foreseen = allocate::foresee(&requests, &stack.pool, memory)?;
        for (report, port) in ports.iter_mut().zip(foreseen) {
            report.port = port;
        }
    }
    Ok(Report { version: report::VERSION, ports })
}

/// What the services would like. The files of a detected stack say other ports while it runs: they are patched.
fn requests(stack: &Stack, running: Option<&Record>) -> Vec<Request> {
    let mut requests = stack.requests();
    if let (Source::Detected { .. }, Some(run)) = (&stack.source, running) {
        for request in &mut requests {
            request.preferred = port_of(&request.service, &run.preferred);
        }
    }
    requests
}

fn port_of(service: &str, ports: &[(String, Port)]) -> Option<Port> {
    ports.iter().find(|(name, _)| name == service).map(|(_, port)| *port)
}

/// The report on the port that a running service has, or else on the one it would like.
fn look(request: &Request, running: Option<&Record>, asker: &Asker) -> anyhow::Result<PortReport> {
    let Request { service, preferred } = request;
    let assigned = running.and_then(|run| port_of(service, &run.ports));
    let (status, reason, owners) = match assigned.or(*preferred) {
        // As `ports free` would be asked.
        Some(port) => {
            let standing =
                report::look(port, Scope::Group, asker, Asking::ByNumber { force: false })?;
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
