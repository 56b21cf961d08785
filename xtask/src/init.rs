//! `cargo xtask init`: the stack as it is found, written down.

use std::path::Path;

use crate::config::{self, FILE, Source};
use crate::detect;
use crate::failure::{Failure, Kind};
use crate::flags::{self, Where};
use crate::recover::recover;
use crate::session;
use crate::ui::Ui;

/// Writes a dev.toml with the detected stack, and prints it.
///
/// # Errors
/// When there is a dev.toml already, or no stack is found.
pub fn init(flags: &flags::Init, ui: &mut Ui) -> anyhow::Result<()> {
    let place = Where { dir: flags.dir.clone(), config: None };
    let state = session::state_dir()?;
    // What a killed run has left in the files would be taken for what they say.
    recover(&state, &place, ui)?;
    let stack = config::load(&place)?;
    let services = match &stack.source {
        Source::File(file) => return Err(is_there(file).into()),
        Source::Detected { services } => services,
    };
    if session::running(&state, &stack.root)?.is_some() {
        return Err(runs(&stack.root).into());
    }
    let (file, text) = (stack.root.join(FILE), detect::text(services));
    portman::fs::create(&file, &text)?;
    ui.print(&format!("wrote {}:\n\n{text}", file.display()));
    Ok(())
}

fn is_there(file: &Path) -> Failure {
    Failure::new(
        Kind::Usage,
        format!("`{}` says the stack already", file.display()),
        "change it there, or take it away and run this again",
    )
}

fn runs(root: &Path) -> Failure {
    Failure::new(
        Kind::Port,
        format!("the stack of `{}` runs, and its files say the ports of this run", root.display()),
        "press Ctrl-C there first",
    )
}
