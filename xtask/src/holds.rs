//! The ports of a run, each held from the moment it is chosen until the stack is down.

use std::cell::RefCell;

use portman::allocate::Allocation;
use portman::check::Hold;
use portman::port::Port;

use crate::config::Stack;

/// One entry a service, in the order of [`Stack::services`]; none for those without a port.
#[derive(Debug)]
pub struct Holds(Vec<Option<RefCell<Hold>>>);

impl Holds {
    /// The ports that the services of `stack` got.
    pub fn new(stack: &Stack, mut allocations: Vec<Allocation>) -> Self {
        let hold = |name: &str| {
            let place = allocations.iter().position(|given| given.service == name)?;
            Some(RefCell::new(allocations.swap_remove(place).hold))
        };
        Self(stack.services.iter().map(|service| service.name.as_str()).map(hold).collect())
    }

    /// The ports, one entry a service.
    pub fn ports(&self) -> Vec<Option<Port>> {
        self.0.iter().map(|hold| Some(hold.as_ref()?.borrow().port())).collect()
    }

    /// Lets a server have the port that cannot listen over a hold. Other stacks are still kept away.
    pub fn release(&self, service: usize) {
        if let Some(hold) = &self.0[service] {
            hold.borrow_mut().release();
        }
    }

    /// Holds a released port again. Where somebody still has it, nothing happens: who has it is seen by the next start.
    pub fn retake(&self, service: usize) {
        if let Some(hold) = &self.0[service] {
            hold.borrow_mut().retake();
        }
    }
}
