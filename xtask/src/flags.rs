//! What can be typed. Does nothing.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::RangedU64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};
use portman::port::{Port, PortRange};
use serde::Deserialize;

/// What `ports reserve` calls the process that it starts. Nobody types it.
pub const HOLD: &str = "__hold";

/// One command brings the stack of this repository up, and takes it down again.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", version)]
pub struct Flags {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring the stack up and keep it until Ctrl-C
    Dev(Dev),
    /// Ports: a report on the stack's, and everything about single ones
    Ports(Ports),
    /// Write a dev.toml that says the stack as it is found here
    Init(Init),
    /// Change values in a config file for good, without touching another byte
    Patch(Patch),
    /// Put back what a killed run left patched
    Restore(Restore),
    /// Measure what this repository promises beside other programs
    Bench(Bench),
    /// The process that keeps ports for `ports reserve`
    #[command(name = HOLD, hide = true)]
    Hold,
}

/// Which stack.
#[derive(Debug, Default, Args)]
pub struct Where {
    /// Look for dev.toml in this folder and those above it
    #[arg(short = 'C', value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Use this file instead of a dev.toml
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to do when the port that a service would like is taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum OnConflict {
    /// Take another port
    #[default]
    #[serde(alias = "use_alternative")]
    #[value(alias = "use_alternative")]
    Alternative,
    /// Stop the process that has it if that is safe, else take another port
    #[serde(alias = "kill_process")]
    #[value(alias = "kill_process")]
    Kill,
    /// Leave the service, and those that depend on it, out
    Skip,
    /// Ask, on a terminal; else take another port
    Ask,
}

/// Flags of `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Which stack.
    #[command(flatten)]
    pub place: Where,
    /// What to do when a port is taken; `on-conflict` in dev.toml says the default
    #[arg(long, value_enum, value_name = "HOW")]
    pub on_conflict: Option<OnConflict>,
    /// Print the plan and the diffs; start and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON event a line
    #[arg(long, conflicts_with = "dry_run")]
    pub json: bool,
}

/// Flags of `ports`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Ports {
    /// What to do; none for the report.
    #[command(subcommand)]
    pub action: Option<PortsAction>,
    /// Flags of the report and of `--fix`.
    #[command(flatten)]
    pub stack: PortsOfStack,
}

impl Ports {
    /// Is the answer for a program?
    pub fn is_json(&self) -> bool {
        match &self.action {
            None => self.stack.json,
            Some(PortsAction::Who(flags)) => flags.json,
            Some(PortsAction::Free(flags)) => flags.json,
            Some(PortsAction::Find(flags)) => flags.json,
            Some(PortsAction::Firewall(flags)) => flags.json,
            Some(PortsAction::Reserve(flags)) => flags.format == Format::Json,
            Some(PortsAction::Release(_)) => false,
        }
    }
}

/// Flags of `ports` without a further word.
#[derive(Debug, Args)]
pub struct PortsOfStack {
    /// Which stack.
    #[command(flatten)]
    pub place: Where,
    /// Print one JSON object
    #[arg(long, conflicts_with = "fix")]
    pub json: bool,
    /// Settling for good.
    #[command(flatten)]
    pub fix: Fix,
    /// Put back what the last --fix wrote
    #[arg(long, conflicts_with_all = ["fix", "json", "on_conflict", "dry_run", "yes"])]
    pub undo: bool,
}

/// `ports --fix`, and what goes with it.
#[derive(Debug, Args)]
pub struct Fix {
    /// Settle every conflict, and write the outcome into the config files and dev.toml for good
    #[arg(long = "fix", id = "fix")]
    pub is_wanted: bool,
    /// With --fix: what to do when a port is taken
    #[arg(long, value_enum, value_name = "HOW", requires = "fix")]
    pub on_conflict: Option<OnConflict>,
    /// With --fix: print the diffs; stop and write nothing
    #[arg(long, requires = "fix")]
    pub dry_run: bool,
    /// With --fix: answer every question with yes
    #[arg(long, requires = "fix")]
    pub yes: bool,
}

/// What `ports` does with single ports.
#[derive(Debug, Subcommand)]
pub enum PortsAction {
    /// Show who has a port, or why it is not free although nobody listens
    Who(Who),
    /// Stop what is on a port, if that is safe
    Free(Free),
    /// Find ports that are free now
    Find(Find),
    /// Reserve ports: for a command, or until they are released
    Reserve(Reserve),
    /// Release what `reserve` keeps
    Release(Release),
    /// Show firewall exceptions, and the command that adds one
    Firewall(Firewall),
}

/// Flags of `ports who`.
#[derive(Debug, Args)]
pub struct Who {
    /// The ports
    #[arg(required = true, value_name = "PORT")]
    pub ports: Vec<Port>,
    /// Search every process of the machine, not only those that are likely
    #[arg(long)]
    pub all: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `ports free`.
#[derive(Debug, Args)]
pub struct Free {
    /// The ports
    #[arg(required = true, value_name = "PORT")]
    pub ports: Vec<Port>,
    /// Stop databases too
    #[arg(long)]
    pub force: bool,
    /// Kill at once, without a time to clean up
    #[arg(long)]
    pub now: bool,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `ports find`.
#[derive(Debug, Args)]
pub struct Find {
    /// Start here
    #[arg(long, value_name = "PORT", conflicts_with = "range")]
    pub from: Option<Port>,
    /// How many ports
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = at_least_one())]
    pub count: usize,
    /// Look at so many at most
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    pub attempts: Option<usize>,
    /// Only ports of this range, such as 8000-8099
    #[arg(long, value_name = "A-B")]
    pub range: Option<PortRange>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

fn at_least_one() -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(1..)
}

/// Flags of `ports reserve`.
#[derive(Debug, Args)]
pub struct Reserve {
    /// A name, and the port it would like: web or web:8000
    #[arg(required = true, value_name = "NAME[:PORT]")]
    pub names: Vec<String>,
    /// Print the ports like this
    #[arg(long, value_enum, default_value = "env", conflicts_with = "command")]
    pub format: Format,
    /// Keep them for this long
    #[arg(long, value_name = "DURATION", conflicts_with = "command", value_parser = ttl)]
    pub ttl: Option<humantime::Duration>,
    /// Keep them as long as this process lives
    #[arg(long, value_name = "PID", conflicts_with = "command")]
    pub owner: Option<u32>,
    /// Run this with `NAME_PORT` set, keep the ports until it ends, and end with its exit code
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

fn ttl(text: &str) -> Result<humantime::Duration, String> {
    let ttl: humantime::Duration =
        text.parse().map_err(|error: humantime::DurationError| error.to_string())?;
    if ttl.is_zero() { Err("nobody would hold the ports".to_owned()) } else { Ok(ttl) }
}

/// How `ports reserve` prints the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// `WEB_PORT=20000`, a line each
    Env,
    /// One JSON object
    Json,
    /// For the further steps of a GitHub job: written to the file `$GITHUB_ENV`
    Github,
}

/// Flags of `ports release`.
#[derive(Debug, Args)]
pub struct Release {
    /// The names
    #[arg(value_name = "NAME", required_unless_present = "all")]
    pub names: Vec<String>,
    /// Everything that this user has reserved
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
}

/// Flags of `ports firewall`.
#[derive(Debug, Args)]
pub struct Firewall {
    /// The ports; those of the stack when none is given
    #[arg(value_name = "PORT")]
    pub ports: Vec<Port>,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `init`.
#[derive(Debug, Args)]
pub struct Init {
    /// Look in this folder, or the repository that it is in
    #[arg(short = 'C', value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Flags of `patch`.
#[derive(Debug, Args)]
pub struct Patch {
    /// The file: .env, .json, .jsonc, .json5, .toml, .yaml, .yml, package.json or vite.config.*
    pub file: PathBuf,
    /// What to set: server.port=8001
    #[arg(required = true, value_name = "KEY=VALUE")]
    pub assignments: Vec<String>,
    /// Print the diff and write nothing
    #[arg(long)]
    pub dry_run: bool,
}

/// Flags of `restore`.
#[derive(Debug, Args)]
pub struct Restore {
    /// Which stack.
    #[command(flatten)]
    pub place: Where,
    /// Where you edited the very value that was patched: keep your edit and forget the original
    #[arg(long)]
    pub keep_edits: bool,
}

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to measure
    #[arg(value_enum)]
    pub what: Measured,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Measured {
    /// Who has a port, are many free, what a reserved one costs
    Ports,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Flags;

    #[test]
    fn the_flags_contradict_each_other_nowhere() {
        Flags::command().debug_assert();
    }
}
