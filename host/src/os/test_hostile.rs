//! What native code of an attacker would try inside a worker. Each attempt says whether it was let.

use std::io;

type Attempt = (&'static str, fn() -> libc::c_long);

macro_rules! call {
    ($number:ident $(, $argument:expr)*) => {
        // SAFETY: the tests expect every one of these calls to be refused; those that would not be
        // are harmless to the test worker, which ends right after.
        || unsafe { libc::syscall(libc::$number $(, $argument)*) }
    };
}

const PATH: *const libc::c_char = c"/etc/passwd".as_ptr();
const ROOT: *const libc::c_char = c"/".as_ptr();
const NONE: usize = 0;

/// Every attempt, by name.
pub(crate) const ATTEMPTS: &[Attempt] = &[
    ("open a file", call!(SYS_open, PATH, libc::O_RDONLY)),
    ("open a file with openat", call!(SYS_openat, libc::AT_FDCWD, PATH, libc::O_RDONLY)),
    ("open a file with openat2", || {
        let how = [0_u64; 3];
        // SAFETY: as in `call`; `how` is valid for its size.
        unsafe { libc::syscall(libc::SYS_openat2, libc::AT_FDCWD, PATH, how.as_ptr(), size_of_val(&how)) }
    }),
    ("open its own memory", call!(SYS_open, c"/proc/self/mem".as_ptr(), libc::O_RDWR)),
    ("make a network socket", call!(SYS_socket, libc::AF_INET, libc::SOCK_STREAM, 0)),
    ("make a Unix socket", call!(SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)),
    ("fork", call!(SYS_fork)),
    ("fork with clone", call!(SYS_clone, libc::SIGCHLD, NONE, NONE, NONE, NONE)),
    (
        "fork as the fork server does, without its key",
        call!(SYS_clone, crate::os::fork::FORK_FLAGS & !(libc::CLONE_PIDFD as u64), NONE, NONE, NONE, NONE),
    ),
    ("fork as the fork server does, guessing its key", || {
        let mut pidfd = -1_i32;
        // SAFETY: as in `call`; `pidfd` is valid to be written.
        unsafe {
            libc::syscall(
                libc::SYS_clone,
                crate::os::fork::FORK_FLAGS,
                NONE,
                &raw mut pidfd,
                NONE,
                0x5ec0_feed_5ec1_beef_u64,
            )
        }
    }),
    (
        "start a thread",
        call!(
            SYS_clone,
            libc::CLONE_VM | libc::CLONE_FS | libc::CLONE_FILES | libc::CLONE_SIGHAND | libc::CLONE_THREAD,
            NONE,
            NONE,
            NONE,
            NONE
        ),
    ),
    ("fork with clone3", call!(SYS_clone3, NONE, 88)),
    ("execute a program", call!(SYS_execve, c"/bin/true".as_ptr(), NONE, NONE)),
    ("execute a descriptor", call!(SYS_execveat, 0, c"".as_ptr(), NONE, NONE, libc::AT_EMPTY_PATH)),
    ("be traced", call!(SYS_ptrace, libc::PTRACE_TRACEME, 0, NONE, NONE)),
    ("trace init", call!(SYS_ptrace, libc::PTRACE_SEIZE, 1, NONE, NONE)),
    ("read another process's memory", call!(SYS_process_vm_readv, 1, NONE, 0, NONE, 0, 0)),
    ("signal another process", call!(SYS_kill, 1, 0)),
    ("signal its group", call!(SYS_kill, 0, 0)),
    ("signal a thread", call!(SYS_tgkill, 1, 1, 0)),
    ("open a process", call!(SYS_pidfd_open, 1, 0)),
    ("send its signals to another process", call!(SYS_fcntl, 2, libc::F_SETOWN, 1)),
    ("change another process's limits", call!(SYS_prlimit64, 1, libc::RLIMIT_NOFILE, NONE, NONE)),
    ("leave its session", call!(SYS_setsid)),
    ("leave its process group", call!(SYS_setpgid, 0, 0)),
    ("mount", call!(SYS_mount, ROOT, ROOT, NONE, libc::MS_BIND, NONE)),
    ("change its root", call!(SYS_chroot, ROOT)),
    ("change its directory", call!(SYS_chdir, ROOT)),
    ("make namespaces", call!(SYS_unshare, libc::CLONE_NEWUSER)),
    ("change its user", call!(SYS_setuid, 1)),
    ("become dumpable", call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)),
    ("drop its parent-death signal's process", call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
    ("use io_uring", call!(SYS_io_uring_setup, 1, NONE)),
    ("load a BPF program", call!(SYS_bpf, 0, NONE, 0)),
    ("count events", call!(SYS_perf_event_open, NONE, 0, -1, -1, 0)),
    ("handle page faults", call!(SYS_userfaultfd, 0)),
    ("use keys", call!(SYS_keyctl, 0, 0, 0, 0, 0)),
    ("make shared memory", call!(SYS_shmget, 0, 4096, 0o600)),
    ("write to a terminal's input", call!(SYS_ioctl, 2, libc::TIOCSTI, NONE)),
    ("remove a file", call!(SYS_unlink, PATH)),
    ("change a file's mode", call!(SYS_chmod, PATH, 0o777)),
    ("install a filter", call!(SYS_seccomp, 0, 0, NONE)),
    (
        "map executable memory",
        call!(
            SYS_mmap,
            NONE,
            4096,
            libc::PROT_READ | libc::PROT_EXEC,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0
        ),
    ),
    ("make memory executable", call!(SYS_mprotect, NONE, 4096, libc::PROT_READ | libc::PROT_EXEC)),
    (
        "make memory executable with a key",
        call!(SYS_pkey_mprotect, NONE, 4096, libc::PROT_READ | libc::PROT_EXEC, -1),
    ),
    ("use the 32-bit numbers of x32", || {
        // SAFETY: as in `call`.
        unsafe { libc::syscall(libc::SYS_getppid | 0x4000_0000) }
    }),
    (
        "give up its limits",
        call!(
            SYS_prlimit64,
            0,
            libc::RLIMIT_CORE,
            &libc::rlimit { rlim_cur: 1, rlim_max: 1 } as *const libc::rlimit,
            NONE
        ),
    ),
];

/// Whether an attempt was refused, with the kernel's word for it.
pub(crate) fn refused(attempt: fn() -> libc::c_long) -> Result<(), String> {
    if attempt() >= 0 {
        return Err("it was let".to_owned());
    }
    let error = io::Error::last_os_error();
    match error.raw_os_error() {
        // ENOENT: nothing of the host is on the worker's root.
        Some(libc::EPERM | libc::EACCES | libc::ENOSYS | libc::ENOENT) => Ok(()),
        // Another answer means that the call itself was let and only its arguments were not.
        _ => Err(format!("it was let and failed: {error}")),
    }
}
