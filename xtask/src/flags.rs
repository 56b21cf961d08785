//! What can be typed. Does nothing.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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
    /// Show each service's port: which, its status, who has it
    Ports(Ports),
    /// Change values in a config file for good, without touching another byte
    Patch(Patch),
    /// Put back what a killed run left patched
    Restore(Restore),
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

/// Flags of `dev`.
#[derive(Debug, Args)]
pub struct Dev {
    /// Which stack.
    #[command(flatten)]
    pub place: Where,
    /// Print the plan and the diffs; start and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Print one JSON event a line
    #[arg(long, conflicts_with = "dry_run")]
    pub json: bool,
}

/// Flags of `ports`.
#[derive(Debug, Args)]
pub struct Ports {
    /// Which stack.
    #[command(flatten)]
    pub place: Where,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
}

/// Flags of `patch`.
#[derive(Debug, Args)]
pub struct Patch {
    /// The file: .json, .jsonc, .json5, .toml, package.json or vite.config.*
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

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Flags;

    #[test]
    fn the_flags_contradict_each_other_nowhere() {
        Flags::command().debug_assert();
    }
}
