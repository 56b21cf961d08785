//! A process that gets ports over and over again while others do the same:
//!
//! - `any MARKS ROUNDS`: with `portman::reserve`;
//! - `leased MARKS ROUNDS STATE CHECKOUTS FIRST`: as a stack does, with the lease book in STATE; every round in the next
//!   folder of CHECKOUTS, beginning with the one at place FIRST;
//! - `keep`: reserves one port, says it, and sleeps before it would bind it.
//!
//! While it has a port it listens there, and a file in the folder MARKS says that it is taken. What goes wrong is a line
//! that begins with `lost` or `twice`; the last line is `done`.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::env;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::thread;

use portman::allocate::{self, Pool, Request};
use portman::lease::{self, Book, Lease};
use portman::port::Port;

fn main() {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["any", marks, rounds] => {
            for _ in 0..number(rounds) {
                any(Path::new(marks));
            }
        }
        ["leased", marks, rounds, state, checkouts, first] => {
            let checkouts = portman::fs::entries(Path::new(checkouts)).expect("a folder of them");
            let all = checkouts.iter().cycle().skip(number(first));
            for checkout in all.take(number(rounds)) {
                leased(Path::new(marks), Path::new(state), checkout);
            }
        }
        ["keep"] => {
            let ports = portman::reserve(["job"]).expect("a free port");
            println!("reserved {}", ports["job"]);
            loop {
                thread::park();
            }
        }
        _ => panic!("unknown arguments {words:?}"),
    }
    println!("done");
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

fn any(marks: &Path) {
    match portman::reserve(["api", "web"]) {
        Ok(ports) => {
            let _servers: Vec<_> = ports.iter().map(|(_, port)| serve(marks, port)).collect();
        }
        Err(error) => println!("lost a reservation: {error}"),
    }
}

fn leased(marks: &Path, state: &Path, checkout: &Path) {
    let request =
        |service: &str, port| Request { service: service.to_owned(), preferred: Port::new(port) };
    let requests = [request("api", 8000), request("web", 0)];
    let outcome = Book::read(state).and_then(|book| {
        let memory = book.memory(checkout);
        let had = allocate::reserve(&requests, &Pool::default(), &memory)?;
        let _servers: Vec<_> = had.iter().map(|had| serve(marks, had.port())).collect();
        let lease = |port| Lease { port, until_spawn: None };
        let leases: Vec<_> =
            had.iter().map(|had| (had.service.clone(), lease(had.port()))).collect();
        lease::record(state, checkout, &leases)
    });
    match outcome {
        Ok(None) => {}
        other => println!("lost an allocation: {other:?}"),
    }
}

/// A server on a port that is ours alone.
struct Serving {
    mark: PathBuf,
    _listeners: Vec<TcpListener>,
}

fn serve(marks: &Path, port: Port) -> Serving {
    let mark = marks.join(port.to_string());
    if let Err(error) = File::create_new(&mark) {
        println!("twice {port}: {error}");
    }
    let listen = |address: &str| {
        TcpListener::bind((address, port.get()))
            .map_err(|error| println!("lost {address}:{port}: {error}"))
    };
    let listeners = ["127.0.0.1", "::1"].into_iter().filter_map(|address| listen(address).ok());
    Serving { mark, _listeners: listeners.collect() }
}

impl Drop for Serving {
    fn drop(&mut self) {
        fs::remove_file(&self.mark).expect("nobody else removes it");
    }
}
