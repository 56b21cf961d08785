//! dev.toml as a [`Stack`]. Every validation is in this folder: what has become a `Stack` needs no second look.

mod order;
mod parse;
mod toml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use portman::allocate::{Pool, Request};
use portman::patch::Format;
use portman::patch::key::KeyPath;
use portman::port::Port;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};
use crate::flags::Where;
use parse::parse;
pub(crate) use parse::{check_name, is_wild};

/// The name of the file.
pub const FILE: &str = "dev.toml";

/// A stack: what `cargo xtask dev` brings up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stack {
    /// The folder of dev.toml, absolute; the checkout.
    pub root: PathBuf,
    /// Where to look for a port when a preferred one is taken.
    pub pool: Pool,
    /// The services; each comes after those it depends on.
    pub services: Vec<Service>,
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

/// The file that describes the stack: the one that was named, or the dev.toml in the folder or the nearest one above.
///
/// # Errors
/// When there is none.
pub fn file(place: &Where) -> Result<PathBuf, Failure> {
    let start = place.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let missing = |path: &Path, hint: &str| {
        Failure::new(Kind::Usage, format!("`{}` is not there", path.display()), hint)
    };
    if let Some(file) = &place.config {
        let file = start.join(file);
        let hint = "name a file that describes the stack";
        // The checkout is where the file stands, also when that is a link to another one.
        let folder = checkout(&file).canonicalize().map_err(|_| missing(&file, hint))?;
        let found = Some(folder.join(file.file_name().unwrap_or_default()));
        return found.filter(|file| file.is_file()).ok_or_else(|| missing(&file, hint));
    }
    let start =
        start.canonicalize().map_err(|_| missing(&start, "name a folder of the checkout"))?;
    let found = start.ancestors().map(|folder| folder.join(FILE)).find(|file| file.is_file());
    found.ok_or_else(|| {
        let message = format!("no {FILE} in `{}` or a folder above it", start.display());
        Failure::new(
            Kind::Usage,
            message,
            format!("write one that says what to start, for example:\n{EXAMPLE}"),
        )
    })
}

/// The checkout that a stack's file belongs to: its folder.
pub fn checkout(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

const EXAMPLE: &str = "
  [services.web]
  command = \"npm run dev\"
  port = 5173
  patch = [{ file = \"vite.config.ts\" }]";

/// Reads the stack.
///
/// # Errors
/// When there is none, or it says something that cannot be meant.
pub fn load(place: &Where) -> anyhow::Result<Stack> {
    let file = file(place)?;
    let text = portman::fs::read(&file).map_err(|error| {
        Failure::new(Kind::Usage, Failure::chain(&error), "name a file that describes the stack")
    })?;
    Ok(parse(Path::new(file.file_name().unwrap_or_default()), checkout(&file), &text)?)
}
