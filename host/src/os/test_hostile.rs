//! What native code of an attacker would try inside a worker. Each attempt says whether it was let.
//!
//! Arguments are such that the kernel would do what is asked of it, where that is harmless: an error about
//! arguments means that the call was let.

use std::io;
use std::sync::atomic::{AtomicI32, Ordering};

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
const HERE: libc::c_int = libc::AT_FDCWD;
/// The address of a Unix socket that has no place in the file system.
const ABSTRACT: &[u8] = b"\x01\0\0secret";

/// The processes around a worker, by their real ids, which a hostile one could guess.
static SUPERVISOR: AtomicI32 = AtomicI32::new(0);
static FORK_SERVER: AtomicI32 = AtomicI32::new(0);
static SIBLING: AtomicI32 = AtomicI32::new(0);

/// Remembers who this process and its parent are; for the fork server, whose workers inherit it.
pub(crate) fn remember_family() {
    // SAFETY: the calls take nothing and cannot fail.
    let (parent, own) = unsafe { (libc::getppid(), libc::getpid()) };
    SUPERVISOR.store(parent, Ordering::Relaxed);
    FORK_SERVER.store(own, Ordering::Relaxed);
}

/// Remembers another worker of the same fork server.
pub(crate) fn remember_sibling(pid: i32) {
    SIBLING.store(pid, Ordering::Relaxed);
}

fn supervisor() -> libc::c_int {
    SUPERVISOR.load(Ordering::Relaxed)
}

fn fork_server() -> libc::c_int {
    FORK_SERVER.load(Ordering::Relaxed)
}

fn sibling() -> libc::c_int {
    SIBLING.load(Ordering::Relaxed)
}

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
    ("make a pair of sockets", call!(SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, &mut [0_i32; 2])),
    ("make a raw socket", call!(SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0)),
    ("make a netlink socket", call!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, 0)),
    // By the task socket, whose number is the first that is free.
    ("connect an abstract Unix socket", call!(SYS_connect, 3, ABSTRACT.as_ptr(), ABSTRACT.len())),
    ("bind an abstract Unix socket", call!(SYS_bind, 3, ABSTRACT.as_ptr(), ABSTRACT.len())),
    ("send to an address", call!(SYS_sendto, 3, NONE, 0, 0, ABSTRACT.as_ptr(), ABSTRACT.len())),
    ("listen", call!(SYS_listen, 3, 1)),
    ("accept a connection", call!(SYS_accept4, 3, NONE, NONE, 0)),
    (
        "change its socket's options",
        call!(SYS_setsockopt, 3, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &1_i32, 4),
    ),
    ("fork as vfork does", call!(SYS_vfork)),
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
    ("trace its sibling", call!(SYS_ptrace, libc::PTRACE_SEIZE, sibling(), NONE, NONE)),
    ("trace its fork server", call!(SYS_ptrace, libc::PTRACE_ATTACH, fork_server(), NONE, NONE)),
    ("trace its supervisor", call!(SYS_ptrace, libc::PTRACE_SEIZE, supervisor(), NONE, NONE)),
    ("signal its sibling", call!(SYS_kill, sibling(), 0)),
    ("signal its fork server", call!(SYS_kill, fork_server(), 0)),
    ("signal its supervisor", call!(SYS_kill, supervisor(), 0)),
    ("signal its sibling's thread", call!(SYS_tgkill, sibling(), sibling(), 0)),
    ("signal its supervisor's thread", call!(SYS_tkill, supervisor(), 0)),
    ("signal its supervisor with a value", call!(SYS_rt_sigqueueinfo, supervisor(), 0, &[0_u64; 16])),
    ("signal its group's other processes", call!(SYS_kill, -fork_server(), 0)),
    ("open its sibling", call!(SYS_pidfd_open, sibling(), 0)),
    ("open its fork server", call!(SYS_pidfd_open, fork_server(), 0)),
    ("open its supervisor", call!(SYS_pidfd_open, supervisor(), 0)),
    ("take another process's descriptor", call!(SYS_pidfd_getfd, 3, 0, 0)),
    ("signal by a descriptor", call!(SYS_pidfd_send_signal, 3, 0, NONE, 0)),
    ("read its sibling's memory", || vm(libc::SYS_process_vm_readv, sibling())),
    ("read its fork server's memory", || vm(libc::SYS_process_vm_readv, fork_server())),
    ("read its supervisor's memory", || vm(libc::SYS_process_vm_readv, supervisor())),
    ("write its sibling's memory", || vm(libc::SYS_process_vm_writev, sibling())),
    ("write its fork server's memory", || vm(libc::SYS_process_vm_writev, fork_server())),
    ("write its supervisor's memory", || vm(libc::SYS_process_vm_writev, supervisor())),
    ("advise on another process's memory", call!(SYS_process_madvise, 3, NONE, 0, 0, 0)),
    ("move its sibling's pages", call!(SYS_move_pages, sibling(), 0, NONE, NONE, NONE, 0)),
    ("compare itself with its supervisor", call!(SYS_kcmp, supervisor(), fork_server(), 1, 0, 0)),
    ("limit its fork server", call!(SYS_prlimit64, fork_server(), libc::RLIMIT_CPU, NONE, &mut [0_u64; 2])),
    ("move its sibling to another CPU", call!(SYS_sched_setaffinity, sibling(), 8, &u64::MAX)),
    ("slow its supervisor down", call!(SYS_setpriority, libc::PRIO_PROCESS, supervisor(), 19)),
    ("go before all others", call!(SYS_sched_setscheduler, 0, libc::SCHED_FIFO, &1_i32)),
    ("go before all others at the disk", call!(SYS_ioprio_set, 1, 0, 0x2000)),
    ("leave its session", call!(SYS_setsid)),
    ("leave its process group", call!(SYS_setpgid, 0, 0)),
    ("mount", call!(SYS_mount, ROOT, ROOT, NONE, libc::MS_BIND, NONE)),
    ("mount a tree", call!(SYS_open_tree, HERE, ROOT, 1)),
    ("move a mount", call!(SYS_move_mount, HERE, ROOT, HERE, ROOT, 0)),
    ("make a file system", call!(SYS_fsopen, c"tmpfs".as_ptr(), 0)),
    ("configure a file system", call!(SYS_fsconfig, 3, 6, NONE, NONE, 0)),
    ("mount a file system", call!(SYS_fsmount, 3, 0, 0)),
    ("open a file system", call!(SYS_fspick, HERE, ROOT, 0)),
    ("change a mount", call!(SYS_mount_setattr, HERE, ROOT, 0, &[0_u64; 4], 32)),
    ("unmount", call!(SYS_umount2, ROOT, libc::MNT_DETACH)),
    ("exchange its root", call!(SYS_pivot_root, ROOT, ROOT)),
    ("change its directory by a descriptor", call!(SYS_fchdir, 0)),
    ("change its root", call!(SYS_chroot, ROOT)),
    ("change its directory", call!(SYS_chdir, ROOT)),
    ("make namespaces", call!(SYS_unshare, libc::CLONE_NEWUSER)),
    ("make a mount namespace", call!(SYS_unshare, libc::CLONE_NEWNS)),
    ("make a network namespace", call!(SYS_unshare, libc::CLONE_NEWNET)),
    ("make a process namespace", call!(SYS_unshare, libc::CLONE_NEWPID)),
    ("make an IPC namespace", call!(SYS_unshare, libc::CLONE_NEWIPC)),
    ("make a host name namespace", call!(SYS_unshare, libc::CLONE_NEWUTS)),
    ("make a cgroup namespace", call!(SYS_unshare, libc::CLONE_NEWCGROUP)),
    ("make a time namespace", call!(SYS_unshare, 0x80)),
    ("enter a namespace", call!(SYS_setns, 3, 0)),
    ("change its group", call!(SYS_setgid, 1)),
    ("change all its users", call!(SYS_setresuid, 0, 0, 0)),
    ("change its groups", call!(SYS_setgroups, 0, NONE)),
    ("change its user for files", call!(SYS_setfsuid, 0)),
    ("change its capabilities", call!(SYS_capset, &[0x2008_0522_u64, 0], &[0_u64; 3])),
    ("change its user", call!(SYS_setuid, 1)),
    ("become dumpable", call!(SYS_prctl, libc::PR_SET_DUMPABLE, 1, 0, 0, 0)),
    ("outlive its host", call!(SYS_prctl, libc::PR_SET_PDEATHSIG, 0, 0, 0, 0)),
    (
        "be told of its host's end by a signal that it can ignore",
        call!(SYS_prctl, libc::PR_SET_PDEATHSIG, libc::SIGTERM, 0, 0, 0),
    ),
    ("drop its parent-death signal's process", call!(SYS_prctl, libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)),
    ("become traceable by anybody", call!(SYS_prctl, libc::PR_SET_PTRACER, -1, 0, 0, 0)),
    ("move its own memory's borders", call!(SYS_prctl, libc::PR_SET_MM, 1, 0, 0, 0)),
    ("keep capabilities", call!(SYS_prctl, libc::PR_SET_KEEPCAPS, 1, 0, 0, 0)),
    ("drop its filter's speculation barrier", call!(SYS_prctl, libc::PR_SET_SPECULATION_CTRL, 0, 2, 0, 0)),
    ("run as another kind of system", call!(SYS_personality, 0x0040_0000)),
    ("set a segment", call!(SYS_arch_prctl, 0x1001, NONE)),
    ("let instructions fault", call!(SYS_arch_prctl, 0x1012, 0)),
    ("change its descriptor table of segments", call!(SYS_modify_ldt, 1, NONE, 0)),
    ("use input and output ports", call!(SYS_iopl, 3)),
    ("use one port", call!(SYS_ioperm, 0x80, 1, 1)),
    ("use io_uring's queue", call!(SYS_io_uring_enter, 3, 0, 0, 0, NONE, 0)),
    ("register with io_uring", call!(SYS_io_uring_register, 3, 0, NONE, 0)),
    ("use asynchronous input and output", call!(SYS_io_setup, 1, &mut 0_u64)),
    ("use io_uring", call!(SYS_io_uring_setup, 1, NONE)),
    ("load a BPF program", call!(SYS_bpf, 0, NONE, 0)),
    ("count events", call!(SYS_perf_event_open, NONE, 0, -1, -1, 0)),
    ("handle page faults", call!(SYS_userfaultfd, 0)),
    ("use keys", call!(SYS_keyctl, 0, 0, 0, 0, 0)),
    ("add a key", call!(SYS_add_key, c"user".as_ptr(), c"wasm".as_ptr(), c"x".as_ptr(), 1, -3)),
    ("request a key", call!(SYS_request_key, c"user".as_ptr(), c"wasm".as_ptr(), NONE, 0)),
    ("make secret memory", call!(SYS_memfd_secret, 0)),
    ("make a message queue", call!(SYS_msgget, 0, 0o1600)),
    ("make a semaphore", call!(SYS_semget, 0, 1, 0o1600)),
    ("open a message queue", call!(SYS_mq_open, c"wasm".as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, NONE)),
    ("remove a message queue", call!(SYS_mq_unlink, c"wasm".as_ptr())),
    ("watch all files", call!(SYS_fanotify_init, 0, 0)),
    ("watch a file", call!(SYS_inotify_init1, 0)),
    ("add a watch", call!(SYS_inotify_add_watch, 3, ROOT, libc::IN_OPEN)),
    ("name a file by a handle", call!(SYS_name_to_handle_at, HERE, PATH, &mut [0_u64; 20], &mut 0_i32, 0)),
    ("open a file by a handle", call!(SYS_open_by_handle_at, HERE, &mut [0_u64; 20], 0)),
    ("set a timer for itself", call!(SYS_timer_create, libc::CLOCK_MONOTONIC, NONE, &mut 0_i32)),
    ("set an alarm", call!(SYS_alarm, 0)),
    ("read the kernel's log", call!(SYS_syslog, 3, NONE, 0)),
    ("load a kernel module", call!(SYS_init_module, NONE, 0, c"".as_ptr())),
    ("load a kernel module's file", call!(SYS_finit_module, 3, c"".as_ptr(), 0)),
    ("remove a kernel module", call!(SYS_delete_module, c"wasm".as_ptr(), 0)),
    ("load another kernel", call!(SYS_kexec_load, 0, 0, NONE, 0)),
    ("load another kernel's file", call!(SYS_kexec_file_load, 3, 3, 0, c"".as_ptr(), 0)),
    ("restart the machine", call!(SYS_reboot, 0, 0, 0, NONE)),
    ("use a swap file", call!(SYS_swapon, c"/wasm".as_ptr(), 0)),
    ("turn a swap file off", call!(SYS_swapoff, c"/wasm".as_ptr())),
    ("name the machine", call!(SYS_sethostname, c"wasm".as_ptr(), 4)),
    ("name its domain", call!(SYS_setdomainname, c"wasm".as_ptr(), 4)),
    ("set the clock", call!(SYS_clock_settime, libc::CLOCK_REALTIME, &[-1_i64, -1])),
    ("set the time of day", call!(SYS_settimeofday, &[-1_i64, -1], NONE)),
    ("tune the clock", call!(SYS_adjtimex, &mut [0_u64; 26])),
    ("tune a clock", call!(SYS_clock_adjtime, libc::CLOCK_REALTIME, &mut [0_u64; 26])),
    ("set quotas", call!(SYS_quotactl, 0, NONE, 0, NONE)),
    ("account for processes", call!(SYS_acct, c"/wasm".as_ptr())),
    ("hang the terminal up", call!(SYS_vhangup)),
    ("make shared memory", call!(SYS_shmget, 0, 4096, 0o600)),
    ("write to a terminal's input", call!(SYS_ioctl, 2, libc::TIOCSTI, NONE)),
    ("remove a file", call!(SYS_unlink, PATH)),
    ("look at a file", call!(SYS_stat, PATH, &mut [0_u64; 32])),
    ("look at a file with fstatat", call!(SYS_newfstatat, HERE, PATH, &mut [0_u64; 32], 0)),
    ("look at a file with statx", call!(SYS_statx, HERE, PATH, 0, 0x7ff, &mut [0_u64; 64])),
    ("ask for access", call!(SYS_access, PATH, libc::R_OK)),
    ("ask for access with faccessat2", call!(SYS_faccessat2, HERE, PATH, libc::R_OK, 0)),
    ("look at a file system", call!(SYS_statfs, ROOT, &mut [0_u64; 32])),
    ("read a link", call!(SYS_readlink, c"/proc/self/exe".as_ptr(), &mut [0_u8; 64], 64)),
    (
        "read a link with readlinkat",
        call!(SYS_readlinkat, HERE, c"/proc/self/exe".as_ptr(), &mut [0_u8; 64], 64),
    ),
    ("list a directory", call!(SYS_getdents64, 3, &mut [0_u8; 64], 64)),
    ("make a file", call!(SYS_creat, c"/wasm".as_ptr(), 0o600)),
    ("make a directory", call!(SYS_mkdir, c"/wasm".as_ptr(), 0o700)),
    ("make a device", call!(SYS_mknod, c"/wasm".as_ptr(), libc::S_IFCHR, 0)),
    ("make a link", call!(SYS_link, PATH, c"/wasm".as_ptr())),
    ("make a link with linkat", call!(SYS_linkat, HERE, PATH, HERE, c"/wasm".as_ptr(), 0)),
    ("make a symbolic link", call!(SYS_symlink, PATH, c"/wasm".as_ptr())),
    ("rename a file", call!(SYS_rename, PATH, c"/wasm".as_ptr())),
    ("rename a file with renameat2", call!(SYS_renameat2, HERE, PATH, HERE, c"/wasm".as_ptr(), 0)),
    ("remove a file with unlinkat", call!(SYS_unlinkat, HERE, PATH, 0)),
    ("remove a directory", call!(SYS_rmdir, ROOT)),
    ("cut a file", call!(SYS_truncate, PATH, 0)),
    ("change a file's times", call!(SYS_utimensat, HERE, PATH, NONE, 0)),
    ("change a file's attributes", call!(SYS_setxattr, PATH, c"user.a".as_ptr(), c"".as_ptr(), 0, 0)),
    ("change a file's owner", call!(SYS_chown, PATH, -1, -1)),
    ("change a descriptor's owner", call!(SYS_fchown, 3, -1, -1)),
    ("change a descriptor's mode", call!(SYS_fchmod, 3, 0o777)),
    ("change a file's mode with fchmodat", call!(SYS_fchmodat, HERE, PATH, 0o777)),
    ("lock a file", call!(SYS_flock, 3, libc::LOCK_EX | libc::LOCK_NB)),
    ("move bytes between descriptors", call!(SYS_splice, 3, NONE, 1, NONE, 1, 0)),
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

/// Eight bytes of another process's memory, from or to where this one has its stack.
fn vm(call: libc::c_long, pid: libc::c_int) -> libc::c_long {
    let mut bytes = [0_u8; 8];
    let part = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() };
    // SAFETY: as in `call`; the vectors are valid, and what is written lies in this frame or elsewhere.
    unsafe { libc::syscall(call, pid, &raw const part, 1, &raw const part, 1, 0) }
}

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

/// Opens descriptors until the kernel refuses, and keeps them.
pub(crate) fn open_until_refused() {
    // SAFETY: duplicates standard input; nobody owns the new descriptors.
    while unsafe { libc::fcntl(0, libc::F_DUPFD_CLOEXEC, 3) } >= 0 {}
}

/// Ports of this machine at which somebody listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) granted: u16,
    pub(crate) other: u16,
}

static GRANTED_PORT: AtomicI32 = AtomicI32::new(0);
static OTHER_PORT: AtomicI32 = AtomicI32::new(0);

/// Remembers what to connect to.
pub(crate) fn remember_ports(ports: Ports) {
    GRANTED_PORT.store(ports.granted.into(), Ordering::Relaxed);
    OTHER_PORT.store(ports.other.into(), Ordering::Relaxed);
}

const NEW: libc::c_int = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
const STREAM: libc::c_int = libc::SOCK_STREAM | NEW;
const DATAGRAM: libc::c_int = libc::SOCK_DGRAM | NEW;
const IPPROTO_SMC: libc::c_int = 256;
const AF_SMC: libc::c_int = 43;
const TCP_ULP: libc::c_int = 31;

/// Every attempt at the network, by name, with calls as they are let for those who may make them.
pub(crate) const NET_ATTEMPTS: &[Attempt] = &[
    ("make a TCP socket", call!(SYS_socket, libc::AF_INET, STREAM, libc::IPPROTO_TCP)),
    ("make a UDP socket", call!(SYS_socket, libc::AF_INET, DATAGRAM, 0)),
    ("connect to the granted port", || with_tcp_socket(|socket| connect(socket, &GRANTED_PORT))),
    ("connect to another port", || with_tcp_socket(|socket| connect(socket, &OTHER_PORT))),
    ("connect to another port by sending", || with_tcp_socket(|socket| send_open(libc::SYS_sendto, socket))),
    ("connect to another port by a message", || {
        with_tcp_socket(|socket| send_open(libc::SYS_sendmsg, socket))
    }),
    ("listen without an address", || {
        // SAFETY: as in `call`.
        with_tcp_socket(|socket| unsafe { libc::syscall(libc::SYS_listen, socket, 1) })
    }),
    ("bind a port that the system chooses", || with_tcp_socket(|socket| bind(socket, 0))),
    ("bind another port", || {
        with_tcp_socket(|socket| bind(socket, OTHER_PORT.load(Ordering::Relaxed) as u16))
    }),
    ("make another kind of socket of a TCP socket", || {
        with_tcp_socket(|socket| option(socket, libc::IPPROTO_TCP, TCP_ULP, b"smc\0"))
    }),
    ("let a socket through to another device", || {
        with_tcp_socket(|socket| option(socket, libc::SOL_SOCKET, libc::SO_BINDTODEVICE, b"lo\0"))
    }),
    ("make an MPTCP socket", call!(SYS_socket, libc::AF_INET, STREAM, libc::IPPROTO_MPTCP)),
    ("make an SCTP socket", call!(SYS_socket, libc::AF_INET, STREAM, libc::IPPROTO_SCTP)),
    ("make an SMC socket", call!(SYS_socket, libc::AF_INET, STREAM, IPPROTO_SMC)),
    ("make an SMC socket of its own family", call!(SYS_socket, AF_SMC, STREAM, 0)),
    ("make a ping socket", call!(SYS_socket, libc::AF_INET, DATAGRAM, libc::IPPROTO_ICMP)),
    ("make a raw socket", call!(SYS_socket, libc::AF_INET, libc::SOCK_RAW | NEW, libc::IPPROTO_TCP)),
    ("make a packet socket", call!(SYS_socket, libc::AF_PACKET, libc::SOCK_RAW | NEW, 0)),
    ("make a Unix socket", call!(SYS_socket, libc::AF_UNIX, STREAM, 0)),
    (
        "make a pair of packet sockets",
        call!(SYS_socketpair, libc::AF_UNIX, libc::SOCK_SEQPACKET | NEW, 0, &mut [0_i32; 2]),
    ),
    ("make a netlink socket", call!(SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW | NEW, 0)),
    ("make a virtual machine's socket", call!(SYS_socket, libc::AF_VSOCK, STREAM, 0)),
    ("make an encryption socket", call!(SYS_socket, libc::AF_ALG, libc::SOCK_SEQPACKET | NEW, 0)),
    ("make a network namespace", call!(SYS_unshare, libc::CLONE_NEWNET)),
    ("ask for interfaces", call!(SYS_ioctl, 3, libc::SIOCGIFCONF, NONE)),
    (
        "start a thread",
        call!(SYS_clone, libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND, NONE, NONE, NONE, NONE),
    ),
];

/// What an attempt with a TCP socket is answered; as the socket's making is answered, where none can be made.
fn with_tcp_socket(attempt: fn(libc::c_int) -> libc::c_long) -> libc::c_long {
    // SAFETY: makes a descriptor, which nobody owns until the process ends.
    let socket = unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, STREAM, libc::IPPROTO_TCP) };
    if socket < 0 { socket } else { attempt(socket as libc::c_int) }
}

fn loopback(port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(std::net::Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    }
}

fn connect(socket: libc::c_int, port: &AtomicI32) -> libc::c_long {
    let address = loopback(port.load(Ordering::Relaxed) as u16);
    // SAFETY: as in `call`; the address is valid for its size.
    unsafe { libc::syscall(libc::SYS_connect, socket, &raw const address, size_of_val(&address)) }
}

fn bind(socket: libc::c_int, port: u16) -> libc::c_long {
    let address = loopback(port);
    // SAFETY: as in `call`; the address is valid for its size.
    unsafe { libc::syscall(libc::SYS_bind, socket, &raw const address, size_of_val(&address)) }
}

fn option(socket: libc::c_int, level: libc::c_int, name: libc::c_int, value: &[u8]) -> libc::c_long {
    // SAFETY: as in `call`; the value is valid for its length.
    unsafe { libc::syscall(libc::SYS_setsockopt, socket, level, name, value.as_ptr(), value.len()) }
}

/// TCP Fast Open: a connection that no `connect` makes.
fn send_open(call: libc::c_long, socket: libc::c_int) -> libc::c_long {
    let mut address = loopback(OTHER_PORT.load(Ordering::Relaxed) as u16);
    let mut byte = *b"x";
    let flags = libc::MSG_FASTOPEN | libc::MSG_NOSIGNAL;
    let length = size_of_val(&address);
    if call == libc::SYS_sendto {
        // SAFETY: as in `call`; the buffer and the address are valid for their sizes.
        return unsafe { libc::syscall(call, socket, byte.as_ptr(), 1, flags, &raw const address, length) };
    }
    let mut part = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: 1 };
    // SAFETY: a message header of zeros is one without anything.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_name = (&raw mut address).cast();
    message.msg_namelen = length as libc::socklen_t;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    // SAFETY: as in `call`; everything that the header points at is valid.
    unsafe { libc::syscall(call, socket, &raw const message, flags) }
}

/// The version of Landlock's interface that the kernel has; 0 for none.
pub(crate) fn landlock_interface() -> libc::c_long {
    // SAFETY: asks for a number and takes nothing.
    unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, NONE, 0, 1) }.max(0)
}
