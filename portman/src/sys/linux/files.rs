//! What a file is beside its text: its owner, its mode, its other names.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};

use rustix::io::Errno;

pub(crate) fn keep_owner(file: &File, like: &Metadata) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (like.uid(), like.gid()) {
        return Ok(());
    }
    fchown(file, Some(like.uid()), Some(like.gid()))
}

pub(crate) fn make_private(options: &mut OpenOptions) -> &mut OpenOptions {
    options.mode(0o600)
}

pub(crate) fn is_shared(file: &Metadata) -> bool {
    file.nlink() > 1
}

pub(crate) fn forbids_rename(error: &io::Error) -> bool {
    let number = error.raw_os_error();
    // BUSY, XDEV: it is a mount point. PERM: its owner cannot be given to another file.
    [Errno::BUSY, Errno::XDEV, Errno::PERM].iter().any(|errno| number == Some(errno.raw_os_error()))
}
