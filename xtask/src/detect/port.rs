//! Which port a service would like, and which files say it.

use std::path::PathBuf;

use portman::error::Error;
use portman::patch::key::KeyPath;
use portman::patch::{Code, Format, port_at};
use portman::port::Port;

use super::{Folder, Patch, Role, STARTUP_CONFIG};
use crate::failure::Failure;

/// The port that a service would like.
pub(super) struct Wish {
    pub(super) port: Port,
    /// The file that says it.
    pub(super) from: Option<String>,
    pub(super) patch: Vec<Patch>,
    pub(super) doubts: Vec<String>,
}

/// Of several configs side by side Vite loads the first of these.
const VITE_CONFIGS: [&str; 6] = [
    "vite.config.js",
    "vite.config.mjs",
    "vite.config.ts",
    "vite.config.cjs",
    "vite.config.mts",
    "vite.config.cts",
];

/// The config that Vite loads in this folder.
pub(super) fn vite_config(folder: &Folder<'_>) -> Result<Option<&'static str>, Failure> {
    Ok(vite_configs(folder)?.first().copied())
}

fn vite_configs(folder: &Folder<'_>) -> Result<Vec<&'static str>, Failure> {
    let mut there = Vec::new();
    for name in VITE_CONFIGS {
        if folder.has(name)? {
            there.push(name);
        }
    }
    Ok(there)
}

/// A file that may say the service's port.
struct Place {
    path: PathBuf,
    text: String,
    /// Relative to the service's folder.
    file: String,
    /// As it is told: below the root.
    shown: String,
    format: Format,
    key: KeyPath,
    /// What dev.toml has to say about it.
    set: Option<&'static str>,
}

/// The port of the service in `folder`; `script` is the package.json script that starts it.
pub(super) fn wish(folder: &Folder<'_>, script: Option<&str>) -> anyhow::Result<Wish> {
    let mut said: Vec<(Port, String)> = Vec::new();
    let mut doubts = vite_doubts(folder)?;
    let mut patch = Vec::new();
    for place in places(folder, script)? {
        match port_at(&place.text, &place.format, &place.key) {
            Ok(Some(port)) => said.push((port, place.shown)),
            Ok(None) => {}
            Err(unseen) if is_doubt(unseen.code) => {
                doubts.push(format!(
                    "{}:{}:{} {}",
                    place.shown, unseen.line, unseen.column, unseen.message
                ));
            }
            Err(refusal) => return Err(Error::Patch { path: place.path, refusal }.into()),
        }
        patch.push(Patch { file: place.file, key: place.set });
    }
    let Some((port, from)) = said.first().cloned() else {
        return Ok(Wish { port: usual(folder.role), from: None, patch, doubts });
    };
    doubts.extend(said.iter().filter(|(other, _)| *other != port).map(|(other, file)| {
        format!("{file} says port {other}, and {from} says {port}, which counts")
    }));
    Ok(Wish { port, from: Some(from), patch, doubts })
}

/// The file can be read, and what it says is no port that is known here.
fn is_doubt(code: Code) -> bool {
    matches!(code, Code::Computed | Code::NotFollowed | Code::NotAValue)
}

fn usual(role: Role) -> Port {
    match role {
        Role::Backend => const { Port::new(8000).unwrap() },
        Role::Frontend => const { Port::new(3000).unwrap() },
    }
}

/// Where the port may stand, what counts most first: a command line overrides the config.
fn places(folder: &Folder<'_>, script: Option<&str>) -> Result<Vec<Place>, Failure> {
    let place = |file: &str, format, key: KeyPath, set| {
        let found = |text| Place {
            path: folder.path(file),
            text,
            file: file.to_owned(),
            shown: folder.shown(file),
            format,
            key,
            set,
        };
        Ok(folder.read(file)?.map(found))
    };
    let package = || match script {
        Some(script) => {
            place("package.json", Format::Package, KeyPath::of(["scripts", script]), None)
        }
        None => Ok(None),
    };
    let port = || KeyPath::of(["server", "port"]);
    let own = match folder.role {
        Role::Backend => {
            [place("config.json", Format::Json, port(), Some("server.port"))?, package()?]
        }
        Role::Frontend => {
            let vite = match vite_config(folder)? {
                Some(file) => place(file, Format::Vite, port(), None)?,
                None => None,
            };
            [package()?, vite]
        }
    };
    Ok([startup(folder)?].into_iter().chain(own).flatten().collect())
}

/// The file at the root that says the ports of both services.
fn startup(folder: &Folder<'_>) -> Result<Option<Place>, Failure> {
    let set = match folder.role {
        Role::Backend => "backend.port",
        Role::Frontend => "frontend.port",
    };
    let root = Folder { dir: ".", ..*folder };
    let file = if folder.dir == "." { STARTUP_CONFIG } else { "../startup_config.json" };
    let found = |text| Place {
        path: root.path(STARTUP_CONFIG),
        text,
        file: file.to_owned(),
        shown: STARTUP_CONFIG.to_owned(),
        format: Format::Json,
        key: KeyPath::of([folder.role.name(), "port"]),
        set: Some(set),
    };
    Ok(root.read(STARTUP_CONFIG)?.map(found))
}

fn vite_doubts(folder: &Folder<'_>) -> Result<Vec<String>, Failure> {
    Ok(match vite_configs(folder)?.as_slice() {
        [loaded, others @ ..] if folder.role == Role::Frontend && !others.is_empty() => {
            vec![format!("Vite loads {loaded} and not {}", others.join(", "))]
        }
        _ => Vec::new(),
    })
}
