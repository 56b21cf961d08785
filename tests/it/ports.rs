//! Holds and owners on the real system.

use std::net::{TcpListener, TcpStream};

use crate::stage;
use portman::check::{Hold, Status, check};
use portman::owner::{Occupant, Scope, occupants};
use portman::port::Port;
use portman::report::{Standing, Word, look_all};
use portman::safety::{Asker, Asking};
use tests::own_network;

const PORT: u16 = 8000;

fn port() -> Port {
    Port::new(PORT).unwrap()
}

fn look(port: Port) -> Standing {
    let asker = Asker::new(Vec::new()).unwrap();
    let asking = Asking::ByNumber { force: false };
    look_all(&[port], Scope::Group, &asker, asking).unwrap().remove(0)
}

fn is_ours(occupant: &Occupant) -> bool {
    occupant.owners.iter().any(|owner| owner.process.pid == std::process::id())
}

#[track_caller]
fn held() -> Hold {
    match check(port()) {
        Status::Available(hold) => hold,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_held_port_can_be_listened_on_and_not_be_held_again() {
    if !own_network("a_held_port_can_be_listened_on_and_not_be_held_again") {
        return;
    }
    let hold = held();
    assert!(matches!(check(port()), Status::Occupied(_)));
    for address in ["127.0.0.1", "0.0.0.0", "::1", "::"] {
        // Twice: a server restarts and finds its port again.
        for _life in 0..2 {
            drop(
                TcpListener::bind((address, PORT))
                    .unwrap_or_else(|error| panic!("{address}: {error}")),
            );
        }
    }
    drop(hold);
    drop(held());
}

#[test]
fn a_port_with_a_server_on_one_address_is_occupied_whichever_it_is() {
    if !own_network("a_port_with_a_server_on_one_address_is_occupied_whichever_it_is") {
        return;
    }
    // A port each: for a moment, a process that another test is just starting has the last listener open too.
    for (number, address) in (PORT..).zip(["127.0.0.1", "0.0.0.0", "::1", "::"]) {
        let server = TcpListener::bind((address, number)).unwrap();
        let Status::Occupied(sockets) = check(Port::new(number).unwrap()) else {
            panic!("{address} is not seen")
        };
        let found = occupants(&sockets, Scope::Group, &[]).unwrap();
        assert_eq!(found[0].address, server.local_addr().unwrap());
        assert!(is_ours(&found[0]), "{found:?}");
    }
}

#[test]
fn two_servers_on_the_two_loopback_addresses_are_both_named() {
    if !own_network("two_servers_on_the_two_loopback_addresses_are_both_named") {
        return;
    }
    let stage = stage();
    let mut on_v4 = stage.stranger(&["--listen", "127.0.0.1:8000"]);
    let mut on_v6 = stage.stranger(&["--listen", "[::1]:8000"]);
    on_v4.wait_for("listening");
    on_v6.wait_for("listening");
    let Standing { status, owners, .. } = look(port());
    assert_eq!(status, Word::Occupied);
    let mut pids: Vec<u32> = owners.iter().map(|owner| owner.pid).collect();
    pids.sort_unstable();
    let mut expected = [on_v4.pid(), on_v6.pid()];
    expected.sort_unstable();
    assert_eq!(pids, expected);
    assert!(owners.iter().all(|owner| owner.name.starts_with("fake-service")), "{owners:?}");
}

#[test]
fn a_bound_socket_that_does_not_listen_is_seen_and_named() {
    if !own_network("a_bound_socket_that_does_not_listen_is_seen_and_named") {
        return;
    }
    let _hold = held();
    let Status::Occupied(sockets) = check(port()) else { panic!("it is not seen") };
    let found = occupants(&sockets, Scope::Group, &[]).unwrap();
    assert!(found.iter().all(is_ours), "{found:?}");
}

#[test]
fn an_outgoing_connection_occupies_its_port_and_is_named_as_that() {
    if !own_network("an_outgoing_connection_occupies_its_port_and_is_named_as_that") {
        return;
    }
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let used = Port::new(client.local_addr().unwrap().port()).unwrap();
    let Standing { status, reason, .. } = look(used);
    assert_eq!(status, Word::Occupied);
    assert!(reason.unwrap().contains("has a connection from"));
}

#[test]
fn a_port_with_only_ended_connections_is_available_to_one_hold() {
    if !own_network("a_port_with_only_ended_connections_is_available_to_one_hold") {
        return;
    }
    let server = TcpListener::bind(("127.0.0.1", PORT)).unwrap();
    let client = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    // The side that closes first keeps the ended connection; wait until it has.
    drop(server.accept().unwrap());
    let mut end = [0; 1];
    assert_eq!(std::io::Read::read(&mut &client, &mut end).unwrap(), 0);
    drop(client);
    drop(server);
    let hold = held();
    assert!(matches!(check(port()), Status::Occupied(_)), "a second hold would share it");
    drop(TcpListener::bind(("127.0.0.1", PORT)).unwrap());
    drop(hold);
}

#[test]
fn the_report_is_a_table_and_json_of_the_same_facts() {
    if !own_network("the_report_is_a_table_and_json_of_the_same_facts") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", "[services.api]\ncommand = \"x\"\nport = 8000\n[services.web]\ncommand = \"x\"\nport = 5173\n");
    let mut stranger = stage.stranger(&["--listen", "127.0.0.1:8000"]);
    stranger.wait_for("listening");

    let table = stage.run(&["ports"]);
    assert_eq!(table.code, 0);
    let lines: Vec<&str> = table.output.lines().collect();
    assert_eq!(lines[0], "SERVICE  PREFERRED  PORT  STATUS     OWNER");
    assert!(
        lines[1].starts_with("api      8000       8001  occupied   fake-service (pid "),
        "{}",
        table.output
    );
    assert_eq!(lines[2], "web      5173       5173  available");

    let json = stage.run(&["ports", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&json.output).unwrap();
    assert_eq!(report["version"], 1);
    let api = &report["ports"][0];
    assert_eq!(
        (&api["service"], &api["preferred"], &api["port"]),
        (&"api".into(), &8000.into(), &8001.into())
    );
    assert_eq!(api["status"], "occupied");
    let owner = &api["owners"][0];
    assert_eq!(owner["pid"], stranger.pid());
    assert!(owner["cmdline"].as_str().unwrap().ends_with("--listen 127.0.0.1:8000"));
    assert_eq!(report["ports"][1]["status"], "available");
}

#[test]
fn while_the_stack_runs_the_report_says_which_port_it_has() {
    let stage = stage();
    stage.file("dev.toml", "[services.web]\ncommand = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]\nport = 0\n");
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    let table = stage.run(&["ports"]).output;
    let row = table.lines().nth(1).unwrap();
    assert!(row.contains("any") && row.contains("running"), "{table}");
    dev.signal(tests::Signal::INT);
    assert_eq!(dev.wait().code, 0);
}

#[test]
fn a_service_that_has_lost_its_mark_is_still_the_one_that_runs() {
    if !own_network("a_service_that_has_lost_its_mark_is_still_the_one_that_runs") {
        return;
    }
    let stage = stage();
    let command = "[\"env\", \"-i\", \"FAKE\", \"--listen\", \"127.0.0.1:8000\"]";
    stage.file("dev.toml", &format!("[services.web]\ncommand = {command}\nport = 8000\n"));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    let table = stage.run(&["ports"]).output;
    assert!(table.lines().nth(1).unwrap().contains("running"), "{table}");
    dev.signal(tests::Signal::INT);
    assert_eq!(dev.wait().code, 0);
}
