//! Children of this process, by pidfd: starting programs, signals, and the kernel's word on how one ended.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, Signal};

use crate::os::socket::PacketSocket;

/// The variable that tells a child of this library what it is. Nothing else is in its environment.
pub(crate) const ROLE_VARIABLE: &str = "WASMPOOL_CHILD";
/// Test builds only: where and how a child is to fail.
pub(crate) const FAULT_VARIABLE: &str = "WASMPOOL_FAULT";

/// How a process ended, by the kernel's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExitStatus {
    Exited(i32),
    Signaled(i32),
    /// Somebody else reaped it and the kernel could not be asked any more.
    Unknown,
}

/// What a process used, by the kernel's word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) cpu_time: Duration,
    pub(crate) peak_memory_bytes: u64,
}

/// A child process. Dropping it kills it and reaps it.
#[derive(Debug)]
pub(crate) struct Child {
    pidfd: OwnedFd,
    pid: u32,
    ended: Option<(ExitStatus, Usage)>,
}

impl Child {
    /// Takes over a pidfd that another process handed over.
    ///
    /// # Errors
    ///
    /// When it is no pidfd, or not of a child of this process.
    pub(crate) fn adopt(pidfd: OwnedFd) -> io::Result<Self> {
        let pid = match pidfd_info(pidfd.as_fd(), PIDFD_INFO_PID) {
            // Of a process that has ended and was not reaped the kernel tells as well.
            Ok(info) if info.pid != 0 && info.ppid == std::process::id() => info.pid,
            _ => {
                // ECHILD says that it is not ours; a child that already ended stays waitable.
                wait(pidfd.as_fd(), libc::WNOHANG | libc::WNOWAIT)?;
                pid_of(pidfd.as_fd())?
            }
        };
        Ok(Self { pidfd, pid, ended: None })
    }

    /// Starts a program as a child of ours with this role; the socket becomes its control socket.
    ///
    /// The parent-death signal follows the thread that calls this: it must live as long as the process.
    pub(crate) fn spawn(
        program: &Path,
        role: &str,
        control: PacketSocket,
        fault: Option<&str>,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.arg(format!("--wasmpool-{role}")).env_clear().env(ROLE_VARIABLE, role);
        if let Some(fault) = fault {
            command.env(FAULT_VARIABLE, fault);
        }
        // The control socket arrives as standard input, so that the standard library can use
        // `posix_spawn`, whose cost does not grow with this process.
        // It writes to no stream of ours: a guest that broke out could write to the host's terminal.
        command.stdin(Stdio::from(control.into_fd())).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let pid = child.id();
        let raw = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        let raw = raw.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        let pidfd = rustix::process::pidfd_open(raw, PidfdFlags::empty()).inspect_err(|_| {
            // No descriptor is left, perhaps. Nobody else would reap it.
            let _ = child.kill();
            let _ = child.wait();
        })?;
        Ok(Self { pidfd, pid, ended: None })
    }

    /// Lets go of a process that belongs to somebody else here: dropping it then ends nothing.
    pub(crate) fn disown(mut self) {
        self.ended = Some((ExitStatus::Unknown, Usage::default()));
    }

    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a signal; a process that has ended is no error.
    pub(crate) fn signal(&self, signal: i32) {
        if self.ended.is_none()
            && let Some(signal) = Signal::from_named_raw(signal)
        {
            let _ = rustix::process::pidfd_send_signal(&self.pidfd, signal);
        }
    }

    /// Ends it without asking.
    pub(crate) fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Reaps it if it has ended.
    pub(crate) fn try_wait(&mut self) -> Option<(ExitStatus, Usage)> {
        if self.ended.is_none() {
            self.ended = self.wait_with(libc::WNOHANG);
        }
        self.ended
    }

    /// How it ended, if it has; it stays to be reaped.
    pub(crate) fn peek(&self) -> Option<ExitStatus> {
        match self.ended {
            Some((status, _)) => Some(status),
            None => wait(self.pidfd.as_fd(), libc::WNOHANG | libc::WNOWAIT).ok()?.map(|(status, _)| status),
        }
    }

    /// Waits for its end and reaps it.
    pub(crate) fn wait(&mut self) -> (ExitStatus, Usage) {
        loop {
            if let Some(ended) = self.ended {
                return ended;
            }
            self.ended = self.wait_with(0);
        }
    }

    fn wait_with(&self, flags: i32) -> Option<(ExitStatus, Usage)> {
        match wait(self.pidfd.as_fd(), flags) {
            Ok(ended) => ended,
            // An embedder that ignores SIGCHLD or reaps everything: the kernel may still tell.
            Err(_) => match info(self.pidfd.as_fd()) {
                Ok(Some(status)) => Some((status, Usage::default())),
                Ok(None) if flags & libc::WNOHANG != 0 && self.is_alive() => None,
                _ => Some((ExitStatus::Unknown, Usage::default())),
            },
        }
    }

    fn is_alive(&self) -> bool {
        let mut fds = [rustix::event::PollFd::new(&self.pidfd, rustix::event::PollFlags::IN)];
        rustix::event::poll(&mut fds, Some(&rustix::event::Timespec::default())) == Ok(0)
    }

    /// CPU time that it has used so far; `None` once it has ended.
    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        // The kernel's encoding of a process's CPU clock: `~pid << 3 | CPUCLOCK_SCHED`.
        let clock = (!i32::try_from(self.pid).ok()? << 3) | 2;
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: `time` is valid for one timespec, which the kernel fills on success.
        let time = unsafe {
            if libc::clock_gettime(clock, time.as_mut_ptr()) != 0 {
                return None;
            }
            time.assume_init()
        };
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, u32::try_from(time.tv_nsec).ok()?))
    }
}

impl AsFd for Child {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            self.kill();
            self.wait();
        }
    }
}

/// Kills and reaps every child of ours in this process group.
pub(crate) fn end_group(group: u32) {
    let Ok(group) = i32::try_from(group) else { return };
    // SAFETY: plain system calls on a process group of ours; no memory is involved.
    unsafe {
        libc::kill(-group, libc::SIGKILL);
        while libc::waitpid(-group, std::ptr::null_mut(), 0) > 0 {}
    }
}

/// `waitid` on a pidfd with resource usage, which the C library's wrapper leaves out.
fn wait(pidfd: BorrowedFd<'_>, flags: i32) -> io::Result<Option<(ExitStatus, Usage)>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    loop {
        // SAFETY: both structures are valid for the kernel to fill, and zero is a valid value of each.
        let answer = unsafe {
            libc::syscall(
                libc::SYS_waitid,
                libc::P_PIDFD,
                pidfd.as_raw_fd(),
                info.as_mut_ptr(),
                libc::WEXITED | flags,
                usage.as_mut_ptr(),
            )
        };
        if answer == 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: the call succeeded, or left the zeros; the fields of a SIGCHLD siginfo are the ones read.
    let (info, pid, status, usage) = unsafe {
        let info = info.assume_init();
        (info, info.si_pid(), info.si_status(), usage.assume_init())
    };
    if pid == 0 {
        return Ok(None);
    }
    let status = match info.si_code {
        libc::CLD_EXITED => ExitStatus::Exited(status),
        _ => ExitStatus::Signaled(status),
    };
    Ok(Some((status, usage_of(&usage))))
}

fn usage_of(usage: &libc::rusage) -> Usage {
    let time = |time: libc::timeval| {
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Duration::from_secs(seconds) + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    Usage {
        cpu_time: time(usage.ru_utime) + time(usage.ru_stime),
        peak_memory_bytes: u64::try_from(usage.ru_maxrss).unwrap_or(0).saturating_mul(1024),
    }
}

/// `struct pidfd_info` of `linux/pidfd.h`, its first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}

const PIDFD_INFO_PID: u64 = 1;
/// Linux 6.15 and newer.
const PIDFD_INFO_EXIT: u64 = 1 << 3;

fn pidfd_info(pidfd: BorrowedFd<'_>, mask: u64) -> io::Result<PidfdInfo> {
    /// `_IOWR(0xff, 11, struct pidfd_info)`.
    const PIDFD_GET_INFO: libc::c_ulong =
        (3 << 30) | ((size_of::<PidfdInfo>() as libc::c_ulong) << 16) | (0xff << 8) | 11;
    let mut info = PidfdInfo { mask, ..PidfdInfo::default() };
    // SAFETY: the request's number carries the structure's size, and the structure is valid for it.
    let answer = unsafe { libc::ioctl(pidfd.as_raw_fd(), PIDFD_GET_INFO, &raw mut info) };
    if answer == 0 { Ok(info) } else { Err(io::Error::last_os_error()) }
}

/// The exit status of a process that somebody else reaped, where the kernel keeps it.
fn info(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    let info = pidfd_info(pidfd, PIDFD_INFO_EXIT)?;
    if info.mask & PIDFD_INFO_EXIT == 0 {
        return Ok(None);
    }
    let signal = info.exit_code & 0x7f;
    let status = if signal == 0 {
        ExitStatus::Exited(info.exit_code >> 8 & 0xff)
    } else {
        ExitStatus::Signaled(signal)
    };
    Ok(Some(status))
}

fn pid_of(pidfd: BorrowedFd<'_>) -> io::Result<u32> {
    if let Ok(info) = pidfd_info(pidfd, PIDFD_INFO_PID)
        && info.pid != 0
    {
        return Ok(info.pid);
    }
    // Kernels before 6.13.
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd()))?;
    let pid = text.lines().find_map(|line| line.strip_prefix("Pid:"));
    pid.and_then(|pid| pid.trim().parse().ok()).ok_or_else(|| Errno::SRCH.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::zombie_processes, reason = "the adopted child is reaped by its pidfd")]
    fn spawn(script: &str) -> Child {
        let child = Command::new("sh").args(["-c", script]).spawn().unwrap();
        let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        let pidfd = rustix::process::pidfd_open(pid, PidfdFlags::empty()).unwrap();
        Child::adopt(pidfd).unwrap()
    }

    #[test]
    fn the_kernel_tells_exits_from_signals() {
        assert_eq!(spawn("exit 7").wait().0, ExitStatus::Exited(7));
        assert_eq!(spawn("kill -SEGV $$").wait().0, ExitStatus::Signaled(libc::SIGSEGV));
    }

    #[test]
    fn a_process_that_is_no_child_is_refused() {
        let own = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty()).unwrap();
        assert!(Child::adopt(own).is_err());
        assert!(Child::adopt(tempfile::tempfile().unwrap().into()).is_err());
    }

    #[test]
    fn the_pid_comes_from_the_kernel_and_dropping_ends_the_child() {
        let child = spawn("exec sleep 1000");
        let pid = child.pid();
        assert!(child.cpu_time().is_some());
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn a_disowned_child_goes_on_and_leaves_no_descriptor() {
        let owner = spawn("exec sleep 1000");
        let other = owner.as_fd().try_clone_to_owned().unwrap();
        let number = other.as_raw_fd();
        Child::adopt(other).unwrap().disown();
        assert!(owner.is_alive());
        // Unless another test opened something under the number meanwhile.
        let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
        assert!(link.is_err() || pid_of_number(number) != Some(owner.pid()), "{link:?}");
    }

    fn pid_of_number(descriptor: i32) -> Option<u32> {
        let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()
    }

    #[test]
    fn the_info_structure_has_the_kernels_size() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }
}
