//! What a run will do, out of what dev.toml says and the ports it got. Pure.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portman::patch::Edit;
use portman::port::Port;
use portman::restore::FilePatch;

use crate::config::{PortWish, Ready, Service, Setup, Stack};
use crate::template::expand;

/// Everything a run does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What is asked of files, one entry a file.
    pub patches: Vec<FilePatch>,
    /// What is started, in the order of [`Stack::services`].
    pub launches: Vec<Launch>,
}

/// One service as it is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Launch {
    /// The service's name.
    pub service: String,
    /// Where it runs.
    pub dir: PathBuf,
    /// What has to be done before.
    pub setup: Option<Setup>,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Variables it gets on top of the user's.
    pub env: BTreeMap<String, String>,
    /// The port it listens on.
    pub port: Option<Port>,
    /// Where a browser finds it.
    pub url: Option<String>,
    /// How to know that it is ready.
    pub ready: Ready,
}

/// What a plan needs beside the stack and its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surroundings {
    /// The value of `XTASK_SESSION`: the sessions this one is inside of, and itself.
    pub sessions: String,
    /// May services colour their output?
    pub has_colour: bool,
}

/// Plans a run; `ports` has one entry a service, none for those without a port.
pub fn plan(stack: &Stack, ports: &[Option<Port>], surroundings: &Surroundings) -> Plan {
    let shared = shared_variables(stack, ports, surroundings);
    let launch = |place: usize| launch(stack, ports, place, &shared);
    Plan {
        patches: patches(stack, ports),
        launches: (0..stack.services.len()).map(launch).collect(),
    }
}

fn launch(
    stack: &Stack,
    ports: &[Option<Port>],
    place: usize,
    shared: &BTreeMap<String, String>,
) -> Launch {
    let service = &stack.services[place];
    let value = |name: &str| value(stack, ports, place, name);
    let mut env = shared.clone();
    env.extend(value("port").map(|port| ("PORT".to_owned(), port)));
    env.extend(service.port.map(|_| ("HOST".to_owned(), service.host.to_string())));
    env.extend(service.env.iter().map(|(name, text)| (name.clone(), expand(text, value))));
    Launch {
        service: service.name.clone(),
        dir: service.dir.clone(),
        setup: service.setup.clone(),
        command: service.command.iter().map(|word| expand(word, value)).collect(),
        env,
        port: ports[place],
        url: value("url"),
        ready: service.ready.clone(),
    }
}

/// The value of a template name, seen from the service at `place`.
fn value(stack: &Stack, ports: &[Option<Port>], place: usize, name: &str) -> Option<String> {
    let (place, name) = match name.split_once('.') {
        Some((service, name)) => {
            (stack.services.iter().position(|other| other.name == service)?, name)
        }
        None => (place, name),
    };
    let host = stack.services[place].host;
    match name {
        "port" => ports[place].map(|port| port.to_string()),
        "host" => Some(host.to_string()),
        "url" => ports[place].map(|port| host.url(port)),
        _ => None,
    }
}

/// What every service gets.
fn shared_variables(
    stack: &Stack,
    ports: &[Option<Port>],
    surroundings: &Surroundings,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        ("XTASK_SESSION".to_owned(), surroundings.sessions.clone()),
        // Its output goes through a pipe, where Python would keep it back for pages.
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
    ]);
    if surroundings.has_colour {
        variables.insert("FORCE_COLOR".to_owned(), "1".to_owned());
        variables.insert("CLICOLOR_FORCE".to_owned(), "1".to_owned());
    }
    for (service, port) in stack.services.iter().zip(ports) {
        let Some(port) = *port else { continue };
        let name = service.name.to_uppercase().replace('-', "_");
        variables.insert(format!("{name}_PORT"), port.to_string());
        variables.insert(format!("{name}_URL"), service.host.url(port));
    }
    variables
}

/// The edits of every file; several patches of one file are one.
fn patches(stack: &Stack, ports: &[Option<Port>]) -> Vec<FilePatch> {
    let mut patches: Vec<FilePatch> = Vec::new();
    for (place, service) in stack.services.iter().enumerate() {
        for patch in &service.patch {
            let edits = if patch.set.is_empty() {
                follow_ports(stack, ports, place)
            } else {
                let expanded =
                    |text: &String| expand(text, |name| value(stack, ports, place, name));
                patch
                    .set
                    .iter()
                    .map(|(key, text)| Edit::Set { key: key.clone(), value: expanded(text) })
                    .collect()
            };
            match patches.iter_mut().find(|known| known.path == patch.file) {
                Some(known) => known.edits.extend(edits),
                None => patches.push(FilePatch {
                    path: patch.file.clone(),
                    format: patch.format.clone(),
                    edits,
                }),
            }
        }
    }
    patches
}

/// The edits of a file that knows its ports: its service's own, and those of the others where they moved.
fn follow_ports(stack: &Stack, ports: &[Option<Port>], own: usize) -> Vec<Edit> {
    let preferred = |service: &Service| service.port.and_then(PortWish::preferred);
    let services = stack.services.iter().zip(ports).enumerate();
    let edit = |(place, (service, port)): (usize, (&Service, &Option<Port>))| {
        let new = (*port)?;
        let old = preferred(service);
        if place == own {
            return Some(Edit::Own { old: old.unwrap_or(new), new });
        }
        // Without a preferred port no file can say the old one.
        let old = old.filter(|old| *old != new)?;
        Some(Edit::Peer { old, new })
    };
    services.filter_map(edit).collect()
}
