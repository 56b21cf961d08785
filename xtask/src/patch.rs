//! `cargo xtask patch`: the patch engine by hand.

use std::ffi::OsStr;
use std::path::Path;

use portman::patch::{Change, Edit, Format};
use portman::restore::{self, FileChange, FilePatch};

use crate::failure::{Failure, Kind};
use crate::flags::{self, Where};
use crate::notice::became;
use crate::recover::recover;
use crate::session::{self, Record};
use crate::ui::Ui;

/// Changes values in a file for good, or prints the diff.
///
/// # Errors
/// When a value cannot be changed for certain; nothing is written then.
pub fn patch(flags: &flags::Patch, ui: &mut Ui) -> anyhow::Result<()> {
    let edits = flags.assignments.iter().map(|text| edit(text)).collect::<Result<_, _>>()?;
    let wanted = FilePatch { path: flags.file.clone(), format: format(&flags.file)?, edits };
    if !flags.dry_run {
        let state = session::state_dir()?;
        recover(&state, &Where::default(), ui)?;
        if let Some(run) = session::patched_by(&state, &flags.file)? {
            return Err(patched(&flags.file, &run).into());
        }
    }
    let changes = restore::prepare(&[wanted])?;
    let shown = flags.file.display().to_string();
    match changes.first() {
        None => ui.print(&format!("{shown} says so already\n")),
        Some(change) if flags.dry_run => ui.print(&change.diff(&shown)),
        Some(change) => {
            restore::write(&changes)?;
            ui.print(&summary(&shown, change));
        }
    }
    Ok(())
}

/// What is written into a patched file would be taken for the user's edit of a value of ours, or be taken back.
fn patched(file: &Path, run: &Record) -> Failure {
    let message = format!(
        "`{}` is patched by the stack that process {} runs",
        file.display(),
        run.launcher.pid
    );
    Failure::new(Kind::Port, message, "press Ctrl-C there first")
}

fn edit(assignment: &str) -> Result<Edit, Failure> {
    let usage =
        |message: String| Failure::new(Kind::Usage, message, "write it like server.port=8001");
    let (key, value) =
        assignment.split_once('=').ok_or_else(|| usage(format!("`{assignment}` has no `=`")))?;
    let key = key.parse().map_err(|error| usage(format!("{error}")))?;
    Ok(Edit::Set { key, value: value.to_owned() })
}

fn format(file: &Path) -> Result<Format, Failure> {
    let name = file.file_name().and_then(OsStr::to_str).unwrap_or_default();
    Format::of(name).ok_or_else(|| {
        Failure::new(
            Kind::Usage,
            format!("`{}` is of no format that can be patched", file.display()),
            "known are .env, .json, .jsonc, .json5, .toml, .yaml, .yml, package.json and vite.config.*",
        )
    })
}

/// One line a value: `config.json:4  server.port 8000 → 8001`.
pub fn summary(shown: &str, change: &FileChange) -> String {
    let line =
        |change: &Change| format!("{shown}:{}  {} {}\n", change.line, change.key, became(change));
    change.changes.iter().map(line).collect()
}
