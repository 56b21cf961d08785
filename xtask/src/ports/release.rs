//! `cargo xtask ports release`.

use super::reservation::{self, Reservation};
use super::reserve::here;
use crate::failure::{Failure, Kind};
use crate::flags::{self, Where};
use crate::recover::recover;
use crate::session;
use crate::ui::Ui;

/// Releases ports that are reserved in this folder, or all that this user has reserved. On return they are free.
///
/// # Errors
/// When a name is not reserved here; nothing is released then.
pub fn release(flags: &flags::Release, ui: &mut Ui) -> anyhow::Result<()> {
    let state = session::state_dir()?;
    let mut found = reservation::all(&state)?;
    if !flags.all {
        let folder = here()?;
        found.retain(|one| one.is_in(&folder));
        let names: Vec<&str> = flags.names.iter().map(String::as_str).collect();
        check_known(&names, &found)?;
        found.retain(|one| one.has_any(&names));
    }
    if found.is_empty() {
        ui.print("nothing is reserved\n");
    }
    for reservation in found {
        let told = format!("released {}\n", reservation.described());
        reservation.release()?;
        ui.print(&told);
    }
    // Last: files of a killed run that cannot be put back are no reason to keep ports.
    recover(&state, &Where::default(), ui)
}

fn check_known(names: &[&str], here: &[Reservation]) -> Result<(), Failure> {
    let mut known: Vec<&str> = here.iter().flat_map(Reservation::names).collect();
    let Some(unknown) = names.iter().find(|name| !known.contains(name)) else { return Ok(()) };
    known.sort_unstable();
    let hint = if known.is_empty() {
        "nothing is reserved in this folder; --all releases what is reserved in others".to_owned()
    } else {
        format!("reserved here: {}", known.join(", "))
    };
    Err(Failure::new(Kind::Usage, format!("`{unknown}` is not reserved here"), hint))
}
