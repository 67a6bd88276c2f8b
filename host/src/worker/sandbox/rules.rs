//! The system calls that our processes need, each with what needs it. Everything else is `EPERM`.

#![forbid(unsafe_code)]

/// When a call is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) enum When {
    Always,
    /// An argument, by its index, has one of these values.
    Argument(u8, &'static [u64]),
    /// Each of these arguments, by its index, has its value.
    All(&'static [(u8, u64)]),
    /// The first argument is this one, a C `int`, and the third this one.
    FirstAndThird(i32, u64),
    /// Of these bits of the third argument, exactly those are set.
    Bits {
        of: u64,
        set: u64,
    },
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) call: libc::c_long,
    pub(super) when: When,
}

macro_rules! rules {
    ($($call:ident $(if $when:expr)?, $reason:literal;)*) => {
        &[$(Rule { call: libc::$call, when: rules!(@when $($when)?) },)*]
    };
    (@when) => { When::Always };
    (@when $when:expr) => { $when };
}

pub(super) use rules;

const fn commands<const N: usize>(numbers: [i32; N]) -> [u64; N] {
    let mut wide = [0; N];
    let mut index = 0;
    while index < N {
        wide[index] = numbers[index] as u64;
        index += 1;
    }
    wide
}

/// Commands of `fcntl`. Not F_SETOWN and F_SETSIG, which send signals to any process.
const FCNTL: &[u64] = &commands([
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    libc::F_DUPFD_CLOEXEC,
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
]);
/// For files of granted directories.
const FCNTL_FILES: &[u64] = &commands([libc::F_SETFL]);
/// The flags with which wasmtime-wasi opens a granted directory.
const DIRECTORY: u64 = (libc::O_PATH | libc::O_DIRECTORY | libc::O_CLOEXEC) as u64;
const LISTING: u64 = libc::O_DIRECTORY as u64;
const LISTING_OR_PATH: u64 = LISTING | libc::O_PATH as u64;
/// Flags of a frame. Not MSG_FASTOPEN, which connects a TCP socket past Landlock.
const SEND: &[u64] = &commands([libc::MSG_NOSIGNAL, libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT]);
/// Options of `prctl`. Not PR_SET_PDEATHSIG with any signal, PR_SET_DUMPABLE, PR_SET_PTRACER, PR_SET_MM, PR_SET_CHILD_SUBREAPER.
const PRCTL: &[u64] = &commands([
    libc::PR_GET_TID_ADDRESS,
    libc::PR_SET_VMA,
    libc::PR_SET_NAME,
    libc::PR_GET_NAME,
    PR_GET_AUXV,
]);
const DEATH_SIGNAL: u64 = libc::PR_SET_PDEATHSIG as u64;
const KILL: u64 = libc::SIGKILL as u64;
/// Reads this process's own auxiliary vector; libc does not name it.
const PR_GET_AUXV: i32 = 0x4155_5856;
const NO_NEW_PRIVILEGES: &[u64] = &commands([libc::PR_SET_NO_NEW_PRIVS]);
const UNSHARE: &[u64] = &commands([libc::CLONE_VM]);
const OWN_PROCESS: &[u64] = &[0];
/// The flags with which glibc makes a thread by `clone`, once `clone3` said ENOSYS.
const THREAD: &[u64] = &commands([libc::CLONE_VM
    | libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SIGHAND
    | libc::CLONE_THREAD
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_CLEARTID]);

/// What every process of ours does.
pub(super) const EVERY_PROCESS: &[Rule] = rules! {
    SYS_read, "control socket's and pipes' bytes, standard input";
    SYS_readv, "the same, in parts";
    SYS_write, "results into memory files; standard error";
    SYS_writev, "the same, in parts";
    SYS_pread64, "artifact and module files";
    SYS_pwrite64, "the artifact's parts";
    SYS_recvmsg, "frames and descriptors";
    SYS_sendmsg if When::Argument(2, SEND), "frames and descriptors";
    SYS_poll, "hang-up of the supervisor";
    SYS_ppoll, "the same";
    SYS_close, "descriptors";
    SYS_fcntl if When::Argument(1, FCNTL), "close-on-exec, seals, duplicates";
    SYS_fstat, "length of memory files";
    SYS_lseek, "position in memory files";
    SYS_ftruncate, "length of memory files";
    SYS_memfd_create, "results, and the memory images that wasmtime makes of a module's data";
    SYS_mmap, "memory; no executable memory once the artifact is loaded, see `seccomp::freeze_code`";
    SYS_munmap, "memory";
    SYS_mremap, "growing allocations, linear memories that move";
    SYS_madvise, "giving memory back; the page of the fork key";
    SYS_brk, "malloc";
    SYS_rt_sigaction, "handlers of faults and of the interrupt";
    SYS_rt_sigprocmask, "signal masks";
    SYS_rt_sigreturn, "return from handlers";
    SYS_sigaltstack, "stack of the handlers";
    SYS_futex, "locks, sleeping for a time";
    SYS_clock_gettime, "clocks, where the vDSO does not serve";
    SYS_clock_getres, "the clocks' resolution";
    SYS_clock_nanosleep, "sleeping";
    SYS_nanosleep, "sleeping";
    SYS_gettimeofday, "clocks, where the vDSO does not serve";
    SYS_getrandom, "seeds";
    SYS_getpid, "the C library";
    SYS_gettid, "the C library";
    SYS_getuid, "the C library";
    SYS_sched_yield, "spinning locks";
    SYS_sched_getaffinity, "number of CPUs";
    SYS_set_robust_list, "the C library, in a new thread";
    SYS_rseq, "the C library, in a new thread";
    SYS_membarrier, "wasmtime, before code is run";
    SYS_prlimit64 if When::Argument(0, OWN_PROCESS), "lowering its own limits";
    SYS_getrusage, "CPU time";
    SYS_restart_syscall, "a sleep that a signal interrupted";
    SYS_exit, "end of a thread";
    SYS_exit_group, "end";
    SYS_prctl if When::Argument(0, PRCTL), "names, the thread id's address";
    SYS_prctl if When::All(&[(0, DEATH_SIGNAL), (1, KILL)]), "asking for the parent-death signal; nobody gives it up";
    SYS_unshare if When::Argument(0, UNSHARE), "asking whether there is a second thread";
};

/// What running guests needs besides. `openat2` must be allowed, though Landlock denies every open:
/// without it wasmtime-wasi falls back to resolving paths itself, where an escape was found.
pub(super) const WORKER: &[Rule] = rules! {
    SYS_mprotect, "code of the artifact, linear memories that grow";
    SYS_setitimer, "a bound on what modules do before they are called";
    SYS_openat2, "files in granted directories";
};

/// What reading granted directories needs besides. `openat` below a descriptor is allowed for listing a directory
/// only: wasmtime-wasi's own way of resolving paths goes through path descriptors of directories and opens files
/// by it, so it leads nowhere.
pub(super) const READ_DIRS: &[Rule] = rules! {
    SYS_fchdir, "reaching a directory by its descriptor, where there is no empty root";
    SYS_openat if When::FirstAndThird(libc::AT_FDCWD, DIRECTORY), "a granted directory itself, as a path descriptor";
    SYS_openat if When::Bits { of: LISTING_OR_PATH, set: LISTING }, "listing a directory once more from its beginning";
    SYS_statx, "what a file is";
    SYS_newfstatat, "the same";
    SYS_getdents64, "listing directories";
    SYS_readlinkat, "reading symbolic links";
    SYS_preadv, "reading files in parts";
    SYS_fadvise64, "advice on how a file will be read";
    SYS_fcntl if When::Argument(1, FCNTL_FILES), "flags of open files";
};

/// What changing granted directories needs besides. Not modes and owners, which WASI does not know.
pub(super) const WRITE_DIRS: &[Rule] = rules! {
    SYS_mkdirat, "making directories";
    SYS_unlinkat, "removing files and directories";
    SYS_renameat, "renaming";
    SYS_renameat2, "renaming";
    SYS_linkat, "hard links";
    SYS_symlinkat, "symbolic links";
    SYS_utimensat, "times of files";
    SYS_pwritev, "writing files in parts";
    SYS_pwritev2, "appending in parts";
    SYS_fallocate, "room for files";
    SYS_fsync, "keeping what was written";
    SYS_fdatasync, "keeping what was written";
};

/// What the fork server needs once more, to forbid itself and its workers new code.
pub(super) const FORK_SERVER: &[Rule] = rules! {
    SYS_seccomp, "the second filter";
    SYS_prctl if When::Argument(0, NO_NEW_PRIVILEGES), "seccompiler sets it before every filter";
};

/// What compiling needs besides.
pub(super) const COMPILE: &[Rule] = rules! {
    SYS_mprotect, "stacks of threads, heaps of malloc, code";
    SYS_clone if When::Argument(0, THREAD), "threads of the parallel compiler";
};
