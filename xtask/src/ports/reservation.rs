//! A reservation that outlives the command that made it: its record, which its holder keeps locked as long as it lives.
//!
//! A record has a name that no other one ever gets. Whoever gets its lock has the proof that its holder is dead, whatever
//! ended it, and removes it.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portman::error::Error;
use portman::fs::{self, Lock};
use portman::port::Port;
use portman::process::Process;
use portman::stop;
use serde::{Deserialize, Serialize};

const VERSION: u32 = 1;
/// How long a holder may take to end. It has nothing to clean up.
const GRACE: Duration = Duration::from_secs(5);

/// What is written down about a reservation.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    version: u32,
    folder: PathBuf,
    holder: Process,
    ports: Vec<(String, Port)>,
}

/// A reservation as its holder has it. Dropping it removes the record.
#[derive(Debug)]
pub(super) struct Kept {
    path: PathBuf,
    _lock: Lock,
}

impl Kept {
    /// Writes down that this process keeps `ports` for `folder`.
    pub(super) fn begin(
        state: &Path,
        folder: &Path,
        ports: Vec<(String, Port)>,
    ) -> anyhow::Result<Self> {
        let name = format!("{:016x}.json", RandomState::new().build_hasher().finish());
        let path = home(state).join(name);
        let holder = Process::current()?;
        let record = Record { version: VERSION, folder: folder.to_owned(), holder, ports };
        let lock = Lock::on_new(&path, &serde_json::to_string(&record)?)?;
        Ok(Self { path, _lock: lock })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // What cannot be removed is passed over, and removed, by the next command.
        fs::remove(&self.path).ok();
    }
}

/// A reservation whose holder lives.
#[derive(Debug)]
pub(super) struct Reservation {
    path: PathBuf,
    record: Record,
}

impl Reservation {
    /// Was it made in this folder?
    pub(super) fn is_in(&self, folder: &Path) -> bool {
        self.record.folder == folder
    }

    /// The names it is for.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.record.ports.iter().map(|(name, _)| name.as_str())
    }

    /// The ports it holds.
    pub(super) fn ports(&self) -> impl Iterator<Item = Port> {
        self.record.ports.iter().map(|(_, port)| *port)
    }

    /// Is it for one of `names`?
    pub(super) fn has_any(&self, names: &[&str]) -> bool {
        self.names().any(|name| names.contains(&name))
    }

    /// Its names and ports, for people.
    pub(super) fn described(&self) -> String {
        let port = |(name, port): &(String, Port)| format!("{name} ({port})");
        self.record.ports.iter().map(port).collect::<Vec<_>>().join(", ")
    }

    /// Ends the holder. On return its ports are free.
    pub(super) fn release(self) -> anyhow::Result<()> {
        stop::stop_all(&[self.record.holder], GRACE)?;
        // Somebody else may be removing it just now.
        fs::remove_abandoned(&self.path)?;
        Ok(())
    }
}

fn home(state: &Path) -> PathBuf {
    state.join("reservations")
}

/// All reservations of this user. What dead holders have left is removed.
pub(super) fn all(state: &Path) -> anyhow::Result<Vec<Reservation>> {
    let mut found = Vec::new();
    for path in fs::entries(&home(state))? {
        if fs::remove_abandoned(&path)? {
            continue;
        }
        let text = fs::read_if_there(&path)?.unwrap_or_default();
        // An empty one is just being written.
        if !text.is_empty() {
            found.push(Reservation { record: read(&path, &text)?, path });
        }
    }
    // One that is locked without its holder is just being removed by somebody.
    found.retain(|reservation| reservation.record.holder.is_alive().unwrap_or(true));
    Ok(found)
}

fn read(path: &Path, text: &str) -> Result<Record, Error> {
    let wrong = |reason| Error::State { path: path.to_owned(), reason };
    let record: Record = serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
    if record.version != VERSION {
        return Err(wrong(format!("it is of version {}", record.version)));
    }
    Ok(record)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use portman::port::Port;

    use super::{Kept, Reservation, all, home};

    #[test]
    fn a_reservation_is_known_as_long_as_it_is_kept() {
        let state = tempfile::tempdir().unwrap();
        assert!(all(state.path()).unwrap().is_empty());
        let ports = |name: &str, port| vec![(name.to_owned(), Port::new(port).unwrap())];
        let api = Kept::begin(state.path(), Path::new("/a"), ports("api", 20000)).unwrap();
        let _web = Kept::begin(state.path(), Path::new("/b"), ports("web", 20001)).unwrap();
        let mut known = all(state.path()).unwrap();
        known.sort_by_key(Reservation::described);
        assert_eq!(known[0].described(), "api (20000)");
        assert!(known[0].is_in(Path::new("/a")) && !known[0].is_in(Path::new("/b")));
        assert!(known[0].has_any(&["x", "api"]) && !known[0].has_any(&["web"]));
        assert_eq!(known.len(), 2);

        drop(api);
        assert_eq!(all(state.path()).unwrap().len(), 1);
    }

    #[test]
    fn what_a_dead_holder_left_is_removed_and_what_cannot_be_read_is_told() {
        let state = tempfile::tempdir().unwrap();
        let left = home(state.path()).join("left.json");
        portman::fs::save(&left, "cut of").unwrap();
        assert!(all(state.path()).unwrap().is_empty());
        assert!(!left.exists());

        let odd = home(state.path()).join("odd.json");
        let _lock = portman::fs::Lock::on_new(&odd, "{}").unwrap();
        let told = all(state.path()).unwrap_err().to_string();
        assert!(told.contains("does not hold what was written there"), "{told}");
    }
}
