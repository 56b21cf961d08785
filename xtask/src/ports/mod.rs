//! `cargo xtask ports`: one file a command.

pub mod find;
pub mod fix;
pub mod free;
pub mod report;

use crate::flags::{Ports, PortsAction};
use crate::ui::Ui;

/// Does what was asked, and says the exit code.
///
/// # Errors
/// As the commands do.
pub fn ports(flags: &Ports, ui: &mut Ui) -> anyhow::Result<u8> {
    match &flags.action {
        None if flags.stack.fix => fix::fix(&flags.stack, ui),
        None if flags.stack.undo => fix::undo(&flags.stack, ui),
        None => report::report(&flags.stack, ui),
        Some(PortsAction::Who(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Free(flags)) => free::free(flags, ui),
        Some(PortsAction::Find(flags)) => find::find(flags, ui),
        Some(PortsAction::Reserve(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Release(flags)) => unimplemented!("{flags:?}"),
        Some(PortsAction::Firewall(flags)) => unimplemented!("{flags:?}"),
    }
}
