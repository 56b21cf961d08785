//! Many processes that are good for nothing but being looked through: each listens on a port of its own and has further
//! files open.

use std::env;
use std::fs::File;
use std::io::{self, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};

/// The word by which this program is started as a member.
pub(crate) const MEMBER: &str = "member";
/// How many files a member has open beside its socket and its three standard ones.
const FILES: usize = 12;
const SIZE: u16 = 1000;
const FIRST_PORT: u16 = 20000;
/// Users that no system gives to anybody.
const FIRST_USER: u32 = 400_000;

/// Whose processes they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Users {
    /// All are ours.
    One,
    /// Each is of another user.
    Mixed,
}

/// The processes. They end when this is dropped, and also when this process ends in any other way.
pub(crate) struct Crowd {
    members: Vec<Child>,
    /// Their input: it ends with this process, and they with it.
    _input: PipeWriter,
}

impl Crowd {
    /// Starts them, and waits until all of them listen.
    pub(crate) fn start(users: Users) -> anyhow::Result<Self> {
        let (input, input_end) = io::pipe()?;
        let (mut ready, ready_end) = io::pipe()?;
        let mut crowd = Self { members: Vec::new(), _input: input_end };
        for number in 0..SIZE {
            let mut command = Command::new(env::current_exe()?);
            command.args([MEMBER, &(FIRST_PORT + number).to_string()]).current_dir("/");
            command.stdin(Stdio::from(input.try_clone()?));
            command.stdout(Stdio::from(ready_end.try_clone()?));
            if users == Users::Mixed {
                command.uid(FIRST_USER + u32::from(number));
            }
            crowd.members.push(command.spawn().context("a process of another user")?);
        }
        drop(ready_end);
        let mut answers = vec![0; usize::from(SIZE)];
        ready.read_exact(&mut answers)?;
        ensure!(answers.iter().all(|&answer| answer == b'.'), "a process could not listen");
        Ok(crowd)
    }

    /// The one in the middle: its port and its pid.
    pub(crate) fn target(&self) -> (u16, u32) {
        let mut pids: Vec<(u32, u16)> =
            self.members.iter().map(Child::id).zip(FIRST_PORT..).collect();
        // Searches go by pid, upwards or downwards; and pids begin anew at some point.
        pids.sort_unstable();
        let (pid, port) = pids[pids.len() / 2];
        (port, pid)
    }

    pub(crate) fn len(&self) -> usize {
        self.members.len()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        for member in &mut self.members {
            // It may have ended already.
            member.kill().ok();
        }
        for member in &mut self.members {
            member.wait().ok();
        }
    }
}

/// What a member does: it listens, says so, and ends with its input.
pub(crate) fn be_member(port: u16) -> anyhow::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port));
    let files: io::Result<Vec<File>> = (0..FILES).map(|_| File::open("/dev/null")).collect();
    let answer = if listener.is_ok() && files.is_ok() { b"." } else { b"x" };
    let mut output = io::stdout();
    output.write_all(answer)?;
    output.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}
