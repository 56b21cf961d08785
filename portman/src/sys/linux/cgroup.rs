//! Control groups: who is in one, and which unit it belongs to.

use std::fs;
use std::io;
use std::os::unix::fs::{DirEntryExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::super::{Unit, parse};

/// Where the second version's tree is: beside the first one's, or alone.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

pub(crate) fn unit_of_process(pid: u32) -> Option<Unit> {
    parse::unit_of_process(&groups_of(pid).ok()?)
}

pub(crate) fn unit_of_group(group: u64) -> Option<Unit> {
    let root = root()?;
    let folder = find(root, group)?;
    parse::unit(folder.strip_prefix(root).ok()?.to_str()?)
}

/// Who is in `group`, if `member` is. Nobody is said to be in the group of all, which tells nothing.
pub(super) fn members(group: u64, member: u32) -> Vec<u32> {
    let list = || {
        let groups = groups_of(member).ok()?;
        let path = parse::group_of_process(&groups).filter(|path| *path != "/")?;
        let folder = root()?.join(path.strip_prefix('/')?);
        let is_it = fs::metadata(&folder).ok()?.ino() == group;
        is_it.then(|| fs::read_to_string(folder.join("cgroup.procs")).ok())?
    };
    let list = list().unwrap_or_default();
    list.lines().filter_map(|pid| pid.parse().ok()).collect()
}

fn groups_of(pid: u32) -> io::Result<String> {
    fs::read_to_string(format!("/proc/{pid}/cgroup"))
}

fn root() -> Option<&'static Path> {
    let is_root = |root: &&Path| root.join("cgroup.procs").exists();
    ROOTS.iter().map(Path::new).find(is_root)
}

/// The folder below `folder` that has this number. The number is that of its directory entry, so no folder is opened
/// but to list what is below it.
fn find(folder: &Path, group: u64) -> Option<PathBuf> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let folders: Vec<_> =
        entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).collect();
    let found = folders.iter().find(|entry| entry.ino() == group);
    found
        .map(fs::DirEntry::path)
        .or_else(|| folders.iter().find_map(|entry| find(&entry.path(), group)))
}
