//! Reading, replacing and locking files. Nothing else here touches the file system, apart from `sys`.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::sys;

/// The text of a file.
///
/// # Errors
/// When it cannot be read, is not UTF-8 or holds a NUL byte.
pub fn read(path: &Path) -> Result<String> {
    let bytes = fs::read(path).map_err(|source| failed("read", path, source))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        not_text(path, offset, error.as_bytes()[offset])
    })?;
    match text.find('\0') {
        Some(offset) => Err(not_text(path, offset, 0)),
        None => Ok(text),
    }
}

/// The text of a file, or none when there is no such file.
pub fn read_if_there(path: &Path) -> Result<Option<String>> {
    match read(path) {
        Err(Error::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        read => read.map(Some),
    }
}

/// Puts `text` in the place of an existing file, so that a reader sees the old text or the new one, and after a power
/// cut one of the two is there.
///
/// Links are followed, the mode and the owner stay. A file with several hard links, one that is a mount point, and one
/// whose owner we cannot give to another file are written in place instead: a rename would make another file of it.
///
/// # Errors
/// When the file is not there, is read-only, or the system refuses. The file then holds its old text; if it was written
/// in place, perhaps the beginning of the new one and the rest of the old one.
pub fn replace(path: &Path, text: &str) -> Result<()> {
    let target = path.canonicalize().map_err(|source| failed("find", path, source))?;
    let old = fs::metadata(&target).map_err(|source| failed("read", path, source))?;
    if old.permissions().readonly() {
        return Err(Error::ReadOnly(path.to_owned()));
    }
    let replaced = if sys::is_shared(&old) {
        write_in_place(&target, text)
    } else {
        rename_over(&target, &old, text)
    };
    replaced.map_err(|source| failed("replace", path, source))
}

fn rename_over(target: &Path, old: &Metadata, text: &str) -> io::Result<()> {
    let temporary = temporary_beside(target);
    let like = |file: &File| {
        sys::keep_owner(file, old)?;
        file.set_permissions(old.permissions())
    };
    let written = write_new(&temporary, text, like).and_then(|file| file.sync_all());
    match written.and_then(|()| fs::rename(&temporary, target)) {
        Ok(()) => sync_folder(target),
        Err(error) => {
            if error.kind() != io::ErrorKind::AlreadyExists {
                // It may never have been made; what matters is the error that stopped us.
                fs::remove_file(&temporary).ok();
            }
            if sys::forbids_rename(&error) { write_in_place(target, text) } else { Err(error) }
        }
    }
}

/// Where the new text of `target` stands before it takes its place. The name is fixed, so that what a crash leaves is
/// found again (see [`remove_temporary`]).
fn temporary_beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}.portman"))
}

/// Removes what a crash in [`replace`] may have left beside `path`.
#[cfg(feature = "patch")]
pub(crate) fn remove_temporary(path: &Path) -> Result<()> {
    let Ok(target) = path.canonicalize() else { return Ok(()) };
    remove(&temporary_beside(&target))
}

fn write_new(
    path: &Path,
    text: &str,
    prepare: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<File> {
    // Never into a file that is there: it may be somebody else's work, or a link to anything.
    let mut file = sys::make_private(OpenOptions::new().write(true).create_new(true)).open(path)?;
    prepare(&file)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// Over the old text and not after emptying the file, so that nothing is lost when the disk is full.
fn write_in_place(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// A rename is only certain to survive a power cut once its folder is synced.
fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

/// Writes a file of our own state, for this user alone and made with its folders if need be; on return it is on the
/// disk. One process at a time may do that; our states have locks.
pub fn save(path: &Path, text: &str) -> Result<()> {
    let saved = write_own(path, text, File::sync_all).and_then(|()| sync_folder(path));
    saved.map_err(|source| failed("write", path, source))
}

/// The same, but nobody waits for the disk, which may be busy for seconds: for what may be forgotten in a power cut.
pub(crate) fn remember(path: &Path, text: &str) -> Result<()> {
    write_own(path, text, |_| Ok(())).map_err(|source| failed("write", path, source))
}

fn write_own(
    path: &Path,
    text: &str,
    sync: impl FnOnce(&File) -> io::Result<()>,
) -> io::Result<()> {
    make_parent(path)?;
    let temporary = temporary_beside(path);
    match fs::remove_file(&temporary) {
        // What a crash left is in nobody's way.
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    sync(&write_new(&temporary, text, |_| Ok(()))?)?;
    fs::rename(&temporary, path)
}

/// Writes a new file of the user's, with the mode that new files have.
///
/// # Errors
/// When there is a file already, or the system refuses.
pub fn create(path: &Path, text: &str) -> Result<()> {
    let create = || {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    create().map_err(|source| failed("create", path, source))
}

/// Adds text to the end of a file, which is made if need be.
pub fn append(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| failed("append to", path, source))
}

/// Removes a file; that there is none is fine.
pub fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(failed("remove", path, source))
        }
        _ => Ok(()),
    }
}

/// Gives a file of our own state another name, in a folder that is made if need be; on return that is on the disk.
pub(crate) fn rename(path: &Path, to: &Path) -> Result<()> {
    let renamed = make_parent(to).and_then(|()| {
        fs::rename(path, to)?;
        sync_folder(to)
    });
    renamed.map_err(|source| failed("move", path, source))
}

/// The path of a file that is there, without links in it.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    fs::canonicalize(path).map_err(|source| failed("find", path, source))
}

/// The entries of a folder; none when there is no such folder.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|source| failed("list", folder, source))?,
    };
    let paths: io::Result<Vec<_>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(|source| failed("list", folder, source))?;
    paths.sort();
    Ok(paths)
}

/// A lock on a file, held until this is dropped or the process ends in whatever way. The file itself stays: who removed
/// a locked file would let two processes lock two files of one name.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock, or says with none that somebody has it.
    pub fn try_take(path: &Path) -> Result<Option<Self>> {
        let file = Self::open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(failed("lock", path, source)),
        }
    }

    /// Takes the lock once it is our turn: who waits stands in a queue, so that nobody starves.
    ///
    /// # Errors
    /// [`Error::Locked`] when it was not our turn within `limit`.
    pub fn wait(path: &Path, limit: Duration) -> Result<Self> {
        let file = Self::open(path)?;
        let (sender, turn) = mpsc::channel();
        // A wait for a lock has no deadline of its own. A thread that is still in it when we give up closes the file,
        // and with it gives up the lock, as soon as it gets it.
        let waiting = thread::Builder::new()
            .spawn(move || sender.send(file.lock().map(|()| Self { _file: file })));
        waiting.map_err(|source| failed("lock", path, source))?;
        match turn.recv_timeout(limit) {
            Ok(taken) => taken.map_err(|source| failed("lock", path, source)),
            Err(_) => Err(Error::Locked { path: path.to_owned(), limit }),
        }
    }

    fn open(path: &Path) -> Result<File> {
        let opened = make_parent(path)
            .and_then(|()| OpenOptions::new().write(true).create(true).truncate(false).open(path));
        opened.map_err(|source| failed("open", path, source))
    }

    /// Makes a file of our own state, for this user alone, that is locked from here on. Nobody may ever give its name to
    /// another file: whoever gets its lock later has the proof that its maker is gone, and may remove it, as
    /// [`remove_abandoned`] does.
    pub fn on_new(path: &Path, text: &str) -> Result<Self> {
        let made = make_parent(path).and_then(|()| {
            loop {
                let options = &mut OpenOptions::new();
                let options = sys::make_private(options.write(true).create_new(true));
                let mut file = options.open(path)?;
                file.lock()?;
                // Before it was locked it could be taken for abandoned.
                if path.try_exists()? {
                    file.write_all(text.as_bytes())?;
                    return Ok(file);
                }
            }
        });
        Ok(Self { _file: made.map_err(|source| failed("write", path, source))? })
    }
}

/// Removes a file that [`Lock::on_new`] made and whose maker is gone, and says whether it is not there any more.
pub fn remove_abandoned(path: &Path) -> Result<bool> {
    // Not made anew if it is gone.
    let file = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        opened => opened.map_err(|source| failed("open", path, source))?,
    };
    match file.try_lock() {
        Ok(()) => remove(path).map(|()| true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(source)) => Err(failed("lock", path, source)),
    }
}

fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { action, path: path.to_owned(), source }
}

fn not_text(path: &Path, offset: usize, byte: u8) -> Error {
    Error::NotText { path: path.to_owned(), offset, found: format!("0x{byte:02x}") }
}

#[cfg(test)]
mod tests {
    use super::{Lock, append, entries, read, remove_abandoned, replace, save};
    use crate::error::Error;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::thread;
    use std::time::Duration;

    #[test]
    fn replacing_keeps_mode_and_links_and_leaves_no_other_file() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link, other) = (
            folder.path().join("a.json"),
            folder.path().join("link.json"),
            folder.path().join("other.json"),
        );
        save(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
        symlink(&file, &link).unwrap();

        replace(&link, "new").unwrap();
        assert_eq!(read(&file).unwrap(), "new");
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o755);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());

        fs::hard_link(&file, &other).unwrap();
        replace(&file, "newer").unwrap();
        assert_eq!(read(&other).unwrap(), "newer");
        assert_eq!(entries(folder.path()).unwrap(), [file, link, other]);
    }

    #[test]
    fn a_read_only_file_is_refused_unchanged() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        save(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        assert!(matches!(replace(&file, "new"), Err(Error::ReadOnly(_))));
        assert_eq!(read(&file).unwrap(), "old");
        assert_eq!(entries(folder.path()).unwrap(), [file]);
    }

    #[test]
    fn what_is_not_text_is_said_with_its_byte() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.json");
        for (bytes, expected) in
            [(b"ab\xff".as_slice(), "byte 2 is 0xff"), (b"a\0b", "byte 1 is 0x00")]
        {
            std::io::Write::write_all(&mut fs::File::create(&file).unwrap(), bytes).unwrap();
            let message = read(&file).unwrap_err().to_string();
            assert!(message.ends_with(expected), "{message}");
        }
    }

    #[test]
    fn a_locked_file_goes_once_its_maker_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/a");
        let lock = Lock::on_new(&path, "ours").unwrap();
        assert!(Lock::on_new(&path, "theirs").is_err());
        assert!(!remove_abandoned(&path).unwrap());
        assert_eq!(read(&path).unwrap(), "ours");
        drop(lock);
        assert!(remove_abandoned(&path).unwrap());
        assert!(!path.exists());
        assert!(remove_abandoned(&path).unwrap());
        assert!(!path.exists(), "it is not made by looking");
    }

    #[test]
    fn text_is_added_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        append(&path, "one\n").unwrap();
        append(&path, "two\n").unwrap();
        assert_eq!(read(&path).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn a_lock_is_had_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state/lock");
        let first = Lock::try_take(&path).unwrap();
        assert!(first.is_some());
        assert!(Lock::try_take(&path).unwrap().is_none());
        drop(first);
        assert!(Lock::try_take(&path).unwrap().is_some());
    }

    #[test]
    fn who_waits_for_a_lock_gets_it_next_or_is_told_who_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = Lock::try_take(&path).unwrap();
        let refused = Lock::wait(&path, Duration::ZERO).unwrap_err();
        assert!(matches!(&refused, Error::Locked { path: named, .. } if *named == path));
        let waiting = {
            let path = path.clone();
            thread::spawn(move || Lock::wait(&path, Duration::from_mins(1)))
        };
        drop(held);
        waiting.join().unwrap().unwrap();
    }
}
