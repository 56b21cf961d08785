//! A process and its identity: a pid is given to somebody else later, a pid with its start time is not.

use std::io;

use serde::{Deserialize, Serialize};

use crate::sys;

/// One process: its pid and when it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// When it started, in the system's own unit (Linux: clock ticks since boot).
    pub started: u64,
}

impl Process {
    /// The process that has this pid now; none when there is none, or only a zombie, which is dead.
    pub fn find(pid: u32) -> io::Result<Option<Self>> {
        Ok(sys::started(pid)?.map(|started| Self { pid, started }))
    }

    /// This process.
    pub fn current() -> io::Result<Self> {
        Self::find(std::process::id())?.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    /// This process, its parent, the parent's parent, and so on.
    pub fn ancestors() -> io::Result<Vec<Self>> {
        Self::current()?.line()
    }

    /// The same of any process.
    pub fn line(self) -> io::Result<Vec<Self>> {
        let mut line = vec![self];
        let mut next = sys::parent(self.pid)?;
        while let Some(pid) = next
            && let Some((started, parent)) = sys::started_and_parent(pid)?
        {
            line.push(Self { pid, started });
            next = Some(parent);
        }
        Ok(line)
    }

    /// The process that leads the session of its terminal; none without a terminal.
    pub fn terminal_leader(self) -> io::Result<Option<Self>> {
        sys::terminal_leader(self.pid)?.map_or(Ok(None), Self::find)
    }

    /// Does it still run?
    pub fn is_alive(self) -> io::Result<bool> {
        Ok(sys::started(self.pid)? == Some(self.started))
    }
}

/// The processes whose environment has `variable` with `item` in its comma-separated list.
///
/// A child inherits the variable, so this finds descendants whatever group or session they moved to. It cannot see
/// processes of other users, nor those that cleared their environment.
pub fn marked(variable: &str, item: &str) -> io::Result<Vec<Process>> {
    let mut marked = Vec::new();
    for pid in sys::pids()? {
        // Looked up before and after its environment was read: a pid may be given to somebody else in between.
        let before = Process::find(pid)?;
        if is_marked(pid, variable, item) && before == Process::find(pid)? {
            marked.extend(before);
        }
    }
    Ok(marked)
}

/// This process, its children, their children, and so on, as far as the system tells who is whose child.
pub fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        let new = sys::children(parent).into_iter().filter(|child| !family.contains(child));
        family.extend(new.collect::<Vec<u32>>());
        at += 1;
    }
    family
}

/// Is this process in this process group?
pub fn is_in_group(pid: u32, group: u32) -> io::Result<bool> {
    Ok(sys::group(pid)? == Some(group))
}

/// Does a process of this group still run? Zombies, which only wait for their parent, do not.
pub fn runs_in_group(group: u32) -> io::Result<bool> {
    for pid in sys::pids()? {
        if is_in_group(pid, group)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Is this process one that [`marked`] would find? One that is gone, or another user's, is not.
pub fn is_marked(pid: u32, variable: &str, item: &str) -> bool {
    carries(pid, variable, item).unwrap_or(false)
}

/// The same where a process that may not be looked into is an error.
pub fn carries(pid: u32, variable: &str, item: &str) -> io::Result<bool> {
    Ok(has_item(&sys::environment(pid)?, variable, item))
}

/// Has its environment this variable? That of a process that may not be looked into has not.
pub(crate) fn has_variable(pid: u32, variable: &str) -> bool {
    sys::environment(pid).is_ok_and(|environment| values(&environment, variable).next().is_some())
}

fn has_item(environment: &[u8], variable: &str, item: &str) -> bool {
    let lists = values(environment, variable);
    lists.flat_map(|list| list.split(|&byte| byte == b',')).any(|entry| entry == item.as_bytes())
}

fn values<'a>(environment: &'a [u8], variable: &str) -> impl Iterator<Item = &'a [u8]> {
    environment.split(|&byte| byte == 0).filter_map(move |entry| {
        let value = entry.strip_prefix(variable.as_bytes())?;
        value.strip_prefix(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::{Process, family, has_item, has_variable, runs_in_group};
    use crate::sys;
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    #[test]
    fn this_process_is_alive_and_another_start_is_not() {
        let me = Process::current().unwrap();
        assert!(me.is_alive().unwrap());
        assert!(!Process { started: me.started + 1, ..me }.is_alive().unwrap());
    }

    #[test]
    fn our_line_begins_with_us_and_our_parent() {
        let line = Process::ancestors().unwrap();
        assert_eq!(line[0], Process::current().unwrap());
        assert_eq!(line[1].pid, std::os::unix::process::parent_id());
    }

    #[test]
    fn a_family_is_a_process_and_its_descendants() {
        let mut command = Command::new("sh");
        let command = command.args(["-c", "sh -c 'echo; read wait; :'; :"]);
        let pipes =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // The grandchild runs once it has written its line.
        let mut line = [0];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert_eq!(family(child.id()).len(), 2);
        assert!(family(std::process::id()).contains(&family(child.id())[1]));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(family(child.id()), [child.id()]);
    }

    #[test]
    fn a_group_of_zombies_does_not_run() {
        let mut command = Command::new("sh");
        let command = command.args(["-c", "read wait"]).process_group(0);
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        assert!(runs_in_group(child.id()).unwrap());
        let process = Process::find(child.id()).unwrap().unwrap();
        let handle = sys::handle(process.pid, process.started).unwrap().unwrap();
        drop(child.stdin.take());
        let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
        assert!(sys::wait_gone(&handle, Some(deadline)).unwrap());
        // Nobody has waited for it yet.
        assert!(!runs_in_group(child.id()).unwrap());
        child.wait().unwrap();
    }

    #[test]
    fn a_mark_is_a_whole_item_of_the_list() {
        let environment = b"PATH=/bin\0XTASK_SESSION=outer,inner\0OTHER_XTASK_SESSION=x\0";
        assert!(has_item(environment, "XTASK_SESSION", "outer"));
        assert!(has_item(environment, "XTASK_SESSION", "inner"));
        for item in ["out", "outer,inner", "x", ""] {
            assert!(!has_item(environment, "XTASK_SESSION", item), "{item}");
        }
    }

    #[test]
    fn a_variable_is_there_by_its_whole_name() {
        let mut command = Command::new("sh");
        let command = command.args(["-c", "echo; read wait"]).env("OF_TEST", "");
        let pipes =
            command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
        let mut child = pipes.spawn().unwrap();
        // It has its environment once it has written its line.
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut [0]).unwrap();
        for (name, expected) in [("OF_TEST", true), ("OF", false), ("OF_TEST_TOO", false)] {
            assert_eq!(has_variable(child.id(), name), expected, "{name}");
        }
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!has_variable(child.id(), "OF_TEST"), "it is gone");
    }
}
