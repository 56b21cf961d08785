//! What a killed run has left is put in order at the beginning of every command; `restore` does nothing else.

use std::path::Path;

use portman::restore::{Outcome, Restored};

use crate::config;
use crate::failure::{Failure, Kind};
use crate::flags;
use crate::notice::Notice;
use crate::session;
use crate::ui::Ui;

/// Puts killed runs in order and tells what was done.
///
/// # Errors
/// When something of them could not be put back: of `checkout`, or with none of any.
pub fn recover(state: &Path, checkout: Option<&Path>, ui: &mut Ui) -> anyhow::Result<()> {
    for recovered in session::recover(state)? {
        let shown = recovered.checkout.display().to_string();
        ui.tell(&Notice::Recovered { checkout: shown, stopped: recovered.stopped });
        let is_ours = checkout.is_none_or(|checkout| checkout == recovered.checkout);
        let told = tell_restored(&recovered.restored, &recovered.checkout, ui);
        if is_ours {
            told?;
        }
    }
    Ok(())
}

/// Tells what has become of files that were to be put back.
///
/// # Errors
/// When one was not.
pub fn tell_restored(restored: &[Restored], checkout: &Path, ui: &mut Ui) -> anyhow::Result<()> {
    let mut left = Vec::new();
    for Restored { path, outcome } in restored {
        let file = relative(path, checkout);
        let reason = match outcome {
            Outcome::Restored | Outcome::Merged => {
                ui.tell(&Notice::Restored { file, edited: *outcome == Outcome::Merged });
                continue;
            }
            Outcome::Gone => "it is not there any more, and is not made again",
            Outcome::Conflict => {
                left.push(file.clone());
                "you edited the very value that was patched"
            }
        };
        ui.tell(&Notice::NotRestored { file, reason: reason.to_owned() });
    }
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::File,
        format!("{} could not be put back; the original is kept in our records", left.join(", ")),
        "set the value by hand to what it was and run `cargo xtask restore`, or keep yours with \
         `cargo xtask restore --keep-edits`",
    )
    .into())
}

/// A path as it is told: below the checkout without it.
pub fn relative(path: &Path, checkout: &Path) -> String {
    match path.strip_prefix(checkout) {
        Ok(below) if below.as_os_str().is_empty() => ".".to_owned(),
        Ok(below) => below.display().to_string(),
        Err(_) => path.display().to_string(),
    }
}

/// `cargo xtask restore`.
///
/// # Errors
/// When something could not be put back.
pub fn restore(flags: &flags::Restore, ui: &mut Ui) -> anyhow::Result<()> {
    let state = session::state_dir()?;
    if flags.keep_edits {
        let file = config::file(&flags.place)?;
        session::keep_edits(&state, config::checkout(&file))?;
    }
    recover(&state, None, ui)
}
