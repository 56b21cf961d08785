//! Ports that are reserved: for a command, and across commands. And what is said about the firewall.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use portman::check::{Status, check, look};
use portman::owner::{Scope, occupants};
use portman::port::Port;
use portman::process::{Process, is_marked};
use portman::stop;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
use rustix::process::{Pid, getsid, kill_process_group};
use serde_json::Value;
use tests::{
    Ended, PATIENCE, Running, Signal, Stage, ephemeral_range, eventually, not_run, own_network,
    rounds,
};

use crate::{PROGRAMS, stage};

/// What a server does that sets no option, and what the system does for "any port".
fn plain_bind(port: u16) -> rustix::io::Result<()> {
    let addresses: [(AddressFamily, SocketAddr); 2] = [
        (AddressFamily::INET, (Ipv4Addr::UNSPECIFIED, port).into()),
        (AddressFamily::INET6, (Ipv6Addr::UNSPECIFIED, port).into()),
    ];
    let bind_one = |(family, address)| {
        bind(&socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?, &address)
    };
    addresses.into_iter().try_for_each(bind_one)
}

#[track_caller]
fn assert_held(port: u16) {
    assert_eq!(plain_bind(port), Err(rustix::io::Errno::ADDRINUSE), "{port}");
}

/// Without binding it: a process that another test starts at that moment would have a copy of the socket.
fn is_free(port: u16) -> bool {
    matches!(look(Port::new(port).unwrap()), Status::Available(()))
}

#[track_caller]
fn assert_free(port: u16) {
    assert!(is_free(port), "{:?}", look(Port::new(port).unwrap()));
}

/// What `reserve --format json` says. On return the ports are held.
#[track_caller]
fn reserved(stage: &Stage, arguments: &[&str]) -> Value {
    let words = ["ports", "reserve", "--format", "json"].iter().chain(arguments).copied();
    answer(stage.xtask(&words.collect::<Vec<_>>()))
}

/// The answer of one that was started with `--format json`.
#[track_caller]
fn answer(reserve: Running) -> Value {
    let ended = reserve.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    let object = ended.output.lines().find(|line| line.starts_with('{'));
    serde_json::from_str(object.unwrap()).unwrap()
}

fn ports(reserved: &Value) -> Vec<u16> {
    let port = |one: &Value| u16::try_from(one["port"].as_u64().unwrap()).unwrap();
    reserved["ports"].as_array().unwrap().iter().map(port).collect()
}

fn holder(reserved: &Value) -> Process {
    let pid = u32::try_from(reserved["holder"].as_u64().unwrap()).unwrap();
    Process::find(pid).unwrap().expect("it lives")
}

/// The two outputs of a process come in no order between them.
#[track_caller]
fn assert_lines(ended: &Ended, lines: &[&str]) {
    for line in lines {
        assert!(ended.output.lines().any(|told| told == *line), "{line}:\n{}", ended.output);
    }
}

/// The records that are there.
fn records(stage: &Stage) -> usize {
    portman::fs::entries(&stage.state().join("reservations")).unwrap().len()
}

#[test]
fn a_command_gets_its_ports_and_gives_its_exit_code() {
    if !own_network("a_command_gets_its_ports_and_gives_its_exit_code") {
        return;
    }
    let stage = stage();
    let fake = PROGRAMS.fake_service;
    for (command, code, told) in [
        (
            &[fake, "--env", "API_PORT", "--env", "MY_WEB_PORT", "--exit", "0"][..],
            0,
            "API_PORT=20000\nMY_WEB_PORT=8000",
        ),
        (&[fake, "--exit", "3"], 3, ""),
        (&[fake, "--exit", "137"], 137, ""),
        (&["sh", "-c", "kill -9 $$"], 137, ""),
        (&["sh", "-c", "kill -TERM $$"], 143, ""),
        (
            &[fake, "--env", "CARGO_PKG_NAME", "--env", "USERS", "--exit", "0"],
            0,
            "CARGO_PKG_NAME=\nUSERS=own",
        ),
        (&["no-such-program", "x"], 127, "error: `no-such-program` was not found"),
        (&["/", "x"], 126, "error: `/` could not be run: Permission denied"),
    ] {
        let mut xtask = stage.command(PROGRAMS.xtask);
        xtask.args(["ports", "reserve", "api", "my-web:8000", "--"]).args(command);
        xtask.env("CARGO_PKG_NAME", "xtask").env("USERS", "own");
        let ended = Running::start(&mut xtask).wait();
        assert_eq!(ended.code, code, "{command:?}\n{}", ended.output);
        assert!(ended.output.starts_with(told), "{command:?}\n{}", ended.output);
        if told.is_empty() {
            assert_eq!(ended.output, "", "a command's output is its own");
        }
        assert_free(8000);
        assert_free(20000);
    }
}

#[test]
fn what_is_reserved_for_a_command_is_nobody_elses_while_it_runs() {
    if !own_network("what_is_reserved_for_a_command_is_nobody_elses_while_it_runs") {
        return;
    }
    let stage = stage();
    let mut reserve = stage.xtask(&[
        "ports",
        "reserve",
        "api",
        "web:8000",
        "--",
        PROGRAMS.fake_service,
        "--print",
        "up",
    ]);
    reserve.wait_for("up");
    for port in [20000, 8000] {
        assert_held(port);
        let Status::Occupied(sockets) = check(Port::new(port).unwrap()) else { panic!("{port}") };
        let pids = occupants(&sockets, Scope::Machine, &[]).unwrap();
        let pids: Vec<u32> =
            pids.iter().flat_map(|one| &one.owners).map(|owner| owner.process.pid).collect();
        assert_eq!(pids, [reserve.pid(); 2], "the command inherits no hold");
    }
    let other = stage.run(&[
        "ports",
        "reserve",
        "api",
        "web:8000",
        "--",
        PROGRAMS.fake_service,
        "--env",
        "API_PORT",
        "--env",
        "WEB_PORT",
        "--exit",
        "0",
    ]);
    assert!(other.output.contains("web gets port 8001, since 8000 is taken: "), "{}", other.output);
    assert_lines(&other, &["API_PORT=20001", "WEB_PORT=8001"]);
    reserve.signal(Signal::TERM);
    assert_eq!(reserve.wait().code, 143);
    assert_free(20000);
    assert_free(8000);
}

/// A shell that says when a signal has come.
fn deaf(signal: &str) -> String {
    format!("trap 'echo got {signal}; exit 7' {signal}; echo up; while :; do read wait; done")
}

#[test]
fn a_request_to_end_is_the_commands() {
    if !own_network("a_request_to_end_is_the_commands") {
        return;
    }
    let stage = stage();
    for (signal, name) in [(Signal::TERM, "TERM"), (Signal::HUP, "HUP")] {
        let mut xtask = stage.command(PROGRAMS.xtask);
        let xtask = xtask.args(["ports", "reserve", "api", "--", "sh", "-c", &deaf(name)]);
        let mut reserve = Running::start_with_input(xtask);
        reserve.wait_for("up");
        reserve.signal(signal);
        let ended = reserve.wait();
        assert_eq!((ended.code, ended.output), (7, format!("up\ngot {name}")));
        assert_free(20000);
    }
}

#[test]
fn ctrl_c_is_between_the_terminal_and_the_command() {
    if !own_network("ctrl_c_is_between_the_terminal_and_the_command") {
        return;
    }
    let stage = stage();
    for (signal, name) in [(Signal::INT, "INT"), (Signal::QUIT, "QUIT")] {
        let mut xtask = stage.command(PROGRAMS.xtask);
        let xtask = xtask.args(["ports", "reserve", "api", "--", "sh", "-c", &deaf(name)]);
        let mut reserve = Running::start_with_input(xtask.process_group(0));
        reserve.wait_for("up");
        // As a terminal does it: to all of the group.
        let group = Pid::from_raw(i32::try_from(reserve.pid()).unwrap()).unwrap();
        kill_process_group(group, signal).unwrap();
        let ended = reserve.wait();
        assert_eq!((ended.code, ended.output), (7, format!("up\ngot {name}")));
    }
}

#[test]
fn names_that_cannot_be_meant_reserve_nothing() {
    let stage = stage();
    for (arguments, told) in [
        (&["my web"][..], "`my web` is not a service name"),
        (&["web:0"], "`0` is not a port, 1 to 65535"),
        (&["web", "web:8000"], "two names have the variable WEB_PORT"),
        (&["web", "--owner", "4194305"], "--owner 4194305: there is no such process"),
        (&["web", "--format", "github"], "the variable GITHUB_ENV is not set"),
        (&["web", "--ttl", "0s"], "nobody would hold the ports"),
    ] {
        let arguments: Vec<&str> = ["ports", "reserve"].iter().chain(arguments).copied().collect();
        let ended = stage.run(&arguments);
        assert_eq!(ended.code, 2, "{arguments:?}\n{}", ended.output);
        assert!(ended.output.contains(told), "{}", ended.output);
        let has_help = ["\nhint: ", "try '--help'"].iter().any(|help| ended.output.contains(help));
        assert!(has_help, "{}", ended.output);
    }
    assert_eq!(records(&stage), 0);
}

#[test]
fn where_no_port_may_be_given_that_is_said_once() {
    if !own_network("where_no_port_may_be_given_that_is_said_once") {
        return;
    }
    let stage = stage();
    let setting =
        std::fs::File::options().write(true).open("/proc/sys/net/ipv4/ip_local_port_range");
    setting.unwrap().write_all(b"1024 65535").unwrap();
    for arguments in [&["ports", "reserve", "api"][..], &["ports", "reserve", "api", "--", "true"]]
    {
        let ended = stage.run(arguments);
        assert_eq!(ended.code, 3, "{}", ended.output);
        let told = "error: no free port for `api`: tried none, since no candidate is a port that may be given\nhint: ";
        assert!(ended.output.starts_with(told), "{}", ended.output);
        assert_eq!(ended.output.lines().count(), 2, "{}", ended.output);
    }
    assert_eq!(records(&stage), 0);
}

#[test]
fn what_is_reserved_stays_until_it_is_released() {
    if !own_network("what_is_reserved_stays_until_it_is_released") {
        return;
    }
    let stage = stage();
    let first = stage.run(&["ports", "reserve", "api", "web:8000"]);
    assert_eq!(first.code, 0, "{}", first.output);
    assert_lines(&first, &["API_PORT=20000", "WEB_PORT=8000"]);
    assert!(first.output.contains("kept for one hour"), "{}", first.output);
    let db = reserved(&stage, &["db", "--ttl", "1h"]);
    assert_eq!(ports(&db), [20001]);
    for port in [20000, 8000, 20001] {
        assert_held(port);
    }

    let unknown = stage.run(&["ports", "release", "db", "cache"]);
    assert_eq!(unknown.code, 2);
    assert!(
        unknown
            .output
            .contains("error: `cache` is not reserved here\nhint: reserved here: api, db, web"),
        "{}",
        unknown.output
    );
    assert_held(20001);

    let released = stage.run(&["ports", "release", "api"]);
    assert_eq!((released.code, released.output.as_str()), (0, "released api (20000), web (8000)"));
    assert_free(20000);
    assert_free(8000);
    assert_held(20001);
    assert_eq!(stage.run(&["ports", "release", "api"]).code, 2);

    let again = stage.run(&["ports", "reserve", "db", "--ttl", "1h"]);
    assert!(
        again.output.contains("released what was reserved here before: db (20001)"),
        "{}",
        again.output
    );
    assert!(again.output.contains("DB_PORT=20000"), "{}", again.output);
    assert_free(20001);
    assert_eq!(stage.run(&["ports", "release", "--all"]).output, "released db (20000)");
    assert_eq!(stage.run(&["ports", "release", "--all"]).output, "nothing is reserved");
    assert_eq!(records(&stage), 0);
}

#[test]
fn folders_have_reservations_of_their_own_and_all_means_all() {
    if !own_network("folders_have_reservations_of_their_own_and_all_means_all") {
        return;
    }
    let stage = stage();
    std::fs::create_dir(stage.path("other")).unwrap();
    let in_other = |arguments: &[&str]| {
        let mut command = stage.command_in(&stage.path("other"), PROGRAMS.xtask);
        Running::start(command.arg("ports").args(arguments)).wait()
    };
    assert_eq!(ports(&reserved(&stage, &["api"])), [20000]);
    let other = in_other(&["reserve", "api"]);
    assert!(other.output.contains("API_PORT=20001"), "{}", other.output);
    assert_eq!(in_other(&["release", "api"]).output, "released api (20001)");
    assert_held(20000);
    assert_eq!(in_other(&["release", "--all"]).output, "released api (20000)");
    assert_free(20000);
}

#[test]
fn every_format_says_the_ports_and_nothing_else() {
    if !own_network("every_format_says_the_ports_and_nothing_else") {
        return;
    }
    let stage = stage();
    let output = |format: &str| {
        let mut command = stage.command(PROGRAMS.xtask);
        command.args(["ports", "reserve", "api", "my-web:8000", "--ttl", "1m", "--format", format]);
        let output = command.env("GITHUB_ENV", stage.path("github")).output().unwrap();
        assert!(output.status.success());
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap())
    };
    let lines = "API_PORT=20000\nMY_WEB_PORT=8000\n";
    assert_eq!(output("env")[0], lines);

    portman::fs::save(&stage.path("github"), "OLD=1\n").unwrap();
    let [stdout, stderr] = output("github");
    assert_eq!(stdout, "");
    assert!(stderr.contains("github: API_PORT=20000 MY_WEB_PORT=8000"), "{stderr}");
    assert_eq!(portman::fs::read(&stage.path("github")).unwrap(), format!("OLD=1\n{lines}"));

    let json: Value = serde_json::from_str(&output("json")[0]).unwrap();
    assert_eq!((&json["version"], &json["owner"]), (&1.into(), &Value::Null));
    assert!(json["until"].is_u64(), "{json}");
    assert_eq!(json["ports"][1], serde_json::json!({ "name": "my-web", "port": 8000 }));
    let owned = reserved(&stage, &["db", "--owner", &std::process::id().to_string()]);
    assert_eq!((&owned["owner"], &owned["until"]), (&std::process::id().into(), &Value::Null));
    assert_eq!(stage.run(&["ports", "release", "--all"]).code, 0);
}

#[test]
fn the_end_of_the_owner_frees_its_ports() {
    if !own_network("the_end_of_the_owner_frees_its_ports") {
        return;
    }
    let stage = stage();
    let owner = stage.stranger(&[]);
    let reserved = reserved(&stage, &["api", "web", "--owner", &owner.pid().to_string()]);
    let holder = holder(&reserved);
    for port in ports(&reserved) {
        assert_held(port);
    }
    let killed = Instant::now();
    drop(owner);
    stop::wait(holder, Some(PATIENCE)).unwrap();
    let after = killed.elapsed();
    for port in ports(&reserved) {
        assert_free(port);
    }
    println!("the ports were free {after:?} after the owner was killed");
    assert_eq!(records(&stage), 0, "the holder cleans up after itself");
}

#[test]
fn the_ports_are_free_when_their_time_is_over() {
    if !own_network("the_ports_are_free_when_their_time_is_over") {
        return;
    }
    let stage = stage();
    // The owner outlives the time.
    let owner = std::process::id().to_string();
    for arguments in [&["api", "--ttl", "50ms"][..], &["api", "--ttl", "50ms", "--owner", &owner]] {
        let reserved = reserved(&stage, arguments);
        for port in ports(&reserved) {
            eventually("the time is over", || is_free(port).then_some(()));
        }
        eventually("the record is gone", || (records(&stage) == 0).then_some(()));
    }
}

#[test]
fn a_holder_has_nothing_of_the_command_that_started_it() {
    if !own_network("a_holder_has_nothing_of_the_command_that_started_it") {
        return;
    }
    let stage = stage();
    let locked = stage.path("locked");
    let mut command = stage.command("sh");
    command.args(["-c", "exec 9> \"$1\"; \"$0\" ports reserve api --format json"]);
    command.args([Path::new(PROGRAMS.xtask), &locked]).env("XTASK_SESSION", "outer");
    let holder = holder(&answer(Running::start(&mut command)));
    let link =
        |name: &str| std::fs::read_link(format!("/proc/{}/{name}", holder.pid)).unwrap_or_default();
    for stream in ["fd/0", "fd/1", "fd/2"] {
        // The command may have ended a moment before.
        eventually("it lets go", || (link(stream) == Path::new("/dev/null")).then_some(()));
    }
    assert_eq!(link("cwd"), Path::new("/"));
    let open = portman::fs::entries(Path::new(&format!("/proc/{}/fd", holder.pid))).unwrap();
    let open: Vec<_> = open.iter().filter_map(|one| std::fs::read_link(one).ok()).collect();
    assert!(open.len() > 4 && !open.contains(&locked), "{open:?}");
    assert!(!is_marked(holder.pid, "XTASK_SESSION", "outer"), "or the outer stack would stop it");
    let pid = Pid::from_raw(i32::try_from(holder.pid).unwrap());
    assert_eq!(getsid(pid).ok(), pid, "no terminal reaches it");
    assert_eq!(stage.run(&["ports", "release", "api"]).code, 0);
}

#[test]
fn a_holder_whose_ports_were_never_told_ends() {
    if !own_network("a_holder_whose_ports_were_never_told_ends") {
        return;
    }
    let stage = stage();
    let mut command = stage.command(PROGRAMS.xtask);
    let mut holder =
        command.arg("__hold").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let wanted = serde_json::json!({
        "ports": [["api", 8000]], "folder": stage.checkout(), "state": stage.state(),
        "owner": null, "ttl": null,
    });
    let mut input = holder.stdin.take().unwrap();
    writeln!(input, "{wanted}").unwrap();
    let mut held = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut held).unwrap();
    assert_eq!(held, "{\"ports\":[[\"api\",8000]],\"until\":null}\n");
    assert_held(8000);
    assert_eq!(records(&stage), 1);
    let process = Process::find(holder.id()).unwrap().unwrap();
    // The command that asked for it was killed.
    drop(input);
    stop::wait(process, Some(PATIENCE)).unwrap();
    assert!(holder.try_wait().unwrap().is_some_and(|status| status.success()));
    assert_free(8000);
    assert_eq!(records(&stage), 0);
}

/// Waits for a random time below `most`.
fn a_moment(most: Duration) {
    let share = RandomState::new().hash_one(()) % 1000;
    let moment = most * u32::try_from(share).unwrap() / 1000;
    let (_keep, clock) = channel::<()>();
    assert!(clock.recv_timeout(moment).is_err(), "nobody sends");
}

/// A command that reserves port 8000 and serves there.
fn serving(stage: &Stage) -> Running {
    let serve = [PROGRAMS.fake_service, "--listen-env", "127.0.0.1", "API_PORT"];
    let arguments = ["ports", "reserve", "api:8000", "--"].into_iter().chain(serve);
    stage.xtask(&arguments.collect::<Vec<_>>())
}

#[test]
fn whatever_is_killed_the_port_can_be_had_again_and_nothing_is_in_the_way() {
    if !own_network("whatever_is_killed_the_port_can_be_had_again_and_nothing_is_in_the_way") {
        return;
    }
    let stage = stage();
    for _round in 0..rounds(100) {
        // The launcher, at any time from its first moment on.
        let launcher = serving(&stage);
        a_moment(Duration::from_millis(60));
        launcher.signal(Signal::KILL);
        drop(launcher);
        // Its service may live, and has the port then like any other process.
        let services: Vec<Process> = stage
            .left_processes()
            .into_iter()
            .filter_map(|pid| Process::find(pid).unwrap())
            .collect();
        stop::stop_all(&services, Duration::ZERO).unwrap();
        assert_can_be_had(&stage);

        // The service.
        let mut launcher = serving(&stage);
        launcher.wait_for("listening on 127.0.0.1:8000");
        let service = stage.left_processes().into_iter().find(|pid| *pid != launcher.pid());
        let service = Process::find(service.unwrap()).unwrap().unwrap();
        a_moment(Duration::from_millis(5));
        stop::stop_all(&[service], Duration::ZERO).unwrap();
        assert!([137, 143].contains(&launcher.wait().code));
        assert_can_be_had(&stage);

        // The command that starts a holder.
        let launcher = stage.xtask(&["ports", "reserve", "api:8000"]);
        a_moment(Duration::from_millis(60));
        launcher.signal(Signal::KILL);
        drop(launcher);
        assert_can_be_had(&stage);

        // The holder.
        let holder = holder(&reserved(&stage, &["api:8000"]));
        a_moment(Duration::from_millis(5));
        Running::start(stage.command("kill").args(["-9", &holder.pid.to_string()])).wait();
        stop::wait(holder, Some(PATIENCE)).unwrap();
        assert_free(8000);
        assert_eq!(records(&stage), 1, "it had no time to clean up");
        assert_eq!(stage.run(&["ports", "release", "api"]).code, 2, "nobody has it");
        assert_can_be_had(&stage);
    }
}

#[track_caller]
fn assert_can_be_had(stage: &Stage) {
    // A holder whose command was killed may need a moment to hear of it.
    eventually("port 8000 can be had again", || {
        (ports(&reserved(stage, &["api:8000"])) == [8000]).then_some(())
    });
    assert_eq!(stage.run(&["ports", "release", "api"]).code, 0);
    // One that had only just been started may come late.
    eventually("no holder is left", || stage.left_processes().is_empty().then_some(()));
    assert_free(8000);
    assert_eq!(records(stage), 0);
}

/// Somebody with no rights at all.
const NOBODY: u32 = 65534;

#[test]
fn many_at_once_and_of_two_users_have_ports_of_their_own() {
    let test = "many_at_once_and_of_two_users_have_ports_of_their_own";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    let program = stage.path("xtask");
    std::fs::copy(PROGRAMS.xtask, &program).unwrap();
    let folder = stage.path("nobody");
    std::fs::create_dir(&folder).unwrap();
    let passable = std::fs::Permissions::from_mode(0o711);
    std::fs::set_permissions(folder.parent().unwrap(), passable).unwrap();
    if chown(&folder, Some(NOBODY), Some(NOBODY)).is_err() {
        not_run(test, "a second user needs root");
        return;
    }
    let owner = stage.stranger(&[]);
    let pid = owner.pid().to_string();
    let start = |number: usize| {
        let mut command = stage.command(&program.to_string_lossy());
        if number.is_multiple_of(2) {
            command.uid(NOBODY).gid(NOBODY).current_dir(&folder);
            command.env("HOME", &folder).env("PORTMAN_STATE_DIR", folder.join("state"));
        }
        let names = ["api", "web", "db"].map(|name| format!("{name}{number}"));
        Running::start(command.args(["ports", "reserve", "--owner", &pid]).args(names))
    };
    let commands: Vec<Running> = (0..32).map(start).collect();
    let mut given = HashSet::new();
    for command in commands {
        let ended = command.wait();
        assert_eq!(ended.code, 0, "{}", ended.output);
        for line in ended.output.lines() {
            let (name, port) = line.split_once("_PORT=").unwrap_or_else(|| panic!("{line}"));
            assert!(given.insert(port.parse::<u16>().unwrap()), "{name} got {port} as well");
        }
    }
    assert_eq!(given.len(), 96);
    for &port in &given {
        assert_held(port);
    }
    let killed = Instant::now();
    drop(owner);
    for &port in &given {
        eventually("the owner's end frees its port", || is_free(port).then_some(()));
    }
    println!("96 ports were free {:?} after their owner was killed", killed.elapsed());
}

#[test]
fn exceptions_of_a_firewall_are_said_not_to_apply_and_what_was_not_read_is_said() {
    let stage = stage();
    let run = |arguments: &[&str]| {
        let arguments: Vec<&str> = ["ports", "firewall"].iter().chain(arguments).copied().collect();
        stage.run(&arguments)
    };
    assert_eq!(run(&[]).code, 2, "there is no stack");
    let text = run(&["8000"]);
    assert_eq!(text.code, 0);
    assert!(text.output.starts_with("8000  exceptions do not apply: "), "{}", text.output);
    assert!(text.output.ends_with("was not read"), "{}", text.output);

    stage.file(
        "dev.toml",
        "[services.a]\ncommand = \"x\"\nport = 8000\n[services.b]\ncommand = \"x\"\nport = 5173\n",
    );
    let json = run(&["--json"]);
    let json: Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(json["version"], 1);
    let ports: Vec<&Value> =
        json["ports"].as_array().unwrap().iter().map(|one| &one["port"]).collect();
    assert_eq!(ports, [8000, 5173]);
    assert_eq!(json["ports"][0]["exceptions"], "do-not-apply");
}

#[test]
fn what_is_reserved_is_given_up_only_for_what_can_be_had() {
    let test = "what_is_reserved_is_given_up_only_for_what_can_be_had";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    let earlier = reserved(&stage, &["web:8000", "--ttl", "1h"]);
    // The very port is had again, and another one that is asked for as well.
    assert_eq!(ports(&reserved(&stage, &["web:8000", "--ttl", "1h"])), [8000]);
    assert!(!holder_lives(&earlier));
    assert_eq!(ports(&reserved(&stage, &["web:5173", "--ttl", "1h"])), [5173]);
    assert_free(8000);
    assert_eq!(records(&stage), 1);

    // No port is left for it: what was there before stays.
    ephemeral_range(1024..=65535);
    let ended = stage.run(&["ports", "reserve", "web", "--ttl", "1h"]);
    assert_eq!(ended.code, 3, "{}", ended.output);
    assert!(!ended.output.contains("released"), "{}", ended.output);
    assert_held(5173);
    let released = stage.run(&["ports", "release", "web"]);
    assert_eq!((released.code, released.output.as_str()), (0, "released web (5173)"));
}

fn holder_lives(reserved: &Value) -> bool {
    let pid = u32::try_from(reserved["holder"].as_u64().unwrap()).unwrap();
    Process::find(pid).unwrap().is_some()
}

#[test]
fn a_file_of_a_github_job_that_cannot_be_written_costs_no_reservation() {
    let test = "a_file_of_a_github_job_that_cannot_be_written_costs_no_reservation";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    assert_eq!(ports(&reserved(&stage, &["api", "--ttl", "1h"])), [20000]);
    let mut command = stage.command(PROGRAMS.xtask);
    command.args(["ports", "reserve", "api", "--format", "github"]);
    let ended = Running::start(command.env("GITHUB_ENV", stage.checkout())).wait();
    assert_eq!(ended.code, 4, "{}", ended.output);
    let told = ["failed to append to `", "Is a directory", "\nhint: GITHUB_ENV names it"];
    for text in told {
        assert!(ended.output.contains(text), "{text}:\n{}", ended.output);
    }
    assert_held(20000);
    assert_eq!(stage.run(&["ports", "release", "api"]).output, "released api (20000)");
}

#[test]
fn what_needs_no_records_goes_without_a_place_for_them() {
    let test = "what_needs_no_records_goes_without_a_place_for_them";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    let run = |state: Option<&str>, arguments: &[&str]| {
        let mut command = stage.command(PROGRAMS.xtask);
        for name in ["HOME", "XDG_STATE_HOME", "PORTMAN_STATE_DIR"] {
            command.env_remove(name);
        }
        command.envs(state.map(|state| ("PORTMAN_STATE_DIR", state)));
        Running::start(command.args(["ports"]).args(arguments)).wait()
    };
    for (arguments, told) in [
        (&["who", "8000"][..], "port 8000 is free"),
        (&["firewall", "8000"], "8000  exceptions do not apply"),
        (
            &["reserve", "web", "--", PROGRAMS.fake_service, "--env", "WEB_PORT", "--exit", "0"],
            "WEB_PORT=20000",
        ),
    ] {
        let ended = run(None, arguments);
        assert_eq!(ended.code, 0, "{arguments:?}\n{}", ended.output);
        assert!(ended.output.starts_with(told), "{}", ended.output);
        // Another folder in every folder is no place.
        let ended = run(Some("state"), arguments);
        assert_eq!(ended.code, 2, "{arguments:?}\n{}", ended.output);
        let told = "error: PORTMAN_STATE_DIR is `state`, which is another folder wherever a command runs\nhint: ";
        assert!(ended.output.starts_with(told), "{}", ended.output);
    }
    let mut stranger = stage.stranger(&["--listen", "127.0.0.1:8000"]);
    stranger.wait_for("listening");
    let who = run(None, &["who", "8000"]);
    assert_eq!(who.code, 0, "{}", who.output);
    let told = "stoppable   no: ";
    assert!(who.output.contains(told) && who.output.contains("HOME"), "{}", who.output);
    for arguments in [&["reserve", "web"][..], &["firewall"]] {
        let ended = run(None, arguments);
        assert_eq!(ended.code, 4, "{arguments:?}\n{}", ended.output);
        assert!(ended.output.contains("\nhint: set HOME or PORTMAN_STATE_DIR"), "{}", ended.output);
    }
}
