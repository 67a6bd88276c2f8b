//! What must hold after every scenario, once its pools and supervisors are dropped: no child process, not
//! even an unreaped one; no cgroup; no more descriptors than before; no thread but the library's three that live as
//! long as the process.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::WaitOptions;

/// The kernel takes a thread out of `/proc` a little after whoever joined it goes on.
const THREAD_END_TIME_MAX: Duration = Duration::from_secs(1);
/// Background threads, and this program's first; the kernel cuts names to 15 bytes.
const THREADS: &[&str] = &["wasmpool-spawn", "wasmpool-callba", "wasmpool-store", "scenario"];

/// What there was before a scenario.
pub struct Before {
    descriptors: usize,
}

impl Before {
    /// Looks around.
    pub fn look() -> Self {
        Self { descriptors: descriptors() }
    }

    /// Panics if the scenario left anything.
    pub fn expect_no_leftovers(&self) {
        let waited = rustix::process::wait(WaitOptions::NOHANG);
        assert_eq!(waited.err(), Some(Errno::CHILD), "a child process is left");
        let begun = Instant::now();
        // The thread that keeps artifacts in the cache may still be writing one.
        while descriptors() > self.descriptors {
            assert!(begun.elapsed() < THREAD_END_TIME_MAX, "descriptors are left: {:?}", targets());
            std::thread::yield_now();
        }
        loop {
            let threads = threads();
            let mains = threads.iter().filter(|name| *name == "scenario").count();
            if mains == 1 && threads.iter().all(|name| THREADS.contains(&name.as_str())) {
                return;
            }
            assert!(begun.elapsed() < THREAD_END_TIME_MAX, "threads are left: {threads:?}");
            std::thread::yield_now();
        }
    }
}

/// Panics if a cgroup of this process is left.
pub fn expect_no_cgroups() {
    let left = crate::cgroups::groups_of(std::process::id());
    assert!(left.is_empty(), "cgroups are left: {left:?}");
}

/// How many descriptors this process has open.
pub fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("/proc is mounted").count()
}

/// What they are, for a message.
pub fn targets() -> Vec<String> {
    let entries = std::fs::read_dir("/proc/self/fd").expect("/proc is mounted");
    let target = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read_link(entry.ok()?.path()).ok();
    entries.filter_map(target).map(|target| target.display().to_string()).collect()
}

/// The names of this process's threads.
pub fn threads() -> Vec<String> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("/proc is mounted");
    let name = |task: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(task.ok()?.path().join("comm")).ok()
    };
    tasks.filter_map(name).map(|name| name.trim_end().to_owned()).collect()
}
