//! The ports of a run, each held from the moment it is chosen until the stack is down.

use std::cell::RefCell;
use std::collections::BTreeSet;

use portman::allocate::{self, Allocation, Pool, Request};
use portman::lease::{Lease, Memory};
use portman::port::Port;
use portman::report::{doubt_reason, taken_reason};

use crate::config::{Service, Stack};
use crate::notice::Notice;
use crate::ui::Ui;

/// One entry a service, in the order of [`Stack::services`]; none for those without a port.
#[derive(Debug)]
pub struct Holds(Vec<Option<Held>>);

#[derive(Debug)]
struct Held {
    allocation: RefCell<Allocation>,
    /// The command, if it is one of a server that cannot listen over a hold.
    until_spawn: Option<String>,
}

impl Holds {
    /// Gets a port for every service that has one, and tells which.
    ///
    /// # Errors
    /// When one cannot be had.
    pub fn reserve(stack: &Stack, memory: &Memory, ui: &mut Ui) -> anyhow::Result<Self> {
        let mut allocations = take(&stack.requests(), &stack.pool, memory, ui)?;
        let held = |service: &Service| {
            let place = allocations.iter().position(|given| given.service == service.name)?;
            let allocation = RefCell::new(allocations.swap_remove(place));
            let known = memory.own.get(&service.name).and_then(|lease| lease.until_spawn.clone());
            let until_spawn = known.filter(|command| *command == service.command.join(" "));
            Some(Held { allocation, until_spawn })
        };
        Ok(Self(stack.services.iter().map(held).collect()))
    }

    /// The ports, one entry a service.
    pub fn ports(&self) -> Vec<Option<Port>> {
        self.0.iter().map(|held| Some(held.as_ref()?.allocation.borrow().port())).collect()
    }

    /// What is to be remembered of them.
    pub fn leases(&self) -> Vec<(String, Lease)> {
        let lease = |held: &Held| {
            let allocation = held.allocation.borrow();
            let lease = Lease { port: allocation.port(), until_spawn: held.until_spawn.clone() };
            (allocation.service.clone(), lease)
        };
        self.0.iter().flatten().map(lease).collect()
    }

    /// The services whose servers are known not to listen over a hold.
    pub fn until_spawn(&self) -> BTreeSet<String> {
        let known = self.0.iter().flatten().filter(|held| held.until_spawn.is_some());
        known.map(|held| held.allocation.borrow().service.clone()).collect()
    }

    /// Lets a server have the port that cannot listen over a hold. Other stacks are still kept away.
    pub fn release(&self, service: usize) {
        if let Some(held) = &self.0[service] {
            held.allocation.borrow_mut().hold.release();
        }
    }

    /// Holds a released port again. Where somebody still has it, nothing happens: who has it is seen by the next start.
    pub fn retake(&self, service: usize) {
        if let Some(held) = &self.0[service] {
            held.allocation.borrow_mut().hold.retake();
        }
    }
}

/// Gets a port for each of these, and tells which, and what is odd about them.
///
/// # Errors
/// When one cannot be had.
pub fn take(
    requests: &[Request],
    pool: &Pool,
    memory: &Memory,
    ui: &mut Ui,
) -> anyhow::Result<Vec<Allocation>> {
    for request in requests {
        tell_doubt(request, ui)?;
    }
    let allocations = allocate::reserve(requests, pool, memory)?;
    for allocation in &allocations {
        ui.tell(&reserved(allocation));
    }
    Ok(allocations)
}

/// A port that the user wrote is used as it is, but one that looks wrong is said to.
///
/// # Errors
/// When the system does not tell its ranges.
pub fn tell_doubt(Request { service, preferred }: &Request, ui: &mut Ui) -> anyhow::Result<()> {
    if let Some(port) = preferred
        && let Some(doubt) = allocate::doubt(*port)?
    {
        let reason = doubt_reason(doubt);
        let message = format!("port {port} of `{service}` is a doubtful choice: {reason}");
        ui.tell(&Notice::Warning { message });
    }
    Ok(())
}

fn reserved(allocation: &Allocation) -> Notice {
    let moved = || Some(taken_reason(allocation.preferred?, allocation.moved.as_ref()?));
    Notice::Reserved {
        service: allocation.service.clone(),
        port: allocation.port(),
        preferred: allocation.preferred,
        reason: moved(),
    }
}
