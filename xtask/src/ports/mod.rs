//! `cargo xtask ports`: one file a command.

pub mod find;
pub mod firewall;
pub mod fix;
pub mod free;
mod holder;
pub mod release;
pub mod report;
mod reservation;
pub mod reserve;
pub mod who;

use portman::port::Port;

use crate::flags::{Ports, PortsAction};
use crate::ui::Ui;
pub use holder::hold;

/// Does what was asked, and says the exit code.
///
/// # Errors
/// As the commands do.
pub fn ports(flags: &Ports, ui: &mut Ui) -> anyhow::Result<u8> {
    match &flags.action {
        None if flags.stack.fix.is_wanted => fix::fix(&flags.stack, ui),
        None if flags.stack.undo => fix::undo(&flags.stack, ui),
        None => report::report(&flags.stack, ui),
        Some(PortsAction::Who(flags)) => who::who(flags, ui),
        Some(PortsAction::Free(flags)) => free::free(flags, ui),
        Some(PortsAction::Find(flags)) => find::find(flags, ui),
        Some(PortsAction::Reserve(flags)) => reserve::reserve(flags, ui),
        Some(PortsAction::Release(flags)) => release::release(flags, ui).map(|()| 0),
        Some(PortsAction::Firewall(flags)) => firewall::firewall(flags, ui).map(|()| 0),
    }
}

/// The ports that were asked for, each once, in their order.
fn each_once(asked: &[Port]) -> Vec<Port> {
    let mut ports = Vec::with_capacity(asked.len());
    for port in asked {
        if !ports.contains(port) {
            ports.push(*port);
        }
    }
    ports
}
