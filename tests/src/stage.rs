//! A place of a test's own: a checkout, a home, a state folder, and nothing of the user's environment.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::process::{Ended, Running};

/// The programs of this crate, which only the test binary can name.
#[derive(Debug, Clone, Copy)]
pub struct Programs {
    /// `cargo xtask`.
    pub xtask: &'static str,
    /// The scripted service.
    pub fake_service: &'static str,
    /// A process that gets ports over and over again.
    pub allocator: &'static str,
    /// A folder for tests, inside the target folder.
    pub target: &'static str,
}

/// A test's place. All of it goes when it is dropped.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    folder: TempDir,
}

impl Stage {
    /// A place with an empty checkout.
    pub fn new(programs: Programs) -> Self {
        let folder = TempDir::new().expect("the folder for temporary files can be written");
        let stage = Self { programs, folder };
        for part in ["checkout", "home", "state"] {
            std::fs::create_dir(stage.folder.path().join(part)).expect("a new folder");
        }
        stage
    }

    /// The folder that stands for a user's repository.
    pub fn checkout(&self) -> PathBuf {
        self.folder.path().join("checkout")
    }

    /// The folder of our records.
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// A further folder of the stage.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of the checkout; `FAKE` in it becomes the path of the scripted service.
    pub fn file(&self, path: &str, text: &str) -> &Self {
        let path = self.checkout().join(path);
        portman::fs::save(&path, &text.replace("FAKE", self.programs.fake_service))
            .expect("a file of the test");
        self
    }

    /// The text of a file of the checkout.
    pub fn read(&self, path: &str) -> String {
        portman::fs::read(&self.checkout().join(path)).expect("a file of the test")
    }

    /// A command in the checkout, with an environment of its own.
    pub fn command(&self, program: &str) -> Command {
        self.command_in(&self.checkout(), program)
    }

    /// A command in some folder, with an environment of its own.
    pub fn command_in(&self, folder: &Path, program: &str) -> Command {
        let mut command = Command::new(program);
        let kept = env::vars_os().filter(|(name, _)| is_kept(&name.to_string_lossy()));
        command.env_clear().envs(kept).current_dir(folder);
        // cargo and rustup look for their own folders in the real home when they are not told.
        if let Some(home) = env::home_dir() {
            for (name, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
                if env::var_os(name).is_none() {
                    command.env(name, home.join(folder));
                }
            }
        }
        command.env("HOME", self.path("home")).env("PORTMAN_STATE_DIR", self.state());
        command
    }

    /// `cargo xtask` with these arguments, in the checkout.
    #[track_caller]
    pub fn xtask(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(self.programs.xtask).args(arguments))
    }

    /// The same, until its end.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.xtask(arguments).wait()
    }

    /// `cargo xtask` in a terminal of its own; none, reported, where none can be had.
    pub fn terminal(&self, test: &str, arguments: &[&str]) -> Option<Running> {
        if !crate::has(test, "script") {
            return None;
        }
        let line = format!("exec {} {}", self.programs.xtask, arguments.join(" "));
        let mut command = self.command("script");
        command.args(["--quiet", "--return", "--flush", "--command", &line, "/dev/null"]);
        Some(Running::start_with_input(command.env("TERM", "xterm-256color")))
    }

    /// The scripted service, started by the test itself: a stranger to every stack.
    #[track_caller]
    pub fn stranger(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.stranger_command(arguments))
    }

    /// What starts it.
    pub fn stranger_command(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(self.programs.fake_service);
        command.args(arguments);
        command
    }

    /// A process that gets ports while others do the same.
    #[track_caller]
    pub fn allocator(&self, arguments: &[&str]) -> Running {
        Running::start(self.command(self.programs.allocator).args(arguments))
    }

    /// What git says in the checkout.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        let who = ["-c", "user.name=test", "-c", "user.email=test@localhost"];
        let ended = Running::start(self.command("git").args(who).args(arguments)).wait();
        assert_eq!(ended.code, 0, "git {arguments:?}:\n{}", ended.output);
        ended.output
    }

    /// Makes the checkout a git repository with everything in it committed.
    #[track_caller]
    pub fn commit_all(&self) {
        self.git(&["init", "--quiet"]);
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", "all"]);
    }

    /// The processes of any stack that was started in this stage.
    pub fn left_processes(&self) -> Vec<u32> {
        let mark = self.state().display().to_string();
        let marked =
            portman::process::marked("PORTMAN_STATE_DIR", &mark).expect("processes can be listed");
        marked.into_iter().map(|process| process.pid).collect()
    }
}

/// What says where programs and packages come from; all else is the user's own.
fn is_kept(name: &str) -> bool {
    const NAMES: [&str; 8] = [
        "PATH",
        "CARGO_HOME",
        "CARGO_HTTP_CAINFO",
        "RUSTUP_HOME",
        "RUSTUP_TOOLCHAIN",
        "NODE_EXTRA_CA_CERTS",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
    ];
    let lower = name.to_lowercase();
    NAMES.contains(&name) || lower.ends_with("_proxy") || lower.starts_with("npm_config_")
}

impl Drop for Stage {
    fn drop(&mut self) {
        // A test that fails leaves its stack running, and that would be in the way of other tests.
        let mark = self.state().display().to_string();
        if let Ok(left) = portman::process::marked("PORTMAN_STATE_DIR", &mark) {
            portman::stop::stop_all(&left, std::time::Duration::ZERO).ok();
        }
    }
}
