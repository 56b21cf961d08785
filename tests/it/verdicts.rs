//! The truth table: every state that a port can be in, built for real, and what is said of it by whom.

use std::any::Any;
use std::io::Read;
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};

use portman::check::{Activity, Block, Status, check, look};
use portman::port::Port;
use tests::sockets::{ADDRESSES, Reuse, bound};
use tests::{Running, as_another_user, is_installed, own_network, tell};

use crate::stage;

/// What is said of a port, without what comes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Available,
    Occupied(Vec<Activity>),
    Blocked(u16),
    Unknown(String),
}

impl<Free> From<Status<Free>> for Verdict {
    fn from(status: Status<Free>) -> Self {
        match status {
            Status::Available(_) => Self::Available,
            Status::Occupied(sockets) => {
                Self::Occupied(sockets.iter().map(|socket| socket.activity).collect())
            }
            Status::Blocked(Block::Permission { unprivileged_start }) => {
                Self::Blocked(unprivileged_start)
            }
            Status::Unknown(reason) => Self::Unknown(reason),
        }
    }
}

/// What makes a state of a port; it lasts as long as what is returned.
type Build = fn(u16) -> Box<dyn Any>;

const V4: IpAddr = ADDRESSES[0];
const V6: IpAddr = ADDRESSES[2];

fn listening(address: IpAddr, port: u16) -> TcpListener {
    TcpListener::bind((address, port)).unwrap()
}

/// A client on `port`, which the system chose as if by itself, and the server it is connected to.
fn outgoing(address: IpAddr, port: u16) -> (TcpListener, TcpStream, TcpStream) {
    tests::ephemeral_range(port..=port);
    let server = listening(address, port + 1000);
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    assert_eq!(client.local_addr().unwrap().port(), port);
    let (accepted, _) = server.accept().unwrap();
    (server, client, accepted)
}

/// A connection that a server has accepted whose listening socket is closed.
fn accepted(address: IpAddr, port: u16) -> (TcpStream, TcpStream) {
    let server = listening(address, port);
    let client = TcpStream::connect((address, port)).unwrap();
    (server.accept().unwrap().0, client)
}

/// Closes both ends of a connection; the first keeps it for a minute.
fn close_in_order(first: TcpStream, mut second: TcpStream) {
    drop(first);
    assert_eq!(second.read(&mut [0]).unwrap(), 0);
}

fn states() -> Vec<(&'static str, Build, Verdict)> {
    use Activity::{Bound, Connected, Lingering, Listening};
    use Verdict::{Available, Occupied};
    let one = |activity| Occupied(vec![activity]);
    vec![
        ("nothing", |_| Box::new(()), Available),
        ("a server on 127.0.0.1", |port| Box::new(listening(ADDRESSES[0], port)), one(Listening)),
        ("a server on 0.0.0.0", |port| Box::new(listening(ADDRESSES[1], port)), one(Listening)),
        ("a server on ::1", |port| Box::new(listening(ADDRESSES[2], port)), one(Listening)),
        ("a server on ::", |port| Box::new(listening(ADDRESSES[3], port)), one(Listening)),
        (
            "two servers, on 127.0.0.1 and ::1",
            |port| Box::new((listening(V4, port), listening(V6, port))),
            Occupied(vec![Listening, Listening]),
        ),
        (
            "a server with a connection",
            |port| {
                let server = listening(V4, port);
                Box::new((
                    TcpStream::connect((V4, port)).unwrap(),
                    server.accept().unwrap(),
                    server,
                ))
            },
            one(Listening),
        ),
        ("an ended server's ended connection", |port| ended_accepted(V4, port), Available),
        ("the same over ::1", |port| ended_accepted(V6, port), Available),
        ("an ended server's connection", |port| Box::new(accepted(V4, port)), Available),
        ("the same over ::1", |port| Box::new(accepted(V6, port)), Available),
        ("an outgoing connection", |port| Box::new(outgoing(V4, port)), one(Connected)),
        ("the same over ::1", |port| Box::new(outgoing(V6, port)), one(Connected)),
        ("an ended outgoing connection", |port| ended_outgoing(V4, port), one(Lingering)),
        ("the same over ::1", |port| ended_outgoing(V6, port), one(Lingering)),
        ("a hold", |port| Box::new(check(Port::new(port).unwrap())), Occupied(vec![Bound, Bound])),
        ("bound, on 127.0.0.1", |port| bound_only(V4, port, Reuse::None), one(Bound)),
        ("bound, on ::1", |port| bound_only(V6, port, Reuse::None), one(Bound)),
        ("bound to share, on 127.0.0.1", |port| bound_only(V4, port, Reuse::Both), one(Bound)),
    ]
}

fn ended_accepted(address: IpAddr, port: u16) -> Box<dyn Any> {
    let (accepted, client) = accepted(address, port);
    close_in_order(accepted, client);
    Box::new(())
}

fn ended_outgoing(address: IpAddr, port: u16) -> Box<dyn Any> {
    let (server, client, accepted) = outgoing(address, port);
    close_in_order(client, accepted);
    Box::new(server)
}

fn bound_only(address: IpAddr, port: u16, reuse: Reuse) -> Box<dyn Any> {
    Box::new(bound(SocketAddr::new(address, port), reuse).unwrap())
}

/// By a look and by a check, in this order.
fn verdicts(port: u16) -> [Verdict; 2] {
    let port = Port::new(port).unwrap();
    [look(port).into(), check(port).into()]
}

#[test]
fn every_state_of_a_port_is_told_the_same_to_everybody() {
    if !own_network("every_state_of_a_port_is_told_the_same_to_everybody") {
        return;
    }
    let mut wrong = Vec::new();
    for ((name, build, expected), port) in states().into_iter().zip(8000..) {
        let _state = build(port);
        let expected = [expected.clone(), expected];
        for (who, found) in
            [("root", verdicts(port)), ("another user", as_another_user(|| verdicts(port)))]
        {
            if found != expected {
                wrong.push(format!("{name}, to {who}: {found:?} instead of {expected:?}"));
            }
        }
        let can_start = |address: &IpAddr| TcpListener::bind((*address, port)).is_ok();
        if expected[0] == Verdict::Available && !ADDRESSES.iter().all(can_start) {
            wrong.push(format!("{name}: no server can start there"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_low_port_is_blocked_for_who_may_not_have_it() {
    if !own_network("a_low_port_is_blocked_for_who_may_not_have_it") {
        return;
    }
    for build in [(|_| Box::new(())) as Build, |port| ended_accepted(V4, port)] {
        let _state = build(80);
        assert_eq!(verdicts(80), [Verdict::Available, Verdict::Available]);
        let blocked = Verdict::Blocked(1024);
        assert_eq!(as_another_user(|| verdicts(80)), [blocked.clone(), blocked]);
    }
    let _server = listening(V4, 80);
    let occupied = Verdict::Occupied(vec![Activity::Listening]);
    assert_eq!(as_another_user(|| verdicts(80)), [occupied.clone(), occupied]);
}

/// The rules of a firewall may lead connections elsewhere before any socket is asked, as those of containers do. A server
/// can start on such a port all the same, and only root may read the rules: that nobody has the port is all that is told.
#[test]
fn a_port_whose_connections_are_led_elsewhere_is_told_as_nobodys() {
    let test = "a_port_whose_connections_are_led_elsewhere_is_told_as_nobodys";
    if !is_installed("nft") {
        tell(&format!("{test}: left out, nft is absent here\n"));
        return;
    }
    if !own_network(test) {
        return;
    }
    let rules = "add table ip t; add chain ip t c { type nat hook output priority -100; }; \
                 add rule ip t c tcp dport 8000 redirect to :9000";
    let ended = Running::start(stage().command("nft").arg(rules)).wait();
    assert_eq!(ended.code, 0, "{}", ended.output);
    let _elsewhere = listening(V4, 9000);
    assert!(TcpStream::connect((V4, 8000)).is_ok(), "it is led to 9000");
    assert_eq!(verdicts(8000), [Verdict::Available, Verdict::Available]);
}
