//! The fork of a worker: a raw legacy `clone` whose child belongs to our *parent*.
//!
//! Legacy, because a system-call filter can look at its flags, and not into the structure that
//! `clone3` takes. `CLONE_PARENT` makes the worker a child of the supervisor, so its exit status is the
//! kernel's word to the supervisor. glibc caches the thread's id in the thread's control block;
//! `CLONE_CHILD_SETTID` with that block's address brings it up to date, as glibc's own `fork` does.
//!
//! Workers inherit the filter of the fork server, which must allow this very call, and must not use it
//! themselves. The two are told apart by a [`ForkKey`]: a random number that the filter demands in the
//! argument for thread-local storage, which the kernel ignores here. It lives in a page that the
//! kernel wipes in the child.

use std::ffi::c_void;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::ptr::{self, NonNull};

use crate::os::hardening::is_single_threaded;

/// The flags of every fork; the filter allows exactly these.
pub(crate) const FORK_FLAGS: u64 = (libc::CLONE_PARENT
    | libc::CLONE_PIDFD
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | libc::SIGCHLD) as u64;

/// Where the kernel's fork call finds its key: argument number 4, thread-local storage.
pub(crate) const FORK_KEY_ARGUMENT: u8 = 4;

/// Who returns from a fork.
#[derive(Debug)]
pub(crate) enum Forked {
    /// The fork server, with the worker's pidfd.
    Parent(OwnedFd),
    /// The worker.
    Child,
}

/// A number that a filter can demand of every fork, and that children do not have.
#[derive(Debug)]
pub(crate) struct ForkKey(NonNull<u64>);

impl ForkKey {
    /// A random key in a page of its own, which is wiped in every child.
    pub(crate) fn new() -> io::Result<Self> {
        const PAGE: usize = 4096;
        // SAFETY: a new private mapping at an address that the kernel chooses; its whole length is
        // advised, and the eight bytes written lie inside it.
        unsafe {
            let page = rustix::mm::mmap_anonymous(
                ptr::null_mut(),
                PAGE,
                rustix::mm::ProtFlags::READ | rustix::mm::ProtFlags::WRITE,
                rustix::mm::MapFlags::PRIVATE,
            )?;
            let key = NonNull::new(page.cast::<u64>()).expect("mmap never returns null on success");
            rustix::mm::madvise(page, PAGE, rustix::mm::Advice::LinuxWipeOnFork)?;
            if libc::getrandom(page, size_of::<u64>(), 0) != size_of::<u64>().cast_signed() {
                return Err(io::Error::last_os_error());
            }
            Ok(Self(key))
        }
    }

    /// The key, for the filter. Whoever takes it must not leave it in memory.
    pub(crate) fn value(&self) -> u64 {
        // SAFETY: the page lives as long as the process.
        unsafe { self.0.as_ptr().read_volatile() }
    }
}

/// Forks this process, which must have one thread.
///
/// # Errors
///
/// `EBUSY` when there is a second thread; else what the kernel says, such as `EAGAIN`.
pub(crate) fn fork(key: &ForkKey) -> io::Result<Forked> {
    if !is_single_threaded() {
        return Err(io::Error::from_raw_os_error(libc::EBUSY));
    }
    let mut pidfd: RawFd = -1;
    // SAFETY: with one thread, nobody holds a lock that the child would find locked for ever. The
    // child gets its own copy of the whole address space and goes on on the same stack; `pidfd`
    // outlives the call, and the thread-id address is the one the C library itself registered.
    let result = unsafe { raw_clone(&raw mut pidfd, thread_id_address(), key.0) };
    match result {
        0 => Ok(Forked::Child),
        1.. => {
            // SAFETY: the kernel made this descriptor for us a moment ago.
            Ok(Forked::Parent(unsafe { OwnedFd::from_raw_fd(pidfd) }))
        }
        error => Err(io::Error::from_raw_os_error(i32::try_from(-error).unwrap_or(libc::EINVAL))),
    }
}

/// Prepares the heap for children that allocate a little and end: what they get from here on lies side by side at the
/// heap's end. In the gaps that are free before it, each allocation would be a page that is copied for the child.
#[cfg(target_env = "gnu")]
pub(crate) fn settle_heap() {
    /// Down to the least that malloc gives; larger gaps than the first are not worth their loss.
    const SIZES: std::ops::RangeInclusive<usize> = 1..=64;
    const STEP: usize = 16;
    /// Of one size; what is left then costs a page each, and no more.
    const GAPS_MAX: usize = 1000;
    const LARGE: [usize; 5] = [32 << 10, 16 << 10, 8 << 10, 4 << 10, 2 << 10];
    // SAFETY: works on the inside of malloc alone, and asks for the heap's end.
    let end = unsafe {
        libc::malloc_trim(0);
        libc::sbrk(0)
    };
    for size in LARGE.into_iter().chain(SIZES.rev().map(|step| step * STEP)) {
        // SAFETY: what is allocated is not used; a gap stays allocated for ever, and what lies at the end is given back.
        unsafe {
            for _ in 0..GAPS_MAX {
                let block = libc::malloc(size);
                if block.is_null() || block.wrapping_byte_add(size) >= end {
                    libc::free(block);
                    break;
                }
            }
        }
    }
}

/// Other heaps are as they are.
#[cfg(not(target_env = "gnu"))]
pub(crate) fn settle_heap() {}

/// Where the C library keeps the main thread's id.
fn thread_id_address() -> *mut c_void {
    if let Ok(Some(address)) = rustix::thread::get_clear_child_tid_address() {
        return address.as_ptr();
    }
    // A kernel without CONFIG_CHECKPOINT_RESTORE does not say. The id is in the thread's control
    // block, where `pthread_self` points, within its first 2 KiB.
    // SAFETY: glibc's control block is larger than 2 KiB and readable.
    unsafe {
        let block = libc::pthread_self() as *mut i32;
        let id = libc::gettid();
        let found = (0..512).map(|word| block.add(word)).find(|word| word.read_volatile() == id);
        found.map_or(ptr::null_mut(), <*mut i32>::cast)
    }
}

/// The system call. The key goes from its page to the register and is gone from there afterwards.
///
/// # Safety
///
/// As for `fork` in a process with one thread. A null thread-id address is ignored by the kernel.
#[cfg(target_arch = "x86_64")]
unsafe fn raw_clone(pidfd: *mut RawFd, thread_id: *mut c_void, key: NonNull<u64>) -> i64 {
    let mut result = libc::SYS_clone;
    // SAFETY: a zero stack pointer keeps the stack; the kernel writes to `pidfd` and, in the child, to
    // `thread_id`, and clobbers rcx and r11.
    unsafe {
        std::arch::asm!(
            "mov r8, qword ptr [r8]",
            "syscall",
            "xor r8d, r8d",
            inlateout("rax") result,
            in("rdi") FORK_FLAGS,
            in("rsi") 0_u64,
            in("rdx") pidfd,
            in("r10") thread_id,
            inlateout("r8") key.as_ptr() => _,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    result
}

/// Elsewhere the key passes through ordinary registers.
#[cfg(not(target_arch = "x86_64"))]
unsafe fn raw_clone(pidfd: *mut RawFd, thread_id: *mut c_void, key: NonNull<u64>) -> i64 {
    compile_error!("forking is written for x86-64");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_forked() {
        let thread = std::thread::spawn(std::thread::park);
        let error = fork(&ForkKey::new().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBUSY));
        thread.thread().unpark();
        thread.join().unwrap();
    }
}
