//! A service that does what its arguments say, in their order:
//!
//! - `--print TEXT`: a line on standard output;
//! - `--env NAME`: the line `NAME=value`;
//! - `--ignore-term`: SIGTERM does nothing from here on;
//! - `--listen ADDRESS`: listens there and answers every http request with 200;
//! - `--listen-env HOST NAME`: the same on the port that variable says;
//! - `--listen-strictly HOST NAME`: the same without `SO_REUSEADDR`, as few servers do;
//! - `--child ARGUMENTS… --`: starts a fake service of its own and leaves it alone;
//! - `--wait-for FILE`: goes on once the file is there;
//! - `--exit CODE`: ends with this code.
//!
//! At the end it waits for a signal.

#![expect(clippy::print_stdout, reason = "what it prints is what it is for")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;

use rustix::net::{self, AddressFamily, SocketType, bind, socket};

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
            "--listen" => listen(&next(), |address| TcpListener::bind(address)),
            "--listen-env" => {
                listen(&address(&next(), &next()), |address| TcpListener::bind(address));
            }
            "--listen-strictly" => listen(&address(&next(), &next()), bind_strictly),
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

fn address(host: &str, variable: &str) -> String {
    format!("{host}:{}", env::var(variable).expect("the variable says a port"))
}

fn bind_strictly(address: &str) -> io::Result<TcpListener> {
    let address: SocketAddr = address.parse().expect("an address with a port");
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket(family, SocketType::STREAM, None)?;
    bind(&socket, &address)?;
    net::listen(&socket, 128)?;
    Ok(socket.into())
}

fn listen(address: &str, bind: impl Fn(&str) -> io::Result<TcpListener>) {
    let listener = match bind(address) {
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
