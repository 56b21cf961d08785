//! May a process that is on a port be stopped, and if not, why: by where it comes from first, by its name last. What
//! could not be found out speaks against it.

mod nature;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs;
use crate::owner::{self, Occupant, Owner, Presence, Unit, presences};
use crate::process::{self, Process};
use crate::sys::{self, Activity};

pub use nature::{Nature, nature};
use nature::{is_relay, shown_name};

/// A stack that runs: `launcher` runs it, and its processes carry `mark` in the list that `variable` is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live {
    /// The variable.
    pub variable: String,
    /// What stands in it.
    pub mark: String,
    /// The process that runs the stack.
    pub launcher: Process,
    /// Where.
    pub checkout: PathBuf,
}

/// Who asks for a process to be stopped.
#[derive(Debug, Clone)]
pub struct Asker {
    /// This process, its parent, and so on.
    line: Vec<Process>,
    uid: u32,
    user: String,
    unit: Option<Unit>,
    terminal_leader: Option<Process>,
    /// The stacks that run; why, when that is not known.
    live: std::result::Result<Vec<Live>, String>,
}

impl Asker {
    /// This process, while these stacks run.
    ///
    /// # Errors
    /// When the system does not say who we are.
    pub fn new(live: Vec<Live>) -> Result<Self> {
        Self::gather(Ok(live))
    }

    /// This process, while it is not known which stacks run: nobody may be stopped on a guess.
    ///
    /// # Errors
    /// As [`Asker::new`].
    pub fn blind(reason: String) -> Result<Self> {
        Self::gather(Err(reason))
    }

    fn gather(live: std::result::Result<Vec<Live>, String>) -> Result<Self> {
        let unknown = |source| Error::System { what: "which process this is".into(), source };
        let line = Process::ancestors().map_err(unknown)?;
        let us = line[0];
        let uid = sys::own_user();
        let user = owner::name_of(uid)?;
        let terminal_leader = us.terminal_leader().map_err(unknown)?;
        Ok(Self { line, uid, user, unit: owner::unit_of(us.pid), terminal_leader, live })
    }
}

/// How it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asking<'a> {
    /// Nobody named the port: only what runs in this checkout is ours to stop.
    Unasked {
        /// The checkout.
        checkout: &'a Path,
    },
    /// Somebody named the port.
    ByNumber {
        /// And wants even a database to be stopped.
        force: bool,
    },
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may be stopped.
    May,
    /// It may not.
    MayNot(Reason),
}

/// Why a process may not be stopped: one variant a rule, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is the system itself.
    System,
    /// It is this very process.
    Ourselves,
    /// It has started this process, or what started it, and so on.
    Ancestor,
    /// It is this user's.
    AnotherUser(String),
    /// It leads the session of our terminal, which would go with it.
    TerminalLeader,
    /// It runs in this container.
    Container(String),
    /// This program forwards ports for containers or virtual machines.
    Relay(String),
    /// It belongs to a stack that runs.
    Live {
        /// The process that runs the stack.
        launcher: Process,
        /// Where.
        checkout: PathBuf,
    },
    /// It is in a namespace of its own, as what runs in containers is.
    Apart,
    /// Something about it could not be found out.
    Unproven(String),
    /// This unit looks after it, and would start it again.
    Service(String),
    /// It is nobody: a connection that has ended, and that the system keeps for a while.
    Ended,
    /// It does something else on the port.
    NoListener(Activity),
    /// This database.
    Database(String),
    /// This program is none that one develops with.
    NotDevelopment(String),
    /// It runs elsewhere.
    OtherFolder {
        /// Where; none when that is not known.
        dir: Option<PathBuf>,
        /// The checkout that it would have to run in.
        checkout: PathBuf,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System => write!(f, "it is a process of the system itself"),
            Self::Ourselves => write!(f, "it is this very command"),
            Self::Ancestor => write!(f, "this command runs inside of it"),
            Self::Unproven(what) => write!(f, "it is not known {what}"),
            Self::AnotherUser(user) => write!(f, "it belongs to user {user}"),
            Self::TerminalLeader => write!(f, "this terminal would close with it"),
            Self::Container(name) => write!(f, "it runs in the container {name}"),
            Self::Apart => write!(f, "it is in a namespace of its own, as in a container"),
            Self::Relay(program) => {
                write!(f, "`{program}` forwards the port for a container or a virtual machine")
            }
            Self::Live { launcher, checkout } => write!(
                f,
                "it belongs to the stack of {} that process {} runs",
                checkout.display(),
                launcher.pid
            ),
            Self::Service(unit) => {
                write!(f, "it is the service {unit}, which would start it again")
            }
            Self::Ended => {
                write!(f, "an ended connection that the system keeps for up to a minute")
            }
            Self::NoListener(Activity::Bound) => {
                write!(f, "it is bound to the port and does not listen there")
            }
            Self::NoListener(_) => {
                write!(f, "it does not listen there: a connection of its own uses the port")
            }
            Self::Database(name) => write!(f, "`{name}` is a database"),
            Self::NotDevelopment(name) => write!(f, "`{name}` is no development server"),
            Self::OtherFolder { dir: Some(dir), checkout } => {
                write!(f, "it runs in {}, not in {}", dir.display(), checkout.display())
            }
            Self::OtherFolder { dir: None, checkout } => {
                write!(f, "it is not known to run in {}", checkout.display())
            }
        }
    }
}

/// Somebody on a port.
#[derive(Debug, Clone)]
pub struct Holder {
    /// The process; none when it is not known which it is.
    pub owner: Option<Owner>,
    /// Whose socket it is.
    pub user: String,
    /// What it does there.
    pub activity: Activity,
    /// Where it does that.
    pub addresses: Vec<SocketAddr>,
    /// May it be stopped?
    pub verdict: Verdict,
}

impl Holder {
    /// Why it may be stopped, or may not; for people.
    pub fn why(&self) -> String {
        match (&self.verdict, &self.owner) {
            (Verdict::MayNot(reason), _) => reason.to_string(),
            (Verdict::May, Some(owner)) => format!("it is {} of {}", nature(owner), self.user),
            (Verdict::May, None) => String::new(),
        }
    }
}

/// Everybody on a port, each with the verdict.
pub fn holders(occupants: &[Occupant], asker: &Asker, asking: Asking<'_>) -> Vec<Holder> {
    let present = presences(occupants);
    let listens =
        |owner: &Owner| present.iter().any(|one| one.owner == owner && is_listening(one.activity));
    let known = present.iter().map(|Presence { owner, activity, addresses }| {
        // Who listens on one address is no mere visitor on another.
        let does = if listens(owner) { Activity::Listening } else { *activity };
        let facts = Facts::gather(owner, does, asker, asking);
        Holder {
            owner: Some((*owner).clone()),
            user: owner.user.clone().unwrap_or_default(),
            activity: *activity,
            addresses: addresses.clone(),
            verdict: judge(&facts, asker, asking),
        }
    });
    let unseen = occupants.iter().filter(|occupant| occupant.owners.is_empty());
    let unseen = unseen.map(|occupant| Holder {
        owner: None,
        user: occupant.user.clone(),
        activity: occupant.activity,
        addresses: vec![occupant.address],
        verdict: Verdict::MayNot(unseen_reason(occupant, &asker.user)),
    });
    known.chain(unseen).collect()
}

fn is_listening(activity: Activity) -> bool {
    activity == Activity::Listening
}

/// A socket whose process we do not see.
fn unseen_reason(Occupant { user, unit, activity, .. }: &Occupant, us: &str) -> Reason {
    match unit {
        // The system does not say whose it was, and keeps it as its own.
        _ if *activity == Activity::Lingering => Reason::Ended,
        Some(Unit::Container(name)) => Reason::Container(name.clone()),
        Some(Unit::Service(name)) => Reason::Service(name.clone()),
        None if user != us => Reason::AnotherUser(user.clone()),
        None => Reason::Unproven("which process it is".to_owned()),
    }
}

/// What decides about a process, beside who asks and how.
struct Facts<'a> {
    owner: &'a Owner,
    does: Activity,
    is_system: bool,
    is_apart: bool,
    /// The stack it belongs to.
    live: Option<&'a Live>,
    /// Does it run in the checkout that was asked for?
    is_in_checkout: bool,
    /// What could not be found out about all this.
    unproven: Option<String>,
}

impl<'a> Facts<'a> {
    fn gather(owner: &'a Owner, does: Activity, asker: &'a Asker, asking: Asking<'_>) -> Self {
        let pid = owner.process.pid;
        let is_in_checkout = match asking {
            Asking::Unasked { checkout } => {
                owner.dir.as_deref().is_some_and(|dir| is_in(dir, checkout))
            }
            Asking::ByNumber { .. } => true,
        };
        let mut facts = Self {
            owner,
            does,
            is_system: sys::is_system(pid).unwrap_or(true),
            is_apart: false,
            live: None,
            is_in_checkout,
            unproven: None,
        };
        match sys::is_apart(pid) {
            Ok(is_apart) => facts.is_apart = is_apart,
            Err(error) => facts.unproven = Some(format!("which namespaces it is in: {error}")),
        }
        match &asker.live {
            Err(reason) => facts.unproven = Some(format!("which stacks run: {reason}")),
            Ok(live) => match belongs_to(owner.process, live) {
                Ok(found) => facts.live = found,
                Err(error) => facts.unproven = Some(format!("who started it: {error}")),
            },
        }
        facts
    }
}

/// The stack that a process belongs to: it carries the mark, or the launcher or one with the mark has started it.
fn belongs_to(process: Process, live: &[Live]) -> io::Result<Option<&Live>> {
    if live.is_empty() {
        return Ok(None);
    }
    let line = process.line()?;
    for one in live {
        // A program may have written over its environment; its ancestors have not. They may be other users'.
        let is_marked = |of: &Process| process::is_marked(of.pid, &one.variable, &one.mark);
        let is_own = process::carries(process.pid, &one.variable, &one.mark)?;
        if is_own || line.contains(&one.launcher) || line.iter().any(is_marked) {
            return Ok(Some(one));
        }
    }
    Ok(None)
}

/// Is this folder in the checkout, and not in another one that lies inside?
fn is_in(dir: &Path, checkout: &Path) -> bool {
    let Ok(checkout) = fs::canonical(checkout) else { return false };
    let inner = dir.ancestors().take_while(|folder| *folder != checkout);
    dir.starts_with(&checkout) && !inner.into_iter().any(|folder| folder.join(".git").exists())
}

fn judge(facts: &Facts<'_>, asker: &Asker, asking: Asking<'_>) -> Verdict {
    refusal(facts, asker, asking).map_or(Verdict::May, Verdict::MayNot)
}

/// The first rule that speaks against it.
fn refusal(facts: &Facts<'_>, asker: &Asker, asking: Asking<'_>) -> Option<Reason> {
    let owner = facts.owner;
    let is = |process: &Process| process.pid == owner.process.pid;
    if facts.is_system {
        return Some(Reason::System);
    }
    if is(&asker.line[0]) {
        return Some(Reason::Ourselves);
    }
    if asker.line.iter().any(is) {
        return Some(Reason::Ancestor);
    }
    match owner.uid {
        None => return Some(Reason::Unproven("whose it is".to_owned())),
        Some(uid) if uid != asker.uid => {
            let user = owner.user.clone().unwrap_or_else(|| uid.to_string());
            return Some(Reason::AnotherUser(user));
        }
        Some(_) => {}
    }
    if asker.terminal_leader.as_ref().is_some_and(is) {
        return Some(Reason::TerminalLeader);
    }
    looked_after(facts, asker).or_else(|| by_what_it_is(facts, asking))
}

/// The rules about who looks after it.
fn looked_after(facts: &Facts<'_>, asker: &Asker) -> Option<Reason> {
    let owner = facts.owner;
    let other_unit = owner.unit.as_ref().filter(|unit| asker.unit.as_ref() != Some(unit));
    if let Some(Unit::Container(name)) = other_unit {
        return Some(Reason::Container(name.clone()));
    }
    if is_relay(owner) {
        return Some(Reason::Relay(shown_name(owner)));
    }
    if let Some(Live { launcher, checkout, .. }) = facts.live {
        return Some(Reason::Live { launcher: *launcher, checkout: checkout.clone() });
    }
    if facts.is_apart {
        return Some(Reason::Apart);
    }
    if let Some(what) = &facts.unproven {
        return Some(Reason::Unproven(what.clone()));
    }
    match other_unit {
        Some(Unit::Service(name)) => Some(Reason::Service(name.clone())),
        _ => None,
    }
}

/// The rules about what it is and does.
fn by_what_it_is(facts: &Facts<'_>, asking: Asking<'_>) -> Option<Reason> {
    let owner = facts.owner;
    if !is_listening(facts.does) {
        return Some(Reason::NoListener(facts.does));
    }
    match nature(owner) {
        Nature::Database if asking == (Asking::ByNumber { force: true }) => return None,
        Nature::Database => return Some(Reason::Database(shown_name(owner))),
        Nature::Other => return Some(Reason::NotDevelopment(shown_name(owner))),
        Nature::Development => {}
    }
    match asking {
        Asking::Unasked { checkout } if !facts.is_in_checkout => {
            let (dir, checkout) = (owner.dir.clone(), checkout.to_owned());
            Some(Reason::OtherFolder { dir, checkout })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::slice::from_ref;

    use super::{
        Asker, Asking, Facts, Live, Reason, Verdict, belongs_to, holders, is_in, judge,
        unseen_reason,
    };
    use crate::owner::{Occupant, Owner, Unit};
    use crate::process::Process;
    use crate::sys::Activity;

    const BY_NUMBER: Asking<'_> = Asking::ByNumber { force: false };

    fn process(pid: u32) -> Process {
        Process { pid, started: 100 }
    }

    fn live() -> Live {
        Live {
            variable: "STACK".to_owned(),
            mark: "m".to_owned(),
            launcher: process(50),
            checkout: "/home/ann/other".into(),
        }
    }

    /// Ann, in a terminal: this command is 90, its shell 80.
    fn asker() -> Asker {
        Asker {
            line: vec![process(90), process(80), process(1)],
            uid: 1000,
            user: "ann".to_owned(),
            unit: None,
            terminal_leader: Some(process(70)),
            live: Ok(vec![live()]),
        }
    }

    /// A development server of hers, started by hand.
    fn server() -> Owner {
        Owner {
            process: process(7),
            user: Some("ann".to_owned()),
            uid: Some(1000),
            program: Some("/usr/bin/node".into()),
            dir: Some("/home/ann/app".into()),
            ..Owner::sample(7)
        }
    }

    fn facts(owner: &Owner) -> Facts<'_> {
        Facts {
            owner,
            does: Activity::Listening,
            is_system: false,
            is_apart: false,
            live: None,
            is_in_checkout: true,
            unproven: None,
        }
    }

    #[track_caller]
    fn assert_refused(owner: &Owner, change: impl FnOnce(&mut Facts<'_>), expected: Reason) {
        let mut facts = facts(owner);
        change(&mut facts);
        for asking in [BY_NUMBER, Asking::Unasked { checkout: Path::new("/home/ann/app") }] {
            let verdict = judge(&facts, &asker(), asking);
            assert_eq!(verdict, Verdict::MayNot(expected.clone()), "{asking:?}");
        }
        if !matches!(expected, Reason::Database(_)) {
            let forced = judge(&facts, &asker(), Asking::ByNumber { force: true });
            assert_eq!(forced, Verdict::MayNot(expected), "force lifts the database rule only");
        }
    }

    #[test]
    fn a_development_server_of_ours_may_be_stopped() {
        for asking in [
            BY_NUMBER,
            Asking::ByNumber { force: true },
            Asking::Unasked { checkout: Path::new("/home/ann/app") },
        ] {
            assert_eq!(judge(&facts(&server()), &asker(), asking), Verdict::May, "{asking:?}");
        }
    }

    #[test]
    fn whoever_it_is_that_may_not_be_stopped_is_not() {
        let with = |change: &dyn Fn(&mut Owner)| {
            let mut owner = server();
            change(&mut owner);
            owner
        };
        for (owner, expected) in [
            (with(&|owner| owner.process = process(90)), Reason::Ourselves),
            (with(&|owner| owner.process = process(80)), Reason::Ancestor),
            (with(&|owner| owner.process = process(70)), Reason::TerminalLeader),
            (with(&|owner| owner.uid = None), Reason::Unproven("whose it is".to_owned())),
            (
                with(&|owner| (owner.uid, owner.user) = (Some(0), Some("root".to_owned()))),
                Reason::AnotherUser("root".to_owned()),
            ),
            (
                with(&|owner| (owner.uid, owner.user) = (Some(4711), None)),
                Reason::AnotherUser("4711".to_owned()),
            ),
            (
                with(&|owner| owner.unit = Some(Unit::Container("docker web".to_owned()))),
                Reason::Container("docker web".to_owned()),
            ),
            (
                with(&|owner| owner.unit = Some(Unit::Service("app.service".to_owned()))),
                Reason::Service("app.service".to_owned()),
            ),
            (
                with(&|owner| owner.program = Some("/usr/bin/docker-proxy".into())),
                Reason::Relay("docker-proxy".to_owned()),
            ),
            (
                with(&|owner| owner.program = Some("/usr/bin/redis-server".into())),
                Reason::Database("redis-server".to_owned()),
            ),
            (
                with(&|owner| owner.program = Some("/usr/sbin/nginx".into())),
                Reason::NotDevelopment("nginx".to_owned()),
            ),
        ] {
            assert_refused(&owner, |_| {}, expected);
        }
    }

    #[test]
    fn whatever_it_does_that_forbids_it_forbids_it() {
        let owner = server();
        assert_refused(&owner, |facts| facts.is_system = true, Reason::System);
        assert_refused(&owner, |facts| facts.is_apart = true, Reason::Apart);
        for does in [Activity::Bound, Activity::Connected, Activity::Lingering] {
            assert_refused(&owner, |facts| facts.does = does, Reason::NoListener(does));
        }
        let unproven = || Some("who started it".to_owned());
        assert_refused(
            &owner,
            |facts| facts.unproven = unproven(),
            Reason::Unproven("who started it".to_owned()),
        );
        let Live { launcher, checkout, .. } = live();
        let stack = live();
        let mut of_stack = facts(&owner);
        of_stack.live = Some(&stack);
        assert_eq!(
            judge(&of_stack, &asker(), Asking::ByNumber { force: true }),
            Verdict::MayNot(Reason::Live { launcher, checkout })
        );
    }

    #[test]
    fn where_we_run_ourselves_others_may_be_stopped() {
        let ours =
            [Unit::Container("docker ci".to_owned()), Unit::Service("runner.service".to_owned())];
        for unit in ours {
            let owner = Owner { unit: Some(unit.clone()), ..server() };
            let inside = Asker { unit: Some(unit), ..asker() };
            assert_eq!(judge(&facts(&owner), &inside, BY_NUMBER), Verdict::May);
        }
    }

    #[test]
    fn force_lifts_the_database_rule_and_no_other() {
        let forced = Asking::ByNumber { force: true };
        let database = Owner { program: Some("/usr/bin/postgres".into()), ..server() };
        assert_eq!(judge(&facts(&database), &asker(), forced), Verdict::May);
        let of_unit = Owner { unit: Some(Unit::Service("pg.service".to_owned())), ..database };
        let expected = Verdict::MayNot(Reason::Service("pg.service".to_owned()));
        assert_eq!(judge(&facts(&of_unit), &asker(), forced), expected);
    }

    #[test]
    fn unasked_only_what_runs_here_is_stopped() {
        let owner = server();
        let mut facts = facts(&owner);
        facts.is_in_checkout = false;
        let checkout = PathBuf::from("/home/ann/third");
        let verdict = judge(&facts, &asker(), Asking::Unasked { checkout: &checkout });
        let dir = owner.dir.clone();
        assert_eq!(verdict, Verdict::MayNot(Reason::OtherFolder { dir, checkout }));
        assert_eq!(judge(&facts, &asker(), BY_NUMBER), Verdict::May);
    }

    #[test]
    fn a_folder_is_in_a_checkout_by_whole_names_links_and_no_checkout_between() {
        let place = tempfile::tempdir().unwrap();
        let root = crate::fs::canonical(place.path()).unwrap();
        for folder in ["app/web", "application", "app/trees/feature/.git", "app/trees/feature/web"]
        {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        std::os::unix::fs::symlink(root.join("app"), root.join("link")).unwrap();
        let app = root.join("app");
        for (dir, checkout, expected) in [
            ("app", "app", true),
            ("app/web", "app", true),
            ("app/web", "link", true),
            ("application", "app", false),
            ("", "app", false),
            ("app/trees/feature/web", "app", false),
            ("app/trees/feature", "app", false),
            ("app/trees/feature/web", "app/trees/feature", true),
            ("app", "gone", false),
        ] {
            let is = is_in(&root.join(dir), &root.join(checkout));
            assert_eq!(is, expected, "{dir} in {checkout}");
        }
        std::fs::create_dir(app.join(".git")).unwrap();
        assert!(is_in(&app.join("web"), &app), "its own .git is no other checkout");
    }

    #[test]
    fn what_a_launcher_has_started_belongs_to_its_stack() {
        let us = Process::current().unwrap();
        let parent = us.line().unwrap()[1];
        let of = |launcher| [Live { launcher, ..live() }];
        assert!(belongs_to(us, &of(parent)).unwrap().is_some());
        assert!(belongs_to(us, &of(us)).unwrap().is_some());
        let earlier = Process { started: parent.started + 1, ..parent };
        assert!(belongs_to(us, &of(earlier)).unwrap().is_none());
        assert!(belongs_to(us, &[]).unwrap().is_none());
    }

    #[test]
    fn who_cannot_be_seen_is_never_stopped() {
        let socket = |user: &str, unit| Occupant {
            address: "127.0.0.1:80".parse().unwrap(),
            activity: Activity::Listening,
            user: user.to_owned(),
            unit,
            owners: Vec::new(),
        };
        let container = || Unit::Container("docker web".to_owned());
        let service = || Unit::Service("web.service".to_owned());
        for (occupant, expected) in [
            (socket("root", None), Reason::AnotherUser("root".to_owned())),
            (socket("ann", None), Reason::Unproven("which process it is".to_owned())),
            (socket("root", Some(container())), Reason::Container("docker web".to_owned())),
            (socket("root", Some(service())), Reason::Service("web.service".to_owned())),
        ] {
            assert_eq!(unseen_reason(&occupant, "ann"), expected);
            let all = holders(from_ref(&occupant), &asker(), Asking::ByNumber { force: true });
            assert_eq!((all.len(), &all[0].verdict), (1, &Verdict::MayNot(expected)));
            let ended = Occupant { activity: Activity::Lingering, ..occupant };
            assert_eq!(unseen_reason(&ended, "ann"), Reason::Ended);
        }
    }

    #[test]
    fn while_it_is_unknown_which_stacks_run_nobody_may_be_stopped() {
        let us = crate::owner::find(std::process::id()).unwrap().unwrap();
        let mut asker = Asker::blind("a record is damaged".to_owned()).unwrap();
        // We are no ancestor of ourselves for once.
        asker.line = vec![process(0)];
        asker.unit.clone_from(&us.unit);
        let facts = Facts::gather(&us, Activity::Listening, &asker, BY_NUMBER);
        let reason = "which stacks run: a record is damaged".to_owned();
        let verdict = judge(&facts, &asker, Asking::ByNumber { force: true });
        assert_eq!(verdict, Verdict::MayNot(Reason::Unproven(reason)));
        asker.live = Ok(Vec::new());
        let facts = Facts::gather(&us, Activity::Listening, &asker, BY_NUMBER);
        assert_eq!(judge(&facts, &asker, BY_NUMBER), Verdict::May);
    }
}
