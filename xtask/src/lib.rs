//! `cargo xtask`: flags become a command, a command ends in an exit code.

pub mod flags;

pub mod bench;
pub mod dev;

pub mod config;
pub mod detect;
pub mod environment;
pub mod failure;
pub mod holds;
pub mod init;
pub mod marks;
pub mod memory;
pub mod notice;
pub mod patch;
pub mod plan;
pub mod ports;
pub mod recover;
pub mod session;
pub mod settle;
pub mod stack;
pub mod supervise;
pub mod sys;
pub mod template;
pub mod ui;

use std::process::ExitCode;

use clap::Parser;

use failure::{Failure, Kind};
use flags::{Command, Flags};
use notice::Notice;
use supervise::Outcome;
use sys::Request;
use ui::{Mode, Ui};

/// The program.
pub fn main() -> ExitCode {
    let flags = match Flags::try_parse() {
        Ok(flags) => flags,
        Err(error) => return usage(&error),
    };
    let mut ui = Ui::new(mode(&flags.command));
    let code = run(flags.command, &mut ui).unwrap_or_else(|error| {
        let failure = Failure::from_error(error);
        ui.failed(&failure);
        failure.kind as u8
    });
    ui.tell(&Notice::Finished { code });
    ExitCode::from(code)
}

fn run(command: Command, ui: &mut Ui) -> anyhow::Result<u8> {
    match command {
        Command::Dev(flags) if flags.dry_run => dev::dry_run(&flags, ui).map(|()| 0),
        Command::Dev(flags) => dev::dev(&flags, ui).map(code_of),
        Command::Ports(flags) => ports::ports(&flags, ui),
        Command::Init(flags) => init::init(&flags, ui).map(|()| 0),
        Command::Patch(flags) => patch::patch(&flags, ui).map(|()| 0),
        Command::Restore(flags) => recover::restore(&flags, ui).map(|()| 0),
        Command::Bench(flags) => bench::bench(&flags),
        Command::Hold => ports::hold(ui).map(|()| 0),
    }
}

/// The exit code of a run.
fn code_of(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Ended | Outcome::Requested(Request::Interrupt) => 0,
        Outcome::Failed => Kind::Service as u8,
        Outcome::Requested(Request::Hangup) => 129,
        Outcome::Requested(Request::Terminate) => 143,
        Outcome::Forced => 130,
    }
}

fn mode(command: &Command) -> Mode {
    match command {
        Command::Dev(flags) if flags.json => Mode::Events,
        Command::Dev(_) => Mode::Run,
        Command::Ports(flags) if flags.is_json() => Mode::Json,
        Command::Hold => Mode::Json,
        Command::Ports(_)
        | Command::Init(_)
        | Command::Patch(_)
        | Command::Restore(_)
        | Command::Bench(_) => Mode::Answer,
    }
}

/// Help and version are no errors; wrong flags are, with clap's own words.
fn usage(error: &clap::Error) -> ExitCode {
    error.print().ok();
    if error.use_stderr() { ExitCode::from(Kind::Usage as u8) } else { ExitCode::SUCCESS }
}
