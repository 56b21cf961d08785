//! Who is stopped on a port, and who never is.

use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use portman::port::Port;
use portman::process::Process;
use portman::safety::{Asker, Asking, Reason, Verdict};
use portman::stop::{self, Freed, State};
use tempfile::TempDir;
use tests::sockets::connected;
use tests::{
    Ended, Running, Signal, Stage, eventually, not_run, own_network, rounds, without_kill,
};

use crate::{PROGRAMS, stage};

const ADDRESS: &str = "127.0.0.1:8000";
const FLAGS: [&[&str]; 4] = [&[], &["--force"], &["--now"], &["--force", "--now"]];

/// Somebody on port 8000, by the arguments of the scripted service.
#[track_caller]
fn somebody(stage: &Stage, arguments: &[&str], ready: &str) -> Running {
    let mut somebody = stage.stranger(arguments);
    somebody.wait_for(ready);
    somebody
}

fn server(stage: &Stage) -> Running {
    somebody(stage, &["--listen", ADDRESS], "listening")
}

fn free(stage: &Stage, flags: &[&str]) -> Ended {
    stage.run(&[&["ports", "free", "8000"], flags].concat())
}

#[track_caller]
fn is_alive(process: &Running) -> bool {
    Process::find(process.pid()).unwrap().is_some()
}

/// Whatever the flags, it is told that `why`, with the way out, and `who` lives on.
#[track_caller]
fn assert_never_stopped(stage: &Stage, who: &Running, why: &str, way_out: &str) {
    for flags in FLAGS {
        let ended = free(stage, flags);
        assert_eq!(ended.code, 5, "{flags:?}\n{}", ended.output);
        for text in [why, "hint: ", way_out, "nothing was stopped"] {
            assert!(ended.output.contains(text), "{flags:?} does not say {text}\n{}", ended.output);
        }
        assert!(is_alive(who), "{flags:?}");
    }
}

fn port() -> Port {
    Port::new(8000).unwrap()
}

/// As a command would ask that nobody told which port.
#[track_caller]
fn free_by(asking: Asking<'_>) -> Freed {
    let asker = Asker::new(Vec::new()).unwrap();
    stop::free(port(), &asker, asking, Duration::from_mins(1)).unwrap()
}

#[track_caller]
fn refused(freed: &Freed) -> Vec<&Reason> {
    let State::Refused(left) = &freed.state else { panic!("{freed:?}") };
    assert!(freed.stopped.is_empty());
    left.iter()
        .map(|holder| match &holder.verdict {
            Verdict::MayNot(reason) => reason,
            Verdict::May => panic!("{holder:?}"),
        })
        .collect()
}

#[test]
fn a_development_server_is_stopped_and_the_port_is_free() {
    if !own_network("a_development_server_is_stopped_and_the_port_is_free") {
        return;
    }
    let stage = stage();
    let server = server(&stage);
    let ended = stage.run(&["ports", "free", "8000", "8001", "8000", "8001"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(ended.output.matches("8001 was free already").count(), 1, "{}", ended.output);
    assert_eq!(ended.output.matches("8000 ").count(), 1, "{}", ended.output);
    let pid = server.pid();
    let stopped = format!("8000: stopped fake-service (pid {pid}), a development server: ");
    for text in [&stopped, "8000 is free now", "8001 was free already"] {
        assert!(ended.output.contains(text), "no {text}\n{}", ended.output);
    }
    assert_eq!(server.wait().code, 128 + 15, "it was asked, not killed");
    let again = free(&stage, &["--json"]);
    let answer: serde_json::Value = serde_json::from_str(&again.output).unwrap();
    assert_eq!(answer["ports"][0]["outcome"], "was-free");
    assert_eq!(again.code, 0);
    drop(TcpListener::bind(ADDRESS).unwrap());
}

#[test]
fn who_does_not_end_is_killed_and_both_servers_of_a_port_are_stopped() {
    if !own_network("who_does_not_end_is_killed_and_both_servers_of_a_port_are_stopped") {
        return;
    }
    let stage = stage();
    let deaf = somebody(&stage, &["--ignore-term", "--listen", ADDRESS], "listening");
    let other = somebody(&stage, &["--listen", "[::1]:8000"], "listening");
    let ended = free(&stage, &["--now", "--json"]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    let answer: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    let stopped = answer["ports"][0]["stopped"].as_array().unwrap();
    let mut pids: Vec<u64> = stopped.iter().map(|one| one["pid"].as_u64().unwrap()).collect();
    pids.sort_unstable();
    let mut expected = [u64::from(deaf.pid()), u64::from(other.pid())];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert_eq!(deaf.wait().code, 128 + 9);
}

#[test]
fn what_this_command_runs_inside_of_is_never_stopped() {
    if !own_network("what_this_command_runs_inside_of_is_never_stopped") {
        return;
    }
    let stage = stage();
    for flags in FLAGS {
        let free = [&[PROGRAMS.xtask, "ports", "free", "8000"], flags, &["--"]].concat();
        let mut service = stage.stranger(&[&["--listen", ADDRESS, "--run"], &free[..]].concat());
        service.wait_for("this command runs inside of it");
        service.wait_for("hint: end it yourself, where you started it");
        service.wait_for("it ended with 5");
        service.signal(Signal::TERM);
        assert_eq!(service.wait().code, 128 + 15);
    }
}

#[test]
fn this_process_itself_is_never_stopped() {
    if !own_network("this_process_itself_is_never_stopped") {
        return;
    }
    let stage = stage();
    let mut service = stage.stranger(&["--listen", ADDRESS, "--free", "8000"]);
    service.wait_for("it is this very command");
    assert!(is_alive(&service));
}

#[test]
fn the_first_process_of_a_system_is_never_stopped() {
    let test = "the_first_process_of_a_system_is_never_stopped";
    if !own_network(test) {
        return;
    }
    let alone = |command: &mut Command| {
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
    };
    let mut probe = Command::new("unshare");
    alone(&mut probe);
    if !probe.arg("true").output().is_ok_and(|output| output.status.success()) {
        not_run(test, "processes of their own need `unshare`, and the right to mount /proc");
        return;
    }
    let stage = stage();
    let mut command = stage.command("unshare");
    alone(&mut command);
    command.args([PROGRAMS.fake_service, "--listen", ADDRESS, "--run", PROGRAMS.xtask]);
    command.args(["ports", "free", "8000", "--force", "--now", "--"]);
    let mut first = Running::start(&mut command);
    first.wait_for("(pid 1): it is a process of the system itself");
    first.wait_for("it ended with 5");
}

#[test]
fn another_users_process_is_never_stopped_not_even_by_root() {
    let test = "another_users_process_is_never_stopped_not_even_by_root";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    if stage.stranger(&["--become", "65534", "--exit", "0"]).wait().code != 0 {
        not_run(test, "being another user needs root");
        return;
    }
    let arguments = ["--listen", ADDRESS, "--become", "65534"];
    let other = somebody(&stage, &arguments, "user 65534 from here on");
    assert_never_stopped(&stage, &other, "it belongs to user ", "to stop it, or use another port");
}

const STACK: &str = "
[services.web]
command = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]
port = 8000
";

/// A stack that runs in the checkout.
fn running(dev_toml: &str) -> (Stage, Running) {
    let stage = stage();
    stage.file("dev.toml", dev_toml);
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    (stage, dev)
}

/// `ports free` from another folder.
fn free_from_elsewhere(stage: &Stage, flags: &[&str]) -> Ended {
    let elsewhere = stage.path("elsewhere");
    std::fs::create_dir_all(&elsewhere).unwrap();
    let mut command = stage.command_in(&elsewhere, PROGRAMS.xtask);
    Running::start(command.args(["ports", "free", "8000"]).args(flags)).wait()
}

#[track_caller]
fn assert_live(stage: &Stage, dev: &Running) {
    for flags in FLAGS {
        let ended = free_from_elsewhere(stage, flags);
        assert_eq!(ended.code, 5, "{flags:?}\n{}", ended.output);
        let why = format!(
            "it belongs to the stack of {} that process {} runs",
            stage.checkout().display(),
            dev.pid()
        );
        assert!(ended.output.contains(&why), "{why}\n{}", ended.output);
        drop(TcpStream::connect(ADDRESS).unwrap());
    }
}

#[test]
fn a_service_of_a_stack_that_runs_is_never_stopped_and_its_launcher_is_named() {
    if !own_network("a_service_of_a_stack_that_runs_is_never_stopped_and_its_launcher_is_named") {
        return;
    }
    let (stage, dev) = running(STACK);
    assert_live(&stage, &dev);
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert!(!ended.output.contains("ended by itself"), "{}", ended.output);
}

#[test]
fn a_service_that_has_written_over_its_environment_is_known_by_its_launcher() {
    if !own_network("a_service_that_has_written_over_its_environment_is_known_by_its_launcher") {
        return;
    }
    let command = "[\"env\", \"-i\", \"FAKE\", \"--listen\", \"127.0.0.1:8000\"]";
    let (stage, dev) = running(&format!("[services.web]\ncommand = {command}\nport = 8000\n"));
    assert_live(&stage, &dev);
    // Nobody would find it once its launcher is killed.
    dev.signal(Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn what_a_killed_stack_has_left_is_stopped_first() {
    if !own_network("what_a_killed_stack_has_left_is_stopped_first") {
        return;
    }
    let (stage, dev) = running(STACK);
    dev.signal(Signal::KILL);
    drop(dev);
    let ended = free_from_elsewhere(&stage, &[]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    for text in ["was killed; stopped 1 process", "8000 was free already"] {
        assert!(ended.output.contains(text), "{}", ended.output);
    }
}

#[test]
fn while_a_record_cannot_be_read_nobody_is_stopped() {
    if !own_network("while_a_record_cannot_be_read_nobody_is_stopped") {
        return;
    }
    let (stage, _dev) = running(&STACK.replace("8000", "8100"));
    let server = server(&stage);
    let folder = std::fs::read_dir(stage.state().join("checkouts")).unwrap().next();
    let record = folder.unwrap().unwrap().path().join("run.json");
    let whole = portman::fs::read(&record).unwrap();
    portman::fs::save(&record, "{ damaged").unwrap();
    for flags in FLAGS {
        let ended = free(&stage, flags);
        assert_eq!(ended.code, 3, "{flags:?}\n{}", ended.output);
        assert!(ended.output.contains("it is not known which stacks run: "), "{}", ended.output);
        assert!(is_alive(&server));
    }
    portman::fs::save(&record, &whole).unwrap();
    assert_eq!(free(&stage, &[]).code, 0);
    assert_eq!(server.wait().code, 128 + 15);
}

#[test]
fn who_only_has_an_outgoing_connection_there_is_never_stopped() {
    if !own_network("who_only_has_an_outgoing_connection_there_is_never_stopped") {
        return;
    }
    let stage = stage();
    let _server = somebody(&stage, &["--listen", "127.0.0.1:9000"], "listening");
    let client = somebody(&stage, &["--connect", ADDRESS, "127.0.0.1:9000"], "connected");
    let why = "it does not listen there: a connection of its own uses the port";
    assert_never_stopped(&stage, &client, why, "wait until it has ended");
}

#[test]
fn who_is_only_bound_there_is_never_stopped() {
    if !own_network("who_is_only_bound_there_is_never_stopped") {
        return;
    }
    let stage = stage();
    let bound = somebody(&stage, &["--bind", ADDRESS], "bound");
    let why = "it is bound to the port and does not listen there";
    assert_never_stopped(&stage, &bound, why, "cargo xtask ports find --from 8000");
}

#[test]
fn a_server_may_go_and_who_has_inherited_its_listener_is_told() {
    if !own_network("a_server_may_go_and_who_has_inherited_its_listener_is_told") {
        return;
    }
    let stage = stage();
    let heir = ["--listen-shared", ADDRESS, "--orphan", "tail", "-f", "/dev/null", "--"];
    let server = somebody(&stage, &heir, "an orphan is there");
    let ended = free(&stage, &[]);
    assert_eq!(ended.code, 3, "{}", ended.output);
    assert!(!ended.output.contains("is free now"), "{}", ended.output);
    for text in ["stopped fake-service", "8000 is still held", "left tail (pid "] {
        assert!(ended.output.contains(text), "no {text}\n{}", ended.output);
    }
    assert_eq!(server.wait().code, 128 + 15);
    drop(TcpStream::connect(ADDRESS).unwrap());
    let again = free(&stage, &["--force"]);
    assert_eq!(again.code, 5, "{}", again.output);
    let why = "`tail` is no development server";
    assert!(again.output.contains(why), "{}", again.output);
}

/// The scripted service under another name, in a folder where nothing is built.
#[track_caller]
fn renamed(stage: &Stage, name: &str) -> (TempDir, Command) {
    // Another name of the same file: a copy could be busy, open in what another test is just starting.
    let folder = tempfile::tempdir_in(PROGRAMS.target).unwrap();
    let program = folder.path().join(name);
    std::fs::hard_link(PROGRAMS.fake_service, &program).unwrap();
    let command = stage.command(&program.to_string_lossy());
    (folder, command)
}

/// The same under the name of a database.
#[track_caller]
fn database(stage: &Stage, address: &str) -> (TempDir, Running) {
    let (folder, mut command) = renamed(stage, "redis-server");
    let mut database = Running::start(command.args(["--listen", address]));
    database.wait_for("listening");
    (folder, database)
}

#[test]
fn what_cargo_runs_is_stopped_wherever_it_was_built() {
    if !own_network("what_cargo_runs_is_stopped_wherever_it_was_built") {
        return;
    }
    let stage = stage();
    let (_folder, mut command) = renamed(&stage, "api");
    command.args(["--listen", ADDRESS]);
    let mut by_hand = Running::start(&mut command);
    by_hand.wait_for("listening");
    assert_never_stopped(&stage, &by_hand, "`api` is no development server", "another port");
    by_hand.signal(Signal::TERM);
    by_hand.wait();

    // As cargo does for what it runs.
    let mut by_cargo = Running::start(command.env("CARGO_MANIFEST_DIR", stage.checkout()));
    by_cargo.wait_for("listening");
    let ended = free(&stage, &[]);
    assert_eq!(ended.code, 0, "{}", ended.output);
    assert_eq!(by_cargo.wait().code, 128 + 15);
}

#[test]
fn an_ended_connection_is_nobody_and_the_port_is_held() {
    if !own_network("an_ended_connection_is_nobody_and_the_port_is_held") {
        return;
    }
    let stage = stage();
    let server = TcpListener::bind("127.0.0.1:9000").unwrap();
    let client = connected(ADDRESS.parse().unwrap(), "127.0.0.1:9000".parse().unwrap()).unwrap();
    let (accepted, _) = server.accept().unwrap();
    // The side that closes first keeps the ended connection.
    drop(client);
    drop(accepted);
    let ended = eventually("the connection has ended", || {
        let told = free(&stage, &["--json"]);
        told.output.contains("an ended connection").then_some(told)
    });
    let answer: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    let port = &answer["ports"][0];
    assert_eq!(
        (ended.code, &port["outcome"], &port["status"]),
        (3, &"held".into(), &"occupied".into())
    );
    let ended = free(&stage, &[]);
    let expected = "8000 is still held\n\
                    8000: left an ended connection that the system keeps for up to a minute\n\
                    hint: wait a minute, or use another port: cargo xtask ports find --from 8000";
    assert_eq!((ended.code, ended.output.as_str()), (3, expected));
}

#[test]
fn a_port_that_needs_a_permission_is_told_as_blocked() {
    let test = "a_port_that_needs_a_permission_is_told_as_blocked";
    if !own_network(test) {
        return;
    }
    let stage = stage();
    let Some(nobody) = as_nobody(&stage, test) else { return };
    let free = |flags: &[&str]| {
        let command = [PROGRAMS.xtask, "ports", "free", "80"];
        let mut user = stage.command(PROGRAMS.fake_service);
        user.args(["--become", "65534", "--run"]).args(command).args(flags);
        user.args(["--", "--exit", "0"]).env("PORTMAN_STATE_DIR", nobody.path());
        Running::start(&mut user).wait().output
    };
    let told = free(&[]);
    for text in [
        "80 is blocked: ports below 1024 need a permission that you do not have",
        "hint: use another port: cargo xtask ports find --from 80",
        "it ended with 3",
    ] {
        assert!(told.contains(text), "no {text}\n{told}");
    }
    let told = free(&["--json"]);
    assert!(!told.contains("available") && told.contains("\"blocked\""), "{told}");
}

/// A folder of records for a user that has nothing; none, reported, where one cannot be another user.
fn as_nobody(stage: &Stage, test: &str) -> Option<TempDir> {
    if stage.stranger(&["--become", "65534", "--exit", "0"]).wait().code != 0 {
        not_run(test, "being another user needs root");
        return None;
    }
    let folder = TempDir::new().unwrap();
    std::os::unix::fs::chown(folder.path(), Some(65534), None).unwrap();
    Some(folder)
}

#[test]
fn who_was_stopped_is_told_even_when_another_cannot_be() {
    if !own_network("who_was_stopped_is_told_even_when_another_cannot_be") {
        return;
    }
    let stage = stage();
    let polite = server(&stage);
    let deaf = somebody(&stage, &["--ignore-term", "--listen", "[::1]:8000"], "listening");
    let mut command = stage.command(PROGRAMS.xtask);
    let command = command.args(["ports", "free", "8000", "--now", "--json"]);
    let ended = Running::start(without_kill(command)).wait();
    let answer: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    let port = &answer["ports"][0];
    assert_eq!((ended.code, &port["outcome"]), (3, &"unknown".into()), "{}", ended.output);
    let stopped: Vec<_> =
        port["stopped"].as_array().unwrap().iter().map(|one| &one["pid"]).collect();
    assert_eq!(stopped, [polite.pid()], "{}", ended.output);
    let reason = port["reason"].as_str().unwrap();
    let refused = format!("the system refused to end process {}: ", deaf.pid());
    assert!(reason.starts_with(&refused), "{reason}");
    assert!(is_alive(&deaf));
    assert_eq!(polite.wait().code, 128 + 15);
}

#[test]
fn a_database_is_stopped_only_by_force() {
    if !own_network("a_database_is_stopped_only_by_force") {
        return;
    }
    let stage = stage();
    let (_folder, database) = database(&stage, ADDRESS);
    for flags in [&[][..], &["--now"]] {
        let ended = free(&stage, flags);
        assert_eq!(ended.code, 5, "{}", ended.output);
        for text in ["`redis-server` is a database", "cargo xtask ports free 8000 --force"] {
            assert!(ended.output.contains(text), "no {text}\n{}", ended.output);
        }
        assert!(is_alive(&database));
    }
    let forced = free(&stage, &["--force"]);
    assert_eq!(forced.code, 0, "{}", forced.output);
    assert!(forced.output.contains("a database: "), "{}", forced.output);
    assert_eq!(database.wait().code, 128 + 15);
}

#[test]
fn unasked_only_a_server_of_this_checkout_is_stopped() {
    if !own_network("unasked_only_a_server_of_this_checkout_is_stopped") {
        return;
    }
    let stage = stage();
    let server = server(&stage);
    let other = stage.path("home");
    let freed = free_by(Asking::Unasked { checkout: &other });
    let dir = Some(portman::fs::canonical(&stage.checkout()).unwrap());
    assert_eq!(refused(&freed), [&Reason::OtherFolder { dir, checkout: other }]);
    assert!(is_alive(&server));

    let freed = free_by(Asking::Unasked { checkout: &stage.checkout() });
    assert!(matches!(freed.state, State::Free), "{freed:?}");
    assert_eq!(freed.stopped[0].process.pid, server.pid());
    assert_eq!(server.wait().code, 128 + 15);
}

#[test]
fn one_server_that_may_not_go_keeps_the_other_alive_too() {
    if !own_network("one_server_that_may_not_go_keeps_the_other_alive_too") {
        return;
    }
    let stage = stage();
    let server = server(&stage);
    let (_folder, database) = database(&stage, "[::1]:8000");
    let freed = free_by(Asking::ByNumber { force: false });
    let State::Refused(left) = &freed.state else { panic!("{freed:?}") };
    assert_eq!((left.len(), freed.stopped.len()), (2, 0), "{freed:?}");
    assert!(is_alive(&server) && is_alive(&database));
}

#[test]
fn a_later_process_of_the_same_pid_lives_on() {
    // Each waits for its input, which never comes and never ends.
    const START: &str = "exec 3<&0; for _ in $(seq $0); do cat <&3 & echo $!; done; echo all; wait";
    let stage = stage();
    let rounds = rounds(1000);
    let mut command = stage.command("sh");
    let mut shell = Running::start_with_input(command.args(["-c", START, &rounds.to_string()]));
    shell.wait_for("all");
    let seen = shell.seen();
    let pids = seen.lines().filter_map(|line| line.parse().ok());
    let innocents: Vec<Process> = pids.map(|pid| Process::find(pid).unwrap().unwrap()).collect();
    assert_eq!(innocents.len(), rounds);
    for now in &innocents {
        let before = Process { started: now.started - 1, ..*now };
        stop::stop_all(&[before], Duration::ZERO).unwrap();
    }
    for innocent in innocents {
        assert!(innocent.is_alive().unwrap());
    }
}

#[test]
fn the_report_says_who_may_be_stopped_and_why() {
    if !own_network("the_report_says_who_may_be_stopped_and_why") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", STACK);
    let server = server(&stage);
    let bound = somebody(&stage, &["--bind", "127.0.0.2:8000"], "bound");
    let report = stage.run(&["ports", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&report.output).unwrap();
    let owners = report["ports"][0]["owners"].as_array().unwrap();
    let of = |process: &Running| owners.iter().find(|owner| owner["pid"] == process.pid()).unwrap();
    assert_eq!(of(&server)["can_terminate"], true);
    assert!(of(&server)["why"].as_str().unwrap().starts_with("it is a development server of "));
    assert_eq!(of(&bound)["can_terminate"], false);
    let why = of(&bound)["why"].as_str().unwrap();
    assert_eq!(why, "it is bound to the port and does not listen there");
}
