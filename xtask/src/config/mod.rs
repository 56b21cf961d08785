//! dev.toml as a [`Stack`]. Every validation is in this folder: what has become a `Stack` needs no second look.

mod order;
mod parse;
mod toml;

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portman::allocate::{Pool, Request};
use portman::error::Error;
use portman::patch::Format;
use portman::patch::key::KeyPath;
use portman::port::Port;
use serde::{Deserialize, Serialize};

use crate::detect::{self, Found};
use crate::failure::{Failure, Kind};
use crate::flags::{OnConflict, Where};
use parse::{Described, parse};
pub(crate) use parse::{check_name, is_wild};

/// The name of the file.
pub const FILE: &str = "dev.toml";

/// A stack: what `cargo xtask dev` brings up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The folder of dev.toml, or the one where the stack was detected, absolute; the checkout.
    pub root: PathBuf,
    /// What says all of this.
    pub source: Source,
    /// What to do when a preferred port is taken.
    pub on_conflict: OnConflict,
    /// Where to look for a port then.
    pub pool: Pool,
    /// The services; each comes after those it depends on.
    pub services: Vec<Service>,
    /// Services that are left out of a run; others may still name their ports.
    pub left_out: Vec<Service>,
}

impl Stack {
    /// The ports that its services would like, in their order; those without a port are left out.
    pub fn requests(&self) -> Vec<Request> {
        let request = |service: &Service| {
            let preferred = service.port?.preferred();
            Some(Request { service: service.name.clone(), preferred })
        };
        self.services.iter().filter_map(request).collect()
    }

    /// The stack without these services and those that depend on them.
    #[must_use]
    pub fn without(self, names: &[String]) -> Self {
        let mut is_out: Vec<bool> = Vec::with_capacity(self.services.len());
        for service in &self.services {
            let needs_one = service.depends_on.iter().any(|need| is_out[*need]);
            is_out.push(needs_one || names.contains(&service.name));
        }
        let place = |old: &usize| is_out[..*old].iter().filter(|is_out| !**is_out).count();
        let (mut services, mut left_out) = (Vec::new(), self.left_out);
        for (mut service, is_out) in self.services.into_iter().zip(&is_out) {
            if *is_out {
                left_out.push(service);
            } else {
                service.depends_on = service.depends_on.iter().map(place).collect();
                services.push(service);
            }
        }
        Self { services, left_out, ..self }
    }
}

/// Where a stack is described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// In this file, absolute.
    File(PathBuf),
    /// Nowhere: it was found by convention.
    Detected {
        /// What was found.
        services: Vec<Found>,
    },
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name: letters, digits, `-` and `_`.
    pub name: String,
    /// Its folder, absolute.
    pub dir: PathBuf,
    /// What has to be done once before it can start.
    pub setup: Option<Setup>,
    /// The program and its arguments, at least one word; may hold templates.
    pub command: Vec<String>,
    /// The `package.json` script that the command runs; `dev` when it runs none.
    pub script: String,
    /// The port it listens on; none when it has none.
    pub port: Option<PortWish>,
    /// The address it binds.
    pub host: Host,
    /// Variables for it; the values may hold templates.
    pub env: BTreeMap<String, String>,
    /// Services that are ready before it starts, as places in [`Stack::services`].
    pub depends_on: Vec<usize>,
    /// How to know that it is ready.
    pub ready: Ready,
    /// How long it may take until it is.
    pub ready_timeout: Duration,
    /// What to do when it ends by itself.
    pub restart: Restart,
    /// How to stop it.
    pub stop: Stop,
    /// Globs below `dir`; a change of such a file restarts it.
    pub watch: Vec<String>,
    /// Files that say ports.
    pub patch: Vec<Patch>,
}

/// A service's name in the names of variables: `web-app` is `WEB_APP`.
pub fn variable(service: &str) -> String {
    service.to_uppercase().replace('-', "_")
}

/// A command to run before a service starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// The program and its arguments, at least one word.
    pub command: Vec<String>,
    /// It is not needed while this is there; none means that it is needed every time.
    pub unless: Option<PathBuf>,
}

/// Which port a service would like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortWish {
    /// This one, or another when it is taken.
    Preferred(Port),
    /// Any.
    Any,
}

impl PortWish {
    /// The preferred port.
    pub fn preferred(self) -> Option<Port> {
        match self {
            Self::Preferred(port) => Some(port),
            Self::Any => None,
        }
    }
}

/// The address a service binds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Host {
    /// Whatever this machine takes `localhost` for.
    #[serde(rename = "localhost")]
    Localhost,
    /// IPv4 loopback.
    #[serde(rename = "127.0.0.1")]
    LoopbackV4,
    /// IPv6 loopback.
    #[serde(rename = "::1")]
    LoopbackV6,
    /// Every IPv4 address.
    #[serde(rename = "0.0.0.0")]
    AnyV4,
    /// Every address.
    #[serde(rename = "::")]
    Any,
}

impl Host {
    /// As dev.toml says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Localhost => "localhost",
            Self::LoopbackV4 => "127.0.0.1",
            Self::LoopbackV6 => "::1",
            Self::AnyV4 => "0.0.0.0",
            Self::Any => "::",
        }
    }

    /// The address under which a browser on this machine finds it.
    pub fn url(self, port: Port) -> String {
        let host = match self {
            Self::Localhost | Self::AnyV4 | Self::Any => "localhost",
            Self::LoopbackV4 => "127.0.0.1",
            Self::LoopbackV6 => "[::1]",
        };
        format!("http://{host}:{port}")
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How to know that a service is ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ready {
    /// As soon as it has started.
    None,
    /// When it listens on its port.
    Tcp,
    /// When it answers a GET of this path with a status below 400.
    Http(String),
}

/// What to do when a service ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restart {
    /// Leave it.
    Never,
    /// Start it again unless it ended with 0.
    OnFailure,
    /// Start it again.
    Always,
}

/// How to stop a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// What its processes are sent first.
    pub signal: Signal,
    /// How long they have before they are killed.
    pub grace: Duration,
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// The usual one.
    #[serde(rename = "SIGTERM")]
    Term,
    /// What Ctrl-C sends.
    #[serde(rename = "SIGINT")]
    Int,
    /// What a closed terminal sends.
    #[serde(rename = "SIGHUP")]
    Hup,
    /// What Ctrl-\ sends.
    #[serde(rename = "SIGQUIT")]
    Quit,
}

/// A file that says ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The file, absolute.
    pub file: PathBuf,
    /// Its format.
    pub format: Format,
    /// Which keys get which values, templates each; none means what that kind of file needs.
    pub set: Vec<(KeyPath, String)>,
}

/// The file that describes the stack: the one that was named, or the dev.toml in the folder or the nearest one above,
/// whatever it is: what cannot be read has to be told, and nothing else taken in its place.
/// None when no file was named and there is no dev.toml.
fn file(place: &Where) -> Result<Option<PathBuf>, Failure> {
    let Some(file) = &place.config else {
        let folder = start(place)?;
        return Ok(folder.ancestors().map(|folder| folder.join(FILE)).find(|file| has_name(file)));
    };
    let file = place.dir.as_deref().unwrap_or(Path::new(".")).join(file);
    let missing = || missing(&file, "name a file that describes the stack");
    // The checkout is where the file stands, also when that is a link to another one.
    let folder = folder_of(&file).canonicalize().map_err(|_| missing())?;
    let found = folder.join(file.file_name().unwrap_or_default());
    if has_name(&found) { Ok(Some(found)) } else { Err(missing()) }
}

/// Is there anything of this name? Where that cannot be told there may be.
fn has_name(path: &Path) -> bool {
    let none = [ErrorKind::NotFound, ErrorKind::NotADirectory];
    path.symlink_metadata().map_or_else(|error| !none.contains(&error.kind()), |_| true)
}

/// The folder that the command is about, absolute.
fn start(place: &Where) -> Result<PathBuf, Failure> {
    let folder = place.dir.as_deref().unwrap_or(Path::new("."));
    folder.canonicalize().map_err(|_| missing(folder, "name a folder of the checkout"))
}

fn missing(path: &Path, hint: &str) -> Failure {
    Failure::new(Kind::Usage, format!("`{}` is not there", path.display()), hint)
}

fn folder_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// The checkout that the command is about: the folder of the stack's file, or the one where a stack would be detected.
///
/// # Errors
/// When the named file, or the folder, is not there, or our records cannot name it.
pub fn checkout(place: &Where) -> Result<PathBuf, Failure> {
    match file(place)? {
        Some(file) => recordable(folder_of(&file).to_owned()),
        None => recordable(detect::root(&start(place)?)?),
    }
}

/// A folder that our records, which are text, can name.
///
/// # Errors
/// When its path is not Unicode.
pub fn recordable(folder: PathBuf) -> Result<PathBuf, Failure> {
    if folder.to_str().is_some() {
        return Ok(folder);
    }
    let message = format!(
        "the path `{}` is not Unicode, and our records could not name it",
        folder.display()
    );
    Err(Failure::new(Kind::Usage, message, "rename the folder where its name has an odd sign"))
}

const EXAMPLE: &str = "
  [services.web]
  command = \"npm run dev\"
  port = 5173
  patch = [{ file = \"vite.config.ts\" }]";

/// Reads the stack, or detects it where no file describes it.
///
/// # Errors
/// When there is none, or it says something that cannot be meant.
pub fn load(place: &Where) -> anyhow::Result<Stack> {
    let checkout = checkout(place)?;
    match file(place)? {
        Some(file) => read(&file),
        None => detected(&checkout, &start(place)?),
    }
}

/// Reads the stack that `file` describes.
///
/// # Errors
/// When it says something that cannot be meant.
pub fn read(file: &Path) -> anyhow::Result<Stack> {
    let text = portman::fs::read(file).map_err(|error| unreadable(&error))?;
    let shown = Path::new(file.file_name().unwrap_or_default());
    let root = folder_of(file).to_owned();
    let described = parse(shown, &root, &text)?;
    Ok(stack(described, root, Source::File(file.to_owned())))
}

fn unreadable(error: &Error) -> Failure {
    let hint = match error {
        Error::File { source, .. } => match source.kind() {
            ErrorKind::PermissionDenied => {
                "it describes the stack: may you read it, and enter its folder?"
            }
            ErrorKind::NotFound => {
                "it is a link to a file that is not there: correct the link, or take it away"
            }
            ErrorKind::IsADirectory => "a folder has this name: rename it, or name a file",
            _ => "name a file that describes the stack",
        },
        Error::NotText { .. } => "save it as UTF-8",
        _ => "name a file that describes the stack",
    };
    Failure::new(Kind::Usage, Failure::chain(error), hint)
}

fn stack(described: Described, root: PathBuf, source: Source) -> Stack {
    let Described { on_conflict, pool, services } = described;
    Stack { root, source, on_conflict, pool, services, left_out: Vec::new() }
}

fn detected(root: &Path, start: &Path) -> anyhow::Result<Stack> {
    let services = detect::detect(root)?;
    if services.is_empty() {
        return Err(nothing(root, start).into());
    }
    let described = parse(Path::new("the detected stack"), root, &detect::text(&services))?;
    Ok(stack(described, root.to_owned(), Source::Detected { services }))
}

fn nothing(root: &Path, start: &Path) -> Failure {
    let message = format!(
        "no {FILE} in `{}` or a folder above it, and no stack that goes without one in `{}`",
        start.display(),
        root.display()
    );
    let hint = format!(
        "write one that says what to start, for example:\n{EXAMPLE}\n\n  looked for: {}",
        detect::LOOKED_FOR
    );
    Failure::new(Kind::Usage, message, hint)
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use portman::error::Error;
    use portman::fs::save;

    use super::parse::parse;
    use super::{FILE, Source, Stack, load, stack, unreadable};
    use crate::detect;
    use crate::flags::Where;

    #[test]
    fn what_was_detected_is_written_down_as_the_same_stack() {
        let vite = "export default { server: { port: Number(process.env.WEB) || 4000 } }\n";
        let package = "{ \"scripts\": { \"dev\": \"vite\" } }";
        let whole: &[(&str, &str)] = &[
            ("startup_config.json", "{ \"frontend\": { \"port\": 3005 } }"),
            ("backend/Cargo.toml", ""),
            ("backend/config.json", "{ \"server\": { \"port\": 8005 } }"),
            ("frontend/package.json", package),
            ("frontend/pnpm-lock.yaml", ""),
            ("frontend/vite.config.ts", vite),
        ];
        let frontend: &[(&str, &str)] = &[("package.json", package), ("vite.config.mts", vite)];
        let backend: &[(&str, &str)] = &[
            ("backend/requirements.txt", "FastAPI"),
            ("backend/main.py", "app = FastAPI()\n"),
            ("backend/app.py", "app = FastAPI()\n"),
        ];
        for files in [whole, frontend, backend] {
            let folder = tempfile::tempdir().unwrap();
            for (path, text) in files {
                save(&folder.path().join(path), text).unwrap();
            }
            let place = Where { dir: Some(folder.path().to_owned()), config: None };
            let detected = load(&place).unwrap();
            let Source::Detected { services } = &detected.source else {
                panic!("{:?}", detected.source)
            };
            let file = detected.root.join(FILE);
            save(&file, &detect::text(services)).unwrap();
            let written = load(&place).unwrap();
            assert_eq!(written, Stack { source: Source::File(file), ..detected });
        }
    }

    #[test]
    fn why_a_dev_toml_cannot_be_read_says_what_to_do() {
        for (kind, hint) in [
            (io::ErrorKind::PermissionDenied, "may you read it"),
            (io::ErrorKind::NotFound, "correct the link"),
            (io::ErrorKind::IsADirectory, "a folder has this name"),
            (io::ErrorKind::Other, "name a file"),
        ] {
            let path = "dev.toml".into();
            let failure = unreadable(&Error::File { action: "read", path, source: kind.into() });
            assert_eq!(failure.kind as u8, 2);
            assert!(failure.message.starts_with("failed to read `dev.toml`: "), "{failure}");
            assert!(failure.hint.as_ref().unwrap().contains(hint), "{:?}", failure.hint);
        }
    }

    fn five() -> Stack {
        let text = "
            [services]
            db = { command = \"x\" }
            api = { command = \"x\", depends-on = [\"db\"] }
            docs = { command = \"x\" }
            web = { command = \"x\", depends-on = [\"docs\", \"api\"] }
            site = { command = \"x\", depends-on = [\"docs\"] }";
        let described = parse(Path::new("dev.toml"), Path::new("/"), text).unwrap();
        stack(described, "/".into(), Source::File("/dev.toml".into()))
    }

    #[test]
    fn what_depends_on_a_service_that_is_left_out_is_left_out_too() {
        for (out, left_out, left) in [
            (&[][..], "", "db api(db) docs web(docs api) site(docs)"),
            (&["site"], "site", "db api(db) docs web(docs api)"),
            (&["db"], "db api web", "docs site(docs)"),
            (&["api", "docs"], "api docs web site", "db"),
        ] {
            let names: Vec<String> = out.iter().map(|&name| name.to_owned()).collect();
            let stack = five().without(&names);
            let name = |place: &usize| stack.services[*place].name.as_str();
            let shown = stack.services.iter().map(|service| {
                let needs: Vec<&str> = service.depends_on.iter().map(name).collect();
                let needs = needs.join(" ");
                if needs.is_empty() {
                    service.name.clone()
                } else {
                    format!("{}({needs})", service.name)
                }
            });
            assert_eq!(shown.collect::<Vec<_>>().join(" "), left);
            let out: Vec<&str> =
                stack.left_out.iter().map(|service| service.name.as_str()).collect();
            assert_eq!(out.join(" "), left_out);
        }
    }
}
