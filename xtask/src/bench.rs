//! `cargo xtask bench`: builds what is measured, and starts the crate that measures it. The other tools' crates are
//! dependencies of that one, so whoever never asks never builds them.

use std::env;
use std::ffi::OsString;

use crate::environment::inherited;
use crate::failure::{Failure, Kind};
use crate::flags::{Bench, Measured};
use crate::supervise::run_attached;

/// Measures, and ends with 1 when a promise is missed.
///
/// # Errors
/// When cargo cannot be started, or cannot build.
pub fn bench(flags: &Bench) -> anyhow::Result<u8> {
    let what = match flags.what {
        Measured::Ports => "ports",
    };
    let build = ["build", "--release", "--package", "xtask", "--package", "bench"];
    let code = cargo(&build)?;
    if code != 0 {
        return Err(Failure::new(
            Kind::Service,
            "what is to be measured could not be built",
            "run this in a clone of the repository that has the folder `bench`",
        )
        .into());
    }
    cargo(&["run", "--release", "--quiet", "--package", "bench", "--", what])
}

fn cargo(words: &[&str]) -> anyhow::Result<u8> {
    let line: Vec<OsString> =
        ["cargo"].iter().chain(words).map(|&word| OsString::from(word)).collect();
    let variables = inherited(env::vars_os(), env::current_exe().ok().as_deref());
    let started = run_attached(&line, variables);
    Ok(started.map_err(|error| {
        Failure::new(
            Kind::Service,
            format!("`cargo` could not be started: {error}"),
            "install Rust, which brings cargo, and open a new terminal",
        )
    })?)
}
