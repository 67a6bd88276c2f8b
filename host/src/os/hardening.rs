//! What a process can take away from itself: environment, descriptors, session, limits, privileges.
//!
//! Every function acts on the calling process alone and says what it takes away for ever.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};

/// Removes every environment variable. Call it while the process has one thread.
pub(crate) fn clear_environment() {
    debug_assert!(is_single_threaded(), "the environment is not safe to change beside other threads");
    // SAFETY: no other thread reads the environment at the same time.
    unsafe { libc::clearenv() };
}

/// Sets one environment variable. Call it while the process has one thread.
pub(crate) fn set_environment(name: &str, value: &str) {
    debug_assert!(is_single_threaded(), "the environment is not safe to change beside other threads");
    // SAFETY: no other thread reads the environment at the same time.
    unsafe { std::env::set_var(name, value) };
}

/// Closes every descriptor from `first` on. Nothing may own one of them.
pub(crate) fn close_descriptors_from(first: u32) -> io::Result<()> {
    // SAFETY: the call takes no pointers; that no owner is left is what the caller promises, and an
    // owner that is left only gets EBADF.
    let closed = unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) };
    if closed == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes what this process has as standard input, and leaves `/dev/null` in its place.
pub(crate) fn take_stdin() -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(&nothing)?;
    Ok(taken)
}

/// Makes the process the leader of a session and a process group of its own, without a terminal.
pub(crate) fn lead_new_session() -> io::Result<()> {
    match rustix::process::setsid() {
        // It leads a process group already; whoever started it has seen to that.
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Asks the kernel for a SIGKILL as soon as the thread that is this process's parent ends.
///
/// It does not fire for a parent that is gone already: look at [`is_hung_up`] afterwards.
pub(crate) fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// True when the other end of a socket is closed.
pub(crate) fn is_hung_up(socket: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&socket, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut fds, Some(&at_once)).is_err()
        || fds[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL)
}

/// No core dumps, and no debugger of another process of the same user.
pub(crate) fn forbid_dumps() -> io::Result<()> {
    Ok(rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// No more privileges than now, whatever is executed.
pub(crate) fn forbid_new_privileges() -> io::Result<()> {
    Ok(rustix::thread::set_no_new_privs(true)?)
}

/// Lowers a resource's soft and hard limit to `maximum`, or leaves a lower one.
pub(crate) fn limit(resource: Resource, maximum: u64) -> io::Result<()> {
    limit_to(resource, maximum, maximum)
}

/// Lowers a resource's soft limit to `soft` and its hard limit to `hard`, or leaves lower ones.
pub(crate) fn limit_to(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
    let present = rustix::process::getrlimit(resource);
    let lower = |present: Option<u64>, wanted: u64| Some(present.map_or(wanted, |value| value.min(wanted)));
    let hard = lower(present.maximum, hard);
    let wanted = Rlimit { current: lower(present.current, soft).min(hard), maximum: hard };
    Ok(rustix::process::setrlimit(resource, wanted)?)
}

/// Lowers how many descriptors the process may have open, and keeps some of them for [`with_kept_descriptors`].
pub(crate) fn limit_descriptors(maximum: u64, kept: u64) -> io::Result<()> {
    let present = rustix::process::getrlimit(Resource::Nofile).maximum;
    let maximum = present.map_or(maximum, |present| present.min(maximum));
    limit_to(Resource::Nofile, maximum.saturating_sub(kept), maximum)
}

/// Tries again what failed because as many descriptors are open as may be, with those that were kept.
pub(crate) fn with_kept_descriptors<T>(attempt: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match attempt() {
        Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
            let _reserve = DescriptorReserve::open();
            attempt()
        }
        result => result,
    }
}

/// Room for descriptors of ours where a guest has opened as many as it may: while it lives, the soft limit, which
/// the guest meets, is the hard one.
#[derive(Debug)]
pub(crate) struct DescriptorReserve(Rlimit);

impl DescriptorReserve {
    pub(crate) fn open() -> Self {
        let present = rustix::process::getrlimit(Resource::Nofile);
        let all = Rlimit { current: present.maximum, maximum: present.maximum };
        // Up to the hard limit anybody may; if not, there is no reserve.
        let _ = rustix::process::setrlimit(Resource::Nofile, all);
        Self(present)
    }
}

impl Drop for DescriptorReserve {
    fn drop(&mut self) {
        let Rlimit { current, maximum } = self.0;
        let _ = rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum });
    }
}

/// Has the kernel end this process before any other when memory runs out: it, and not the host, is where a guest may
/// have taken it. For ever, and it is inherited.
pub(crate) fn be_ended_first() {
    // Where there is no `/proc`, the kernel chooses by size.
    let _ = std::fs::write("/proc/self/oom_score_adj", "1000");
}

/// Sets how much memory the process may have for data, for the time being: it may be set again. Address
/// space that is only reserved, and files that are mapped for reading, do not count.
pub(crate) fn limit_data(bytes: u64) -> io::Result<()> {
    let present = rustix::process::getrlimit(Resource::Data);
    let wanted = present.maximum.map_or(bytes, |maximum| maximum.min(bytes));
    let limit = Rlimit { current: Some(wanted), maximum: present.maximum };
    Ok(rustix::process::setrlimit(Resource::Data, limit)?)
}

/// Sets how much more CPU time the process may use, for the time being, in whole seconds: it is killed (SIGXCPU) at most
/// two seconds after that. `None` gives back as much as it may have.
pub(crate) fn limit_cpu_time(more: Option<Duration>) -> io::Result<()> {
    let present = rustix::process::getrlimit(Resource::Cpu);
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    let used =
        Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0));
    let wanted = more.map(|more| {
        let until = used.saturating_add(more);
        until.as_secs().saturating_add(1 + u64::from(until.subsec_nanos() > 0))
    });
    let lower = |maximum: u64| wanted.map_or(maximum, |wanted| wanted.min(maximum));
    let limit = Rlimit { current: present.maximum.map(lower).or(wanted), maximum: present.maximum };
    Ok(rustix::process::setrlimit(Resource::Cpu, limit)?)
}

/// True when the process has one thread. Works without `/proc`.
pub(crate) fn is_single_threaded() -> bool {
    // SAFETY: `unshare(CLONE_VM)` changes nothing: the kernel answers EINVAL when another thread or
    // process shares the memory, and otherwise there is nothing to unshare.
    unsafe { libc::unshare(libc::CLONE_VM) == 0 }
}

/// True when the process holds no capability.
pub(crate) fn has_no_capability() -> io::Result<bool> {
    let sets = rustix::thread::capabilities(None)?;
    Ok((sets.permitted | sets.effective | sets.inheritable).is_empty())
}

/// The descriptors that are open in this process.
pub(crate) fn open_descriptors() -> Vec<i32> {
    // SAFETY: asks for flags; a closed descriptor is an error.
    (0..1024).filter(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0).collect()
}

/// True when the process sees no network interface but the loopback, which is the first one everywhere.
pub(crate) fn sees_loopback_only() -> io::Result<bool> {
    const OTHERS: std::ops::Range<u32> = 2..128;
    let socket = rustix::net::socket(rustix::net::AddressFamily::UNIX, rustix::net::SocketType::DGRAM, None)?;
    Ok(OTHERS.into_iter().all(|index| rustix::net::netdevice::index_to_name(&socket, index).is_err()))
}

/// Ends the process at once: no destructors, no handlers of `atexit`, no flushing.
pub(crate) fn exit_now(code: i32) -> ! {
    // SAFETY: ends the process; nothing runs afterwards that could rely on anything.
    unsafe { libc::_exit(code) }
}

/// Keeps the C library from reserving address space for an arena a thread.
pub(crate) fn limit_malloc_arenas(arenas: i32) {
    // SAFETY: sets a number inside malloc; any value is allowed.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, arenas)
    };
    #[cfg(not(target_env = "gnu"))]
    let _ = arenas;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::socket::PacketSocket;

    #[test]
    fn a_closed_other_end_is_seen() {
        let (a, b) = PacketSocket::pair().unwrap();
        assert!(!is_hung_up(&a));
        drop(b);
        assert!(is_hung_up(&a));
    }

    #[test]
    fn threads_are_noticed_without_proc() {
        // The test harness itself has more than one thread.
        let (a, b) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || b.recv());
        assert!(!is_single_threaded());
        drop(a);
        let _ = thread.join();
    }
}
