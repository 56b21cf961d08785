//! Which port a service would like, and which files say it.

use std::path::PathBuf;

use portman::error::Error;
use portman::patch::key::KeyPath;
use portman::patch::{Code, Format, port_at};
use portman::port::Port;

use super::{Folder, Patch, Role, STARTUP_CONFIG};

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
pub(super) fn vite_config(folder: &Folder<'_>) -> Option<&'static str> {
    VITE_CONFIGS.into_iter().find(|name| folder.has(name))
}

/// A file that may say the service's port.
struct Place {
    path: PathBuf,
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
    let mut doubts = vite_doubts(folder);
    let mut patch = Vec::new();
    for place in places(folder, script) {
        let text = portman::fs::read(&place.path)?;
        match port_at(&text, &place.format, &place.key) {
            Ok(Some(port)) => said.push((port, place.shown)),
            Ok(None) => {}
            Err(unseen) if matches!(unseen.code, Code::Computed | Code::NotFollowed) => {
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

fn usual(role: Role) -> Port {
    match role {
        Role::Backend => const { Port::new(8000).unwrap() },
        Role::Frontend => const { Port::new(3000).unwrap() },
    }
}

/// Where the port may stand, what counts most first: a command line overrides the config.
fn places(folder: &Folder<'_>, script: Option<&str>) -> Vec<Place> {
    let place = |file: &str, format, key: KeyPath, set| {
        let (path, shown) = (folder.path(file), folder.shown(file));
        path.is_file().then(|| Place { path, file: file.to_owned(), shown, format, key, set })
    };
    let package =
        || place("package.json", Format::Package, KeyPath::of(["scripts", script?]), None);
    let port = || KeyPath::of(["server", "port"]);
    let vite = || place(vite_config(folder)?, Format::Vite, port(), None);
    let own = match folder.role {
        Role::Backend => {
            [place("config.json", Format::Json, port(), Some("server.port")), package()]
        }
        Role::Frontend => [package(), vite()],
    };
    [startup(folder)].into_iter().chain(own).flatten().collect()
}

/// The file at the root that says the ports of both services.
fn startup(folder: &Folder<'_>) -> Option<Place> {
    let set = match folder.role {
        Role::Backend => "backend.port",
        Role::Frontend => "frontend.port",
    };
    let path = folder.root.join(STARTUP_CONFIG);
    path.is_file().then(|| Place {
        path,
        file: if folder.dir == "." { STARTUP_CONFIG } else { "../startup_config.json" }.to_owned(),
        shown: STARTUP_CONFIG.to_owned(),
        format: Format::Json,
        key: KeyPath::of([folder.role.name(), "port"]),
        set: Some(set),
    })
}

fn vite_doubts(folder: &Folder<'_>) -> Vec<String> {
    let there: Vec<&str> = VITE_CONFIGS.into_iter().filter(|name| folder.has(name)).collect();
    match there.as_slice() {
        [loaded, others @ ..] if folder.role == Role::Frontend && !others.is_empty() => {
            vec![format!("Vite loads {loaded} and not {}", others.join(", "))]
        }
        _ => Vec::new(),
    }
}
