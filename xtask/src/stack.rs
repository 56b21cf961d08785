//! The stack that a command is about, and a word where it was only found by convention.

use crate::config::{self, Source, Stack};
use crate::flags::Where;
use crate::notice::Notice;
use crate::ui::Ui;

/// Loads the stack, and tells what was found where no dev.toml says it.
///
/// # Errors
/// As [`config::load`].
pub fn load(place: &Where, ui: &mut Ui) -> anyhow::Result<Stack> {
    let stack = config::load(place)?;
    if let Source::Detected { services, .. } = &stack.source {
        ui.tell(&Notice::Detected { services: services.clone() });
    }
    Ok(stack)
}
