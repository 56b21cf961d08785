//! Ports: who has one, are many free, and what a hold costs.

use std::env;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};
use listeners::{Protocol, get_process_by_port};
use portman::check::{Status, check, look, look_all};
use portman::owner::{Scope, occupants};
use portman::port::Port;
use socket2::{Domain, Socket, Type};

use crate::crowd::{Crowd, Users};
use crate::measure::{Contestant, compare, say};

/// Programs are started so often.
const RUNS: usize = 9;
/// What takes no program is done so often.
const CALLS: usize = 31;
/// A hold is so quick that one turn is this many.
const HOLDS: usize = 200;
/// Nobody is here.
const FREE: std::ops::Range<u16> = 10000..10100;

/// At most these parts of another's time.
struct Goals {
    ss: f64,
    lsof: f64,
    listeners: f64,
}

/// Measures everything, and says whether all goals are met.
pub(crate) fn run() -> anyhow::Result<bool> {
    let ours = Goals { ss: 2.0 / 3.0, lsof: 1.0 / 3.0, listeners: 2.0 / 3.0 };
    let mixed = Goals { ss: 1.0 / 20.0, lsof: 1.0 / 20.0, listeners: 1.0 / 20.0 };
    let mut are_met = true;
    {
        let crowd = Crowd::start(Users::One)?;
        are_met &= owners(&crowd, "one user", &ours)?;
        are_met &= many_ports(&crowd)?;
        are_met &= holds()?;
    }
    match Crowd::start(Users::Mixed) {
        Ok(crowd) => are_met &= owners(&crowd, "as many users", &mixed)?,
        Err(error) => say(&format!("\nnot measured: many users: {error:#}")),
    }
    say(if are_met { "\nall goals are met" } else { "\na goal is missed" });
    Ok(are_met)
}

/// A program that says who has a port.
struct Tool {
    line: Vec<String>,
    goal: Option<f64>,
}

impl Tool {
    fn new(line: &str, port: u16, goal: Option<f64>) -> Self {
        let line = line.replace("PORT", &port.to_string());
        Self { line: line.split(' ').map(str::to_owned).collect(), goal }
    }

    fn is_installed(&self) -> bool {
        let path = env::var_os("PATH").unwrap_or_default();
        env::split_paths(&path).any(|folder| folder.join(&self.line[0]).is_file())
    }

    /// Its answer has to be right to count.
    fn run(&self, pid: u32) -> anyhow::Result<()> {
        let mut command = Command::new(&self.line[0]);
        let output = command.args(&self.line[1..]).stdin(Stdio::null()).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let pid = pid.to_string();
        let names = text.split(|c: char| !c.is_ascii_digit()).any(|number| number == pid);
        ensure!(names, "{} does not name process {pid}:\n{text}", self.line.join(" "));
        Ok(())
    }
}

fn owners(crowd: &Crowd, users: &str, goals: &Goals) -> anyhow::Result<bool> {
    let (port, pid) = crowd.target();
    let xtask = xtask()?.display().to_string();
    let mut ours = Tool::new("xtask ports who PORT", port, None);
    ours.line[0] = xtask;
    let others = [
        Tool::new("ss -ltnpH sport = :PORT", port, Some(goals.ss)),
        Tool::new("lsof -iTCP:PORT -sTCP:LISTEN -t", port, Some(goals.lsof)),
        Tool::new("fuser -n tcp PORT", port, None),
        Tool::new("netstat -ltnp", port, None),
        Tool::new("killport --dry-run --mode process PORT", port, None),
        Tool::new("somo -l -p PORT", port, None),
    ];
    let (installed, absent): (Vec<Tool>, Vec<Tool>) =
        others.into_iter().partition(Tool::is_installed);
    let contestant = |tool: Tool, name: String| {
        let goal = tool.goal;
        Contestant::new(name, goal, move || tool.run(pid))
    };
    let mut contestants = vec![contestant(ours, format!("xtask ports who {port}"))];
    contestants.extend(installed.into_iter().map(|tool| {
        let name = tool.line.join(" ");
        contestant(tool, name)
    }));
    let title = format!("who has a port: {} processes of {users}", crowd.len());
    let mut are_met = compare(&title, RUNS, contestants)?;
    for tool in absent {
        say(&format!("  not installed: {}", tool.line[0]));
    }
    let searches = vec![
        Contestant::new("portman: look, occupants", None, || search(port, pid)),
        Contestant::new("listeners: get_process_by_port", Some(goals.listeners), || {
            let found = get_process_by_port(port, Protocol::TCP);
            let found = found.map_err(|error| anyhow::anyhow!("listeners: {error}"))?;
            ensure!(found.pid == pid, "listeners names {} for {pid}", found.pid);
            Ok(())
        }),
    ];
    are_met &= compare(&format!("the same without a program: {users}"), CALLS, searches)?;
    Ok(are_met)
}

/// The program under test was built beside this one.
fn xtask() -> anyhow::Result<PathBuf> {
    let path = env::current_exe()?.with_file_name("xtask");
    ensure!(path.is_file(), "{} is not there: cargo build --release -p xtask", path.display());
    Ok(path)
}

fn search(port: u16, pid: u32) -> anyhow::Result<()> {
    let port = Port::new(port).context("a port")?;
    let Status::Occupied(sockets) = look(port) else { bail!("port {port} is not seen") };
    let found = occupants(&sockets, Scope::Group, &[])?;
    let is_named = found[0].owners.iter().any(|owner| owner.process.pid == pid);
    ensure!(is_named, "portman does not name process {pid}");
    Ok(())
}

fn many_ports(crowd: &Crowd) -> anyhow::Result<bool> {
    let ports: Vec<Port> = FREE.filter_map(Port::new).collect();
    let look = || {
        let are_free =
            look_all(&ports).iter().all(|status| matches!(status, Status::Available(())));
        ensure!(are_free, "a free port is not seen as one");
        Ok(())
    };
    let probe = || {
        for port in FREE {
            drop(TcpListener::bind((Ipv4Addr::UNSPECIFIED, port))?);
            drop(TcpListener::bind((Ipv6Addr::UNSPECIFIED, port))?);
        }
        Ok(())
    };
    let title = format!("are 100 ports free: beside {} listeners", crowd.len());
    let contestants = vec![
        Contestant::new("portman: look_all", None, look),
        // Two walks of the kernel through whole tables, of what is bound and of connections, whatever the number of ports
        // is: less than that is only to be had by not seeing those.
        Contestant::new("bind and listen on each, IPv4 and IPv6", Some(1.0 / 2.0), probe),
    ];
    compare(&title, CALLS, contestants)
}

fn holds() -> anyhow::Result<bool> {
    let port = Port::new(FREE.start).context("a port")?;
    let hold = || {
        for _turn in 0..HOLDS {
            let Status::Available(hold) = check(port) else { bail!("port {port} is not free") };
            drop(hold);
        }
        Ok(())
    };
    let bare = || {
        for _turn in 0..HOLDS {
            drop([bound(Domain::IPV4, port)?, bound(Domain::IPV6, port)?]);
        }
        Ok(())
    };
    let contestants = vec![
        Contestant::new("portman: check, which holds", None, hold),
        Contestant::new("two bare binds, IPv4 and IPv6", Some(2.0), bare),
    ];
    compare(&format!("a reserved port and its release, {HOLDS} times"), CALLS, contestants)
}

fn bound(family: Domain, port: Port) -> anyhow::Result<Socket> {
    let socket = Socket::new(family, Type::STREAM, None)?;
    let address: SocketAddr = if family == Domain::IPV6 {
        socket.set_only_v6(true)?;
        (Ipv6Addr::UNSPECIFIED, port.get()).into()
    } else {
        (Ipv4Addr::UNSPECIFIED, port.get()).into()
    };
    socket.bind(&address.into())?;
    Ok(socket)
}
