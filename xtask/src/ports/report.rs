//! What stands on each service's port.

use portman::allocate::{self, Request};
use portman::firewall::exceptions;
use portman::lease::Memory;
use portman::owner::Scope;
use portman::port::Port;
use portman::report::{self, OwnerReport, PortReport, Report, Standing, Word};
use portman::safety::{Asker, Asking};

use crate::config::{Source, Stack};
use crate::failure::Kind;
use crate::flags::PortsOfStack;
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
    let assigned =
        |request: &Request| running.and_then(|run| port_of(&request.service, &run.ports));
    let asked: Vec<Option<Port>> =
        requests.iter().map(|request| assigned(request).or(request.preferred)).collect();
    let known: Vec<Port> = asked.iter().flatten().copied().collect();
    // As `ports free` would be asked.
    let asking = Asking::ByNumber { force: false };
    let mut standings = report::look_all(&known, Scope::Group, asker, asking)?.into_iter();
    let mut ports = Vec::with_capacity(requests.len());
    for (request, asked) in requests.iter().zip(asked) {
        let standing = asked.and_then(|_| standings.next());
        ports.push(port_report(request, assigned(request), standing, running));
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

/// The report on the port that a running service has, or else on the one it would like; on none where any would do.
fn port_report(
    Request { service, preferred }: &Request,
    assigned: Option<Port>,
    standing: Option<Standing>,
    running: Option<&Record>,
) -> PortReport {
    let (service, preferred, port) = (service.clone(), *preferred, assigned);
    let Some(Standing { status, reason, held, localhost, owners, hidden, .. }) = standing else {
        return PortReport { service, preferred, port, ..PortReport::of_any() };
    };
    let is_own = |owner: &OwnerReport| running.is_some_and(|run| run.has(owner.pid));
    let running = owners.iter().any(is_own);
    PortReport {
        service,
        preferred,
        port,
        status,
        reason,
        running,
        held,
        localhost,
        owners,
        hidden,
        firewall: exceptions(),
    }
}
