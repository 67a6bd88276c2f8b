//! An empty root: a read-only file system in memory, in which nothing stands but the granted directories and files.
//!
//! A granted directory is mounted as `/0`, `/1`, and so on. It is found by its path, because a descriptor from
//! the host belongs to the host's mounts, and compared with the one that was granted. Its mount is read-only
//! for the kernel too if it was granted so: this covers what Landlock does not, times and modes of files. A granted
//! file is mounted in a directory of the root itself, `/N` of the first file of that directory.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags,
};

use super::Cause;
use crate::os::namespaces::{Restrictions, restrict_mount};
use crate::policy::{DirAccess, DirRule};

/// Folders that nearly every machine has, for the moment in which the new root hangs in the old one.
const HOOKS: [&str; 4] = ["/proc", "/dev", "/tmp", "/run"];

/// Where the directory of this position stands in the new root.
pub(super) fn place(index: usize) -> PathBuf {
    PathBuf::from(format!("/{index}"))
}

/// Leaves the host's file system. Needs a mount namespace of its own.
pub(super) fn enter(dirs: &[DirRule]) -> Result<(), Cause> {
    let trees = dirs.iter().map(tree).collect::<Result<Vec<_>, _>>()?;
    // Nothing that is mounted here shows outside, nor the reverse.
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let root = memory_root()?;
    hook(&root)?;
    for (index, tree) in trees.iter().enumerate() {
        let name = mount_point(&root, dirs, index)?;
        rustix::mount::move_mount(tree, "", &root, &name, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    }
    restrict_mount(&root, Restrictions { read_only: true, recursive: false })?;
    rustix::process::fchdir(&root)?;
    // The old root ends up on top of the new one, and is taken away there.
    rustix::process::pivot_root(".", ".")?;
    rustix::mount::unmount(".", UnmountFlags::DETACH)?;
    Ok(rustix::process::chdir("/")?)
}

/// Makes what this grant is mounted on.
fn mount_point(root: &OwnedFd, dirs: &[DirRule], index: usize) -> io::Result<String> {
    let directory = DirRule::begins_at(dirs, index);
    if directory == index {
        rustix::fs::mkdirat(root, index.to_string(), Mode::from_raw_mode(0o755))?;
    }
    let Some(name) = &dirs[index].file else { return Ok(index.to_string()) };
    let path = format!("{directory}/{name}");
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(root, &path, flags, Mode::from_raw_mode(0o444))?;
    Ok(path)
}

/// A copy of the mounts from a granted directory on, with its restrictions.
fn tree(rule: &DirRule) -> Result<OwnedFd, Cause> {
    let flags =
        OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    let tree = rustix::mount::open_tree(CWD, &rule.host, flags)?;
    let found = rustix::fs::fstat(&tree)?;
    if (found.st_dev, found.st_ino) != rule.identity {
        let path = rule.host.display();
        let what = if rule.file.is_some() { "file" } else { "directory" };
        return Err(Cause::Failed(format!("another {what} stands at `{path}` since it was granted")));
    }
    let read_only = rule.access == DirAccess::ReadOnly;
    restrict_mount(&tree, Restrictions { read_only, recursive: true })?;
    Ok(tree)
}

/// A file system in memory that is mounted nowhere yet.
fn memory_root() -> io::Result<OwnedFd> {
    let context = rustix::mount::fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    for (key, value) in [("mode", "0755"), ("size", "64k"), ("nr_inodes", "128")] {
        rustix::mount::fsconfig_set_string(&context, key, value)?;
    }
    rustix::mount::fsconfig_create(&context)?;
    Ok(rustix::mount::fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())?)
}

fn hook(root: &OwnedFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    let mut last = io::ErrorKind::NotFound.into();
    for folder in HOOKS {
        match rustix::mount::move_mount(root, "", CWD, folder, flags) {
            Ok(()) => return Ok(()),
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}
