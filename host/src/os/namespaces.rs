//! Namespaces and mounts: the calls that rustix leaves out or calls unsafe.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::thread::UnshareFlags;

use crate::os::hardening::is_single_threaded;

/// Which namespaces a process is given besides those that every one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Namespaces {
    /// One of users, which owns the others.
    pub(crate) user: bool,
    /// One of the network.
    pub(crate) network: bool,
}

/// Gives this process mounts, System V objects and a host name of its own. Call it while the process has one thread.
pub(crate) fn unshare(besides: Namespaces) -> io::Result<()> {
    if !is_single_threaded() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut flags = UnshareFlags::NEWNS | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    flags.set(UnshareFlags::NEWUSER, besides.user);
    flags.set(UnshareFlags::NEWNET, besides.network);
    // SAFETY: none of these flags separates what threads share (memory, descriptors, working directory of
    // another thread), and there is one thread.
    unsafe { rustix::thread::unshare_unsafe(flags)? };
    Ok(())
}

/// `struct mount_attr` of `linux/mount.h`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// What a mount is restricted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Restrictions {
    pub(crate) read_only: bool,
    /// Also the mounts below it.
    pub(crate) recursive: bool,
}

/// Restricts a mount: no devices, no set-uid programs, no programs at all, and perhaps no writing.
pub(crate) fn restrict_mount(mount: impl AsFd, restrictions: Restrictions) -> io::Result<()> {
    let read_only = if restrictions.read_only { libc::MOUNT_ATTR_RDONLY } else { 0 };
    let set = libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NOEXEC | read_only;
    let attributes = MountAttributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let recursive = if restrictions.recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: the structure is valid for the size that is given with it, and the path is a C string.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_fd().as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH | recursive,
            &raw const attributes,
            size_of::<MountAttributes>(),
        )
    };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_keeps_its_namespaces() {
        let thread = std::thread::spawn(std::thread::park);
        assert_eq!(
            unshare(Namespaces { user: true, network: true }).unwrap_err().raw_os_error(),
            Some(libc::EBUSY)
        );
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
