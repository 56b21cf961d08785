//! What a hold keeps away, and that looking disturbs nobody. Each harness is proven by the same run without what it tests.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use portman::check::{Hold, Status, check, listeners, look};
use portman::port::Port;
use rustix::net::listen;
use rustix::net::sockopt::{set_socket_reuseaddr, set_socket_reuseport};
use tests::sockets::{ADDRESSES, Reuse, Taken, Targets, Way, bound};
use tests::{Stage, ephemeral_range, eventually, own_network, rounds, tell};

use crate::stage;

/// Outside of every range that a test here gives out.
const TARGETS: u16 = 20000;

fn port(number: u16) -> Port {
    Port::new(number).unwrap()
}

#[track_caller]
fn held(number: u16) -> Hold {
    match check(port(number)) {
        Status::Available(hold) => hold,
        other => panic!("{number}: {other:?}"),
    }
}

const STOLEN: u16 = 33007;

#[test]
fn a_service_finds_its_held_port_again_among_thieves() {
    let test = "a_service_finds_its_held_port_again_among_thieves";
    if !own_network(test) {
        return;
    }
    ephemeral_range(33000..=33031);
    let (stage, rounds) = (stage(), rounds(500));
    let hold = held(STOLEN);
    let with = lost_restarts(&stage, rounds);
    drop(hold);
    let without = lost_restarts(&stage, rounds);
    tell(&format!("{test}: of {rounds} restarts lost: {with} with a hold, {without} without\n"));
    assert_eq!(with, 0);
    assert!(without * 5 > rounds, "the thieves are no thieves: {without} of {rounds}");
}

/// Restarts a service on `STOLEN` among twelve thieves, and counts how often it found its port taken.
fn lost_restarts(stage: &Stage, rounds: usize) -> usize {
    let targets = Targets::start(TARGETS);
    thread::scope(|scope| {
        // A thief goes on until its channel is gone.
        let _running: Vec<_> = (0..12)
            .map(|first| {
                let (running, stop) = channel();
                let targets = &targets;
                scope.spawn(move || steal(targets, first, &stop));
                running
            })
            .collect();
        let is_lost = |round: &usize| {
            let address = SocketAddr::new(ADDRESSES[round % ADDRESSES.len()], STOLEN);
            let mut service = stage.stranger(&["--listen", &address.to_string()]);
            !service.wait_for("listen").starts_with("listening")
        };
        (0..rounds).filter(is_lost).count()
    })
}

/// Takes ports in every way, a thousand a second, and has two of them at any time.
fn steal(targets: &Targets, first: usize, stop: &Receiver<()>) {
    let mut loot: [Option<Taken>; 2] = [None, None];
    for (step, way) in Way::all().into_iter().cycle().skip(first).enumerate() {
        loot[step % 2] = None;
        // There may be none left.
        loot[step % 2] = targets.take(way).ok();
        if stop.recv_timeout(Duration::from_millis(1)) != Err(RecvTimeoutError::Timeout) {
            return;
        }
    }
}

const EIGHT: RangeInclusive<u16> = 33000..=33007;
/// Even and odd, and in both halves: the system looks at these apart.
const HELD: [u16; 4] = [33000, 33001, 33005, 33006];

#[test]
fn no_way_to_be_given_a_port_gives_a_held_one() {
    if !own_network("no_way_to_be_given_a_port_gives_a_held_one") {
        return;
    }
    ephemeral_range(EIGHT);
    let targets = Targets::start(TARGETS);
    let all: BTreeSet<u16> = EIGHT.collect();
    let others: BTreeSet<u16> = EIGHT.filter(|port| !HELD.contains(port)).collect();
    for way in Way::all() {
        assert_eq!(given(&targets, way), all, "without a hold: {way:?}");
    }
    let holds = HELD.map(held);
    for _round in 0..rounds(100) {
        for way in Way::all() {
            assert_eq!(given(&targets, way), others, "{way:?}");
        }
    }
    drop(holds);
}

#[test]
fn a_hold_of_one_family_would_be_caught() {
    if !own_network("a_hold_of_one_family_would_be_caught") {
        return;
    }
    ephemeral_range(EIGHT);
    let targets = Targets::start(TARGETS);
    let _half_holds = HELD.map(|port| {
        let socket = bound(SocketAddr::new(ADDRESSES[1], port), Reuse::None).unwrap();
        set_socket_reuseaddr(&socket, true).unwrap();
        set_socket_reuseport(&socket, true).unwrap();
        socket
    });
    let steals = |way: &Way| given(&targets, *way).iter().any(|port| HELD.contains(port));
    let thieves: Vec<Way> = Way::all().into_iter().filter(steals).collect();
    let on_v6 = |way: &Way| matches!(way, Way::Bind(address, _) if *address == ADDRESSES[2]);
    assert!(!thieves.is_empty() && thieves.iter().all(on_v6), "{thieves:?}");
}

/// All ports that can be had in this way: it is repeated until the system has none left.
fn given(targets: &Targets, way: Way) -> BTreeSet<u16> {
    let mut loot = Vec::new();
    loop {
        match targets.take(way) {
            Ok(taken) => loot.push(taken),
            Err(error) => {
                let none_left = [io::ErrorKind::AddrInUse, io::ErrorKind::AddrNotAvailable];
                assert!(none_left.contains(&error.kind()), "{way:?}: {error}");
                return loot.iter().map(|taken| taken.port).collect();
            }
        }
        assert!(loot.len() <= EIGHT.len(), "{way:?} gives the same port twice");
    }
}

#[test]
fn a_server_that_shares_in_any_way_listens_over_a_hold() {
    if !own_network("a_server_that_shares_in_any_way_listens_over_a_hold") {
        return;
    }
    let _hold = held(LOOKED_AT);
    for address in ADDRESSES {
        for (reuse, can_listen) in
            [(Reuse::None, false), (Reuse::Address, true), (Reuse::Port, true), (Reuse::Both, true)]
        {
            let server = bound(SocketAddr::new(address, LOOKED_AT), reuse);
            let listens = server.and_then(|server| Ok(listen(&server, 1)?));
            assert_eq!(listens.is_ok(), can_listen, "{address} {reuse:?}: {listens:?}");
        }
    }
}

const LOOKED_AT: u16 = 8000;

#[test]
fn looking_disturbs_no_server_that_starts() {
    let test = "looking_disturbs_no_server_that_starts";
    if !own_network(test) {
        return;
    }
    let starts = rounds(2000);
    let failed = failed_starts(starts, || drop(look(port(LOOKED_AT))));
    leave_ended_connection();
    let after_connections = failed_starts(starts, || drop(look(port(LOOKED_AT))));
    let probed = failed_starts(starts, || {
        drop(bound(SocketAddr::new(ADDRESSES[1], LOOKED_AT), Reuse::None));
    });
    tell(&format!(
        "{test}: of {starts} starts failed: {failed} while it was looked at, {after_connections} over ended connections, \
         {probed} while a bind was tried\n"
    ));
    assert_eq!((failed, after_connections), (0, 0));
    assert!(probed > 0, "this would not see a disturbance");
}

/// Starts a server again and again while another thread does `probe` without a pause, and counts the failures.
fn failed_starts(starts: usize, probe: impl Fn() + Sync) -> usize {
    let (is_over, probes) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                probe();
                probes.fetch_add(1, Ordering::Relaxed);
            }
        });
        let start = |round: &usize| {
            // On one processor the two would else hardly meet.
            let before = probes.load(Ordering::Relaxed);
            while probes.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
            TcpListener::bind((ADDRESSES[round % ADDRESSES.len()], LOOKED_AT)).is_err()
        };
        let failed = (0..starts).filter(start).count();
        is_over.store(true, Ordering::Relaxed);
        failed
    })
}

/// The connection of a server that has ended: the system keeps the server's side for a minute.
fn leave_ended_connection() {
    let server = TcpListener::bind((ADDRESSES[2], LOOKED_AT)).unwrap();
    let mut client = TcpStream::connect((ADDRESSES[2], LOOKED_AT)).unwrap();
    drop(server.accept().unwrap());
    assert_eq!(client.read(&mut [0]).unwrap(), 0, "the server closes first");
}

#[test]
fn readiness_connects_to_nobody_before_somebody_listens() {
    if !own_network("readiness_connects_to_nobody_before_somebody_listens") {
        return;
    }
    let stage = stage();
    let service = |program: &str| {
        format!(
            "[services.api]\ncommand = {program}\nport = 8000\nready = {{ http = \"/\", timeout = \"1s\" }}\n"
        )
    };
    stage.file("dev.toml", &service("[\"FAKE\"]"));
    let ended = stage.run(&["dev"]);
    assert!(ended.output.contains("nobody listens on port 8000"), "{}", ended.output);
    assert_eq!(connects(), 0, "all of this network's");

    stage.file("dev.toml", &service("[\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]"));
    let mut dev = stage.xtask(&["dev"]);
    dev.wait_for("Ctrl-C stops the stack");
    assert!(connects() > 0, "the count does not see one");
}

/// How many connections were begun in this thread's network.
fn connects() -> u64 {
    let text = portman::fs::read(Path::new("/proc/thread-self/net/snmp")).unwrap();
    let mut rows = text.lines().filter_map(|line| line.strip_prefix("Tcp: "));
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let of = |(name, value): (&str, &str)| (name == "ActiveOpens").then(|| value.parse().unwrap());
    names.split(' ').zip(values.split(' ')).find_map(of).unwrap()
}

#[test]
fn a_port_in_the_ephemeral_range_is_never_taken_for_ready() {
    if !own_network("a_port_in_the_ephemeral_range_is_never_taken_for_ready") {
        return;
    }
    ephemeral_range(EIGHT);
    let polled = EIGHT.start() + 2;
    let connects = || TcpStream::connect((ADDRESSES[0], polled)).ok();
    let hold = held(polled);
    for _poll in 0..rounds(100_000) {
        assert!(listeners(port(polled)).unwrap().is_empty());
        assert!(connects().is_none());
    }
    drop(hold);
    // Without a hold a connection is one to itself sooner or later: the client is given the very port it looks for.
    let own = eventually("a connection to oneself", || (0..1000).find_map(|_| connects()));
    assert_eq!(own.local_addr().unwrap(), own.peer_addr().unwrap());
}
