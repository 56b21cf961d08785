//! A service that does what its arguments say, in their order:
//!
//! - `--print TEXT`: a line on standard output;
//! - `--env NAME`: the line `NAME=value`;
//! - `--ignore-term`: SIGTERM does nothing from here on;
//! - `--listen ADDRESS`: listens there and answers every http request with 200;
//! - `--listen-env HOST NAME`: the same on the port that variable says;
//! - `--child ARGUMENTS… --`: starts a fake service of its own and leaves it alone;
//! - `--wait-for FILE`: goes on once the file is there;
//! - `--exit CODE`: ends with this code.
//!
//! At the end it waits for a signal.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::env;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

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
            "--listen" => listen(&next()),
            "--listen-env" => {
                let (host, name) = (next(), next());
                listen(&format!("{host}:{}", env::var(name).expect("the variable says a port")));
            }
            "--child" => {
                let arguments: Vec<String> =
                    words.by_ref().take_while(|word| word != "--").collect();
                let program = env::current_exe().expect("we are a file");
                drop(
                    Command::new(program).args(arguments).spawn().expect("we can be started again"),
                );
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

fn listen(address: &str) {
    let listener = match TcpListener::bind(address) {
        Ok(listener) => listener,
        Err(error) => {
            println!("cannot listen on {address}: {error}");
            std::process::abort();
        }
    };
    println!("listening on {address}");
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
}
