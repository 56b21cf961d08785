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
#[derive(Debug)]
pub enum Outcome {
    /// It holds its original text again, byte for byte.
    Restored,
    /// The user edited it meanwhile: the edit stays, our values are back to what they were.
    Merged,
    /// The user edited the very value that was patched: nothing was changed, and the original is kept.
    Conflict,
    /// It is not there any more: nothing was made.
    Gone,
    /// It could not be read or written; the original is kept.
    Failed(Error),
}

impl Outcome {
    /// Is nothing left to be done about this file?
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Restored | Self::Merged | Self::Gone)
    }
}

/// A file that was put back, or not.
#[derive(Debug)]
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

#[derive(Debug, Clone, Serialize, Deserialize)]
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
    /// What the journal says too; the files can be put back even if somebody removed it.
    files: Vec<Entry>,
}

impl Patches {
    /// Writes the journal, then the files.
    ///
    /// # Errors
    /// When a file cannot be written, or the journal of an earlier run is still there. The files written before it have
    /// then been put back.
    pub fn apply(journal: &Path, changes: &[FileChange]) -> Result<Self> {
        if fs::read_if_there(journal)?.is_some() {
            return Err(Error::KeptOriginals(journal.to_owned()));
        }
        let entry = |change: &FileChange| Entry {
            path: change.path.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            undo: change.undo.clone(),
        };
        let mut patches =
            Self { journal: journal.to_owned(), files: changes.iter().map(entry).collect() };
        if !changes.is_empty() {
            save(journal, &patches.files)?;
        }
        for (written, change) in changes.iter().enumerate() {
            // On an error `patches` is dropped here and restores.
            if fs::read(&change.path)? != change.before {
                // This one and those after it were not touched.
                patches.files.truncate(written);
                if written == 0 {
                    fs::remove(journal)?;
                }
                return Err(Error::Changed(change.path.clone()));
            }
            fs::replace(&change.path, &change.after)?;
        }
        Ok(patches)
    }

    /// Leaves the files as they are now, for good: the journal becomes `record`, from which [`recover`] puts them back for
    /// whoever changes their mind. Until then a crash restores them.
    ///
    /// # Errors
    /// When the record cannot be made. The files are then put back.
    pub fn keep(mut self, record: &Path) -> Result<()> {
        if !self.files.is_empty() {
            fs::rename(&self.journal, record)?;
        }
        self.files.clear();
        Ok(())
    }

    /// Puts the files back.
    ///
    /// # Errors
    /// When our journal cannot be written.
    pub fn restore(mut self) -> Result<Vec<Restored>> {
        let files = std::mem::take(&mut self.files);
        if files.is_empty() { Ok(Vec::new()) } else { put_back(&self.journal, files, is_unsettled) }
    }
}

impl Drop for Patches {
    fn drop(&mut self) {
        let files = std::mem::take(&mut self.files);
        if !files.is_empty() {
            // On a panic or an early return nobody is left to tell; the journal stays for the next command.
            put_back(&self.journal, files, is_unsettled).ok();
        }
    }
}

fn save(path: &Path, files: &[Entry]) -> Result<()> {
    let journal = Journal { version: VERSION, files: files.to_vec() };
    let text = serde_json::to_string_pretty(&journal).map_err(|error| unreadable(path, &error))?;
    fs::save(path, &text)
}

/// Puts back every file that the journal names. Those that are not settled stay in it, so that nothing of an original is
/// lost; otherwise it is removed. Without a journal there is nothing to do.
///
/// # Errors
/// When the journal cannot be read or written.
pub fn recover(journal: &Path) -> Result<Vec<Restored>> {
    put_back(journal, read_journal(journal)?, is_unsettled)
}

/// The same, but where the user edited the very value that was patched the edit is kept and the original forgotten.
///
/// # Errors
/// When the journal cannot be read or written.
pub fn recover_keeping_edits(journal: &Path) -> Result<Vec<Restored>> {
    let is_kept = |outcome: &Outcome| matches!(outcome, Outcome::Failed(_));
    put_back(journal, read_journal(journal)?, is_kept)
}

/// The files that a journal names, without links in their paths.
///
/// # Errors
/// When the journal cannot be read.
pub fn patched(journal: &Path) -> Result<Vec<PathBuf>> {
    let files = read_journal(journal)?.into_iter();
    Ok(files.map(|file| fs::canonical(&file.path).unwrap_or(file.path)).collect())
}

fn is_unsettled(outcome: &Outcome) -> bool {
    !outcome.is_settled()
}

fn read_journal(journal: &Path) -> Result<Vec<Entry>> {
    let Some(text) = fs::read_if_there(journal)? else { return Ok(Vec::new()) };
    let Journal { version, files } =
        serde_json::from_str(&text).map_err(|error| unreadable(journal, &error))?;
    if version == VERSION {
        return Ok(files);
    }
    let reason = format!("it is of version {version}");
    Err(Error::State { path: journal.to_owned(), reason })
}

fn put_back(
    journal: &Path,
    files: Vec<Entry>,
    is_kept: impl Fn(&Outcome) -> bool,
) -> Result<Vec<Restored>> {
    let mut restored = Vec::with_capacity(files.len());
    let mut kept = Vec::new();
    for entry in files {
        // One that cannot be put back keeps nobody else waiting.
        let outcome = restore(&entry).unwrap_or_else(Outcome::Failed);
        let path = entry.path.clone();
        if is_kept(&outcome) {
            kept.push(entry);
        }
        restored.push(Restored { path, outcome });
    }
    if kept.is_empty() {
        fs::remove(journal)?;
    } else {
        save(journal, &kept)?;
    }
    Ok(restored)
}

fn restore(entry: &Entry) -> Result<Outcome> {
    fs::remove_temporary(&entry.path)?;
    let Some(now) = fs::read_if_there(&entry.path)? else { return gone(entry) };
    if now == entry.before {
        return Ok(Outcome::Restored);
    }
    if now == entry.after || is_torn(&now, entry) {
        fs::replace(&entry.path, &entry.before)?;
        return Ok(Outcome::Restored);
    }
    match merge::take_back(&entry.before, &entry.after, &entry.undo, &now) {
        Some(merged) if merged != now => fs::replace(&entry.path, &merged)?,
        Some(_unchanged) => {}
        None => return Ok(Outcome::Conflict),
    }
    Ok(Outcome::Merged)
}

/// A file without its folder may be on a disk that is not there at the moment.
fn gone(entry: &Entry) -> Result<Outcome> {
    match entry.path.parent() {
        Some(folder) if !folder.exists() => Err(Error::File {
            action: "find",
            path: folder.to_owned(),
            source: std::io::Error::from(std::io::ErrorKind::NotFound),
        }),
        _ => Ok(Outcome::Gone),
    }
}

/// A crash while the file was written in place leaves the beginning of one text and the rest of the other.
fn is_torn(now: &str, Entry { before, after, .. }: &Entry) -> bool {
    let is_begun = |new: &str, old: &str| {
        let same = now.bytes().zip(new.bytes()).take_while(|(now, new)| now == new).count();
        now.as_bytes().get(same..) == old.as_bytes().get(same..)
    };
    is_begun(after, before) || is_begun(before, after)
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
    use crate::error::Error;
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

    /// The one file's outcome.
    fn outcome(restored: Vec<super::Restored>) -> Outcome {
        let [restored] = restored.try_into().unwrap();
        restored.outcome
    }

    #[test]
    fn restores_once_and_leaves_no_journal() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        assert!(matches!(outcome(patches.restore().unwrap()), Outcome::Restored));
        assert_eq!(read(&file).unwrap(), BEFORE);
        assert!(!journal.exists());
        assert!(recover(&journal).unwrap().is_empty());
    }

    #[test]
    fn a_journal_that_somebody_removed_is_not_needed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        std::fs::remove_dir_all(journal.parent().unwrap()).unwrap();
        assert!(matches!(outcome(patches.restore().unwrap()), Outcome::Restored));
        assert_eq!(read(&file).unwrap(), BEFORE);
    }

    #[test]
    fn edits_are_kept_only_where_there_are_any() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        std::mem::forget(patches);
        let edited = AFTER.replace("8001", "9999");
        save(&file, &edited).unwrap();
        let kept = super::recover_keeping_edits(&journal).unwrap();
        assert!(matches!(outcome(kept), Outcome::Conflict));
        assert_eq!(read(&file).unwrap(), edited);
        assert!(!journal.exists());
    }

    #[test]
    fn what_is_kept_stays_and_can_still_be_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        let record = folder.path().join("fixes/1.json");
        patches.keep(&record).unwrap();
        assert_eq!(read(&file).unwrap(), AFTER);
        assert!(recover(&journal).unwrap().is_empty(), "there was no crash");
        assert_eq!(read(&file).unwrap(), AFTER);
        assert!(matches!(outcome(recover(&record).unwrap()), Outcome::Restored));
        assert_eq!(read(&file).unwrap(), BEFORE);
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
        assert!(matches!(outcome(recover(&journal).unwrap()), Outcome::Restored));
        assert_eq!(read(&file).unwrap(), BEFORE);
    }

    #[test]
    fn an_edit_elsewhere_in_the_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        save(&file, &AFTER.replace("\"api\"", "\"my api\"")).unwrap();
        assert!(matches!(outcome(patches.restore().unwrap()), Outcome::Merged));
        assert_eq!(read(&file).unwrap(), BEFORE.replace("\"api\"", "\"my api\""));
        assert!(!journal.exists());
    }

    #[test]
    fn an_edit_of_the_value_itself_is_left_and_the_original_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        let edited = AFTER.replace("8001", "9999");
        save(&file, &edited).unwrap();
        assert!(matches!(outcome(patches.restore().unwrap()), Outcome::Conflict));
        assert_eq!(read(&file).unwrap(), edited);
        let original = read(&journal).unwrap();
        assert!(original.contains("8000"));
        assert!(Patches::apply(&journal, &[]).is_err(), "the original would be lost");
        assert_eq!(read(&journal).unwrap(), original);
    }

    #[test]
    fn a_file_that_changed_since_it_was_read_is_not_patched() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal) = (folder.path().join("config.json"), folder.path().join("journal"));
        save(&file, "somebody was quicker").unwrap();
        let change = FileChange {
            path: file.clone(),
            before: BEFORE.into(),
            after: AFTER.into(),
            changes: Vec::new(),
            undo: Vec::new(),
        };
        assert!(matches!(Patches::apply(&journal, &[change]), Err(Error::Changed(_))));
        assert!(!journal.exists(), "there is nothing to put back");
        assert_eq!(read(&file).unwrap(), "somebody was quicker");
    }

    #[test]
    fn a_file_that_was_half_written_in_place_is_whole_again() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = ("port = 999 # ours\n", "port = 1000 # ours\n");
        for written in 0..=after.len() {
            let (file, journal) = (folder.path().join("a.toml"), folder.path().join("journal"));
            save(&file, before).unwrap();
            let change = FileChange {
                path: file.clone(),
                before: before.into(),
                after: after.into(),
                changes: Vec::new(),
                undo: vec![Undo { range: 7..11, old: "999".into() }],
            };
            std::mem::forget(Patches::apply(&journal, &[change]).unwrap());
            let torn =
                format!("{}{}", &after[..written], before.get(written..).unwrap_or_default());
            save(&file, &torn).unwrap();
            assert!(matches!(outcome(recover(&journal).unwrap()), Outcome::Restored), "{torn}");
            assert_eq!(read(&file).unwrap(), before);
        }
    }

    #[test]
    fn one_file_that_cannot_be_put_back_keeps_no_other_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let journal = folder.path().join("journal");
        let file = |name: &str| folder.path().join(name);
        let changes = ["a.json", "b.json"].map(|name| {
            save(&file(name), BEFORE).unwrap();
            FileChange {
                path: file(name),
                before: BEFORE.into(),
                after: AFTER.into(),
                changes: Vec::new(),
                undo: Vec::new(),
            }
        });
        std::mem::forget(Patches::apply(&journal, &changes).unwrap());
        let protect = |mode| {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(file("a.json"), std::fs::Permissions::from_mode(mode))
                .unwrap();
        };
        protect(0o444);
        let restored = recover(&journal).unwrap();
        assert!(matches!(restored[0].outcome, Outcome::Failed(Error::ReadOnly(_))));
        assert!(matches!(restored[1].outcome, Outcome::Restored));
        protect(0o644);
        assert!(matches!(outcome(recover(&journal).unwrap()), Outcome::Restored));
        assert_eq!(
            (read(&file("a.json")).unwrap(), read(&file("b.json")).unwrap()),
            (BEFORE.into(), BEFORE.into())
        );
    }

    #[test]
    fn a_removed_file_is_not_made_again() {
        let folder = tempfile::tempdir().unwrap();
        let (file, journal, patches) = patched(folder.path());
        crate::fs::remove(&file).unwrap();
        assert!(matches!(outcome(patches.restore().unwrap()), Outcome::Gone));
        assert_eq!(entries(folder.path()).unwrap(), [journal.parent().unwrap()]);
    }
}
