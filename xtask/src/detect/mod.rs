//! The stack of a repository without dev.toml, by convention: `backend/` and `frontend/`, or a folder that is one of them.
//!
//! What is found becomes the text of a dev.toml. That text is what `dev` reads and what `init` writes, so there is one
//! way to say a stack, and one place that validates it.

mod port;
mod python;
mod start;
mod text;

use std::path::{Path, PathBuf};

use portman::port::Port;
use serde::Serialize;

use crate::failure::{Failure, Kind};
pub use text::text;

/// The file that says the ports of both services.
const STARTUP_CONFIG: &str = "startup_config.json";

/// What is looked for, for who has none of it.
pub const LOOKED_FOR: &str = "`backend` with a Cargo.toml, package.json, pyproject.toml or requirements.txt, `frontend` with a \
     package.json, and for both of these in the folder itself";

/// A stack that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The file at the root that says the ports of both services.
    pub startup_config: Option<PathBuf>,
    /// The services, the backend first.
    pub services: Vec<Found>,
}

/// A service that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Its name: `backend` or `frontend`.
    pub service: String,
    /// Its folder, below the root; `.` for the root itself.
    pub dir: String,
    /// What has to be done once before it can start.
    #[serde(skip)]
    pub setup: Option<Setup>,
    /// How it is started.
    pub command: String,
    /// The port it would like.
    pub port: Port,
    /// The file that says that port; none when none does, and the convention decides.
    pub port_from: Option<String>,
    /// The files that say ports.
    #[serde(skip)]
    pub patch: Vec<Patch>,
    /// What may be otherwise, a sentence each.
    pub doubts: Vec<String>,
}

/// A command to run before a service starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setup {
    /// The command line.
    pub command: &'static str,
    /// It is not needed while this is there; none means that it is needed every time.
    pub unless: Option<&'static str>,
}

/// A file that says ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// The file, relative to the service's folder.
    pub file: String,
    /// The key of the service's port; none for a file that is known to say its ports.
    pub key: Option<&'static str>,
}

/// What a service is to the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Backend,
    Frontend,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Backend => "backend",
            Self::Frontend => "frontend",
        }
    }
}

/// A folder that holds a service.
struct Folder<'a> {
    root: &'a Path,
    role: Role,
    /// Below the root; `.` for the root itself.
    dir: &'static str,
}

impl Folder<'_> {
    fn path(&self, file: &str) -> PathBuf {
        if self.dir == "." { self.root.join(file) } else { self.root.join(self.dir).join(file) }
    }

    fn has(&self, file: &str) -> bool {
        self.path(file).is_file()
    }

    /// A file as it is told: below the root.
    fn shown(&self, file: &str) -> String {
        if self.dir == "." { file.to_owned() } else { format!("{}/{file}", self.dir) }
    }
}

/// The folder that a stack without dev.toml belongs to: the nearest one with a `.git`, or else `start` itself. A folder
/// deep in a repository that has a stack of its own, and the repository none, is its own.
pub fn root(start: &Path) -> PathBuf {
    let repository = start.ancestors().find(|folder| folder.join(".git").exists());
    let candidates = [repository.unwrap_or(start), start];
    let found = candidates.into_iter().find(|folder| !folders(folder).is_empty());
    found.unwrap_or(candidates[0]).to_owned()
}

/// Finds the stack in `root`; none when nothing there looks like one.
///
/// # Errors
/// When something does, and how to start it or which ports it has cannot be told.
pub fn detect(root: &Path) -> anyhow::Result<Option<Detected>> {
    let folders = folders(root);
    if folders.is_empty() {
        return Ok(None);
    }
    let startup_config = Some(root.join(STARTUP_CONFIG)).filter(|file| file.is_file());
    let services: Vec<Found> = folders.iter().map(found).collect::<Result<_, _>>()?;
    if let [one, other] = services.as_slice()
        && one.port == other.port
    {
        return Err(same_port(one, other).into());
    }
    Ok(Some(Detected { startup_config, services }))
}

fn found(folder: &Folder<'_>) -> anyhow::Result<Found> {
    let start = start::start(folder)?;
    let wish = port::wish(folder, start.script)?;
    let doubts = start.doubts.into_iter().chain(wish.doubts).collect();
    Ok(Found {
        service: folder.role.name().to_owned(),
        dir: folder.dir.to_owned(),
        setup: start.setup,
        command: start.command,
        port: wish.port,
        port_from: wish.from,
        patch: wish.patch,
        doubts,
    })
}

/// The folders that hold a service. The root itself is one only where that is as good as certain: many a repository has
/// a manifest there that starts nothing, or everything.
fn folders(root: &Path) -> Vec<Folder<'_>> {
    let mut folders = Vec::new();
    for role in [Role::Backend, Role::Frontend] {
        let itself = Folder { root, role, dir: "." };
        if root.join(role.name()).is_dir() {
            folders.push(Folder { dir: role.name(), ..itself });
        } else if is_itself(&itself) {
            folders.push(itself);
        }
    }
    folders
}

/// Is the root itself the service of this role?
fn is_itself(folder: &Folder<'_>) -> bool {
    let is_frontend = folder.has("package.json") && port::vite_config(folder).is_some();
    match folder.role {
        Role::Frontend => is_frontend,
        Role::Backend => {
            let has_config = folder.has("config.json");
            let is_program = folder.has("Cargo.toml") && folder.has("src/main.rs");
            let has_frontend = folder.root.join(Role::Frontend.name()).is_dir();
            (is_program && (has_config || has_frontend))
                || (folder.has("package.json") && has_config && !is_frontend)
                || python::is_certain(folder)
        }
    }
}

fn same_port(one: &Found, other: &Found) -> Failure {
    let says = |found: &Found| match &found.port_from {
        Some(file) => format!("`{file}` says so"),
        None => format!("no file says another for the {}", found.service),
    };
    Failure::new(
        Kind::Usage,
        format!(
            "`{}` and `{}` both prefer port {}: {}, and {}",
            one.service,
            other.service,
            one.port,
            says(one),
            says(other)
        ),
        "give one of them another, or write a dev.toml that says which",
    )
}

#[cfg(test)]
mod tests;
