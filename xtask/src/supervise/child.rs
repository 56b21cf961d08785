//! Starts one command with duct and tells what becomes of it. The only file that knows duct.

use std::ffi::OsString;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::state::Exit;
use crate::config::Signal;
use crate::sys;

/// A line longer than this is told in pieces.
const LONGEST_LINE: usize = 1 << 20;
/// How long an ended program's last output is waited for. A process that it left behind may keep the pipe open for ever.
const LAST_OUTPUT: Duration = Duration::from_millis(100);

/// So many pieces of a service's output may wait to be printed; what comes faster waits in the service. Few, since
/// Ctrl-C waits behind them.
pub(super) const PIECES: usize = 4;

/// What to start.
pub(super) struct Command {
    /// The program and its arguments.
    pub(super) words: Vec<String>,
    /// Where it runs.
    pub(super) dir: PathBuf,
    /// Its whole environment.
    pub(super) env: Vec<(OsString, OsString)>,
}

impl Command {
    /// The program to start: a path is one from the folder where it runs, as it would be in a shell there.
    fn program(&self) -> io::Result<OsString> {
        let word = self.words.first().ok_or(io::ErrorKind::InvalidInput)?;
        // A name without a folder is looked for on the PATH. (As a `Path` duct would take it for a file here.)
        let is_path = Path::new(word).parent().is_some_and(|folder| folder != "");
        Ok(if is_path { self.dir.join(word).into() } else { word.into() })
    }
}

/// What is heard of a command.
pub(super) enum Heard {
    /// Whole lines.
    Output(Lines),
    /// The program has ended. Others of its group may still run.
    Exited(Exit),
}

/// Whole lines, with their ends; the very last line of a program may lack one.
pub(super) struct Lines {
    /// The bytes.
    pub(super) text: Vec<u8>,
    /// Dropped once they are printed, which makes room for the next.
    _place: Place,
}

/// A started command with its process group. Dropping it kills the group, unless the program has ended: what is left of
/// the group then was killed when that was heard.
pub(super) struct Child {
    group: u32,
    has_ended: bool,
    /// Its standard input: open and silent, since some tools end when theirs is closed.
    _stdin: PipeWriter,
}

impl Child {
    /// Starts `command` in a group of its own. `tell` hears of it on other threads, and says whether anybody listens.
    pub(super) fn start(
        command: Command,
        tell: impl Fn(Heard) -> bool + Send + Clone + 'static,
    ) -> io::Result<Self> {
        let (stdin, stdin_end) = io::pipe()?;
        let (output, output_end) = io::pipe()?;
        let expression = duct::cmd(command.program()?, &command.words[1..])
            .stderr_to_stdout()
            .stdout_file(output_end)
            .stdin_file(stdin)
            .dir(command.dir)
            .full_env(command.env)
            .unchecked()
            .before_spawn(|command| {
                sys::own_group(command);
                Ok(())
            });
        let handle = expression.start()?;
        // It holds our copy of the output's end, and while that is open the output never ends.
        drop(expression);
        let group = handle.pids().first().copied().ok_or(io::ErrorKind::NotFound)?;

        let (read_all, all_read) = channel();
        let told = tell.clone();
        spawn("output", move || {
            let places = Places::new(PIECES);
            forward(output, |text| {
                let lines = Lines { text, _place: places.take() };
                told(Heard::Output(lines))
            });
            drop(read_all);
        })?;
        spawn("wait", move || {
            // That nobody listens any more means that the run is over.
            let _is_heard: bool = tell(Heard::Exited(wait(&handle, &all_read)));
        })?;
        Ok(Self { group, has_ended: false, _stdin: stdin_end })
    }

    /// The pid of the program, which leads the group.
    pub(super) fn group(&self) -> u32 {
        self.group
    }

    /// The program has ended, and its pid may be somebody else's from now on.
    pub(super) fn has_ended(&mut self) {
        self.has_ended = true;
    }

    pub(super) fn signal(&self, signal: Signal) -> io::Result<()> {
        sys::signal_group(self.group, signal)
    }

    pub(super) fn kill(&self) -> io::Result<()> {
        sys::kill_group(self.group)
    }

    pub(super) fn group_is_empty(&self) -> io::Result<bool> {
        sys::group_is_empty(self.group)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if !self.has_ended {
            // After a panic or an error nobody is left to tell.
            self.kill().ok();
        }
    }
}

/// Runs a command to its end, with our own input, outputs and folder, and with `env` added to our environment. Its exit
/// code; of one that a signal ended 128 and the signal, as a shell says it.
///
/// # Errors
/// When it cannot be started.
pub fn run_attached(words: &[OsString], env: &[(OsString, OsString)]) -> io::Result<u8> {
    let (program, arguments) = words.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let command = duct::cmd(program, arguments).unchecked();
    let command = env.iter().fold(command, |command, (name, value)| command.env(name, value));
    let status = command.run()?.status;
    let code = sys::exit_signal(status).map(|signal| 128 + signal).or(status.code());
    // A code that is no byte cannot be passed on; that it is no success can.
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX))
}

/// A number of places; who wants one waits until one is free.
#[derive(Clone)]
struct Places(Arc<(Mutex<usize>, Condvar)>);

/// One place, until it is dropped.
struct Place(Places);

impl Places {
    fn new(count: usize) -> Self {
        Self(Arc::new((Mutex::new(count), Condvar::new())))
    }

    fn take(&self) -> Place {
        let (count, freed) = &*self.0;
        let free = count.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free =
            freed.wait_while(free, |free| *free == 0).unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Place(self.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (count, freed) = &*self.0.0;
        *count.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        freed.notify_one();
    }
}

/// Why a program could not be started, and what to do about it.
pub(super) fn not_started(program: &str, dir: &Path, error: &io::Error) -> (String, String) {
    if !dir.is_dir() {
        let dir = dir.display();
        return (format!("its folder `{dir}` is not there any more"), "make it again".to_owned());
    }
    if error.kind() != io::ErrorKind::NotFound {
        return (
            format!("`{program}` could not be started: {error}"),
            "correct `command` in dev.toml".to_owned(),
        );
    }
    let hint = match program {
        _ if program == "cd" || program.contains('=') => {
            "no shell is started: use `dir` and `env` in dev.toml, or `sh -c \"…\"`".to_owned()
        }
        "node" | "npm" | "npx" => {
            "install Node.js 20.19 or later, which brings npm, and open a new terminal".to_owned()
        }
        "cargo" | "rustc" => "install Rust, which brings cargo, and open a new terminal".to_owned(),
        _ => format!("install `{program}`, or correct `command` in dev.toml"),
    };
    (format!("`{program}` was not found"), hint)
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().name(name.into()).spawn(body).map(drop)
}

fn wait(handle: &duct::Handle, all_read: &Receiver<()>) -> Exit {
    let exit = match handle.wait() {
        Ok(output) => match sys::exit_signal(output.status) {
            Some(signal) => Exit::Signal(signal),
            None => Exit::Code(output.status.code().unwrap_or(-1)),
        },
        // The process is ours and was never waited for, so this does not happen; if it does, it is no success.
        Err(_) => Exit::Code(-1),
    };
    // Both outcomes are fine: the sender is gone because all was read, or time is up.
    all_read.recv_timeout(LAST_OUTPUT).ok();
    exit
}

/// Reads until the output ends, and hands on whole lines.
fn forward(mut output: PipeReader, mut send: impl FnMut(Vec<u8>) -> bool) {
    let mut buffer = vec![0; 64 * 1024];
    let mut pending: Vec<u8> = Vec::new();
    loop {
        let read = match output.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        let whole = lines_end(&pending, &buffer[..read]);
        pending.extend_from_slice(&buffer[..read]);
        if whole > 0 {
            let rest = pending.split_off(whole);
            if !send(std::mem::replace(&mut pending, rest)) {
                return;
            }
        }
    }
    if !pending.is_empty() {
        send(pending);
    }
}

/// How much of `pending` and `new` together is whole lines, or too long to wait for the end of its line.
fn lines_end(pending: &[u8], new: &[u8]) -> usize {
    match new.iter().rposition(|&byte| byte == b'\n') {
        Some(newline) => pending.len() + newline + 1,
        None if pending.len() + new.len() >= LONGEST_LINE => pending.len() + new.len(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, lines_end};

    #[test]
    fn only_whole_lines_are_handed_on() {
        assert_eq!(lines_end(b"", b"abc"), 0);
        assert_eq!(lines_end(b"ab", b"c\nd"), 4);
        assert_eq!(lines_end(b"", b"a\nb\nc"), 4);
        assert_eq!(lines_end(&vec![b'x'; LONGEST_LINE - 1], b"yz"), LONGEST_LINE + 1);
    }
}
