//! A service that does what its arguments say, in their order:
//!
//! - `--print TEXT`: a line on standard output;
//! - `--env NAME`: the line `NAME=value`;
//! - `--ignore-term`: SIGTERM does nothing from here on;
//! - `--listen ADDRESS`: listens there and answers every http request with 200;
//! - `--listen-env HOST NAME`: the same on the port that variable says;
//! - `--listen-strictly HOST NAME`: the same without `SO_REUSEADDR`, as few servers do;
//! - `--listen-shared ADDRESS`: the same as `--listen`, and what it starts from here on has the listener open too;
//! - `--bind ADDRESS`: is bound there and does not listen;
//! - `--connect FROM TO`: connects from one address to another;
//! - `--become USER`: is this user, by number, from here on;
//! - `--run PROGRAM ARGUMENTS… --`: runs it, then prints `it ended with CODE`;
//! - `--free PORT`: asks portman itself to free the port by force, and prints why it was refused;
//! - `--orphan PROGRAM ARGUMENTS… --`: starts it so that it is nobody's child, and does not wait;
//! - `--child ARGUMENTS… --`: starts a fake service of its own and leaves it alone;
//! - `--wait-for FILE`: goes on once the file is there;
//! - `--exit CODE`: ends with this code.
//!
//! At the end it waits for a signal.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

use portman::safety::{Asker, Asking};
use portman::stop::{self, Freed, State};

use rustix::net;
use tests::sockets::{Reuse, bound, connected, share};

fn main() -> ExitCode {
    let mut words = env::args().skip(1);
    while let Some(word) = words.next() {
        let mut next = || words.next().unwrap_or_else(|| panic!("{word} needs an argument"));
        match word.as_str() {
            "--print" => println!("{}", next()),
            "--env" => {
                let name = next();
                println!("{name}={}", env::var(&name).unwrap_or_default());
            }
            "--ignore-term" => tests::ignore_term(),
            "--listen" => keep(listen(&next(), share_port)),
            "--listen-env" => keep(listen(&address(&next(), &next()), share_port)),
            "--listen-strictly" => keep(listen(&address(&next(), &next()), bind_strictly)),
            "--listen-shared" => {
                let listener = listen(&next(), share_port);
                share(&listener).expect("a flag of ours");
                keep(listener);
            }
            "--bind" => {
                let address = next();
                keep(bound(socket_address(&address), Reuse::None).expect("it is free").into());
                println!("bound to {address}");
            }
            "--connect" => {
                let (from, to) = (next(), next());
                let connection = connected(socket_address(&from), socket_address(&to));
                keep(connection.expect("somebody listens there").into());
                println!("connected from {from}");
            }
            "--become" => {
                let user = next();
                tests::become_user(user.parse().expect("a user is a number"));
                println!("user {user} from here on");
            }
            "--run" => {
                let status = program(&mut words).status().expect("it can be started");
                println!("it ended with {}", status.code().expect("an exit code"));
            }
            "--free" => free(&next()),
            "--orphan" => {
                let orphan = program(&mut words);
                let mut shell = Command::new("sh");
                shell.args(["-c", "\"$@\" &", "sh"]).arg(orphan.get_program());
                shell.args(orphan.get_args()).stdin(Stdio::null()).stdout(Stdio::null());
                assert!(shell.stderr(Stdio::null()).status().expect("a shell").success());
                println!("an orphan is there");
            }
            "--child" => {
                let mut child = Command::new(env::current_exe().expect("we are a file"));
                let child = child.args(until_end(&mut words)).spawn();
                drop(child.expect("we can be started again"));
            }
            "--wait-for" => tests::wait_for_file(Path::new(&next())),
            "--exit" => {
                return ExitCode::from(next().parse::<u8>().expect("an exit code is 0 to 255"));
            }
            other => panic!("unknown argument {other}"),
        }
    }
    loop {
        thread::park();
    }
}

/// The words up to the next `--`.
fn until_end(words: &mut impl Iterator<Item = String>) -> Vec<String> {
    words.take_while(|word| word != "--").collect()
}

fn program(words: &mut impl Iterator<Item = String>) -> Command {
    let words = until_end(words);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]);
    command
}

fn free(port: &str) {
    let asker = Asker::new(Vec::new()).expect("we are known");
    let asking = Asking::ByNumber { force: true };
    let freed = stop::free(port.parse().expect("a port"), &asker, asking, Duration::ZERO);
    let Ok(Freed { state: State::Refused(left), .. }) = &freed else { panic!("{freed:?}") };
    for holder in left {
        println!("{}", holder.why());
    }
}

/// Open until we end.
fn keep(socket: OwnedFd) {
    std::mem::forget(socket);
}

fn address(host: &str, variable: &str) -> String {
    format!("{host}:{}", env::var(variable).expect("the variable says a port"))
}

/// As nearly every server does: over a hold, and over ended connections.
fn share_port(address: &str) -> io::Result<TcpListener> {
    TcpListener::bind(address)
}

fn bind_strictly(address: &str) -> io::Result<TcpListener> {
    let socket = bound(socket_address(address), Reuse::None)?;
    net::listen(&socket, 128)?;
    Ok(socket)
}

fn socket_address(text: &str) -> SocketAddr {
    text.parse().expect("an address with a port")
}

fn listen(address: &str, bind: impl Fn(&str) -> io::Result<TcpListener>) -> OwnedFd {
    let listener = match bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            println!("cannot listen on {address}: {error}");
            std::process::abort();
        }
    };
    println!("listening on {address}");
    let same = listener.try_clone().expect("a further descriptor");
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 1024];
            let answered = stream.read(&mut request).and_then(|_| {
                stream.write_all(
                    b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
                )
            });
            drop(answered);
        }
    });
    same.into()
}
