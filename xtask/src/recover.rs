//! What a killed run has left is put in order at the beginning of every command; `restore` does nothing else.

use std::path::Path;

use portman::restore::{Outcome, Restored};

use crate::config;
use crate::failure::{Failure, Kind};
use crate::flags::{self, Where};
use crate::notice::Notice;
use crate::session::{self, Attempt, Recovered};
use crate::ui::Ui;

/// Puts killed runs in order and tells what was done.
///
/// # Errors
/// When something in the checkout at `place` could not be put back. What could not elsewhere is only told.
pub fn recover(state: &Path, place: &Where, ui: &mut Ui) -> anyhow::Result<()> {
    // In a folder that is not there no run can have been.
    let ours = config::checkout(place).ok();
    let mut failed = None;
    for Attempt { is_ours, result } in session::recover(state, ours.as_deref())? {
        let told = result.and_then(|recovered| {
            tell_recovered(&recovered, ui);
            // A file of another checkout is told with its whole path.
            let base = recovered.checkout.as_deref().filter(|_| is_ours);
            tell_restored(&recovered.restored, base.unwrap_or(Path::new("")), ui)
        });
        match told {
            Err(error) if is_ours => failed = Some(error),
            Err(error) => ui.tell(&Notice::Warning { message: format!("{error:#}") }),
            Ok(()) => {}
        }
    }
    failed.map_or(Ok(()), Err)
}

/// A run whose files are settled was killed; one that is only not settled yet was told before.
fn tell_recovered(recovered: &Recovered, ui: &mut Ui) {
    let is_settled = recovered.restored.iter().all(|restored| restored.outcome.is_settled());
    if let Some(checkout) = &recovered.checkout
        && (recovered.stopped > 0 || is_settled)
    {
        let checkout = checkout.display().to_string();
        ui.tell(&Notice::Recovered { checkout, stopped: recovered.stopped });
    }
}

/// Tells what has become of the files of a killed run.
///
/// # Errors
/// When one was not put back.
pub fn tell_restored(restored: &[Restored], checkout: &Path, ui: &mut Ui) -> anyhow::Result<()> {
    let left = tell_outcomes(restored, checkout, ui);
    if left.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        Kind::File,
        format!("{} could not be put back; the original is kept in our records", left.join(", ")),
        "set the value by hand to what it was and run `cargo xtask restore`, or keep the file as it is with \
         `cargo xtask restore --keep-edits`",
    )
    .into())
}

/// Tells what has become of files that were to be put back, and names those that were not.
pub fn tell_outcomes(restored: &[Restored], checkout: &Path, ui: &mut Ui) -> Vec<String> {
    let mut left = Vec::new();
    for Restored { path, outcome } in restored {
        let file = relative(path, checkout);
        if !outcome.is_settled() {
            left.push(file.clone());
        }
        ui.tell(&match outcome {
            Outcome::Restored => Notice::Restored { file, edited: false },
            Outcome::Merged => Notice::Restored { file, edited: true },
            Outcome::Gone => not_restored(file, "it is not there any more, and is not made again"),
            Outcome::Conflict => not_restored(file, "you edited the very value that was patched"),
            Outcome::Failed(error) => not_restored(file, &Failure::chain(error)),
        });
    }
    left
}

fn not_restored(file: String, reason: &str) -> Notice {
    Notice::NotRestored { file, reason: reason.to_owned() }
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
    if !flags.keep_edits {
        return recover(&state, &flags.place, ui);
    }
    let checkout = config::checkout(&flags.place)?;
    let (kept, restored) = session::keep_edits(&state, &checkout)?
        .into_iter()
        .partition::<Vec<_>, _>(|restored| matches!(restored.outcome, Outcome::Conflict));
    for Restored { path, .. } in kept {
        let message =
            format!("kept your {}; its original is forgotten", relative(&path, &checkout));
        ui.tell(&Notice::Warning { message });
    }
    tell_restored(&restored, &checkout, ui)
}
