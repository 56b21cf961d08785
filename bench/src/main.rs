//! `cargo xtask bench`: measures what is promised here beside other programs, in one run on one machine, and fails when a
//! promise is missed. Only ratios are promised: times differ between machines.

mod crowd;
mod measure;
mod ports;

use std::env;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};

/// Set in a process that was started in a network of its own.
const INSIDE: &str = "BENCH_OWN_NETWORK";

fn main() -> anyhow::Result<ExitCode> {
    let words: Vec<String> = env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["ports"] if env::var_os(INSIDE).is_none() => in_own_network("ports"),
        ["ports"] => Ok(if ports::run()? { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        [crowd::MEMBER, port] => crowd::be_member(port.parse()?).map(|()| ExitCode::SUCCESS),
        _ => bail!("say what to measure: ports"),
    }
}

/// Starts this program again in a network with free ports, in which nobody is disturbed. An ordinary user has one as root
/// of a user namespace.
fn in_own_network(what: &str) -> anyhow::Result<ExitCode> {
    let ways: [&[&str]; 2] = [&["--net"], &["--user", "--map-root-user", "--net"]];
    let works = |way: &&[&str]| {
        let tried = Command::new("unshare").args(*way).arg("true").output();
        tried.is_ok_and(|tried| tried.status.success())
    };
    let way = ways.into_iter().find(works);
    let way = way.context("a network of its own needs `unshare`, and root or user namespaces")?;
    let mut again = Command::new("unshare");
    again.args(way).arg(env::current_exe()?).arg(what).env(INSIDE, "1");
    Ok(if again.status()?.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
