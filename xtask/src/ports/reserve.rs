//! `cargo xtask ports reserve`: for a command, or until the ports are released.

use std::collections::HashSet;
use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use anyhow::Context;
use portman::allocate::{self, Allocation, Pool, Request};
use portman::error::Error;
use portman::fs;
use portman::lease::Memory;
use portman::port::Port;
use portman::process::Process;
use serde::Serialize;

use super::holder::{Held, Holder, Wanted};
use super::reservation::{self, Reservation};
use crate::config::{check_name, recordable, variable};
use crate::environment::inherited;
use crate::failure::{Failure, Kind};
use crate::flags::{self, Format, Where};
use crate::holds;
use crate::notice::Notice;
use crate::recover::recover;
use crate::session;
use crate::supervise::run_attached;
use crate::ui::Ui;

/// The version of what `--format json` prints.
const VERSION: u32 = 1;
/// How long ports are kept when nobody says how long.
const TTL: Duration = Duration::from_hours(1);
/// The variable that names the file in which a GitHub job keeps variables for its further steps.
const GITHUB: &str = "GITHUB_ENV";

/// Reserves ports, and says the exit code.
///
/// # Errors
/// When one cannot be had, or the command cannot be started.
pub fn reserve(flags: &flags::Reserve, ui: &mut Ui) -> anyhow::Result<u8> {
    let requests = requests(&flags.names)?;
    if let Some(state) = session::state_dir_if_any()? {
        recover(&state, &Where::default(), ui)?;
    }
    if flags.command.is_empty() {
        across_commands(flags, requests, session::state_dir()?, ui)
    } else {
        for_command(&flags.command, &requests, ui)
    }
}

/// The ports are held as long as the command runs.
fn for_command(words: &[OsString], requests: &[Request], ui: &mut Ui) -> anyhow::Result<u8> {
    let allocations = take(requests, ui)?;
    let mut variables = inherited(env::vars_os(), env::current_exe().ok().as_deref());
    for allocation in &allocations {
        let name = OsString::from(port_variable(&allocation.service));
        variables.retain(|(known, _)| *known != name);
        variables.push((name, allocation.port().to_string().into()));
    }
    run_attached(words, variables).map_err(|error| not_run(&words[0], &error).into())
}

/// The exit codes are those of a shell, of `env` and of `timeout`.
fn not_run(program: &OsString, error: &io::Error) -> Failure {
    let program = program.display();
    if error.kind() == io::ErrorKind::NotFound {
        return Failure::new(
            Kind::NotFound,
            format!("`{program}` was not found"),
            "install it or correct what follows `--`; no shell is started: `cd` and `NAME=value` need sh -c \"…\"",
        );
    }
    Failure::new(
        Kind::NotRunnable,
        format!("`{program}` could not be run: {error}"),
        "what follows `--` has to be a program and its arguments",
    )
}

/// The ports are held by a process of their own.
fn across_commands(
    flags: &flags::Reserve,
    requests: Vec<Request>,
    state: PathBuf,
    ui: &mut Ui,
) -> anyhow::Result<u8> {
    let owner = flags.owner.map(owner).transpose()?;
    let github = if flags.format == Format::Github { Some(github_file()?) } else { None };
    let folder = here()?;
    let mut earlier = earlier(&state, &folder, &requests)?;
    if give_way(&earlier, &requests)? {
        release(std::mem::take(&mut earlier), ui)?;
    }

    let ttl = flags.ttl.map(Duration::from);
    let is_unsaid = ttl.is_none() && owner.is_none();
    let wanted = Wanted {
        ports: requests.into_iter().map(|one| (one.service, one.preferred)).collect(),
        folder,
        state,
        owner,
        ttl: if is_unsaid { Some(TTL) } else { ttl },
    };
    let mut holder = Holder::start(&wanted)?;
    let Some(held) = holder.held()? else { return holder.exit_code() };
    release(earlier, ui)?;
    let answer = Answer::new(&held, holder.pid(), flags.owner);
    match github {
        None => ui.answer(&answer, &answer.env()),
        Some(file) => {
            append(&file, &answer.env())?;
            let message = format!(
                "added to {}: {}",
                file.display(),
                answer.env().trim_end().replace('\n', " ")
            );
            ui.tell(&Notice::Note { message });
        }
    }
    if is_unsaid {
        let message =
            "the ports are kept for one hour; --ttl or --owner says for how long".to_owned();
        ui.tell(&Notice::Note { message });
    }
    holder.keep()?;
    Ok(0)
}

/// What the new reservation replaces. Names reserved together are one reservation, and end together.
fn earlier(state: &Path, folder: &Path, requests: &[Request]) -> anyhow::Result<Vec<Reservation>> {
    let names: Vec<&str> = requests.iter().map(|request| request.service.as_str()).collect();
    let mut found = reservation::all(state)?;
    found.retain(|one| one.is_in(folder) && one.has_any(&names));
    Ok(found)
}

/// Do the earlier reservations have to go before the new one is had?
fn give_way(earlier: &[Reservation], requests: &[Request]) -> anyhow::Result<bool> {
    if earlier.is_empty() {
        return Ok(false);
    }
    let had: Vec<Port> = earlier.iter().flat_map(Reservation::ports).collect();
    let now = allocate::foresee(requests, &Pool::spare()?, &Memory::default())?;
    Ok(is_in_the_way(&had, requests, &now))
}

/// Whether `had` may hold a port that one of the requests gets once it is free; `now` is what they get while it is not.
///
/// Who reserves again wants the same port as the first time, and the ports in `had` are most often the very first ones of
/// all. Where each request gets the very port that it asks for they change nothing, and are kept until the new ones are
/// held, so that a failure costs nothing. Where one gets none at all it will fail: what there was before is better than
/// nothing, and `release` is there for who wants to share it out anew.
fn is_in_the_way(had: &[Port], requests: &[Request], now: &[Option<Port>]) -> bool {
    if requests.iter().any(|one| one.preferred.is_some_and(|port| had.contains(&port))) {
        return true;
    }
    let is_certain = |(request, now): (&Request, &Option<Port>)| *now == request.preferred;
    now.iter().all(Option::is_some) && !requests.iter().zip(now).all(is_certain)
}

fn release(earlier: Vec<Reservation>, ui: &mut Ui) -> anyhow::Result<()> {
    for reservation in earlier {
        let message =
            format!("released what was reserved here before: {}", reservation.described());
        reservation.release()?;
        ui.tell(&Notice::Note { message });
    }
    Ok(())
}

/// The folder that a reservation is known by.
pub(super) fn here() -> anyhow::Result<PathBuf> {
    let folder = env::current_dir().and_then(|folder| folder.canonicalize());
    Ok(recordable(folder.context("the current folder is not there any more")?)?)
}

fn owner(pid: u32) -> anyhow::Result<Process> {
    let found = Process::find(pid).with_context(|| format!("failed to look for process {pid}"))?;
    let missing = || {
        let hint = "name one that lives as long as the ports are needed: --owner $PPID";
        Failure::new(Kind::Usage, format!("--owner {pid}: there is no such process"), hint)
    };
    Ok(found.ok_or_else(missing)?)
}

fn github_file() -> Result<PathBuf, Failure> {
    let file = env::var_os(GITHUB).filter(|file| !file.is_empty()).map(PathBuf::from);
    let file = file.ok_or_else(|| {
        let message = format!("--format github: the variable {GITHUB} is not set");
        Failure::new(
            Kind::Usage,
            message,
            "it is in the steps of a GitHub job; elsewhere use --format env",
        )
    })?;
    // That it cannot be written to is known before any port is taken or given up.
    append(&file, "")?;
    Ok(file)
}

fn append(file: &Path, text: &str) -> Result<(), Failure> {
    fs::append(file, text).map_err(|error| {
        let hint = format!("{GITHUB} names it; may you write there? --format env prints the ports");
        Failure::new(Kind::File, Failure::chain(&error), hint)
    })
}

/// Takes the ports. Nothing is remembered: who wants to find the same port again names it.
pub(super) fn take(requests: &[Request], ui: &mut Ui) -> anyhow::Result<Vec<Allocation>> {
    holds::take(requests, &Pool::spare()?, &Memory::default(), ui).map_err(|error| {
        match error.downcast_ref() {
            // There is no dev.toml whose ranges could be widened.
            Some(Error::NoPort { .. }) => {
                let hint = "ask for one by its number, as in api:8000, or give some up: cargo xtask ports release --all";
                Failure::new(Kind::Port, error.to_string(), hint).into()
            }
            _ => error,
        }
    })
}

/// What was typed: `web`, `web:8000`.
fn requests(names: &[String]) -> Result<Vec<Request>, Failure> {
    let requests: Vec<Request> =
        names.iter().map(|name| request(name)).collect::<Result<_, _>>()?;
    let mut variables = HashSet::new();
    for Request { service, .. } in &requests {
        let variable = port_variable(service);
        if !variables.insert(variable.clone()) {
            let message = format!("two names have the variable {variable}");
            return Err(usage(message, "give each port a name of its own"));
        }
    }
    Ok(requests)
}

fn request(text: &str) -> Result<Request, Failure> {
    let (name, port) = match text.split_once(':') {
        None => (text, None),
        Some((name, port)) => (name, Some(port)),
    };
    check_name(name).map_err(|(message, hint)| usage(message, hint))?;
    let port = port.map(Port::from_str).transpose();
    let port = port.map_err(|error| usage(error, "write it like web or web:8000"))?;
    Ok(Request { service: name.to_owned(), preferred: port })
}

fn usage(message: impl Display, hint: &str) -> Failure {
    Failure::new(Kind::Usage, message.to_string(), hint)
}

fn port_variable(name: &str) -> String {
    format!("{}_PORT", variable(name))
}

/// What `--format json` prints.
#[derive(Debug, Serialize)]
struct Answer {
    version: u32,
    holder: u32,
    owner: Option<u32>,
    until: Option<u64>,
    ports: Vec<Named>,
}

#[derive(Debug, Serialize)]
struct Named {
    name: String,
    port: Port,
}

impl Answer {
    fn new(held: &Held, holder: u32, owner: Option<u32>) -> Self {
        let named = |(name, port): &(String, Port)| Named { name: name.clone(), port: *port };
        let ports = held.ports.iter().map(named).collect();
        Self { version: VERSION, holder, owner, until: held.until, ports }
    }

    /// A line each that a shell understands, and the file of a GitHub job.
    fn env(&self) -> String {
        let line = |Named { name, port }: &Named| format!("{}={port}\n", port_variable(name));
        self.ports.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use portman::port::Port;

    use super::{Answer, Held, Request, is_in_the_way, not_run, requests};

    fn names(texts: &[&str]) -> Result<Vec<(String, Option<u16>)>, String> {
        let texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
        let requests = requests(&texts).map_err(|failure| failure.message)?;
        let pair = |one: Request| (one.service, one.preferred.map(Port::get));
        Ok(requests.into_iter().map(pair).collect())
    }

    #[test]
    fn a_name_may_say_its_port() {
        let expected = vec![("web".to_owned(), None), ("my-api".to_owned(), Some(8000))];
        assert_eq!(names(&["web", "my-api:8000"]), Ok(expected));
    }

    #[test]
    fn what_cannot_be_meant_is_said() {
        for (texts, expected) in [
            (&["my web"][..], "`my web` is not a service name"),
            (&[""], "`` is not a service name"),
            (&[":8000"], "`` is not a service name"),
            (&["web:"], "`` is not a port, 1 to 65535"),
            (&["web:0"], "`0` is not a port, 1 to 65535"),
            (&["web:http"], "`http` is not a port, 1 to 65535"),
            (&["web", "web:8000"], "two names have the variable WEB_PORT"),
            (&["my-web", "my_web"], "two names have the variable MY_WEB_PORT"),
        ] {
            assert_eq!(names(texts), Err(expected.to_owned()), "{texts:?}");
        }
    }

    #[test]
    fn what_there_was_before_goes_first_only_where_it_may_have_the_port_to_be_had() {
        for (had, wanted, now, expected) in [
            // The very port; also when another one is free.
            (&[8000][..], &[8000][..], &[8001][..], true),
            (&[8000], &[8000], &[0], true),
            (&[8000], &[5173], &[5173], false),
            // It may be the first of those that anybody gets.
            (&[20000], &[0], &[20001], true),
            (&[20001], &[5173], &[5174], true),
            (&[20000], &[5173, 0], &[5173, 20001], true),
            (&[20000], &[0], &[0], false),
            (&[20000], &[5173], &[0], false),
            (&[20000], &[5173, 0], &[5173, 0], false),
        ] {
            let ports = |numbers: &[u16]| numbers.iter().map(|&port| Port::new(port)).collect();
            let (had, wanted, now): (Vec<_>, Vec<_>, Vec<_>) =
                (ports(had), ports(wanted), ports(now));
            let had: Vec<Port> = had.into_iter().flatten().collect();
            let request = |preferred| Request { service: "web".to_owned(), preferred };
            let requests: Vec<Request> = wanted.into_iter().map(request).collect();
            assert_eq!(
                is_in_the_way(&had, &requests, &now),
                expected,
                "{had:?} {requests:?} {now:?}"
            );
        }
    }

    #[test]
    fn all_formats_say_the_same() {
        let port = |name: &str, port| (name.to_owned(), Port::new(port).unwrap());
        let held = Held { ports: vec![port("api", 20000), port("my-web", 8000)], until: Some(7) };
        let answer = Answer::new(&held, 4711, None);
        assert_eq!(answer.env(), "API_PORT=20000\nMY_WEB_PORT=8000\n");
        assert_eq!(
            serde_json::to_string(&answer).unwrap(),
            r#"{"version":1,"holder":4711,"owner":null,"until":7,"ports":[{"name":"api","port":20000},{"name":"my-web","port":8000}]}"#
        );
    }

    #[test]
    fn a_command_that_cannot_be_run_has_the_exit_code_of_a_shell() {
        for (kind, code, message) in [
            (io::ErrorKind::NotFound, 127, "`x` was not found"),
            (io::ErrorKind::PermissionDenied, 126, "`x` could not be run: permission denied"),
        ] {
            let failure = not_run(&"x".into(), &kind.into());
            assert_eq!((failure.kind as u8, failure.message.as_str()), (code, message));
        }
    }
}
