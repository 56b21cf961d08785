//! A process that a test started: its lines, its end, and signals to it.

#![expect(unsafe_code, reason = "ignoring a signal and being another user have no safe wrapper")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Instant;

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

use crate::PATIENCE;

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code, or 128 and the signal.
    pub code: i32,
    /// All it wrote, standard output and standard error.
    pub output: String,
}

impl Running {
    /// Starts `command` and listens to both of its outputs.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        Self::start_listening(command.stdin(Stdio::null()))
    }

    /// The same, with an open input (see [`Running::type_in`]).
    #[track_caller]
    pub fn start_with_input(command: &mut Command) -> Self {
        Self::start_listening(command.stdin(Stdio::piped()))
    }

    #[track_caller]
    fn start_listening(command: &mut Command) -> Self {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // SAFETY: signal may be called between fork and exec, and SIG_DFL is no function of ours.
        unsafe {
            // The tests may run under nohup, and what is ignored is inherited.
            command.pre_exec(|| {
                libc::signal(libc::SIGHUP, libc::SIG_DFL);
                Ok(())
            });
        }
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        let (sender, lines) = channel();
        listen(child.stdout.take().expect("it is piped"), sender.clone());
        listen(child.stderr.take().expect("it is piped"), sender);
        Self { child, lines, seen: Vec::new() }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has written so far that was waited for.
    pub fn seen(&self) -> String {
        self.seen.join("\n")
    }

    /// Waits for a line that holds `text`, and gives it.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        if let Some(line) = self.seen.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line with {text:?} came; all that came:\n{}", self.seen());
            };
            self.seen.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// Types `text` on its input.
    #[track_caller]
    pub fn type_in(&mut self, text: &str) {
        let input = self.child.stdin.as_mut().expect("it was started with an input");
        input.write_all(text.as_bytes()).and_then(|()| input.flush()).expect("it reads");
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a pid");
        kill_process(pid, signal).expect("it is ours and not waited for");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        // Its outputs end when it has ended, and so has everything that has them open.
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen.push(line),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => break,
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => {
                    panic!("it does not end:\n{}", self.seen())
                }
            }
        }
        let status = self.child.wait().expect("it is ours");
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        Ended { code: code.expect("an exit code or a signal"), output: self.seen() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn listen(output: impl Read + Send + 'static, lines: Sender<String>) {
    thread::spawn(move || {
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            if lines.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
        }
    });
}

/// Makes SIGTERM do nothing in this process and its children.
pub fn ignore_term() {
    // SAFETY: SIG_IGN is no function of ours, so nothing runs in a signal's context.
    let previous = unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) };
    assert_ne!(previous, libc::SIG_ERR, "SIGTERM can be ignored");
}

/// Makes this process another user's.
pub fn become_user(uid: u32) {
    // SAFETY: the C library changes the user of all threads; no memory is touched.
    let result = unsafe { libc::setuid(uid) };
    assert_eq!(result, 0, "root may be anybody: {}", std::io::Error::last_os_error());
}
