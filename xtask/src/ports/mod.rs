//! `cargo xtask ports`: one file a command.

pub mod report;
pub mod who;

use crate::flags::{Ports, PortsAction};
use crate::ui::Ui;

/// Does what was asked, and says the exit code.
///
/// # Errors
/// As the commands do.
pub fn ports(flags: &Ports, ui: &mut Ui) -> anyhow::Result<u8> {
    match &flags.action {
        None => report::report(&flags.stack, ui),
        Some(PortsAction::Who(flags)) => who::who(flags, ui),
        Some(PortsAction::Free(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Find(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Reserve(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Release(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Firewall(flags)) => unimplemented!("{flags:?}"),
    }
}
