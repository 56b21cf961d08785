//! What checkouts had last, and ports for whoever wants any.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use portman::allocate::{Allocation, Pool, Request, find, find_all, reserve};
use portman::fs::{Lock, read, save};
use portman::lease::{Book, Lease, record};
use portman::port::Port;
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, SocketType};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tests::{Running, Signal, Stage, own_network, rounds};

use crate::stage;

const STACK: &str = "[services.api]\ncommand = [\"FAKE\", \"--listen-env\", \"127.0.0.1\", \"PORT\"]\nport = 8000\n";

/// Brings the stack in `folder` up.
fn up(stage: &Stage, folder: &str) -> Running {
    let mut dev = stage.xtask(&["dev", "-C", folder]);
    dev.wait_for("Ctrl-C stops the stack");
    dev
}

#[track_caller]
fn down(dev: Running) {
    dev.signal(Signal::INT);
    let ended = dev.wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
}

/// The port that the stack in the checkout would get now, as `ports` says, which is also what `dev --dry-run` says.
#[track_caller]
fn foreseen(stage: &Stage) -> u64 {
    let answer = stage.run(&["ports", "--json"]).output;
    let report: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let port = report["ports"][0]["port"].as_u64().unwrap();
    let plan = stage.run(&["dev", "--dry-run"]).output;
    assert!(plan.contains(&format!("api: http://localhost:{port}\n")), "{plan}");
    port
}

fn stranger(stage: &Stage, port: u16) -> Running {
    let address = format!("127.0.0.1:{port}");
    let mut stranger = stage.stranger(&["--listen", &address]);
    stranger.wait_for("listening");
    stranger
}

#[test]
fn a_service_that_moved_stays_where_it_was_until_its_own_port_is_free() {
    if !own_network("a_service_that_moved_stays_where_it_was_until_its_own_port_is_free") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", STACK).file("../other/dev.toml", STACK);
    let other = up(&stage, "../other");
    let on_8001 = stranger(&stage, 8001);
    let dev = up(&stage, ".");
    assert!(dev.seen().contains("http://localhost:8002"), "{}", dev.seen());
    down(dev);
    drop(on_8001);

    assert_eq!(foreseen(&stage), 8002);
    let dev = up(&stage, ".");
    assert!(dev.seen().contains("http://localhost:8002"), "{}", dev.seen());
    down(dev);
    down(other);

    assert_eq!(foreseen(&stage), 8000);
    let dev = up(&stage, ".");
    assert!(dev.seen().contains("http://localhost:8000"), "{}", dev.seen());
    down(dev);
}

#[test]
fn what_an_idle_checkout_had_is_passed_over_until_its_folder_is_gone() {
    if !own_network("what_an_idle_checkout_had_is_passed_over_until_its_folder_is_gone") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", STACK).file("../other/dev.toml", STACK);
    let _on_8000 = stranger(&stage, 8000);
    down(up(&stage, "../other"));
    assert_eq!(foreseen(&stage), 8002, "8001 is what the other had");
    // Where nothing else is left, it is given all the same.
    let small = format!("[ports]\nnearby = 1\nranges = []\n{STACK}");
    stage.file("dev.toml", &small);
    assert_eq!(foreseen(&stage), 8001);
    stage.file("dev.toml", STACK);

    let book = stage.state().join("leases.json");
    assert!(read(&book).unwrap().contains("other"));
    fs::remove_dir_all(stage.path("other")).unwrap();
    assert_eq!(foreseen(&stage), 8001);
    down(up(&stage, "."));
    assert!(!read(&book).unwrap().contains("other"));
}

#[test]
fn a_broken_book_is_rebuilt_and_told_and_kept() {
    if !own_network("a_broken_book_is_rebuilt_and_told_and_kept") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", STACK);
    let book = stage.state().join("leases.json");
    save(&book, "{\"version\": 1, \"checkou").unwrap();

    let told = stage.run(&["ports"]).output;
    assert!(told.contains("the next run makes a new one"), "{told}");
    let told = stage.run(&["dev", "--dry-run"]).output;
    assert!(told.contains("the next run makes a new one"), "{told}");
    assert_eq!(read(&book).unwrap(), "{\"version\": 1, \"checkou", "neither writes");

    let dev = up(&stage, ".");
    let kept = stage.state().join("leases.json.broken");
    assert!(dev.seen().contains("leases.json` was rebuilt"), "{}", dev.seen());
    assert!(dev.seen().contains(&kept.display().to_string()), "{}", dev.seen());
    assert_eq!(read(&kept).unwrap(), "{\"version\": 1, \"checkou");
    down(dev);
    let dev = up(&stage, ".");
    assert!(!dev.seen().contains("warning"), "{}", dev.seen());
    down(dev);
}

#[test]
fn a_book_that_somebody_else_keeps_locked_is_an_error_that_names_it() {
    if !own_network("a_book_that_somebody_else_keeps_locked_is_an_error_that_names_it") {
        return;
    }
    let stage = stage();
    stage.file("dev.toml", STACK);
    let path = stage.state().join("leases.lock");
    let lock = Lock::try_take(&path).unwrap().unwrap();
    let ended = stage.run(&["dev"]);
    assert_eq!(ended.code, 3, "{}", ended.output);
    let expected = format!("`{}` stays locked by another process", path.display());
    assert!(ended.output.contains(&expected), "{}", ended.output);
    assert!(ended.output.contains("hint: "), "{}", ended.output);
    drop(lock);
    down(up(&stage, "."));
}

/// As many checkouts as a team has.
struct Checkouts {
    _folder: tempfile::TempDir,
    state: PathBuf,
    all: Vec<PathBuf>,
}

fn checkouts(count: usize) -> Checkouts {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<PathBuf> =
        (0..count).map(|place| folder.path().join(format!("checkouts/{place:03}"))).collect();
    for checkout in &all {
        fs::create_dir_all(checkout).unwrap();
    }
    Checkouts { state: folder.path().join("state"), _folder: folder, all }
}

/// What `dev` does for its ports.
fn allocate(state: &Path, checkout: &Path) -> Vec<Allocation> {
    let request =
        |service: &str, port| Request { service: service.to_owned(), preferred: Port::new(port) };
    let requests = [request("api", 8000), request("web", 5173), request("db", 5433)];
    let pool = Pool { nearby: 20, ranges: vec!["10000-10999".parse().unwrap()] };
    let memory = Book::read(state).unwrap().memory(checkout);
    let had = reserve(&requests, &pool, &memory).unwrap();
    let lease =
        |had: &Allocation| (had.service.clone(), Lease { port: had.port(), until_spawn: None });
    assert_eq!(record(state, checkout, &had.iter().map(lease).collect::<Vec<_>>()).unwrap(), None);
    had
}

#[test]
fn two_hundred_checkouts_keep_their_ports_in_whatever_order_they_come() {
    if !own_network("two_hundred_checkouts_keep_their_ports_in_whatever_order_they_come") {
        return;
    }
    // A hold is three files.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let Checkouts { state, all, _folder } = checkouts(200);
    let ports = |had: &[Allocation]| had.iter().map(Allocation::port).collect::<Vec<_>>();

    let first: BTreeMap<&PathBuf, Vec<Allocation>> =
        all.iter().map(|checkout| (checkout, allocate(&state, checkout))).collect();
    let had: BTreeMap<&PathBuf, Vec<Port>> =
        first.iter().map(|(checkout, had)| (*checkout, ports(had))).collect();
    let distinct: BTreeSet<Port> = had.values().flatten().copied().collect();
    assert_eq!(distinct.len(), 600);

    // The one that has what all would like stays up.
    let _stays = first.into_iter().find(|(checkout, _)| **checkout == all[0]).unwrap();
    let again: BTreeMap<&PathBuf, Vec<Allocation>> =
        all[1..].iter().rev().map(|checkout| (checkout, allocate(&state, checkout))).collect();
    for (checkout, again) in again {
        assert_eq!(ports(&again), had[checkout], "{}", checkout.display());
    }
}

/// Nothing was lost and nobody had what another had.
#[track_caller]
fn assert_all_well(allocators: Vec<Running>) {
    for allocator in allocators {
        let ended = allocator.wait();
        assert_eq!(ended.output, "done");
    }
}

#[test]
fn processes_that_allocate_over_stale_leases_never_share_a_port() {
    if !own_network("processes_that_allocate_over_stale_leases_never_share_a_port") {
        return;
    }
    let stage = stage();
    let Checkouts { state, all, _folder } = checkouts(24);
    // Leases that are wrong: everybody had the same ports last.
    let lease = |service: &str, port| {
        (service.to_owned(), Lease { port: Port::new(port).unwrap(), until_spawn: None })
    };
    for checkout in &all {
        record(&state, checkout, &[lease("api", 8001), lease("web", 8002)]).unwrap();
    }
    let marks = stage.path("marks");
    fs::create_dir(&marks).unwrap();
    let text = |path: &Path| path.display().to_string();
    let start = |place: usize| {
        let (marks, state) = (text(&marks), text(&state));
        let checkouts = text(all[0].parent().unwrap());
        let (rounds, first) = (rounds(200).to_string(), (place * 5).to_string());
        stage.allocator(&["leased", &marks, &rounds, &state, &checkouts, &first])
    };
    assert_all_well((0..16).map(start).collect());
}

/// The range that the system gives out by itself.
fn set_ephemeral(first: u16, last: u16) {
    let path = "/proc/sys/net/ipv4/ip_local_port_range";
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    write!(file, "{first} {last}").unwrap();
}

#[test]
fn sixty_four_processes_reserve_at_once_and_none_loses_a_port() {
    if !own_network("sixty_four_processes_reserve_at_once_and_none_loses_a_port") {
        return;
    }
    let stage = stage();
    // That leaves 20000 to 20999.
    set_ephemeral(21000, 21999);
    let marks = stage.path("marks");
    fs::create_dir(&marks).unwrap();
    let (marks, rounds) = (marks.display().to_string(), rounds(600).to_string());
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"] {
                    drop(TcpListener::bind(address).unwrap());
                }
                let client = TcpStream::connect(address).unwrap();
                // Reset, so that no ended connection stays behind.
                net::sockopt::set_socket_linger(&client, Some(Duration::ZERO)).unwrap();
                drop(server.accept().unwrap());
            }
        });
        let allocators: Vec<Running> =
            (0..64).map(|_| stage.allocator(&["any", &marks, &rounds])).collect();
        let ended: Vec<String> =
            allocators.into_iter().map(|allocator| allocator.wait().output).collect();
        is_over.store(true, Ordering::Relaxed);
        for output in ended {
            assert_eq!(output, "done");
        }
    });
}

/// The bind that shares with nobody.
fn bind_without_options(address: &str, port: u16) -> Result<OwnedFd, Errno> {
    let address = SocketAddr::new(address.parse().unwrap(), port);
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    let socket = net::socket(family, SocketType::STREAM, None)?;
    net::bind(&socket, &address)?;
    Ok(socket)
}

#[test]
fn the_port_of_a_job_that_still_sleeps_is_given_to_nobody() {
    if !own_network("the_port_of_a_job_that_still_sleeps_is_given_to_nobody") {
        return;
    }
    let stage = stage();
    let mut job = stage.allocator(&["keep"]);
    let line = job.wait_for("reserved ");
    let port: u16 = line.trim_start_matches("reserved ").parse().unwrap();
    // From now on the system itself gives out this port and seven others.
    set_ephemeral(port - 4, port + 3);
    for address in ["127.0.0.1", "::1"] {
        assert_eq!(
            bind_without_options(address, port).map(drop),
            Err(Errno::ADDRINUSE),
            "{address}"
        );
    }
    for round in 0..2000 {
        let address = if round % 2 == 0 { "127.0.0.1:0" } else { "[::1]:0" };
        let given = TcpListener::bind(address).unwrap().local_addr().unwrap().port();
        assert_ne!(given, port, "{address}");
    }
    drop(job);
    for address in ["127.0.0.1", "::1"] {
        drop(bind_without_options(address, port).unwrap());
    }
}

#[test]
fn each_name_of_a_reservation_has_a_port_of_its_own() {
    if !own_network("each_name_of_a_reservation_has_a_port_of_its_own") {
        return;
    }
    set_ephemeral(21000, 65535);
    let ports = portman::reserve(["api", "web"]).unwrap();
    assert_ne!(ports["api"], ports["web"]);
    assert_eq!((ports.port("web"), ports.port("db")), (Some(ports["web"]), None));
    let all: Vec<_> = ports.iter().collect();
    assert_eq!(all, [("api", ports["api"]), ("web", ports["web"])]);
    assert!((20000..21000).contains(&ports["api"].get()), "{}", ports["api"]);
    for (_, port) in ports.iter() {
        drop(TcpListener::bind(("localhost", port.get())).unwrap());
    }
    // There is room for 998 more and not for 999.
    let names = |count: usize| (0..count).map(|place| place.to_string());
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    let refused = portman::reserve(names(999)).unwrap_err().to_string();
    let expected = "no free port for `998`: tried 1000 ports between 20000 and 20999";
    assert_eq!(refused, expected);
    assert_eq!(portman::reserve(names(998)).unwrap().iter().count(), 998);
}

#[test]
fn free_ports_are_found() {
    if !own_network("free_ports_are_found") {
        return;
    }
    let stage = stage();
    let server = TcpListener::bind("[::1]:8001").unwrap();
    let port = |number| Port::new(number).unwrap();
    assert_eq!(find(port(8000), 10).unwrap(), Some(port(8000)));
    assert_eq!(find(port(8001), 10).unwrap(), Some(port(8002)));
    assert_eq!(find(port(8001), 1).unwrap(), None);
    let free = find_all("8000-8003".parse().unwrap()).unwrap();
    assert_eq!(free, [port(8000), port(8002), port(8003)]);

    for (arguments, expected) in [
        (&["--count", "2"][..], "20000\n20001"),
        (&["--from", "8000", "--count", "3"], "8000\n8002\n8003"),
        (&["--range", "8001-8003"], "8002"),
        (&["--from", "8000", "--count", "2", "--json"], r#"{"version":1,"ports":[8000,8002]}"#),
        (&["--from", "5999", "--count", "2"], "5999\n6001"),
    ] {
        let ended = stage.run(&[&["ports", "find"], arguments].concat());
        assert_eq!((ended.code, ended.output.as_str()), (0, expected), "{arguments:?}");
    }
    let doubtful = stage.run(&["ports", "find", "--range", "6000-6000"]).output;
    assert!(doubtful.contains("6000 is a doubtful choice: browsers refuse"), "{doubtful}");
    let few = stage.run(&["ports", "find", "--from", "8000", "--count", "3", "--attempts", "3"]);
    let told = "of 3 free ports found 2: tried 3 ports between 8000 and 8002";
    assert_eq!(few.code, 3);
    assert!(few.output.contains(told), "{}", few.output);
    for flag in ["--count", "--attempts"] {
        let none = stage.run(&["ports", "find", flag, "0"]);
        assert_eq!(none.code, 2, "{}", none.output);
        assert!(none.output.contains("invalid value '0' for"), "{}", none.output);
    }
    drop(server);
}

#[test]
fn who_starts_on_a_port_is_not_disturbed_by_one_who_looks() {
    if !own_network("who_starts_on_a_port_is_not_disturbed_by_one_who_looks") {
        return;
    }
    let is_over = AtomicBool::new(false);
    let failed = thread::scope(|scope| {
        let starter = scope.spawn(|| {
            let mut failed = 0;
            while !is_over.load(Ordering::Relaxed) {
                failed += usize::from(bind_without_options("127.0.0.1", 8000).is_err());
                // Meanwhile a look finds the port free.
                for other in 8001..8020 {
                    drop(bind_without_options("127.0.0.1", other).unwrap());
                }
            }
            failed
        });
        let port = "8000-8000".parse().unwrap();
        let free = (0..rounds(5000)).filter(|_| !find_all(port).unwrap().is_empty()).count();
        is_over.store(true, Ordering::Relaxed);
        assert!(free > 0, "it was never seen free");
        starter.join().unwrap()
    });
    assert_eq!(failed, 0);
}
