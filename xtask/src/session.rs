//! One run of a stack in one checkout: its lock, its record, and what is done about a run that was killed.
//!
//! A run holds the lock of its checkout while it lives, whatever ends it. Who gets the lock and finds a record behind
//! it has the proof that that run is dead.

use std::cell::Cell;
use std::env;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portman::error::Error;
use portman::fs::{self, Lock};
use portman::lease::{self, Broken, Lease};
use portman::port::Port;
use portman::process::{self, Process};
use portman::restore::{self, Restored};
use portman::safety::{Asker, Live};
use portman::stop;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};
use crate::marks::{self, Marks, SERVICE_VARIABLE, VARIABLE};

/// How long processes that outlived their service, or a killed run, may take to clean up.
const LEFTOVER_GRACE: Duration = Duration::from_secs(5);
const VERSION: u32 = 1;

/// The per-user folder of our state, absolute.
///
/// # Errors
/// When the environment names none, or one that is another folder wherever a command runs.
pub fn state_dir() -> Result<PathBuf, Failure> {
    state_dir_if_any()?.ok_or_else(|| {
        Failure::new(Kind::File, NO_STATE_DIR, "set HOME or PORTMAN_STATE_DIR to an absolute path")
    })
}

/// Why there is no folder of our state.
pub const NO_STATE_DIR: &str = "there is no place for our records: HOME names no absolute path";

/// The same for who can do without: none when the environment names none.
///
/// # Errors
/// When it names one that is another folder wherever a command runs: what is written down there is found by nobody.
pub fn state_dir_if_any() -> Result<Option<PathBuf>, Failure> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(dir) = set("PORTMAN_STATE_DIR") {
        return if dir.is_absolute() { Ok(Some(dir)) } else { Err(relative_state_dir(&dir)) };
    }
    // Those who say what these two mean have a relative path ignored.
    let absolute = |name| set(name).filter(|dir| dir.is_absolute());
    let home = || absolute("HOME").map(|home| home.join(".local/state"));
    Ok(absolute("XDG_STATE_HOME").or_else(home).map(|dir| dir.join("portman")))
}

fn relative_state_dir(dir: &Path) -> Failure {
    let message = format!(
        "PORTMAN_STATE_DIR is `{}`, which is another folder wherever a command runs",
        dir.display()
    );
    Failure::new(Kind::Usage, message, "set it to an absolute path, as in $PWD/state")
}

/// A run, or the right to make one: while this lives, nobody else has the checkout.
#[derive(Debug)]
pub struct Session {
    /// Names the run in the environment of its processes.
    pub id: String,
    state: PathBuf,
    home: Home,
    checkout: PathBuf,
    /// How long what outlived its service may take to clean up.
    grace: Cell<Duration>,
    _lock: Lock,
}

/// The folder of one checkout's records.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Home(PathBuf);

impl Home {
    fn of(state: &Path, checkout: &Path) -> Self {
        let name = checkout.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let path = checkout.as_os_str().as_encoded_bytes();
        Self(Self::folder(state).join(format!("{name}-{:016x}", fnv1a(path))))
    }

    /// Those of all checkouts that have records.
    fn all(state: &Path) -> anyhow::Result<impl Iterator<Item = Self>> {
        Ok(fs::entries(&Self::folder(state))?.into_iter().map(Self))
    }

    fn folder(state: &Path) -> PathBuf {
        state.join("checkouts")
    }

    fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }

    fn record(&self) -> PathBuf {
        self.0.join("run.json")
    }

    fn journal(&self) -> PathBuf {
        self.0.join("journal.json")
    }

    fn fixes(&self) -> PathBuf {
        self.0.join("fixes")
    }

    /// Was there a run that has not put everything back?
    fn has_traces(&self) -> bool {
        self.record().exists() || self.journal().exists()
    }
}

/// Names files by content that differs in every bit; the same on every machine and in every version (FNV-1a, 64 bit).
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// What is written down about a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    session: String,
    checkout: PathBuf,
    /// The process that runs it.
    pub launcher: Process,
    /// The services with their ports.
    pub ports: Vec<(String, Port)>,
    /// The services with the ports that they would have liked.
    #[serde(default)]
    pub preferred: Vec<(String, Port)>,
}

impl Record {
    /// Is this process of the run? One that has lost the mark may still be known by who started it.
    pub fn has(&self, pid: u32) -> bool {
        let is_descendant = || {
            let process = Process::find(pid).ok().flatten();
            let line = process.and_then(|process| process.line().ok());
            line.is_some_and(|line| line.contains(&self.launcher))
        };
        process::is_marked(pid, VARIABLE, &self.session) || is_descendant()
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        &self.session
    }
}

impl Session {
    /// Takes the checkout for a run.
    ///
    /// # Errors
    /// When a run has it already; the error names it.
    pub fn begin(state: &Path, checkout: &Path) -> anyhow::Result<Self> {
        let home = Home::of(state, checkout);
        let Some(lock) = Lock::try_take(&home.lock())? else {
            return Err(busy(&home, checkout)?.into());
        };
        if home.has_traces() {
            let message = format!("another run of `{}` was killed just now", checkout.display());
            return Err(Failure::new(Kind::Port, message, "try again").into());
        }
        let id = format!("{:016x}", RandomState::new().build_hasher().finish());
        let grace = Cell::new(LEFTOVER_GRACE);
        let (state, checkout) = (state.to_owned(), checkout.to_owned());
        Ok(Self { id, state, home, checkout, grace, _lock: lock })
    }

    /// What its processes carry.
    pub fn marks(&self) -> Marks {
        let outer = |variable| env::var(variable).ok().filter(|list| !list.is_empty());
        Marks {
            session: self.id.clone(),
            outer_sessions: outer(VARIABLE),
            outer_services: outer(SERVICE_VARIABLE),
        }
    }

    /// What the processes of a service carry in [`SERVICE_VARIABLE`].
    pub fn service_mark(&self, service: &str) -> String {
        marks::service_mark(&self.id, service)
    }

    /// Remembers for the next run that the server which this command starts cannot listen on a port that is held. A book
    /// that had to be rebuilt for it is given back, to be told.
    ///
    /// # Errors
    /// When the book of leases cannot be written.
    pub fn remember_refusal(
        &self,
        service: &str,
        port: Port,
        command: String,
    ) -> anyhow::Result<Option<Broken>> {
        let lease = Lease { port, until_spawn: Some(command) };
        Ok(lease::record(&self.state, &self.checkout, &[(service.to_owned(), lease)])?)
    }

    /// Writes down that the run is under way.
    pub fn record(
        &self,
        ports: Vec<(String, Port)>,
        preferred: Vec<(String, Port)>,
    ) -> anyhow::Result<()> {
        let record = Record {
            version: VERSION,
            session: self.id.clone(),
            checkout: self.checkout.clone(),
            launcher: Process::current()?,
            ports,
            preferred,
        };
        Ok(fs::save(&self.home.record(), &serde_json::to_string_pretty(&record)?)?)
    }

    /// Where the originals of patched files are kept.
    pub fn journal(&self) -> PathBuf {
        self.home.journal()
    }

    /// The folder of what was written for good, each with how to undo it. Recovery never reads it.
    pub fn fixes(&self) -> PathBuf {
        self.home.fixes()
    }

    /// The file that stands while the setup of `service` has not ended well.
    pub fn setup_mark(&self, service: &str) -> PathBuf {
        self.home.0.join(format!("setup-{service}"))
    }

    /// Stops every process of this session that is still there, and says how many there were.
    ///
    /// # Errors
    /// When one cannot be stopped.
    pub fn stop_rest(&self) -> anyhow::Result<usize> {
        stop_marked(&self.id, self.grace.get())
    }

    /// Somebody is in a hurry: what is left is killed at once.
    pub fn hurry(&self) {
        self.grace.set(Duration::ZERO);
    }
}

impl Drop for Session {
    /// The run is over, however it went. As long as something of it is left, the next command has to know of it.
    fn drop(&mut self) {
        if self.stop_rest().is_ok() && !self.home.journal().exists() {
            // What cannot be removed is found, and told, by the next command.
            fs::remove(&self.home.record()).ok();
        }
    }
}

/// The run of this checkout that is under way; none when there is none.
///
/// # Errors
/// When its record cannot be read.
pub fn running(state: &Path, checkout: &Path) -> anyhow::Result<Option<Record>> {
    let home = Home::of(state, checkout);
    // Looking leaves nothing behind: without a record there was never a run, and no lock to ask.
    let Some(record) = read_record(&home)? else { return Ok(None) };
    Ok(if Lock::try_take(&home.lock())?.is_some() { None } else { Some(record) })
}

/// Says that a run is under way in this checkout; the error names it.
///
/// # Errors
/// When one is, or its record cannot be read.
pub fn refuse_while_running(state: &Path, checkout: &Path) -> anyhow::Result<()> {
    match running(state, checkout)? {
        Some(_) => Err(busy(&Home::of(state, checkout), checkout)?.into()),
        None => Ok(()),
    }
}

/// The run under way that has patched this file, in whatever checkout; none when none has.
///
/// # Errors
/// When our records cannot be read.
pub fn patched_by(state: &Path, file: &Path) -> anyhow::Result<Option<Record>> {
    let Ok(file) = fs::canonical(file) else { return Ok(None) };
    for home in Home::all(state)? {
        let is_patched = restore::patched(&home.journal())?.contains(&file);
        if is_patched && Lock::try_take(&home.lock())?.is_none() {
            return read_record(&home);
        }
    }
    Ok(None)
}

/// The runs of all checkouts of this user that are under way.
///
/// # Errors
/// When the record of one cannot be read.
pub fn live(state: &Path) -> anyhow::Result<Vec<Live>> {
    let mut live = Vec::new();
    for home in Home::all(state)? {
        // Without a record it has started nothing yet. Who has the lock is read after it was found taken.
        if !home.record().exists() || Lock::try_take(&home.lock())?.is_some() {
            continue;
        }
        live.extend(read_record(&home)?.map(|record| Live {
            variable: VARIABLE.to_owned(),
            mark: record.session,
            launcher: record.launcher,
            checkout: record.checkout,
        }));
    }
    Ok(live)
}

/// Who asks for a process to be stopped: we, while these runs are under way.
///
/// # Errors
/// When the system does not say who we are.
pub fn asker(state: &Path) -> anyhow::Result<Asker> {
    Ok(match live(state) {
        Ok(live) => Asker::new(live)?,
        Err(error) => Asker::blind(format!("{error:#}"))?,
    })
}

fn read_record(home: &Home) -> anyhow::Result<Option<Record>> {
    let path = home.record();
    let Some(text) = fs::read_if_there(&path)? else { return Ok(None) };
    let record: Record = serde_json::from_str(&text)
        .map_err(|error| Error::State { path: path.clone(), reason: error.to_string() })?;
    if record.version != VERSION {
        return Err(
            Error::State { path, reason: format!("it is of version {}", record.version) }.into()
        );
    }
    Ok(Some(record))
}

fn busy(home: &Home, checkout: &Path) -> anyhow::Result<Failure> {
    let checkout = checkout.display();
    let record = read_record(home)?.filter(|record| record.launcher.is_alive().unwrap_or(true));
    Ok(match record {
        Some(Record { launcher, .. }) => Failure::new(
            Kind::Port,
            format!("the stack of `{checkout}` already runs: process {} started it", launcher.pid),
            "press Ctrl-C there, or use another checkout",
        ),
        None => Failure::new(
            Kind::Port,
            format!("another command is just putting `{checkout}` in order"),
            "try again",
        ),
    })
}

/// What was done about one killed run.
#[derive(Debug)]
pub struct Recovered {
    /// Where it ran; none when its record is lost.
    pub checkout: Option<PathBuf>,
    /// How many of its processes were stopped.
    pub stopped: usize,
    /// Its files.
    pub restored: Vec<Restored>,
}

/// The attempt to put a killed run in order.
#[derive(Debug)]
pub struct Attempt {
    /// Was it a run of the checkout that the command is about?
    pub is_ours: bool,
    /// What came of it.
    pub result: anyhow::Result<Recovered>,
}

/// Ends what killed runs have left, in every checkout of this user: processes first, then files. Runs that live are not
/// touched, and one that cannot be put in order keeps no other waiting. `ours` is the checkout that the command is about.
///
/// # Errors
/// When our records cannot be listed.
pub fn recover(state: &Path, ours: Option<&Path>) -> anyhow::Result<Vec<Attempt>> {
    let ours = ours.map(|checkout| Home::of(state, checkout));
    let attempt = |home: Home| {
        let result = recover_one(&home).transpose()?;
        Some(Attempt { is_ours: ours.as_ref() == Some(&home), result })
    };
    Ok(Home::all(state)?.filter_map(attempt).collect())
}

fn recover_one(home: &Home) -> anyhow::Result<Option<Recovered>> {
    if !home.has_traces() {
        return Ok(None);
    }
    let Some(_lock) = Lock::try_take(&home.lock())? else { return Ok(None) };
    // With the lock it is certain; before, a run may just have been ending.
    if !home.has_traces() {
        return Ok(None);
    }
    let record = read_record(home)?;
    let stopped = match &record {
        Some(record) => stop_marked(&record.session, LEFTOVER_GRACE)?,
        None => 0,
    };
    let checkout = record.map(|record| record.checkout);
    if checkout.as_ref().is_some_and(|checkout| !checkout.is_dir()) {
        // Removed, or on a disk that is not there at the moment: the originals wait for it.
        let restored = Vec::new();
        return Ok((stopped > 0).then_some(Recovered { checkout, stopped, restored }));
    }
    let restored = put_back(home, restore::recover)?;
    Ok(Some(Recovered { checkout, stopped, restored }))
}

/// Puts the files of a dead run back by `restore`, and forgets the run unless a file still waits.
fn put_back(
    home: &Home,
    restore: impl FnOnce(&Path) -> portman::error::Result<Vec<Restored>>,
) -> anyhow::Result<Vec<Restored>> {
    let restored = restore(&home.journal())?;
    if !home.journal().exists() {
        fs::remove(&home.record())?;
    }
    Ok(restored)
}

/// A process may start another while it is being stopped; this often they are looked for again.
const ROUNDS: usize = 10;

/// Stops the processes of a session, but for us and those that we are part of.
fn stop_marked(session: &str, grace: Duration) -> anyhow::Result<usize> {
    let ours = Process::ancestors()?;
    let mut stopped = 0;
    for _round in 0..ROUNDS {
        let mut left = process::marked(VARIABLE, session)?;
        left.retain(|process| !ours.contains(process));
        if left.is_empty() {
            return Ok(stopped);
        }
        stop::stop_all(&left, grace)?;
        stopped += left.len();
    }
    anyhow::bail!("processes of a run start others faster than they can be stopped")
}

/// Puts a killed run of this checkout in order as [`recover`] does, but keeps the user's edits of patched values and
/// forgets the originals of these.
///
/// # Errors
/// When a run is under way there, or our records cannot be read.
pub fn keep_edits(state: &Path, checkout: &Path) -> anyhow::Result<Vec<Restored>> {
    let home = Home::of(state, checkout);
    let Some(_lock) = Lock::try_take(&home.lock())? else {
        return Err(busy(&home, checkout)?.into());
    };
    if let Some(record) = read_record(&home)? {
        stop_marked(&record.session, LEFTOVER_GRACE)?;
    }
    put_back(&home, restore::recover_keeping_edits)
}

#[cfg(test)]
mod tests {
    use super::{Home, Session, VARIABLE, live, recover, running};
    use portman::fs;
    use portman::port::Port;
    use std::path::Path;

    #[test]
    fn a_checkout_is_had_once_and_its_run_is_known() {
        let state = tempfile::tempdir().unwrap();
        let checkout = Path::new("/some/checkout");
        assert!(running(state.path(), checkout).unwrap().is_none());

        let session = Session::begin(state.path(), checkout).unwrap();
        session.record(vec![("api".into(), Port::new(8000).unwrap())], Vec::new()).unwrap();
        let refused = Session::begin(state.path(), checkout).unwrap_err().to_string();
        let pid = std::process::id();
        assert_eq!(
            refused,
            format!("the stack of `/some/checkout` already runs: process {pid} started it")
        );
        assert_eq!(running(state.path(), checkout).unwrap().unwrap().ports[0].0, "api");
        assert!(recover(state.path(), None).unwrap().is_empty(), "a run that lives is not touched");

        drop(session);
        assert!(running(state.path(), checkout).unwrap().is_none());
        assert!(Session::begin(state.path(), checkout).is_ok());
    }

    #[test]
    fn the_runs_that_live_are_known_and_a_damaged_record_is_no_guess() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(live(state.path()).unwrap(), []);
        let session = Session::begin(state.path(), Path::new("/some/checkout")).unwrap();
        assert_eq!(live(state.path()).unwrap(), [], "it has started nothing yet");
        session.record(Vec::new(), Vec::new()).unwrap();
        let found = live(state.path()).unwrap();
        assert_eq!(found[0].launcher.pid, std::process::id());
        assert_eq!(
            (&found[0].mark, found[0].checkout.as_path()),
            (&session.id, Path::new("/some/checkout"))
        );
        assert_eq!(found[0].variable, VARIABLE);

        let record = Home::of(state.path(), Path::new("/some/checkout")).record();
        let whole = fs::read(&record).unwrap();
        fs::save(&record, "{").unwrap();
        assert!(live(state.path()).is_err());
        fs::save(&record, &whole).unwrap();
        drop(session);
        assert_eq!(live(state.path()).unwrap(), []);
    }

    #[test]
    fn checkouts_of_one_name_have_records_of_their_own() {
        let state = Path::new("/state");
        assert_ne!(Home::of(state, Path::new("/a/app")).0, Home::of(state, Path::new("/b/app")).0);
    }
}
