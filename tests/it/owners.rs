//! Who has a port: servers, sockets that do not listen, connections, inherited sockets, other users' processes.

use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portman::check::{Activity, Status, check, look, look_all};
use portman::owner::{Occupant, Scope, Unit, holders, occupants};
use portman::port::Port;
use portman::process::{self, Process};
use portman::stop::stop_all;
use serde_json::Value;
use tests::{Running, eventually, own_network, sockets, without_bind, without_netlink};

use crate::{PROGRAMS, stage};

const PORT: u16 = 8000;
/// The user that has nothing, on every system.
const NOBODY: u32 = 65534;

fn port() -> Port {
    Port::new(PORT).unwrap()
}

/// A process that does nothing but have a socket open, as its standard input. Dropping it kills it and its children.
struct Keeper(Child);

impl Keeper {
    #[track_caller]
    fn start(socket: impl Into<OwnedFd>) -> Self {
        Self::start_as(socket, None)
    }

    #[track_caller]
    fn start_as(socket: impl Into<OwnedFd>, user: Option<u32>) -> Self {
        let mut command = Command::new("sleep");
        command.arg("infinity");
        if let Some(user) = user {
            command.uid(user);
        }
        Self::run(command, socket)
    }

    #[track_caller]
    fn run(mut command: Command, socket: impl Into<OwnedFd>) -> Self {
        command.stdin(Stdio::from(socket.into())).stdout(Stdio::null());
        Self(command.spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let children = process::family(self.pid()).split_off(1);
        let children = children.into_iter().filter_map(|pid| Process::find(pid).ok()?);
        let children: Vec<Process> = children.collect();
        // A second panic would hide the first.
        self.0.kill().ok();
        self.0.wait().ok();
        stop_all(&children, Duration::ZERO).ok();
    }
}

fn bound(address: &str) -> TcpListener {
    sockets::bound(address.parse().unwrap(), sockets::Reuse::None).unwrap()
}

#[track_caller]
fn found(scope: Scope) -> Vec<Occupant> {
    let Status::Occupied(sockets) = look(port()) else { panic!("it is not seen") };
    occupants(&sockets, scope, &[]).unwrap()
}

#[track_caller]
fn pids(occupants: &[Occupant]) -> Vec<u32> {
    let owners = occupants.iter().flat_map(|occupant| &occupant.owners);
    let mut pids: Vec<u32> = owners.map(|owner| owner.process.pid).collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// What `ports who` says: its exit code, its text, its object.
#[track_caller]
fn who(arguments: &[&str]) -> (i32, String, Value) {
    let stage = stage();
    let text = stage.run(&[&["ports", "who"], arguments].concat());
    let json = stage.run(&[&["ports", "who", "--json"], arguments].concat());
    assert_eq!(text.code, json.code);
    let object = serde_json::from_str(&json.output).unwrap_or_else(|_| panic!("{}", json.output));
    (text.code, text.output, object)
}

#[test]
fn a_free_port_is_said_to_be_free() {
    if !own_network("a_free_port_is_said_to_be_free") {
        return;
    }
    let (code, text, json) = who(&["8000", "8001", "8000"]);
    assert_eq!((code, text.as_str()), (0, "port 8000 is free\n\nport 8001 is free"));
    assert_eq!(json["version"], 1);
    assert_eq!(json["ports"].as_array().unwrap().len(), 2);
    assert_eq!(json["ports"][0]["status"], "available");
}

#[test]
fn a_server_is_named_with_all_that_is_known_of_it() {
    if !own_network("a_server_is_named_with_all_that_is_known_of_it") {
        return;
    }
    let place = stage();
    let mut server = place.stranger(&["--listen", "127.0.0.1:8000"]);
    server.wait_for("listening");
    let (code, text, json) = who(&["8000"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("port 8000 is taken\n  fake-service (pid "), "{text}");
    assert!(text.contains("listens on  127.0.0.1:8000"), "{text}");
    let owner = &json["ports"][0]["owners"][0];
    assert_eq!(owner["pid"], server.pid());
    assert_eq!(owner["activity"], "listening");
    assert_eq!(owner["dir"], *place.checkout().to_string_lossy());
    assert!(owner["cmdline"].as_str().unwrap().ends_with("--listen 127.0.0.1:8000"));
}

#[test]
fn a_process_that_is_only_bound_is_named() {
    if !own_network("a_process_that_is_only_bound_is_named") {
        return;
    }
    let keeper = Keeper::start(bound("127.0.0.1:8000"));
    let (code, text, json) = who(&["8000"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("port 8000 is taken, though nobody listens\n  sleep (pid "), "{text}");
    assert!(text.contains("bound to   127.0.0.1:8000, without listening"), "{text}");
    let port = &json["ports"][0];
    assert_eq!(port["owners"][0]["pid"], keeper.pid());
    assert_eq!((&port["owners"][0]["activity"], &port["held"]), (&"bound".into(), &false.into()));
}

#[test]
fn a_hold_is_said_to_be_one() {
    if !own_network("a_hold_is_said_to_be_one") {
        return;
    }
    let Status::Available(_hold) = check(port()) else { panic!("it is free") };
    let (code, text, json) = who(&["8000"]);
    assert_eq!(code, 0);
    assert!(text.starts_with("port 8000 is held for a stack or a reservation"), "{text}");
    assert!(text.contains("holds    0.0.0.0:8000 and [::]:8000"), "{text}");
    assert_eq!(json["ports"][0]["held"], true);
}

#[test]
fn a_client_is_named_as_one_end_of_a_connection() {
    if !own_network("a_client_is_named_as_one_end_of_a_connection") {
        return;
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let used = client.local_addr().unwrap().port();
    let keeper = Keeper::start(client);
    let (code, text, json) = who(&[&used.to_string()]);
    assert_eq!(code, 0);
    assert!(text.contains("is used by a connection; nobody listens\n  sleep (pid "), "{text}");
    let owner = &json["ports"][0]["owners"][0];
    assert_eq!((&owner["pid"], &owner["activity"]), (&keeper.pid().into(), &"connected".into()));
}

#[test]
fn two_servers_behind_localhost_are_said_to_be_two() {
    if !own_network("two_servers_behind_localhost_are_said_to_be_two") {
        return;
    }
    let on_v4 = Keeper::start(TcpListener::bind("127.0.0.1:8000").unwrap());
    let on_v6 = Keeper::start(TcpListener::bind("[::1]:8000").unwrap());
    let (code, text, json) = who(&["8000"]);
    assert_eq!(code, 0);
    let (v4, v6) = (format!("sleep (pid {})", on_v4.pid()), format!("sleep (pid {})", on_v6.pid()));
    let line = format!("  localhost:8000 is two servers: {v4} on 127.0.0.1, {v6} on ::1");
    assert_eq!(text.lines().last().unwrap(), line);
    assert_eq!(json["ports"][0]["localhost"]["v4"], v4);
    assert_eq!(json["ports"][0]["localhost"]["v6"], v6);
}

#[test]
fn everybody_who_has_a_listener_is_named() {
    if !own_network("everybody_who_has_a_listener_is_named") {
        return;
    }
    let listener = TcpListener::bind("127.0.0.1:8000").unwrap();
    let mut keepers: Vec<Keeper> =
        (0..3).map(|_| Keeper::start(listener.try_clone().unwrap())).collect();
    drop(listener);
    let mut expected: Vec<u32> = keepers.iter().map(Keeper::pid).collect();
    expected.sort_unstable();
    assert_eq!(pids(&found(Scope::Machine)), expected);
    assert!(expected.contains(&pids(&found(Scope::Group))[0]), "one of them is enough to tell");
    // The server ends, and what it has left behind keeps the port.
    drop(keepers.remove(0));
    assert_eq!(pids(&found(Scope::Machine)), expected[1..]);
}

#[test]
fn a_child_that_has_inherited_a_listener_is_named_beside_its_parent() {
    if !own_network("a_child_that_has_inherited_a_listener_is_named_beside_its_parent") {
        return;
    }
    let mut parent = Command::new("sh");
    parent.args(["-c", "sleep infinity; :"]);
    let parent = Keeper::run(parent, TcpListener::bind("127.0.0.1:8000").unwrap());
    let family = eventually("it has a child", || {
        let family = process::family(parent.pid());
        (family.len() == 2).then_some(family)
    });
    for scope in [Scope::Group, Scope::Machine] {
        let mut expected = family.clone();
        expected.sort_unstable();
        assert_eq!(pids(&found(scope)), expected, "{scope:?}");
    }
}

#[test]
fn only_the_hinted_are_looked_into_when_that_is_asked() {
    if !own_network("only_the_hinted_are_looked_into_when_that_is_asked") {
        return;
    }
    let keeper = Keeper::start(TcpListener::bind("127.0.0.1:8000").unwrap());
    let Status::Occupied(sockets) = look(port()) else { panic!("it is not seen") };
    let hinted = |pids: &[u32]| holders(&sockets, Scope::Hinted, pids).unwrap();
    assert!(hinted(&[]).is_empty());
    assert!(hinted(&[std::process::id()]).is_empty());
    let found: Vec<Vec<u32>> = hinted(&[keeper.pid()]).into_values().collect();
    assert_eq!(found, [[keeper.pid()]]);
}

#[test]
fn many_ports_are_looked_at_at_once_and_each_is_told_for_itself() {
    if !own_network("many_ports_are_looked_at_at_once_and_each_is_told_for_itself") {
        return;
    }
    let _server = TcpListener::bind("127.0.0.1:8000").unwrap();
    let _bound = bound("127.0.0.1:8002");
    let other = TcpListener::bind("[::1]:0").unwrap();
    let client = TcpStream::connect(other.local_addr().unwrap()).unwrap();
    let used = client.local_addr().unwrap().port();
    let ports = [8003, used, 8002, 8001, 8000].map(|port| Port::new(port).unwrap());
    let activities: Vec<Option<Activity>> = look_all(&ports)
        .into_iter()
        .map(|status| match status {
            Status::Occupied(sockets) => Some(sockets[0].activity),
            Status::Available(()) => None,
            other => panic!("{other:?}"),
        })
        .collect();
    let [connected, bound, listening] =
        [Activity::Connected, Activity::Bound, Activity::Listening].map(Some);
    assert_eq!(activities, [None, connected, bound, None, listening]);
    assert_eq!(look_all(&[]).len(), 0);
}

/// A bind, even of a moment, could keep a server from the port that just starts there.
#[test]
fn a_look_binds_nothing() {
    if !own_network("a_look_binds_nothing") {
        return;
    }
    let place = stage();
    let who = || {
        let mut command = place.command(PROGRAMS.xtask);
        let command = command.args(["ports", "who", "8000"]);
        Running::start(without_bind(command)).wait()
    };
    let free = who();
    assert_eq!((free.code, free.output.as_str()), (0, "port 8000 is free"));
    let _server = Keeper::start(TcpListener::bind("127.0.0.1:8000").unwrap());
    let taken = who();
    assert!(taken.output.starts_with("port 8000 is taken\n  sleep (pid "), "{}", taken.output);
}

#[test]
fn where_the_system_lists_no_sockets_its_table_and_a_bind_tell_the_rest() {
    if !own_network("where_the_system_lists_no_sockets_its_table_and_a_bind_tell_the_rest") {
        return;
    }
    let place = stage();
    let who = || {
        let mut command = place.command(PROGRAMS.xtask);
        let command = command.args(["ports", "who", "8000"]);
        Running::start(without_netlink(command)).wait()
    };
    let free = who();
    assert_eq!((free.code, free.output.as_str()), (0, "port 8000 is free"));

    for address in ["127.0.0.1:8000", "[::1]:8000"] {
        let server = Keeper::start(TcpListener::bind(address).unwrap());
        let told = who();
        assert_eq!(told.code, 0);
        let named = format!("sleep (pid {}, user ", server.pid());
        assert!(told.output.contains(&named), "{}", told.output);
        assert!(told.output.contains(&format!("listens on  {address}")), "{}", told.output);
    }

    // The table does not show it, and the port is not free.
    let _keeper = Keeper::start(bound("127.0.0.1:8000"));
    let told = who();
    let reason = "port 8000 is taken: somebody keeps it without listening";
    assert_eq!((told.code, told.output.as_str()), (3, reason));
}

/// Can this process give itself to another user? A root of a user namespace cannot.
fn can_be_another(test: &str) -> bool {
    let is_root = Command::new("true").uid(NOBODY).status().is_ok_and(|status| status.success());
    if !is_root {
        tests::not_run(test, "it needs root, to start processes of other users");
    }
    is_root
}

#[test]
fn a_socket_that_went_to_another_user_is_found() {
    let test = "a_socket_that_went_to_another_user_is_found";
    if !can_be_another(test) || !own_network(test) {
        return;
    }
    let keeper = Keeper::start_as(TcpListener::bind("127.0.0.1:8000").unwrap(), Some(NOBODY));
    for scope in [Scope::Group, Scope::Machine] {
        let found = found(scope);
        assert_eq!(pids(&found), [keeper.pid()], "{scope:?}");
        assert_eq!((&*found[0].user, found[0].owners[0].uid), ("root", Some(NOBODY)));
    }
}

/// A control group that looks like a container's. Dropping it removes it.
struct Group(std::path::PathBuf);

const CONTAINER: &str = "3f2a91c0d4e5b6a798897a6b5c4d3e2f3f2a91c0d4e5b6a798897a6b5c4d3e2f";

impl Group {
    fn new(test: &str) -> Option<Self> {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::Path::new);
        let root = roots.into_iter().find(|root| root.join("cgroup.procs").exists());
        let folder = root.map(|root| root.join(format!("docker-{CONTAINER}.scope")));
        let made = folder.filter(|folder| std::fs::create_dir(folder).is_ok());
        if made.is_none() {
            tests::not_run(test, "it needs control groups of the second version that it may write");
        }
        made.map(Self)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        std::fs::remove_dir(&self.0).ok();
    }
}

#[test]
fn an_ordinary_user_is_told_whose_process_it_is_and_in_which_container() {
    let test = "an_ordinary_user_is_told_whose_process_it_is_and_in_which_container";
    if !can_be_another(test) || !own_network(test) {
        return;
    }
    let Some(group) = Group::new(test) else { return };
    let place = stage();
    let procs = group.0.join("cgroup.procs");
    let line = format!(
        "echo $$ > {} && exec {} --listen 127.0.0.1:8000",
        procs.display(),
        PROGRAMS.fake_service
    );
    let mut server = Running::start(place.command("sh").args(["-c", &line]));
    server.wait_for("listening");
    // As root it is named, and what it is in as well.
    let unit = Some(Unit::Container("docker 3f2a91c0d4e5".to_owned()));
    let seen = found(Scope::Group);
    assert_eq!((&seen[0].owners[0].unit, &seen[0].unit), (&unit, &unit));

    let text = as_nobody(&["ports", "who", "8000"]);
    assert!(text.starts_with("port 8000 is taken\n  a process of user root that only"), "{text}");
    assert!(text.contains("container   docker 3f2a91c0d4e5"), "{text}");
    let json: Value =
        serde_json::from_str(&as_nobody(&["ports", "who", "8000", "--json"])).unwrap();
    assert_eq!(json["ports"][0]["owners"], Value::Array(Vec::new()));
    let hidden = &json["ports"][0]["hidden"][0];
    assert_eq!((&hidden["user"], &hidden["address"]), (&"root".into(), &"127.0.0.1:8000".into()));
    assert_eq!(hidden["unit"]["container"], "docker 3f2a91c0d4e5");
    // A group can be removed once nobody is in it.
    server.signal(tests::Signal::KILL);
    server.wait();
}

/// What `cargo xtask` prints for the user who has nothing, from a copy that this user can read.
#[track_caller]
fn as_nobody(arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let program = folder.path().join("xtask");
    std::fs::copy(PROGRAMS.xtask, &program).unwrap();
    let output =
        Command::new(program).args(arguments).uid(NOBODY).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
