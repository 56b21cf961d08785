//! Which processes have a socket open. The kernel keeps no list of that: the open files of candidates are looked
//! through, the likely ones first.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RawDir, openat, readlinkat_raw, statat};
use rustix::io::Errno;

use super::super::{Scope, Socket, parse};
use super::{children, parent};

pub(crate) fn holders(
    sockets: &[Socket],
    scope: Scope,
    hints: &[u32],
) -> io::Result<HashMap<u64, Vec<u32>>> {
    let mut search = Search::new(sockets)?;
    if !search.wanted.is_empty() {
        for &hint in hints {
            search.look_into(hint);
        }
        if scope != Scope::Hinted {
            search.go_on(sockets, scope)?;
        }
    }
    // The oldest first: it is most often the one that made the socket.
    search.holders.values_mut().for_each(|pids| pids.sort_unstable());
    Ok(search.holders)
}

pub(crate) fn has_open(pid: u32, inodes: &HashSet<u64>) -> io::Result<bool> {
    let mut search = Search::of(inodes.clone())?;
    match search.open_files(pid) {
        Ok(()) => Ok(!search.holders.is_empty()),
        Err(Errno::NOENT) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

struct Search {
    /// `/proc`.
    processes: OwnedFd,
    wanted: HashSet<u64>,
    holders: HashMap<u64, Vec<u32>>,
    looked_into: HashSet<u32>,
    /// Used for every process again: a path below `/proc`, and the entries of a folder.
    path: String,
    entries: Vec<u8>,
}

impl Search {
    fn new(sockets: &[Socket]) -> io::Result<Self> {
        Self::of(sockets.iter().filter_map(|socket| socket.inode).collect())
    }

    fn of(wanted: HashSet<u64>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self {
            processes: openat(CWD, "/proc", flags, Mode::empty())?,
            wanted,
            holders: HashMap::new(),
            looked_into: HashSet::new(),
            path: String::new(),
            entries: Vec::with_capacity(32 * 1024),
        })
    }

    /// The processes of the users who made the sockets come first, the newest before the others; then the rest. The order
    /// saves time and decides nothing: a socket may have gone to a process of any user.
    fn go_on(&mut self, sockets: &[Socket], scope: Scope) -> io::Result<()> {
        let users: HashSet<u32> = sockets.iter().map(|socket| socket.uid).collect();
        let mut pids = self.pids()?;
        pids.sort_unstable_by(|one, other| other.cmp(one));
        let mut others = Vec::new();
        for pid in pids {
            if self.is_enough(scope) {
                break;
            }
            if self.user(pid).is_some_and(|user| users.contains(&user)) {
                self.look_into(pid);
            } else {
                others.push(pid);
            }
        }
        for pid in others {
            if self.is_enough(scope) {
                break;
            }
            self.look_into(pid);
        }
        if scope == Scope::Group {
            self.look_into_relatives()?;
        }
        Ok(())
    }

    fn pids(&mut self) -> io::Result<Vec<u32>> {
        let mut pids = Vec::new();
        let mut entries = RawDir::new(&self.processes, self.entries.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            // All other entries begin with a letter.
            pids.extend(entry?.file_name().to_str().ok().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(pids)
    }

    fn is_enough(&self, scope: Scope) -> bool {
        scope == Scope::Group && self.holders.len() == self.wanted.len()
    }

    /// A socket that several processes have was inherited: by children of who made it, and by their children.
    fn look_into_relatives(&mut self) -> io::Result<()> {
        let mut holders: Vec<u32> = self.holders.values().flatten().copied().collect();
        while let Some(holder) = holders.pop() {
            let relatives = parent(holder)?.into_iter().chain(children(holder));
            for relative in relatives {
                let is_new = !self.looked_into.contains(&relative);
                self.look_into(relative);
                if is_new && self.holders.values().any(|pids| pids.contains(&relative)) {
                    holders.push(relative);
                }
            }
        }
        Ok(())
    }

    fn user(&mut self, pid: u32) -> Option<u32> {
        self.set_path(pid, "");
        Some(statat(&self.processes, self.path.as_str(), AtFlags::empty()).ok()?.st_uid)
    }

    fn look_into(&mut self, pid: u32) {
        if self.looked_into.insert(pid) {
            // One that has ended meanwhile, or that we may not look into, is passed over.
            self.open_files(pid).ok();
        }
    }

    fn open_files(&mut self, pid: u32) -> Result<(), Errno> {
        self.set_path(pid, "/fd");
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let files = openat(&self.processes, self.path.as_str(), flags, Mode::empty())?;
        let mut left = self.wanted.len();
        let mut link = [MaybeUninit::uninit(); 32];
        let mut entries = RawDir::new(&files, self.entries.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let Ok((link, _)) = readlinkat_raw(&files, entry?.file_name(), &mut link) else {
                continue;
            };
            let inode = parse::socket_link(link).filter(|inode| self.wanted.contains(inode));
            let Some(inode) = inode else { continue };
            let pids = self.holders.entry(inode).or_default();
            if pids.last() == Some(&pid) {
                continue;
            }
            pids.push(pid);
            left -= 1;
            if left == 0 {
                break;
            }
        }
        Ok(())
    }

    fn set_path(&mut self, pid: u32, below: &str) {
        self.path.clear();
        // Writing to a string does not fail.
        write!(self.path, "{pid}{below}").ok();
    }
}
