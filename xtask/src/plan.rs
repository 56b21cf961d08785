//! What a run will do, out of what dev.toml says and the ports it got. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use portman::patch::{Edit, Format};
use portman::port::Port;
use portman::restore::FilePatch;

use crate::config::{Host, Patch, PortWish, Ready, Service, Setup, Stack, variable};
use crate::marks::{Marks, SERVICE_VARIABLE, VARIABLE};
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
    /// Can its server not listen over a hold? Known from an earlier run.
    pub is_until_spawn: bool,
    /// Where a browser finds it.
    pub url: Option<String>,
    /// How to know that it is ready.
    pub ready: Ready,
}

/// What a plan needs beside the stack and its ports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// What its processes carry.
    pub marks: Marks,
    /// May services colour their output?
    pub has_colour: bool,
    /// Services whose servers cannot listen over a hold.
    pub until_spawn: BTreeSet<String>,
}

/// Plans a run; `ports` has one entry a service, none for those without a port.
pub fn plan(stack: &Stack, ports: &[Option<Port>], surroundings: &Surroundings) -> Plan {
    let shared = shared_variables(stack, ports, surroundings);
    let launch = |place: usize| launch(stack, ports, place, &shared, surroundings);
    let launches: Vec<Launch> = (0..stack.services.len()).map(launch).collect();
    Plan { patches: patches(stack, ports, &launches), launches }
}

fn launch(
    stack: &Stack,
    ports: &[Option<Port>],
    place: usize,
    shared: &BTreeMap<String, String>,
    surroundings: &Surroundings,
) -> Launch {
    let service = &stack.services[place];
    let value = |name: &str| value(stack, ports, place, name);
    let mut env = shared.clone();
    env.insert(SERVICE_VARIABLE.to_owned(), surroundings.marks.services(&service.name));
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
        is_until_spawn: surroundings.until_spawn.contains(&service.name),
        url: value("url"),
        ready: service.ready.clone(),
    }
}

/// The value of a template name, seen from the service at `place`.
fn value(stack: &Stack, ports: &[Option<Port>], place: usize, name: &str) -> Option<String> {
    let ((host, port), name) = match name.split_once('.') {
        Some((service, name)) => (address(stack, ports, service)?, name),
        None => ((stack.services[place].host, ports[place]), name),
    };
    match name {
        "port" => port.map(|port| port.to_string()),
        "host" => Some(host.to_string()),
        "url" => port.map(|port| host.url(port)),
        _ => None,
    }
}

/// Where a service is. One that is left out of the run is where it would like to be: somebody has that port.
fn address(stack: &Stack, ports: &[Option<Port>], name: &str) -> Option<(Host, Option<Port>)> {
    let of = |services: &[Service]| services.iter().position(|service| service.name == name);
    if let Some(place) = of(&stack.services) {
        return Some((stack.services[place].host, ports[place]));
    }
    let service = &stack.left_out[of(&stack.left_out)?];
    Some((service.host, service.port.and_then(PortWish::preferred)))
}

/// What every service gets.
fn shared_variables(
    stack: &Stack,
    ports: &[Option<Port>],
    surroundings: &Surroundings,
) -> BTreeMap<String, String> {
    let mut variables = BTreeMap::from([
        (VARIABLE.to_owned(), surroundings.marks.sessions()),
        // Its output goes through a pipe, where Python would keep it back for pages.
        ("PYTHONUNBUFFERED".to_owned(), "1".to_owned()),
    ]);
    if surroundings.has_colour {
        variables.insert("FORCE_COLOR".to_owned(), "1".to_owned());
        variables.insert("CLICOLOR_FORCE".to_owned(), "1".to_owned());
    }
    for service in stack.services.iter().chain(&stack.left_out) {
        let Some((host, Some(port))) = address(stack, ports, &service.name) else { continue };
        let name = variable(&service.name);
        variables.insert(format!("{name}_PORT"), port.to_string());
        variables.insert(format!("{name}_URL"), host.url(port));
    }
    variables
}

/// The edits of every file; several patches of one file are one.
fn patches(stack: &Stack, ports: &[Option<Port>], launches: &[Launch]) -> Vec<FilePatch> {
    let mut patches: Vec<FilePatch> = Vec::new();
    for (place, service) in stack.services.iter().enumerate() {
        for patch in &service.patch {
            let edits = if patch.set.is_empty() {
                let mut edits = follow_ports(stack, ports, place, patch);
                edits.extend(given(patch, &launches[place], ports));
                edits
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
fn follow_ports(stack: &Stack, ports: &[Option<Port>], own: usize, patch: &Patch) -> Vec<Edit> {
    let preferred = |service: &Service| service.port.and_then(PortWish::preferred);
    let services = stack.services.iter().zip(ports).enumerate();
    let edit = |(place, (service, port)): (usize, (&Service, &Option<Port>))| {
        let new = (*port)?;
        let old = preferred(service);
        if place == own {
            return Some(own_edit(service, patch, old.unwrap_or(new), new));
        }
        // Without a preferred port no file can say the old one.
        let old = old.filter(|old| *old != new)?;
        Some(Edit::Peer { old, new })
    };
    services.filter_map(edit).collect()
}

/// What the environment decides needs no edit of a config that reads it.
fn given(patch: &Patch, launch: &Launch, ports: &[Option<Port>]) -> Vec<Edit> {
    let mut given = Vec::new();
    for (variable, value) in launch.env.iter().filter(|_| patch.format == Format::Vite) {
        let numbers = value.split(|c: char| !c.is_ascii_digit());
        let said: Vec<Port> = numbers.filter_map(|number| number.parse().ok()).collect();
        for port in ports.iter().flatten().copied().filter(|port| said.contains(port)) {
            given.push(Edit::Given { variable: variable.clone(), port });
        }
    }
    given
}

fn own_edit(service: &Service, patch: &Patch, old: Port, new: Port) -> Edit {
    match patch.format {
        Format::Package => Edit::Script { script: service.script.clone(), old, new },
        Format::Env | Format::Json | Format::Toml | Format::Yaml | Format::Vite => {
            Edit::Own { old, new }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::PathBuf;
    use std::time::Duration;

    use portman::allocate::Pool;
    use portman::patch::{Edit, Format};
    use portman::port::Port;
    use portman::restore::FilePatch;

    use super::{Plan, Surroundings, plan};
    use crate::config::{
        Host, Patch, PortWish, Ready, Restart, Service, Signal, Source, Stack, Stop,
    };
    use crate::flags::OnConflict;
    use crate::marks::Marks;

    /// A service on the port it prefers, 0 being any; it has the command `run`.
    fn service(name: &str, preferred: u16) -> Service {
        Service {
            script: "dev".to_owned(),
            name: name.to_owned(),
            dir: PathBuf::from("/stack").join(name),
            setup: None,
            command: vec!["run".to_owned()],
            port: Some(Port::new(preferred).map_or(PortWish::Any, PortWish::Preferred)),
            host: Host::Localhost,
            env: BTreeMap::new(),
            depends_on: Vec::new(),
            ready: Ready::Tcp,
            ready_timeout: Duration::from_secs(1),
            restart: Restart::Never,
            stop: Stop { signal: Signal::Term, grace: Duration::from_secs(1) },
            watch: Vec::new(),
            patch: Vec::new(),
        }
    }

    fn port(number: u16) -> Port {
        Port::new(number).unwrap()
    }

    fn surroundings(has_colour: bool) -> Surroundings {
        let marks = Marks {
            session: "own".to_owned(),
            outer_sessions: Some("outer".to_owned()),
            outer_services: None,
        };
        Surroundings { marks, has_colour, until_spawn: BTreeSet::from(["web".to_owned()]) }
    }

    /// The plan of a backend that prefers 8000 and a frontend that prefers 5173, each on the port it got.
    fn planned(backend: Service, frontend: Service, ports: [u16; 2]) -> Plan {
        let services = vec![backend, frontend];
        let stack = stack_of(services);
        let surroundings = surroundings(false);
        plan(&stack, &ports.map(Port::new), &surroundings)
    }

    fn stack_of(services: Vec<Service>) -> Stack {
        Stack {
            root: "/stack".into(),
            source: Source::File("/stack/dev.toml".into()),
            on_conflict: OnConflict::default(),
            pool: Pool::default(),
            services,
            left_out: Vec::new(),
        }
    }

    #[test]
    fn a_service_that_is_left_out_is_where_it_would_like_to_be() {
        let env = texts([("API", "{backend.url}")]);
        let services = vec![service("backend", 8000), Service { env, ..service("web", 5173) }];
        let stack = stack_of(services).without(&["backend".to_owned()]);
        let plan = plan(&stack, &[Port::new(5173)], &surroundings(false));
        assert_eq!(plan.launches.len(), 1);
        for name in ["API", "BACKEND_URL"] {
            assert_eq!(plan.launches[0].env[name], "http://localhost:8000");
        }
    }

    fn texts<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
    }

    #[test]
    fn a_service_gets_its_own_port_and_those_of_all() {
        let plan = planned(service("back-end", 8000), service("web", 5173), [8001, 5173]);
        let shared = texts([
            ("XTASK_SESSION", "outer,own"),
            ("PYTHONUNBUFFERED", "1"),
            ("BACK_END_PORT", "8001"),
            ("BACK_END_URL", "http://localhost:8001"),
            ("WEB_PORT", "5173"),
            ("WEB_URL", "http://localhost:5173"),
        ]);
        for (launch, own) in plan.launches.iter().zip(["8001", "5173"]) {
            let mut expected = shared.clone();
            expected.extend(texts([("PORT", own), ("HOST", "localhost")]));
            expected.insert("XTASK_SERVICE".to_owned(), format!("own/{}", launch.service));
            assert_eq!(launch.env, expected, "{}", launch.service);
        }
        assert_eq!(plan.launches[0].port, Port::new(8001));
        assert_eq!(
            plan.launches.iter().map(|launch| launch.is_until_spawn).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(plan.launches[0].url.as_deref(), Some("http://localhost:8001"));
        assert_eq!(plan.launches[0].dir, PathBuf::from("/stack/back-end"));
    }

    #[test]
    fn colour_is_forced_only_where_we_have_it() {
        let services = vec![service("web", 5173)];
        let stack = stack_of(services);
        for has_colour in [true, false] {
            let surroundings = surroundings(has_colour);
            let plan = plan(&stack, &[Port::new(5173)], &surroundings);
            let env = &plan.launches[0].env;
            let expected = has_colour.then_some("1");
            assert_eq!(env.get("FORCE_COLOR").map(String::as_str), expected);
            assert_eq!(env.get("CLICOLOR_FORCE").map(String::as_str), expected);
        }
    }

    #[test]
    fn the_users_variables_win_and_are_expanded() {
        let env = texts([
            ("PORT", "9"),
            ("HOST", "{host}:{port}"),
            ("WEB_PORT", "none"),
            ("PYTHONUNBUFFERED", ""),
            ("API", "{backend.url}/api"),
            ("ODD", "{{port} ${HOME} {nobody.port} {backend.name}"),
        ]);
        let frontend = Service { env, ..service("web", 5173) };
        let plan = planned(service("backend", 8000), frontend, [8001, 5174]);
        for (name, expected) in [
            ("PORT", "9"),
            ("HOST", "localhost:5174"),
            ("WEB_PORT", "none"),
            ("WEB_URL", "http://localhost:5174"),
            ("PYTHONUNBUFFERED", ""),
            ("API", "http://localhost:8001/api"),
            ("ODD", "{port} ${HOME} {nobody.port} {backend.name}"),
        ] {
            assert_eq!(plan.launches[1].env[name], expected, "{name}");
        }
        assert_eq!(plan.launches[0].env["WEB_PORT"], "5174", "another service's env is its own");
    }

    #[test]
    fn a_command_may_name_the_ports_of_all() {
        let command = ["run", "--port={port}", "--api", "{backend.url}", "{other}"];
        let frontend =
            Service { command: command.map(str::to_owned).into(), ..service("web", 5173) };
        let plan = planned(service("backend", 8000), frontend, [8001, 5174]);
        assert_eq!(plan.launches[0].command, ["run"]);
        let expected = ["run", "--port=5174", "--api", "http://localhost:8001", "{other}"];
        assert_eq!(plan.launches[1].command, expected);
    }

    #[test]
    fn a_url_is_one_that_a_browser_here_can_open() {
        for (host, bound, url) in [
            (Host::Localhost, "localhost", "http://localhost:8000"),
            (Host::LoopbackV4, "127.0.0.1", "http://127.0.0.1:8000"),
            (Host::LoopbackV6, "::1", "http://[::1]:8000"),
            (Host::AnyV4, "0.0.0.0", "http://localhost:8000"),
            (Host::Any, "::", "http://localhost:8000"),
        ] {
            let backend = Service { host, ..service("backend", 8000) };
            let plan = planned(backend, service("web", 5173), [8000, 5173]);
            assert_eq!(plan.launches[0].env["HOST"], bound);
            assert_eq!(plan.launches[0].url.as_deref(), Some(url));
            assert_eq!(plan.launches[1].env["BACKEND_URL"], url);
        }
    }

    #[test]
    fn a_service_without_a_port_has_none_of_its_variables() {
        let env = texts([("OWN", "{port} {host} {url}"), ("API", "{backend.port}")]);
        let jobs = Service { port: None, env, ..service("jobs", 0) };
        let plan = planned(service("backend", 8000), jobs, [8000, 0]);
        let expected = texts([
            ("XTASK_SESSION", "outer,own"),
            ("XTASK_SERVICE", "own/jobs"),
            ("PYTHONUNBUFFERED", "1"),
            ("BACKEND_PORT", "8000"),
            ("BACKEND_URL", "http://localhost:8000"),
            ("OWN", "{port} localhost {url}"),
            ("API", "8000"),
        ]);
        assert_eq!(plan.launches[1].env, expected);
        assert_eq!((plan.launches[1].port, &plan.launches[1].url), (None, &None));
    }

    fn follows(file: &str) -> Patch {
        Patch { file: file.into(), format: Format::Vite, set: Vec::new() }
    }

    fn sets(file: &str, key: &str, value: &str) -> Patch {
        let set = vec![(key.parse().unwrap(), value.to_owned())];
        Patch { file: file.into(), format: Format::Json, set }
    }

    #[test]
    fn a_file_follows_its_own_port_and_others_where_they_moved() {
        let own = |old, new| Edit::Own { old: port(old), new: port(new) };
        let peer = |old, new| Edit::Peer { old: port(old), new: port(new) };
        for (preferred, ports, expected) in [
            ([8000, 5173], [8000, 5173], vec![own(5173, 5173)]),
            ([8000, 5173], [8000, 5174], vec![own(5173, 5174)]),
            ([8000, 5173], [8001, 5173], vec![peer(8000, 8001), own(5173, 5173)]),
            // Any port: no file can know which it was.
            ([0, 5173], [8001, 5173], vec![own(5173, 5173)]),
            ([8000, 0], [8000, 3000], vec![own(3000, 3000)]),
        ] {
            let patch = vec![follows("/stack/vite.config.ts")];
            let frontend = Service { patch, ..service("web", preferred[1]) };
            let plan = planned(service("backend", preferred[0]), frontend, ports);
            assert_eq!(moves(&plan), expected, "{preferred:?} {ports:?}");
        }
    }

    #[test]
    fn a_service_without_a_port_is_no_edit_of_a_file_that_follows() {
        let patch = vec![follows("/stack/vite.config.ts")];
        let frontend = Service { patch, ..service("web", 5173) };
        let jobs = Service { port: None, ..service("jobs", 0) };
        let plan = planned(jobs, frontend, [0, 5173]);
        assert_eq!(moves(&plan), [Edit::Own { old: port(5173), new: port(5173) }]);
    }

    #[test]
    fn a_config_that_reads_the_environment_knows_what_it_finds_there() {
        let env = BTreeMap::from([("API".to_owned(), "{backend.url}".to_owned())]);
        let patch = vec![follows("/stack/vite.config.ts")];
        let frontend = Service { env, patch, ..service("web", 5173) };
        let plan = planned(service("backend", 8000), frontend, [8000, 5173]);
        for (variable, number) in [("API", 8000), ("BACKEND_URL", 8000), ("PORT", 5173)] {
            let given = Edit::Given { variable: variable.to_owned(), port: port(number) };
            assert!(plan.patches[0].edits.contains(&given), "{variable}");
        }
    }

    /// The edits of the first file without what the environment gives.
    fn moves(plan: &Plan) -> Vec<Edit> {
        let edits = plan.patches[0].edits.iter();
        edits.filter(|edit| !matches!(edit, Edit::Given { .. })).cloned().collect()
    }

    #[test]
    fn patches_of_one_file_are_one_and_their_values_are_expanded() {
        let backend = Service {
            patch: vec![
                sets("/stack/config.json", "server.port", "{port}"),
                sets("/stack/other.json", "url", "{url}"),
            ],
            ..service("backend", 8000)
        };
        let frontend = Service {
            patch: vec![sets("/stack/config.json", "web", "{port} of {backend.port}")],
            ..service("web", 5173)
        };
        let set = |key: &str, value: &str| Edit::Set {
            key: key.parse().unwrap(),
            value: value.to_owned(),
        };
        let file = |path: &str, edits| FilePatch { path: path.into(), format: Format::Json, edits };
        assert_eq!(
            planned(backend, frontend, [8001, 5174]).patches,
            [
                file(
                    "/stack/config.json",
                    vec![set("server.port", "8001"), set("web", "5174 of 8001")]
                ),
                file("/stack/other.json", vec![set("url", "http://localhost:8001")]),
            ]
        );
    }
}
