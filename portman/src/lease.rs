//! The lease book: which port each checkout's services had last. It only remembers; whether a port is free, the kernel
//! says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::fs::{self, Lock};
use crate::port::Port;

const VERSION: u32 = 1;

/// How long we wait for somebody else who writes the book. Writing it takes milliseconds.
const LIMIT: Duration = Duration::from_secs(2);

/// What is remembered of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The port it had last.
    pub port: Port,
    /// The command of its server, if that sets no option to share a port: it cannot listen over a hold, which has to be
    /// released at its spawn. Another command may start another server.
    pub until_spawn: Option<String>,
}

/// What the book means to one checkout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Memory {
    /// What this checkout's services had last, by name.
    pub own: BTreeMap<String, Lease>,
    /// The ports that services of other checkouts had last.
    pub others: BTreeSet<Port>,
}

/// A book that cannot be understood. It is kept under another name when the next one is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, for people.
    pub reason: String,
    /// Where it is kept.
    pub kept: PathBuf,
}

/// The leases of all checkouts that are still there.
#[derive(Debug)]
pub struct Book {
    checkouts: Checkouts,
    /// Why the book is empty although there is a file.
    pub broken: Option<Broken>,
}

type Checkouts = BTreeMap<PathBuf, BTreeMap<String, Lease>>;

/// The file.
#[derive(Serialize, Deserialize)]
struct Written {
    version: u32,
    checkouts: Checkouts,
}

impl Book {
    /// Reads the book in the folder `state`. That takes no lock: whoever writes it replaces it whole.
    ///
    /// # Errors
    /// When there is a file that cannot be read. One that cannot be understood is an empty book that is `broken`.
    pub fn read(state: &Path) -> Result<Self> {
        let path = path(state);
        let read = match fs::read_if_there(&path) {
            Ok(None) => Ok(Checkouts::new()),
            Ok(Some(text)) => understood(&text),
            Err(error @ Error::NotText { .. }) => Err(error.to_string()),
            Err(error) => return Err(error),
        };
        Ok(match read {
            Ok(mut checkouts) => {
                // What cannot be looked at, on a disk that hangs say, is not gone.
                checkouts.retain(|checkout, _| !matches!(checkout.try_exists(), Ok(false)));
                Self { checkouts, broken: None }
            }
            Err(reason) => {
                let kept = state.join("leases.json.broken");
                Self { checkouts: Checkouts::new(), broken: Some(Broken { path, reason, kept }) }
            }
        })
    }

    /// What `checkout`, a canonical path, has to know for choosing its ports.
    pub fn memory(&self, checkout: &Path) -> Memory {
        let others = self.checkouts.iter().filter(|(other, _)| *other != checkout);
        let others = others.flat_map(|(_, leases)| leases.values().map(|lease| lease.port));
        Memory {
            own: self.checkouts.get(checkout).cloned().unwrap_or_default(),
            others: others.collect(),
        }
    }

    fn says(&self, checkout: &Path, had: &[(String, Lease)]) -> bool {
        let own = self.checkouts.get(checkout);
        had.iter().all(|(service, lease)| own.and_then(|own| own.get(service)) == Some(lease))
    }

    fn save(self, path: &Path) -> Result<Option<Broken>> {
        let written = Written { version: VERSION, checkouts: self.checkouts };
        // A path that is not Unicode has no place in it.
        let text = serde_json::to_string_pretty(&written)
            .map_err(|error| Error::State { path: path.to_owned(), reason: error.to_string() })?;
        if let Some(Broken { path, kept, .. }) = &self.broken {
            fs::rename(path, kept)?;
        }
        // Others wait for us with a limit, so we do not wait for a busy disk.
        fs::remember(path, &text)?;
        Ok(self.broken)
    }
}

fn path(state: &Path) -> PathBuf {
    state.join("leases.json")
}

fn understood(text: &str) -> std::result::Result<Checkouts, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    match serde_json::from_str(text).map_err(|error| error.to_string())? {
        Version { version: VERSION } => {}
        Version { version } => return Err(format!("it is of version {version}")),
    }
    let written = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Written { checkouts, .. } = written;
    Ok(checkouts)
}

/// Writes into the book in the folder `state` what services of `checkout`, a canonical path, have got; checkouts that
/// are gone are struck out. When the book says all of it already, nothing is written and nobody waited for. A broken
/// book is moved aside, and given back for the caller to tell.
///
/// # Errors
/// [`Error::Locked`] when somebody else keeps the lock of the book.
pub fn record(state: &Path, checkout: &Path, had: &[(String, Lease)]) -> Result<Option<Broken>> {
    if Book::read(state)?.says(checkout, had) {
        return Ok(None);
    }
    let _lock = Lock::wait(&state.join("leases.lock"), LIMIT)?;
    let mut book = Book::read(state)?;
    book.checkouts.entry(checkout.to_owned()).or_default().extend(had.iter().cloned());
    book.save(&path(state))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Book, Lease, record};
    use crate::fs::{entries, read, save};
    use crate::port::Port;

    fn had(service: &str, port: u16) -> (String, Lease) {
        (service.to_owned(), Lease { port: Port::new(port).unwrap(), until_spawn: None })
    }

    #[test]
    fn a_checkout_knows_its_own_leases_and_the_ports_of_the_others() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let state = folder.path().join("state");
        record(&state, one.path(), &[had("api", 8001), had("web", 5174)]).unwrap();
        record(&state, two.path(), &[had("api", 8000)]).unwrap();
        record(&state, one.path(), &[had("web", 5173)]).unwrap();

        let memory = Book::read(&state).unwrap().memory(one.path());
        assert_eq!(
            memory.own.into_iter().collect::<Vec<_>>(),
            [had("api", 8001), had("web", 5173)]
        );
        assert_eq!(memory.others.into_iter().map(Port::get).collect::<Vec<_>>(), [8000]);
        let memory = Book::read(&state).unwrap().memory(Path::new("/elsewhere"));
        assert!(memory.own.is_empty() && memory.others.len() == 3);
    }

    #[test]
    fn what_the_book_says_already_is_not_written_and_makes_nobody_wait() {
        let state = tempfile::tempdir().unwrap();
        let leases = [had("api", 8000)];
        record(state.path(), state.path(), &leases).unwrap();
        let lock = state.path().join("leases.lock");
        let _held = crate::fs::Lock::try_take(&lock).unwrap().unwrap();
        assert_eq!(record(state.path(), state.path(), &leases).unwrap(), None);
    }

    #[test]
    fn a_checkout_that_is_gone_is_forgotten() {
        let state = tempfile::tempdir().unwrap();
        let gone = tempfile::tempdir().unwrap();
        record(state.path(), gone.path(), &[had("api", 8000)]).unwrap();
        let name = gone.path().display().to_string();
        drop(gone);
        assert!(Book::read(state.path()).unwrap().memory(state.path()).others.is_empty());
        record(state.path(), state.path(), &[had("api", 8001)]).unwrap();
        assert!(!read(&state.path().join("leases.json")).unwrap().contains(&name));
    }

    #[test]
    fn a_broken_book_is_told_and_kept_once_there_is_a_new_one() {
        for (text, expected) in [
            ("{\"version\":1,", "EOF while parsing a value at line 1 column 13"),
            ("{\"version\":2,\"books\":[]}", "it is of version 2"),
            (
                "{\"version\":1,\"checkouts\":{\"/a\":{\"api\":{\"port\":0,\"until_spawn\":false}}}}",
                "invalid value: integer `0`, expected a nonzero u16 at line 1 column 47",
            ),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let state = folder.path();
            save(&state.join("leases.json"), text).unwrap();
            let broken = Book::read(state).unwrap().broken.unwrap();
            assert_eq!(broken.reason, expected);
            assert_eq!(entries(state).unwrap().len(), 1, "reading moves nothing");

            assert_eq!(record(state, state, &[had("api", 8000)]).unwrap(), Some(broken.clone()));
            assert_eq!(read(&broken.kept).unwrap(), text);
            assert_eq!(record(state, state, &[had("api", 8001)]).unwrap(), None);
            assert_eq!(Book::read(state).unwrap().memory(state).own["api"].port.get(), 8001);
        }
    }
}
