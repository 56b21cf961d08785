//! How the service in a folder is started.

use serde_json::Value;

use super::{Folder, Role, Setup, python};
use crate::failure::{Failure, Kind};

/// How a service is started.
#[derive(Debug, Default)]
pub(super) struct Start {
    pub(super) setup: Option<Setup>,
    pub(super) command: String,
    /// The package.json script that the command runs.
    pub(super) script: Option<&'static str>,
    pub(super) doubts: Vec<String>,
}

/// How the service in `folder` is started.
pub(super) fn start(folder: &Folder<'_>) -> anyhow::Result<Start> {
    let is_backend = folder.role == Role::Backend;
    if is_backend && folder.has("Cargo.toml")? {
        // The build may take minutes, for which nobody waits once the service has been started.
        let setup = Some(Setup { command: "cargo build", unless: None });
        return Ok(Start { setup, command: "cargo run".to_owned(), ..Start::default() });
    }
    if folder.has("package.json")? {
        return node(folder);
    }
    if is_backend && python::is_there(folder)? {
        return Ok(python::start(folder)?);
    }
    let (name, manifests) = match folder.role {
        Role::Backend => {
            ("backend", "Cargo.toml, package.json, pyproject.toml or requirements.txt")
        }
        Role::Frontend => ("frontend", "package.json"),
    };
    Err(unknown(
        format!(
            "there is a folder `{name}`, but what starts it is not known: it has no {manifests}"
        ),
        name,
    )
    .into())
}

/// The failure of a service whose command cannot be told.
pub(super) fn unknown(message: String, name: &str) -> Failure {
    let hint = format!(
        "write a dev.toml that says it:\n\n  [services.{name}]\n  dir = \"{name}\"\n  command = \"…\"\n  port = …"
    );
    Failure::new(Kind::Usage, message, hint)
}

/// A package manager, and the lock files that tell it.
struct Manager {
    name: &'static str,
    locks: &'static [&'static str],
    install: &'static str,
}

const MANAGERS: [Manager; 4] = [
    Manager { name: "pnpm", locks: &["pnpm-lock.yaml"], install: "pnpm install --frozen-lockfile" },
    // What forbids to change the lock file has another name in every version of it.
    Manager { name: "yarn", locks: &["yarn.lock"], install: "yarn install" },
    Manager {
        name: "bun",
        locks: &["bun.lock", "bun.lockb"],
        install: "bun install --frozen-lockfile",
    },
    Manager {
        name: "npm",
        locks: &["package-lock.json", "npm-shrinkwrap.json"],
        install: "npm ci",
    },
];

fn node(folder: &Folder<'_>) -> anyhow::Result<Start> {
    let package = package(folder)?;
    let has = |script: &&str| package["scripts"][*script].is_string();
    let Some(script) = ["dev", "start"].into_iter().find(has) else {
        let message = format!("`{}` has no script `dev` or `start`", folder.shown("package.json"));
        return Err(unknown(message, folder.role.name()).into());
    };
    let mut locked: Vec<&Manager> = Vec::new();
    for manager in &MANAGERS {
        for lock in manager.locks {
            if !locked.iter().any(|known| known.name == manager.name) && folder.has(lock)? {
                locked.push(manager);
            }
        }
    }
    let manager = locked.first().copied();
    let setup =
        |manager: &Manager| Setup { command: manager.install, unless: Some("node_modules") };
    let doubts = match locked.as_slice() {
        [first, others @ ..] if !others.is_empty() => {
            let others: Vec<&str> = others.iter().map(|manager| manager.name).collect();
            let place = folder.shown("package.json");
            vec![format!(
                "beside {place} are lock files of {}, which counts, and {}",
                first.name,
                others.join(", ")
            )]
        }
        _ => Vec::new(),
    };
    Ok(Start {
        setup: manager.map(setup),
        command: format!("{} run {script}", manager.map_or("npm", |manager| manager.name)),
        script: Some(script),
        doubts,
    })
}

fn package(folder: &Folder<'_>) -> anyhow::Result<Value> {
    let path = folder.path("package.json");
    let text = folder.read("package.json")?.unwrap_or_default();
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let what = error.to_string();
        let what = what.split(" at line ").next().unwrap_or_default();
        let message = format!("{}:{}:{} {what}", path.display(), error.line(), error.column());
        Failure::new(Kind::File, message, "correct the file: npm reads nothing but JSON").into()
    })
}
