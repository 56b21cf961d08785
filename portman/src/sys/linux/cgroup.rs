//! Control groups: which unit one belongs to.

use std::fs;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use super::super::{Unit, parse};

/// Where the second version's tree is: beside the first one's, or alone.
const ROOTS: [&str; 2] = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"];

pub(crate) fn unit_of_process(pid: u32) -> Option<Unit> {
    parse::unit_of_process(&fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?)
}

pub(crate) fn unit_of_group(group: u64) -> Option<Unit> {
    let root = root()?;
    let folder = find(root, group)?;
    parse::unit(folder.strip_prefix(root).ok()?.to_str()?)
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
