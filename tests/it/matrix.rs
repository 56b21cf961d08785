//! Which servers listen over a hold: real ones of all runtimes that this machine has, on every form of host.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use portman::check::{Hold, Status, check, listeners};
use portman::owner::{self, Scope};
use portman::port::Port;
use portman::process::Process;
use tests::{Running, Stage, eventually, has, is_installed, own_network, tell, template};

use crate::{PROGRAMS, stage};

/// `default`: none is said.
const HOSTS: [&str; 6] = ["default", "127.0.0.1", "0.0.0.0", "::1", "::", "localhost"];

/// A server program.
#[derive(Clone, Copy)]
struct Runtime {
    name: &'static str,
    /// The programs it needs.
    needs: &'static [&'static str],
    /// Those of `HOSTS` that it can be given.
    hosts: &'static [&'static str],
    /// What starts it on a host and a port.
    command: fn(&Stage, &str, u16) -> Command,
}

const fn runtime(
    name: &'static str,
    needs: &'static [&'static str],
    command: fn(&Stage, &str, u16) -> Command,
) -> Runtime {
    Runtime { name, needs, hosts: &HOSTS, command }
}

/// It has to be told a host.
const fn without_default(runtime: Runtime) -> Runtime {
    Runtime { hosts: HOSTS.split_at(1).1, ..runtime }
}

const RUNTIMES: [Runtime; 12] = [
    runtime("node", &["node"], |stage, host, port| script(stage, "node", "node.js", host, port)),
    runtime("vite", &["node"], vite),
    runtime("python http.server", &["python3"], |stage, host, port| {
        let command = with(stage.command("python3"), ["-m", "http.server", &port.to_string()]);
        with_host(command, host, "--bind")
    }),
    runtime("uvicorn", &["uvicorn"], |stage, host, port| {
        let folder = fixture("");
        let words = ["--app-dir", &folder, "asgi:app", "--port", &port.to_string()];
        let mut command = with(stage.command("uvicorn"), words);
        // Nothing is left beside the fixture.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        with_host(command, host, "--host")
    }),
    without_default(runtime("rust std", &[], |stage, host, port| {
        stage.stranger_command(&["--listen", &address(host, port)])
    })),
    without_default(runtime("axum on tokio", &[], axum)),
    runtime("go", &["go"], |stage, host, port| {
        let program = stage.path("go-server").display().to_string();
        with(stage.command(&program), [host, &port.to_string()])
    }),
    runtime("java", &["java", "javac"], |stage, host, port| {
        let classes = stage.path("java").display().to_string();
        with(stage.command("java"), ["-cp", &classes, "Server", host, &port.to_string()])
    }),
    runtime("ruby", &["ruby"], |stage, host, port| script(stage, "ruby", "server.rb", host, port)),
    runtime("redis", &["redis-server"], |stage, host, port| {
        let words = ["--port", &port.to_string(), "--save", ""];
        with_host(with(stage.command("redis-server"), words), host, "--bind")
    }),
    runtime("nginx", &["nginx"], |stage, host, port| nginx(stage, host, port, "")),
    runtime("nginx reuseport", &["nginx"], |stage, host, port| {
        nginx(stage, host, port, " reuseport")
    }),
];

fn fixture(name: &str) -> String {
    format!("{}/fixtures/servers/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn with<Word: AsRef<std::ffi::OsStr>>(
    mut command: Command,
    words: impl IntoIterator<Item = Word>,
) -> Command {
    command.args(words);
    command
}

fn with_host(command: Command, host: &str, flag: &str) -> Command {
    if host == "default" { command } else { with(command, [flag, host]) }
}

fn script(stage: &Stage, program: &str, file: &str, host: &str, port: u16) -> Command {
    with(stage.command(program), [&fixture(file), host, &port.to_string()])
}

/// `[::1]:8000`
fn address(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn vite(stage: &Stage, host: &str, port: u16) -> Command {
    let mut command = stage.command_in(&stage.checkout().join("frontend"), "node");
    command.args(["node_modules/vite/bin/vite.js", "--port", &port.to_string(), "--strictPort"]);
    with_host(command, host, "--host")
}

/// The template's backend, which has its host and its port from `config.json`.
fn axum(stage: &Stage, host: &str, port: u16) -> Command {
    let folder = PathBuf::from(format!("axum-{port}"));
    let config = format!("{{ \"server\": {{ \"host\": \"{host}\", \"port\": {port} }} }}");
    stage.file(&folder.join("config.json").to_string_lossy(), &config);
    let program = stage.checkout().join("target/debug/backend");
    stage.command_in(&stage.checkout().join(folder), &program.to_string_lossy())
}

fn nginx(stage: &Stage, host: &str, port: u16, option: &str) -> Command {
    let listen = if host == "default" { port.to_string() } else { address(host, port) };
    let folder = format!("nginx-{port}");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {what};\n"))
        .concat();
    let config = format!(
        "daemon off;\nmaster_process off;\npid pid;\nerror_log stderr;\nevents {{}}\n\
         http {{\naccess_log off;\n{temporary}server {{ listen {listen}{option}; }}\n}}\n"
    );
    stage.file(&format!("{folder}/nginx.conf"), &config);
    let folder = stage.checkout().join(folder).display().to_string();
    with(stage.command("nginx"), ["-e", "stderr", "-p", &folder, "-c", "nginx.conf"])
}

/// Builds what is no script.
fn build(stage: &Stage) {
    let succeed = |command: &mut Command| {
        let ended = Running::start(command).wait();
        assert_eq!(ended.code, 0, "{command:?}:\n{}", ended.output);
    };
    if is_installed("go") {
        // Kept for the next time: the standard library is compiled into it.
        let cache = Path::new(PROGRAMS.target).join("go");
        let mut go = stage.command("go");
        go.env("GOCACHE", cache).env("GOFLAGS", "-mod=mod").env("GOTOOLCHAIN", "local");
        succeed(go.arg("build").arg("-o").arg(stage.path("go-server")).arg(fixture("server.go")));
    }
    if is_installed("javac") {
        let mut javac = stage.command("javac");
        succeed(javac.arg("-d").arg(stage.path("java")).arg(fixture("Server.java")));
    }
}

/// Starts a server over a hold and waits until it listens on `port` itself, or has ended: then this is what it said.
fn listens_over_hold(mut command: Command, port: Port) -> Result<Vec<IpAddr>, String> {
    let _hold = held(port);
    let server = Running::start(&mut command);
    let sockets = eventually(&format!("{command:?} listens, or ends"), || {
        let sockets = listeners(port).unwrap();
        let holders = owner::holders(&sockets, Scope::Hinted, &[server.pid()]).unwrap();
        let is_up = !holders.is_empty();
        let has_ended = || Process::find(server.pid()).unwrap().is_none();
        if is_up { Some(sockets) } else { has_ended().then(Vec::new) }
    });
    if sockets.is_empty() {
        return Err(server.wait().output);
    }
    // Java writes an address of IPv4 in the form of IPv6.
    Ok(sockets.iter().map(|socket| socket.local.ip().to_canonical()).collect())
}

#[track_caller]
fn held(port: Port) -> Hold {
    match check(port) {
        Status::Available(hold) => hold,
        other => panic!("{port}: {other:?}"),
    }
}

/// One server after the other on each host; what went wrong.
fn try_hosts(stage: &Stage, runtime: &Runtime, first_port: u16) -> Vec<String> {
    let mut wrong = Vec::new();
    for (host, number) in runtime.hosts.iter().zip(first_port..) {
        let command = (runtime.command)(stage, host, number);
        let place = format!("{} on {host}", runtime.name);
        match listens_over_hold(command, Port::new(number).unwrap()) {
            Ok(found) if is_meant(host, &found) => {}
            Ok(found) => wrong.push(format!("{place} listens on {found:?}")),
            Err(output) => wrong.push(format!("{place} does not listen:\n{output}")),
        }
    }
    wrong
}

/// Is it where it was told to be? Names and wildcards are understood in different ways.
fn is_meant(host: &str, found: &[IpAddr]) -> bool {
    host.parse::<IpAddr>().map_or(true, |host| host.is_unspecified() || found == [host])
}

#[test]
fn servers_of_all_runtimes_listen_over_a_hold() {
    let test = "servers_of_all_runtimes_listen_over_a_hold";
    if !has(test, "node") || !has(test, "python3") {
        return;
    }
    let stage = stage();
    template(&stage, PROGRAMS.target);
    build(&stage);
    if !own_network(test) {
        return;
    }
    let is_here = |runtime: &Runtime| runtime.needs.iter().all(|program| is_installed(program));
    let (here, absent): (Vec<Runtime>, Vec<Runtime>) = RUNTIMES.into_iter().partition(is_here);
    for (what, runtimes) in [("tried", &here), ("absent here", &absent)] {
        let names: Vec<&str> = runtimes.iter().map(|runtime| runtime.name).collect();
        tell(&format!("{test}: {what}: {names:?}\n"));
    }
    let wrong: Vec<String> = thread::scope(|scope| {
        let stage = &stage;
        let lanes: Vec<_> = (20000..)
            .step_by(10)
            .zip(&here)
            .map(|(first_port, runtime)| scope.spawn(move || try_hosts(stage, runtime, first_port)))
            .collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_server_that_sets_no_option_does_not_listen_over_a_hold() {
    let test = "a_server_that_sets_no_option_does_not_listen_over_a_hold";
    if !has(test, "python3") || !own_network(test) {
        return;
    }
    let stage = stage();
    let is_here = |(program, _): &(&str, &str)| is_installed(program);
    let servers = [("python3", "optionless.py"), ("perl", "optionless.pl")];
    for ((program, file), number) in servers.into_iter().filter(is_here).zip(20000..) {
        let start = || script(&stage, program, file, "127.0.0.1", number);
        let said = listens_over_hold(start(), Port::new(number).unwrap()).unwrap_err();
        assert!(said.contains("Address already in use"), "{file}: {said}");
        // Without a hold it does.
        Running::start(&mut start()).wait_for("listening");
    }
}
