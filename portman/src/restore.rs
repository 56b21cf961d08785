//! Patches files for as long as a stack runs, and puts them back, whatever ends it.
//!
//! The original of every file stands in a journal on the disk before its first byte changes. A normal end, an error and
//! a panic restore through [`Patches`]; after a crash the next command restores from the journal by [`recover`]. All of
//! them do the same thing, and doing it twice changes nothing more.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use similar::TextDiff;

use crate::error::{Error, Result};
use crate::fs;
use crate::merge;
use crate::patch::{self, Change, Edit, Format, Patched, Undo};

/// What is asked of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilePatch {
    /// The file.
    pub path: PathBuf,
    /// How to read it.
    pub format: Format,
    /// What shall change.
    pub edits: Vec<Edit>,
}

/// A file with its text before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileChange {
    /// The file.
    pub path: PathBuf,
    /// Its whole text as it stands.
    pub before: String,
    /// Its whole text with the changes.
    pub after: String,
    /// The values that differ, at least one.
    pub changes: Vec<Change>,
    /// How to take them back.
    pub undo: Vec<Undo>,
}

impl FileChange {
    /// The change as a unified diff that `git apply` takes, with the file under the name `shown`.
    pub fn diff(&self, shown: &str) -> String {
        let diff = TextDiff::from_lines(&self.before, &self.after);
        diff.unified_diff().header(&format!("a/{shown}"), &format!("b/{shown}")).to_string()
    }
}

/// Reads the files and makes the edits in memory. Files that already say what is asked are left out.
///
/// # Errors
/// When a file cannot be read, or a value in it cannot be changed for certain.
pub fn prepare(patches: &[FilePatch]) -> Result<Vec<FileChange>> {
    let mut prepared = Vec::new();
    for FilePatch { path, format, edits } in patches {
        let before = fs::read(path)?;
        let patched = patch::patch(&before, format, edits)
            .map_err(|refusal| Error::Patch { path: path.clone(), refusal })?;
        if !patched.changes.is_empty() {
            let Patched { text: after, changes, undo } = patched;
            prepared.push(FileChange { path: path.clone(), before, after, changes, undo });
        }
    }
    Ok(prepared)
}

/// What has become of a patched file when it was put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds its original text again, byte for byte.
    Restored,
    /// The user edited it meanwhile: the edit stays, our values are back to what they were.
    Merged,
    /// The user edited the very value that was patched: nothing was changed.
    Conflict,
    /// It is not there any more: nothing was made.
    Gone,
}

/// A file that was put back, or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// The file.
    pub path: PathBuf,
    /// What has become of it.
    pub outcome: Outcome,
}

#[derive(Serialize, Deserialize)]
struct Journal {
    version: u32,
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct Entry {
    path: PathBuf,
    before: String,
    after: String,
    undo: Vec<Undo>,
}

const VERSION: u32 = 1;

/// Patched files. They are put back when this is dropped, at the latest.
#[derive(Debug)]
pub struct Patches {
    journal: PathBuf,
    is_restored: bool,
}

impl Patches {
    /// Writes the journal, then the files.
    ///
    /// # Errors
    /// When a file cannot be written, or the journal of an earlier run is still there. The files written before it have
    /// then been put back.
    pub fn apply(journal: &Path, changes: &[FileChange]) -> Result<Self> {
        if fs::read_if_there(journal)?.is_some() {
            let reason = "it holds originals of an earlier run that were not put back".to_owned();
            return Err(Error::State { path: journal.to_owned(), reason });
        }
        let patches = Self { journal: journal.to_owned(), is_restored: changes.is_empty() };
        if !changes.is_empty() {
            write_journal(journal, changes)?;
        }
        for change in changes {
            // On an error `patches` is dropped here and restores.
            fs::replace(&change.path, &change.after)?;
        }
        Ok(patches)
    }

    /// Puts the files back.
    ///
    /// # Errors
    /// When a file cannot be written, or our journal cannot be read.
    pub fn restore(mut self) -> Result<Vec<Restored>> {
        if std::mem::replace(&mut self.is_restored, true) {
            Ok(Vec::new())
        } else {
            recover(&self.journal)
        }
    }
}

impl Drop for Patches {
    fn drop(&mut self) {
        if !self.is_restored {
            // On a panic or an early return nobody is left to tell; the journal stays for the next command.
            recover(&self.journal).ok();
        }
    }
}

fn write_journal(path: &Path, changes: &[FileChange]) -> Result<()> {
    let entry = |change: &FileChange| Entry {
        path: change.path.clone(),
        before: change.before.clone(),
        after: change.after.clone(),
        undo: change.undo.clone(),
    };
    let journal = Journal { version: VERSION, files: changes.iter().map(entry).collect() };
    save(path, &journal)
}

fn save(path: &Path, journal: &Journal) -> Result<()> {
    let text = serde_json::to_string_pretty(journal).map_err(|error| unreadable(path, &error))?;
    fs::save(path, &text)
}

/// Puts back every file that the journal names. Files in conflict stay in it, so that nothing of the original is lost;
/// otherwise it is removed. Without a journal there is nothing to do.
///
/// # Errors
/// When a file cannot be written, or the journal cannot be read.
pub fn recover(journal: &Path) -> Result<Vec<Restored>> {
    let Some(text) = fs::read_if_there(journal)? else { return Ok(Vec::new()) };
    let Journal { version, files } =
        serde_json::from_str(&text).map_err(|error| unreadable(journal, &error))?;
    if version != VERSION {
        return Err(Error::State {
            path: journal.to_owned(),
            reason: format!("it is of version {version}"),
        });
    }
    let mut restored = Vec::with_capacity(files.len());
    let mut conflicts = Vec::new();
    for entry in files {
        let outcome = restore(&entry)?;
        restored.push(Restored { path: entry.path.clone(), outcome: outcome.clone() });
        if outcome == Outcome::Conflict {
            conflicts.push(entry);
        }
    }
    if conflicts.is_empty() {
        fs::remove(journal)?;
    } else {
        save(journal, &Journal { version, files: conflicts })?;
    }
    Ok(restored)
}

fn restore(entry: &Entry) -> Result<Outcome> {
    fs::remove_temporary(&entry.path)?;
    let Some(now) = fs::read_if_there(&entry.path)? else { return Ok(Outcome::Gone) };
    if now == entry.before {
        return Ok(Outcome::Restored);
    }
    if now == entry.after {
        fs::replace(&entry.path, &entry.before)?;
        return Ok(Outcome::Restored);
    }
    match merge::take_back(&entry.after, &entry.undo, &now) {
        Some(merged) if merged != now => fs::replace(&entry.path, &merged)?,
        Some(_unchanged) => {}
        None if merge::is_undone(&entry.before, &entry.undo, &now) => {}
        None => return Ok(Outcome::Conflict),
    }
    Ok(Outcome::Merged)
}

/// Writes changes for good, without a journal.
///
/// # Errors
/// When a file cannot be written.
pub fn write(changes: &[FileChange]) -> Result<()> {
    changes.iter().try_for_each(|change| fs::replace(&change.path, &change.after))
}

fn unreadable(path: &Path, error: &serde_json::Error) -> Error {
    Error::State { path: path.to_owned(), reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::{FileChange, Outcome, Patches, recover};
    use crate::fs::{entries, read, save};
    use crate::patch::Undo;
    use std::path::{Path, PathBuf};

    const BEFORE: &str = "{\n  \"port\": 8000,\n  \"log\": \"info\",\n  \"name\": \"api\"\n}\n";
    const AFTER: &str = "{\n  \"port\": 8001,\n  \"log\": \"info\",\n  \"name\": \"api\"\n}\n";

    fn patched(folder: &Path) -> (PathBuf, PathBuf, Patches) {
        let (file, journal) = (folder.join("config.json"), folder.join("state/journal.json"));
        save(&file, BEFORE).unwrap();
        let change = FileChange {
            path: file.clone(),
            before: BEFORE.into(),
            after: AFTER.into(),
            changes: Vec::new(),
            undo: vec![Undo { range: 12..16, old: "8000".into() }],
        };
        let patches = Patches::apply(&journal, &[change]).unwrap();
        assert_eq!(read(&file).unwrap(), AFTER);
        (file, journal, patches)
    }

    fn outcomes(restored: Vec<super::Restored>) -> Vec<Outcome> {
        restored.into_iter().map(|restored| restored.outcome).collect()
    }

    #[test]
    fn restores_once_and_leaves_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        assert_eq!(outcomes(patches.restore().unwrap()), [Outcome::Restored]);
        assert_eq!(read(&file).unwrap(), BEFORE);
        assert!(!journal.exists());
        assert_eq!(recover(&journal).unwrap(), []);
    }

    #[test]
    fn a_panic_restores_too() {
        let folder = tempfile::tempdir().unwrap();
        let (file, _, patches) = patched(folder.path());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _patches = patches;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(read(&file).unwrap(), BEFORE);
    }

    #[test]
    fn the_next_command_restores_what_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        std::mem::forget(patches);
        assert_eq!(outcomes(recover(&journal).unwrap()), [Outcome::Restored]);
        assert_eq!(read(&file).unwrap(), BEFORE);
    }

    #[test]
    fn an_edit_elsewhere_in_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        save(&file, &AFTER.replace("\"api\"", "\"my api\"")).unwrap();
        assert_eq!(outcomes(patches.restore().unwrap()), [Outcome::Merged]);
        assert_eq!(read(&file).unwrap(), BEFORE.replace("\"api\"", "\"my api\""));
        assert!(!journal.exists());
    }

    #[test]
    fn an_edit_of_the_value_itself_is_left_and_the_original_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        let edited = AFTER.replace("8001", "9999");
        save(&file, &edited).unwrap();
        assert_eq!(outcomes(patches.restore().unwrap()), [Outcome::Conflict]);
        assert_eq!(read(&file).unwrap(), edited);
        let original = read(&journal).unwrap();
        assert!(original.contains("8000"));
        assert!(Patches::apply(&journal, &[]).is_err(), "the original would be lost");
        assert_eq!(read(&journal).unwrap(), original);
    }

    #[test]
    fn a_removed_file_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        crate::fs::remove(&file).unwrap();
        assert_eq!(outcomes(patches.restore().unwrap()), [Outcome::Gone]);
        assert_eq!(entries(folder.path()).unwrap(), [journal.parent().unwrap()]);
    }
}
