//! Threads that run closures in order, each for one kind of work that must not hold up the dispatcher.

#![forbid(unsafe_code)]

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

type Work = Box<dyn FnOnce() + Send>;

/// Starts programs. The parent-death signal of a child follows the *thread* that started it, and
/// workers inherit that parent (`CLONE_PARENT`); so one thread, which lives as long as the process,
/// does every spawn. A thread of a runtime that comes and goes would take the workers with it.
pub(super) static SPAWN: WorkThread = WorkThread::new("wasmpool-spawn");

/// Runs the users' callbacks: one that panics is logged, one that blocks delays only other callbacks.
pub(super) static CALLBACKS: WorkThread = WorkThread::new("wasmpool-callbacks");

/// Reads and writes the artifact cache.
pub(super) static STORE: WorkThread = WorkThread::new("wasmpool-store");

/// A thread that starts with its first work and lives as long as the process.
pub(super) struct WorkThread {
    name: &'static str,
    queue: OnceLock<Option<Sender<Work>>>,
    /// What was given and has not run.
    left: AtomicUsize,
}

impl WorkThread {
    const fn new(name: &'static str) -> Self {
        Self { name, queue: OnceLock::new(), left: AtomicUsize::new(0) }
    }

    /// Runs `work` after what was given before.
    pub(super) fn run(&'static self, work: impl FnOnce() + Send + 'static) {
        let queue = self.queue.get_or_init(|| {
            let (sender, receiver) = channel::<Work>();
            let thread = std::thread::Builder::new().name(self.name.to_owned());
            thread.spawn(move || receiver.into_iter().for_each(run_one)).ok().map(|_| sender)
        });
        let left = Left::one_more(&self.left);
        let work: Work = Box::new(move || {
            let _left = left;
            work();
        });
        match queue {
            Some(queue) => drop(queue.send(work)),
            // No thread could be started: late is worse than here.
            None => run_one(work),
        }
    }

    /// Waits until everything that was given before has run, for at most this long.
    pub(super) fn finish(&'static self, time_max: Duration) {
        // Nothing is left of most programs, whose end would wake the thread only to hear that.
        if self.left.load(Ordering::Acquire) > 0 {
            let (sender, receiver) = channel();
            self.run(move || {
                // Nobody may be waiting any more.
                let _ = sender.send(());
            });
            let _ = receiver.recv_timeout(time_max);
        }
    }
}

/// One piece of work that is counted until it has run, or panicked, or cannot run any more.
struct Left(&'static AtomicUsize);

impl Left {
    fn one_more(count: &'static AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl fmt::Debug for WorkThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkThread").field("name", &self.name).finish_non_exhaustive()
    }
}

fn run_one(work: Work) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        tracing::error!("a callback panicked");
    }
}
