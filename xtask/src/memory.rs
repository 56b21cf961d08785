//! What the services of this checkout had last: read before ports are chosen, kept once they are had.

use std::path::Path;

use portman::lease::{self, Book, Broken, Lease, Memory};

use crate::notice::Notice;
use crate::ui::Ui;

/// What to know for choosing ports. A book that cannot be understood is told, and left to the next run.
///
/// # Errors
/// When the book cannot be read.
pub fn read(state: &Path, checkout: &Path, ui: &mut Ui) -> anyhow::Result<Memory> {
    let book = Book::read(state)?;
    if let Some(broken) = &book.broken {
        let message = format!(
            "`{}` does not say which ports were had last: {}; the next run makes a new one",
            broken.path.display(),
            broken.reason
        );
        ui.tell(&Notice::Warning { message });
    }
    Ok(book.memory(checkout))
}

/// Writes down which ports were had, for the next time. A book that could not be understood was rebuilt, and is told.
///
/// # Errors
/// When the book cannot be written, or somebody else keeps it for too long.
pub fn keep(
    state: &Path,
    checkout: &Path,
    had: &[(String, Lease)],
    ui: &mut Ui,
) -> anyhow::Result<()> {
    if let Some(broken) = lease::record(state, checkout, had)? {
        ui.tell(&Notice::Warning { message: rebuilt(&broken) });
    }
    Ok(())
}

/// What is told of a book that was rebuilt.
pub fn rebuilt(broken: &Broken) -> String {
    format!(
        "`{}` was rebuilt, since it did not say which ports were had last: {}; the old one is kept as `{}`",
        broken.path.display(),
        broken.reason,
        broken.kept.display()
    )
}
