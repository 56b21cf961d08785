//! The process that keeps ports when the command that reserved them is over: how it is started, and what it does.
//!
//! The two talk by the holder's standard input and output: a request, the answer once the ports are held, and a last
//! line that says that the answer was told. If that does not come, nobody knows of the ports, and the holder ends.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use portman::allocate::Request;
use portman::port::Port;
use portman::process::Process;
use portman::stop;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::reservation::Kept;
use super::reserve::take;
use crate::flags::HOLD;
use crate::marks::{SERVICE_VARIABLE, VARIABLE};
use crate::sys;
use crate::ui::Ui;

const KILLED: &str = "the process that was to keep the ports was killed";

/// What a holder is to keep.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Wanted {
    /// The names, and the port that each would like.
    pub(super) ports: Vec<(String, Option<Port>)>,
    /// The folder that they are reserved in.
    pub(super) folder: PathBuf,
    /// The folder of our state; absolute.
    pub(super) state: PathBuf,
    /// When this process ends, they are given up.
    pub(super) owner: Option<Process>,
    /// After this time they are given up.
    pub(super) ttl: Option<Duration>,
}

/// What a holder keeps.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held {
    /// The names and their ports.
    pub(super) ports: Vec<(String, Port)>,
    /// When they are given up, in seconds since 1970; none when only the owner's end counts.
    pub(super) until: Option<u64>,
}

/// A holder that was just started. Dropping it before [`Holder::keep`] ends it.
pub(super) struct Holder {
    process: Child,
    input: ChildStdin,
}

impl Holder {
    /// Starts it, without holding up its terminal, folder or session.
    pub(super) fn start(wanted: &Wanted) -> anyhow::Result<Self> {
        let program = env::current_exe().context("failed to find this program's own file")?;
        let mut process = Command::new(program)
            .arg(HOLD)
            .current_dir("/")
            // A stack that ends stops all that carries its mark.
            .env_remove(VARIABLE)
            .env_remove(SERVICE_VARIABLE)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("failed to start the process that keeps the ports")?;
        let mut input = process.stdin.take().context("it was started with an input")?;
        writeln!(input, "{}", serde_json::to_string(wanted)?).context(KILLED)?;
        Ok(Self { process, input })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Waits until the ports are held. None: it has failed, and told why on our standard error.
    pub(super) fn held(&mut self) -> anyhow::Result<Option<Held>> {
        let output = self.process.stdout.take().context("it is asked once")?;
        line(&mut BufReader::new(output))
    }

    /// The exit code of one that has failed.
    pub(super) fn exit_code(mut self) -> anyhow::Result<u8> {
        let code = self.process.wait()?.code().and_then(|code| u8::try_from(code).ok());
        code.filter(|code| *code != 0).context(KILLED)
    }

    /// The ports were told: from now on it goes its own way.
    pub(super) fn keep(mut self) -> anyhow::Result<()> {
        writeln!(self.input, "\"kept\"").context(KILLED)
    }
}

/// The holder: keeps ports until their owner ends, their time is over or it is told to end.
///
/// # Errors
/// When the ports cannot be had.
pub fn hold(ui: &mut Ui) -> anyhow::Result<()> {
    // A lock of a script, or an end of a pipe that somebody reads to its end. Where it cannot be asked for it stays.
    sys::close_inherited().ok();
    sys::own_session()?;
    let mut input = BufReader::new(std::io::stdin());
    let Some(wanted) = line::<Wanted>(&mut input)? else { return Ok(()) };
    let request = |(service, preferred): &(String, Option<Port>)| Request {
        service: service.clone(),
        preferred: *preferred,
    };
    let requests: Vec<Request> = wanted.ports.iter().map(request).collect();
    let allocations = take(&requests, ui)?;
    let ports: Vec<(String, Port)> =
        allocations.iter().map(|one| (one.service.clone(), one.port())).collect();
    // Removed before the ports are given up.
    let _kept = Kept::begin(&wanted.state, &wanted.folder, ports.clone())?;
    ui.answer(&Held { ports, until: wanted.ttl.and_then(from_now) }, "");
    if line::<String>(&mut input)?.is_none() {
        return Ok(());
    }
    sys::drop_outputs()?;
    // Whoever has no owner waits for its own end, which comes by a signal.
    stop::wait(wanted.owner.map_or_else(Process::current, Ok)?, wanted.ttl)?;
    Ok(())
}

/// The next line of the other side; none when it has ended.
fn line<T: DeserializeOwned>(from: &mut impl BufRead) -> anyhow::Result<Option<T>> {
    let mut line = String::new();
    // Half a line is what a killed one leaves.
    let is_whole = from.read_line(&mut line)? > 0 && line.ends_with('\n');
    Ok(is_whole.then(|| serde_json::from_str(&line)).transpose()?)
}

fn from_now(ttl: Duration) -> Option<u64> {
    let end = SystemTime::now().checked_add(ttl)?;
    Some(end.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn what_is_cut_off_was_never_said() {
        let mut text = "\"kept\"\n\"ke".as_bytes();
        assert_eq!(line::<String>(&mut text).unwrap().as_deref(), Some("kept"));
        assert_eq!(line::<String>(&mut text).unwrap(), None);
        assert_eq!(line::<String>(&mut text).unwrap(), None);
        assert!(line::<String>(&mut "kept\n".as_bytes()).is_err());
    }
}
