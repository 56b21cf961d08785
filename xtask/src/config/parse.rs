//! The text of a dev.toml as a [`Stack`].

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use portman::allocate::Pool;
use portman::patch::Format;
use portman::patch::key::KeyPath;
use portman::port::Port;

use super::order::{Named, in_order};
use super::toml::{Source, Table, Value, nearest};
use super::{
    EXAMPLE, Host, Patch, PortWish, Ready, Restart, Service, Setup, Signal, Stop, variable,
};
use crate::failure::Failure;
use crate::flags::OnConflict;
use crate::template::expand;

/// What a dev.toml says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Described {
    pub(super) on_conflict: OnConflict,
    pub(super) pool: Pool,
    /// Each behind those it depends on.
    pub(super) services: Vec<Service>,
}

/// Reads the text of a dev.toml; `shown` is its name in errors.
pub(super) fn parse(shown: &Path, root: &Path, text: &str) -> Result<Described, Failure> {
    let source = Source::new(shown, text);
    let document = source.parse()?;
    let top = Table::new(&source, document.as_table(), "dev.toml");
    let (pool, on_conflict) =
        top.get("ports").map(|ports| read_ports(&ports)).transpose()?.unwrap_or_default();
    let Some(services) = top.get("services") else {
        // Perhaps they are there, under another name.
        top.finish()?;
        return Err(source.error(
            None,
            "no service is described",
            format!("add one, for example:\n{EXAMPLE}"),
        ));
    };
    let table = services.table("[services]")?;
    let mut named = Vec::new();
    for (name, value) in table.entries() {
        check_name(name).map_err(|(message, hint)| table.key_error(name, message, hint))?;
        if let Some(twin) =
            named.iter().find(|known: &&Named<'_>| variable(&known.service.name) == variable(name))
        {
            let message = format!(
                "`{name}` and `{}` would both be told as `{}_PORT`",
                twin.service.name,
                variable(name)
            );
            return Err(table.key_error(name, message, "give one of them another name"));
        }
        let read = service(name, root, &value)?;
        check_port(&read.service, &named)
            .map_err(|message| table.key_error(name, message, "give one of them another"))?;
        named.push(read);
    }
    if named.is_empty() {
        return Err(
            services.error("no service is described", format!("add one, for example:\n{EXAMPLE}"))
        );
    }
    top.finish()?;
    let all: Vec<&Service> = named.iter().map(|named| &named.service).collect();
    for named in &named {
        check_templates(&named.service, &all).map_err(|message| {
            let hint = "give that service a `port`, or write `{{` for a brace";
            table.key_error(&named.service.name, message, hint)
        })?;
    }
    Ok(Described { on_conflict, pool, services: in_order(named)? })
}

/// A template that asks for the port of a service without one has no value.
fn check_templates(service: &Service, services: &[&Service]) -> Result<(), String> {
    let set = service.patch.iter().flat_map(|patch| &patch.set).map(|(_, text)| text);
    let texts = service.command.iter().chain(service.env.values()).chain(set);
    for text in texts {
        let mut missing = None;
        expand(text, |name| {
            let (owner, noun) = match name.split_once('.') {
                Some((owner, noun)) => (services.iter().find(|other| other.name == owner)?, noun),
                None => (&service, name),
            };
            if matches!(noun, "port" | "url") && owner.port.is_none() {
                missing = Some(format!("`{{{name}}}` has no value: `{}` has no port", owner.name));
            }
            None
        });
        missing.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// With one port for two services no file could say which of them it means.
fn check_port(service: &Service, others: &[Named<'_>]) -> Result<(), String> {
    let port = service.port.and_then(PortWish::preferred);
    let twin = others.iter().find(|other| port.is_some() && other.service.port == service.port);
    match (port, twin) {
        (Some(port), Some(twin)) => {
            Err(format!("`{}` and `{}` both prefer port {port}", twin.service.name, service.name))
        }
        _ => Ok(()),
    }
}

fn read_ports(ports: &Value<'_>) -> Result<(Pool, OnConflict), Failure> {
    let table = ports.table("[ports]")?;
    let mut pool = Pool::default();
    if let Some(nearby) = table.get("nearby") {
        pool.nearby = u16::try_from(nearby.integer(0..1001)?).unwrap_or_default();
    }
    if let Some(ranges) = table.get("ranges") {
        let range = |range: &Value<'_>| range.parsed("write it like \"8000-8099\"");
        pool.ranges = ranges.items()?.iter().map(range).collect::<Result<_, _>>()?;
    }
    let on_conflict = table.get("on-conflict").map(|how| how.word()).transpose()?;
    table.finish()?;
    Ok((pool, on_conflict.unwrap_or_default()))
}

/// A service name becomes part of a variable's name: `WEB_PORT`.
pub(crate) fn check_name(name: &str) -> Result<(), (String, &'static str)> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(());
    }
    Err((format!("`{name}` is not a service name"), "use letters, digits, `-` and `_`"))
}

fn service<'a>(name: &str, root: &Path, value: &Value<'a>) -> Result<Named<'a>, Failure> {
    let table = value.table(format!("[services.{name}]"))?;
    let dir = table
        .get("dir")
        .map(|dir| folder(&dir, root))
        .transpose()?
        .unwrap_or_else(|| root.to_owned());
    let setup = table.get("setup").map(|setup| read_setup(&setup, &dir)).transpose()?;
    let Some(command) = table.get("command") else {
        return Err(value.error(
            format!("`{name}` has no `command`"),
            "say how to start it: command = \"npm run dev\"",
        ));
    };
    let command = words(&command)?;
    let port = table.get("port").map(|port| port_wish(&port)).transpose()?;
    let (ready, ready_timeout) = ready(table.get("ready").as_ref(), port.is_some())?;
    let service = Service {
        name: name.to_owned(),
        setup,
        script: script(&command).unwrap_or("dev").to_owned(),
        command,
        port,
        host: table.get("host").map(|host| host.word()).transpose()?.unwrap_or(Host::Localhost),
        env: table.get("env").map(|env| variables(&env, name)).transpose()?.unwrap_or_default(),
        depends_on: Vec::new(),
        ready,
        ready_timeout,
        restart: table
            .get("restart")
            .map(|restart| restart.word())
            .transpose()?
            .unwrap_or(Restart::OnFailure),
        stop: table.get("stop").map(|stop| read_stop(&stop)).transpose()?.unwrap_or(DEFAULT_STOP),
        watch: table.get("watch").map(|globs| watch(&globs, &dir)).transpose()?.unwrap_or_default(),
        patch: table.get("patch").map(|list| patches(&list, &dir)).transpose()?.unwrap_or_default(),
        dir,
    };
    let depends_on =
        table.get("depends-on").map(|list| list.items()).transpose()?.unwrap_or_default();
    table.finish()?;
    Ok(Named { service, depends_on })
}

const DEFAULT_STOP: Stop = Stop { signal: Signal::Term, grace: Duration::from_secs(10) };
const DEFAULT_READY_TIMEOUT: Duration = Duration::from_mins(1);

fn folder(dir: &Value<'_>, root: &Path) -> Result<PathBuf, Failure> {
    let named = root.join(dir.string()?);
    let found = named.canonicalize().ok().filter(|path| path.is_dir());
    found.ok_or_else(|| {
        let message = format!("there is no folder `{}`", named.display());
        dir.error(message, "paths are relative to dev.toml")
    })
}

fn read_setup(setup: &Value<'_>, dir: &Path) -> Result<Setup, Failure> {
    let table = setup.table("`setup`")?;
    let Some(command) = table.get("command") else {
        return Err(
            setup.error("`setup` has no `command`", "say what to run: { command = \"npm ci\" }")
        );
    };
    let unless =
        table.get("unless").map(|path| path.string()).transpose()?.map(|path| dir.join(path));
    let read = Setup { command: words(&command)?, unless };
    table.finish()?;
    Ok(read)
}

/// A command: a list of words, or one string that is split as a shell would split it.
fn words(command: &Value<'_>) -> Result<Vec<String>, Failure> {
    let words = if command.is_string() {
        shlex::split(command.string()?).ok_or_else(|| {
            command
                .error("the quotes in `command` do not end", "close them, or write a list of words")
        })?
    } else {
        command.strings()?
    };
    match words.first() {
        Some(program) if !program.is_empty() => Ok(words),
        _ => Err(command.error("`command` is empty", "name a program: command = \"npm run dev\"")),
    }
}

/// The package.json script that a command runs: `npm run dev`, `pnpm dev`, `yarn start`.
fn script(command: &[String]) -> Option<&str> {
    let program = Path::new(command.first()?).file_stem().and_then(OsStr::to_str)?;
    if !matches!(program, "npm" | "pnpm" | "yarn" | "bun") {
        return None;
    }
    let mut words = command[1..].iter().map(String::as_str).filter(|word| !word.starts_with('-'));
    match words.next()? {
        "run" | "run-script" => words.next(),
        script => Some(script),
    }
}

fn port_wish(port: &Value<'_>) -> Result<PortWish, Failure> {
    let number = u16::try_from(port.integer(0..65536)?).unwrap_or_default();
    Ok(Port::new(number).map_or(PortWish::Any, PortWish::Preferred))
}

fn ready(value: Option<&Value<'_>>, has_port: bool) -> Result<(Ready, Duration), Failure> {
    let default = if has_port { Ready::Tcp } else { Ready::None };
    let Some(value) = value else { return Ok((default, DEFAULT_READY_TIMEOUT)) };
    let needs_port = |ready| {
        let hint = "give the service a `port`, or write ready = \"none\"";
        if has_port {
            Ok(ready)
        } else {
            Err(value.error("`ready` asks a port, and the service has none", hint))
        }
    };
    if value.is_string() {
        let ready = match value.string()? {
            "tcp" => needs_port(Ready::Tcp)?,
            "none" => Ready::None,
            word => {
                let message = format!(
                    "`ready` is `{word}`, expected `tcp`, `none` or {{ http = \"/path\" }}"
                );
                return Err(value.error(message, nearest(word, &["tcp", "none"])));
            }
        };
        return Ok((ready, DEFAULT_READY_TIMEOUT));
    }
    let table = value.table("`ready`")?;
    let timeout = table.get("timeout").map(|timeout| timeout.duration()).transpose()?;
    let ready = match table.get("http") {
        Some(path) if path.string()?.starts_with('/') => {
            needs_port(Ready::Http(path.string()?.to_owned()))?
        }
        Some(path) => return Err(path.error("`http` is not a path", "start it with `/`")),
        None => default,
    };
    table.finish()?;
    Ok((ready, timeout.unwrap_or(DEFAULT_READY_TIMEOUT)))
}

fn variables(env: &Value<'_>, service: &str) -> Result<BTreeMap<String, String>, Failure> {
    let table = env.table(format!("[services.{service}.env]"))?;
    let mut variables = BTreeMap::new();
    for (name, value) in table.entries() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(table.key_error(
                name,
                format!("`{name}` is not a variable's name"),
                "leave out `=`",
            ));
        }
        variables.insert(name.to_owned(), value.scalar()?);
    }
    Ok(variables)
}

fn read_stop(stop: &Value<'_>) -> Result<Stop, Failure> {
    let table = stop.table("`stop`")?;
    let read = Stop {
        signal: table
            .get("signal")
            .map(|signal| signal.word())
            .transpose()?
            .unwrap_or(DEFAULT_STOP.signal),
        grace: table
            .get("grace")
            .map(|grace| grace.duration())
            .transpose()?
            .unwrap_or(DEFAULT_STOP.grace),
    };
    table.finish()?;
    Ok(read)
}

/// Globs below `dir`, none of which could never match.
fn watch(globs: &Value<'_>, dir: &Path) -> Result<Vec<String>, Failure> {
    globs.items()?.iter().map(|glob| watched(glob, dir)).collect()
}

fn watched(glob: &Value<'_>, dir: &Path) -> Result<String, Failure> {
    let text = glob.string()?.trim_start_matches("./").trim_end_matches('/');
    let path = Path::new(text);
    if text.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
        let message = format!("`{}` is not below the service's `dir`", glob.string()?);
        return Err(glob.error(message, "write it like \"src/**\""));
    }
    let is_plain = |part: &Component<'_>| !is_wild(part.as_os_str());
    let plain: PathBuf = path.components().take_while(is_plain).collect();
    let folder = if plain == path && !dir.join(path).is_dir() {
        plain.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        plain
    };
    if !dir.join(&folder).is_dir() {
        let message = format!("there is no folder `{}`", dir.join(&folder).display());
        return Err(glob.error(message, "globs are relative to `dir`"));
    }
    Ok(if dir.join(path).is_dir() { format!("{text}/**") } else { text.to_owned() })
}

/// Has this part of a glob a wildcard?
pub(crate) fn is_wild(part: &OsStr) -> bool {
    part.to_string_lossy().contains(['*', '?', '[', '{'])
}

fn patches(list: &Value<'_>, dir: &Path) -> Result<Vec<Patch>, Failure> {
    list.items()?.iter().map(|entry| patch(entry, dir)).collect()
}

fn patch(entry: &Value<'_>, dir: &Path) -> Result<Patch, Failure> {
    let table = entry.table("an entry of `patch`")?;
    let Some(file) = table.get("file") else {
        return Err(
            entry.error("this patch has no `file`", "name one: { file = \"vite.config.ts\" }")
        );
    };
    let named = dir.join(file.string()?);
    let name = named.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let Some(format) = Format::of(name) else {
        let message = format!("`{name}` is of no format that can be patched");
        return Err(file.error(
            message,
            "known are .env, .json, .jsonc, .json5, .toml, .yaml, .yml, package.json and vite.config.*",
        ));
    };
    // One file may be named in two ways; its patches have to meet.
    let Some(path) = named.canonicalize().ok().filter(|path| path.is_file()) else {
        let message = format!("there is no file `{}`", named.display());
        return Err(file.error(message, "paths are relative to `dir`"));
    };
    let set = table.get("set").map(|set| assignments(&set)).transpose()?.unwrap_or_default();
    if set.is_empty() && !format.knows_its_ports() {
        let hint = "say which: set = { \"server.port\" = \"{port}\" }";
        return Err(entry.error(format!("which key of `{name}` is the port is not known"), hint));
    }
    table.finish()?;
    Ok(Patch { file: path, format, set })
}

fn assignments(set: &Value<'_>) -> Result<Vec<(KeyPath, String)>, Failure> {
    let table = set.table("`set`")?;
    let mut assignments = Vec::new();
    for (key, value) in table.entries() {
        let path = key.parse::<KeyPath>();
        let path =
            path.map_err(|error| table.key_error(key, error, "write it like \"server.port\""))?;
        if value.is_table() {
            // Without the quotes `server.port` is a table in a table; what is meant is the same.
            let below = assignments_below(&path, &value)?;
            assignments.extend(below);
        } else {
            assignments.push((path, value.scalar()?));
        }
    }
    Ok(assignments)
}

fn assignments_below(path: &KeyPath, set: &Value<'_>) -> Result<Vec<(KeyPath, String)>, Failure> {
    let below = assignments(set)?;
    Ok(below.into_iter().map(|(key, value)| (path.join(&key), value)).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use portman::allocate::Pool;
    use portman::patch::Format;
    use portman::port::Port;

    use super::{Described, parse};
    use crate::config::{Host, Patch, PortWish, Ready, Restart, Service, Setup, Signal, Stop};
    use crate::failure::{Failure, Kind};
    use crate::flags::OnConflict;

    fn fixtures() -> PathBuf {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/config");
        folder.canonicalize().unwrap()
    }

    fn parse_fixture(file: &Path) -> Result<Described, Failure> {
        let text = portman::fs::read(file).unwrap();
        parse(Path::new("dev.toml"), &fixtures().join("root"), &text)
    }

    /// The fixtures in this folder, by name.
    fn all_in(folder: &str, extension: &str) -> Vec<PathBuf> {
        let entries = fixtures().join(folder).read_dir().unwrap();
        let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|found| found == extension));
        files.sort();
        files
    }

    /// The message and the first line of the hint. The folder of the fixtures is somewhere else on every machine.
    fn told(failure: &Failure) -> String {
        let hint = failure.hint.as_deref().unwrap_or_default().lines().next().unwrap_or_default();
        let root = fixtures().join("root").display().to_string();
        format!("{}\nhint: {hint}\n", failure.message).replace(&root, "ROOT")
    }

    #[test]
    fn every_invalid_file_says_where_and_what_to_do() {
        let mut wrong = String::new();
        for file in all_in("invalid", "toml") {
            let expected = portman::fs::read(&file.with_extension("stderr")).unwrap_or_default();
            let found = match parse_fixture(&file) {
                Err(failure) if failure.kind == Kind::Usage => told(&failure),
                other => format!("not the failure of a wrong file: {other:?}\n"),
            };
            if found != expected {
                wrong += &format!("{}\nfound:\n{found}expected:\n{expected}\n", file.display());
            }
        }
        assert!(wrong.is_empty(), "\n{wrong}");
        assert!(all_in("invalid", "toml").len() > 50, "the fixtures are not where they were");
    }

    #[test]
    fn every_message_has_its_file() {
        for message in all_in("invalid", "stderr") {
            assert!(message.with_extension("toml").is_file(), "{}", message.display());
        }
    }

    #[test]
    fn every_valid_file_is_read() {
        for file in all_in("valid", "toml") {
            if let Err(failure) = parse_fixture(&file) {
                panic!("{}: {}", file.display(), told(&failure));
            }
        }
    }

    fn web(root: &Path) -> Service {
        Service {
            script: "dev".into(),
            name: "web".into(),
            dir: root.to_owned(),
            setup: None,
            command: words(&["vite"]),
            port: None,
            host: Host::Localhost,
            env: BTreeMap::new(),
            depends_on: Vec::new(),
            ready: Ready::None,
            ready_timeout: Duration::from_mins(1),
            restart: Restart::OnFailure,
            stop: Stop { signal: Signal::Term, grace: Duration::from_secs(10) },
            watch: Vec::new(),
            patch: Vec::new(),
        }
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn a_command_is_enough() {
        let read = parse_fixture(&fixtures().join("valid/minimal.toml")).unwrap();
        let services = vec![web(&fixtures().join("root"))];
        let (on_conflict, pool) = (OnConflict::Alternative, Pool::default());
        assert_eq!(read, Described { on_conflict, pool, services });
    }

    #[test]
    fn every_key_has_its_effect() {
        let read = parse_fixture(&fixtures().join("valid/every-key.toml")).unwrap();
        let root = fixtures().join("root");
        let (backend, frontend) = (root.join("backend"), root.join("frontend"));
        let config = Patch {
            file: backend.join("config.json"),
            format: Format::Json,
            set: vec![
                ("server.port".parse().unwrap(), "{port}".into()),
                ("debug".parse().unwrap(), "false".into()),
            ],
        };
        let vite =
            Patch { file: frontend.join("vite.config.ts"), format: Format::Vite, set: Vec::new() };
        let package =
            Patch { file: frontend.join("package.json"), format: Format::Package, set: Vec::new() };
        let env = [("API", "{backend.url}"), ("PORT", "1"), ("DEBUG", "true")];
        let services = vec![
            Service {
                name: "backend".into(),
                dir: backend,
                command: words(&["cargo", "run", ""]),
                port: Some(PortWish::Any),
                ready: Ready::Tcp,
                patch: vec![config],
                ..web(&root)
            },
            Service {
                name: "jobs".into(),
                command: words(&["./jobs"]),
                restart: Restart::Never,
                ..web(&root)
            },
            Service {
                name: "frontend".into(),
                script: "start".into(),
                setup: Some(Setup {
                    command: words(&["npm", "ci"]),
                    unless: Some(frontend.join("node_modules")),
                }),
                command: words(&["npm", "run", "start", "--", "--open", "a b"]),
                port: Port::new(5173).map(PortWish::Preferred),
                host: Host::LoopbackV6,
                env: env.map(|(name, value)| (name.into(), value.into())).into(),
                depends_on: vec![0, 1],
                ready: Ready::Http("/health".into()),
                ready_timeout: Duration::from_secs(90),
                restart: Restart::Always,
                stop: Stop { signal: Signal::Int, grace: Duration::from_millis(500) },
                watch: words(&["vite.config.ts", "plugins/**"]),
                patch: vec![vite, package],
                dir: frontend,
            },
        ];
        let ranges = ["8000-8009", "9000-9000"].map(|range| range.parse().unwrap()).into();
        let (on_conflict, pool) = (OnConflict::Kill, Pool { nearby: 5, ranges });
        assert_eq!(read, Described { on_conflict, pool, services });
    }

    #[test]
    fn the_script_of_a_command_is_known_for_every_package_manager() {
        for (command, expected) in [
            ("npm run dev", Some("dev")),
            ("npm --silent run-script serve -- --open", Some("serve")),
            ("/usr/bin/pnpm dev", Some("dev")),
            ("npm.cmd run dev", Some("dev")),
            ("yarn start", Some("start")),
            ("bun run web", Some("web")),
            ("npm run", None),
            ("npm", None),
            ("cargo run", None),
        ] {
            let command: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(super::script(&command), expected, "{command:?}");
        }
    }
}
