//! The stack of a repository without dev.toml, by convention: `backend/` and `frontend/`, or a folder that is one of them.
//!
//! What is found becomes the text of a dev.toml. That text is what `dev` reads and what `init` writes, so there is one
//! way to say a stack, and one place that validates it.

mod port;
mod python;
mod start;
mod text;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use portman::error::Error;
use portman::port::Port;
use serde::Serialize;

use crate::failure::{Failure, Kind};
pub use text::text;

/// The file that says the ports of both services.
const STARTUP_CONFIG: &str = "startup_config.json";

/// What is looked for, for who has none of it.
pub const LOOKED_FOR: &str = "`backend` with a Cargo.toml, package.json, pyproject.toml or requirements.txt, `frontend` with a \
     package.json, and for both of these in the folder itself";

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

impl Found {
    /// Why it is the usual port, where no file says one. Of what was not understood nothing is certain.
    pub fn why_usual(&self) -> &'static str {
        if self.doubts.is_empty() { "no file says another" } else { "no other is certain" }
    }
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

    fn has(&self, file: &str) -> Result<bool, Failure> {
        Ok(entry(&self.path(file))? == Entry::File)
    }

    /// The text of a file; none when there is no such file.
    fn read(&self, file: &str) -> Result<Option<String>, Failure> {
        let path = self.path(file);
        let read = || portman::fs::read(&path).map_err(unreadable);
        self.has(file)?.then(read).transpose()
    }

    /// A file as it is told: below the root.
    fn shown(&self, file: &str) -> String {
        if self.dir == "." { file.to_owned() } else { format!("{}/{file}", self.dir) }
    }
}

/// What is there under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    File,
    Folder,
    /// Nothing that counts here.
    Nothing,
}

/// Looks at a place. One that we may not look at is no empty one.
fn entry(path: &Path) -> Result<Entry, Failure> {
    match path.metadata() {
        Ok(found) if found.is_file() => Ok(Entry::File),
        Ok(found) if found.is_dir() => Ok(Entry::Folder),
        Ok(_) => Ok(Entry::Nothing),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Entry::Nothing)
        }
        Err(source) => {
            Err(unreadable(Error::File { action: "look at", path: path.to_owned(), source }))
        }
    }
}

fn unreadable(error: Error) -> Failure {
    let hint = "it may say how the stack is started: make it readable, or write a dev.toml that says the stack";
    let failure = Failure::from_error(error.into());
    Failure { hint: failure.hint.or_else(|| Some(hint.to_owned())), ..failure }
}

/// The folder that a stack without dev.toml belongs to: the nearest one with a `.git`, or else `start` itself. A folder
/// deep in a repository that has a stack of its own, and the repository none, is its own.
///
/// # Errors
/// When what is there cannot be looked at.
pub fn root(start: &Path) -> Result<PathBuf, Failure> {
    let repository = start.ancestors().find(|folder| folder.join(".git").exists());
    let candidates = [repository.unwrap_or(start), start];
    for folder in candidates {
        if !folders(folder)?.is_empty() {
            return Ok(folder.to_owned());
        }
    }
    Ok(candidates[0].to_owned())
}

/// Finds the services in `root`, the backend first; none when nothing there looks like one.
///
/// # Errors
/// When something does, and how to start it or which ports it has cannot be told.
pub fn detect(root: &Path) -> anyhow::Result<Vec<Found>> {
    let services: Vec<Found> = folders(root)?.iter().map(found).collect::<Result<_, _>>()?;
    if let [one, other] = services.as_slice()
        && one.port == other.port
    {
        return Err(same_port(one, other).into());
    }
    Ok(services)
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
fn folders(root: &Path) -> Result<Vec<Folder<'_>>, Failure> {
    let mut folders = Vec::new();
    for role in [Role::Backend, Role::Frontend] {
        let itself = Folder { root, role, dir: "." };
        if entry(&root.join(role.name()))? == Entry::Folder {
            folders.push(Folder { dir: role.name(), ..itself });
        } else if is_itself(&itself)? {
            folders.push(itself);
        }
    }
    Ok(folders)
}

/// Is the root itself the service of this role?
fn is_itself(folder: &Folder<'_>) -> Result<bool, Failure> {
    let is_frontend = folder.has("package.json")? && port::vite_config(folder)?.is_some();
    if folder.role == Role::Frontend {
        return Ok(is_frontend);
    }
    let has_config = folder.has("config.json")?;
    let is_program = folder.has("Cargo.toml")? && folder.has("src/main.rs")?;
    let has_frontend = entry(&folder.root.join(Role::Frontend.name()))? == Entry::Folder;
    Ok((is_program && (has_config || has_frontend))
        || (folder.has("package.json")? && has_config && !is_frontend)
        || python::is_certain(folder)?)
}

fn same_port(one: &Found, other: &Found) -> Failure {
    let says = |found: &Found| match &found.port_from {
        Some(file) => format!("`{file}` says so"),
        None => format!("{} for the {}", found.why_usual(), found.service),
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
