//! Our side: tasks of `guest/` and `core.wat`, in workers of a pool.

#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;
use wasmpool::sync::{Barrier, Event, Lock, Queue};
use wasmpool::{Args, Module, Pool, Supervisor, Task, TaskHandle};

use crate::measure::Measured;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub enum Measurement {
    Lock { workers: u32 },
    CoreLock { workers: u32 },
    Queue { item_bytes: u32 },
    HandOver,
}

/// Items that wait in a queue, as on the other side.
const CAPACITY: u32 = 1024;

/// The pool and what it runs.
#[derive(Debug)]
pub struct Bench {
    guest: Module,
    core: Module,
    pool: Pool,
}

impl Bench {
    pub async fn new() -> Self {
        let supervisor = Supervisor::builder().build().expect("a supervisor");
        let guest = supervisor.load(build_guest().as_path()).await.expect("the guest loads");
        let core = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/core.wat");
        let core = supervisor.load(core.as_path()).await.expect("the core module loads");
        let pool = Pool::builder().supervisor(&supervisor).workers(2).build().expect("a pool");
        Self { guest, core, pool }
    }

    /// One round.
    pub async fn figure(&self, measurement: Measurement, n: u64) -> Measured {
        match measurement {
            Measurement::Lock { workers } => self.lock(workers, n).await,
            Measurement::CoreLock { workers } => self.core_lock(workers, n).await,
            Measurement::Queue { item_bytes } => self.queue(item_bytes, n).await,
            Measurement::HandOver => self.hand_over(n).await,
        }
    }

    async fn lock(&self, workers: u32, n: u64) -> Measured {
        let (lock, start) = (Lock::new().expect("a lock"), Barrier::new(workers).expect("a barrier"));
        let task = || self.task("lock_pairs", Args::of(&(&lock, &start, n)));
        let elapsed = self.all((0..workers).map(|_| task()).collect()).await;
        per_second(u64::from(workers) * n, &elapsed)
    }

    async fn core_lock(&self, workers: u32, n: u64) -> Measured {
        let lock = Lock::named("lock").expect("a lock");
        let start = Barrier::named("start", workers).expect("a barrier");
        let target = self.core.task("pairs").expect("an export");
        let args = Args::of(&(n,)).expect("a number");
        let task = Task::new(&target).args(args).grant(lock.grant()).grant(start.grant());
        let elapsed = self.all(vec![task; workers as usize]).await;
        per_second(u64::from(workers) * n, &elapsed)
    }

    async fn queue(&self, item_bytes: u32, n: u64) -> Measured {
        let queue = Queue::raw(CAPACITY).expect("a queue");
        let start = Barrier::new(2).expect("a barrier");
        let produce = self.task("produce", Args::of(&(&queue, &start, n, item_bytes)));
        let consume = self.task("consume", Args::of(&(&queue, &start, n)));
        let elapsed: Vec<u64> = self.all(vec![produce, consume]).await;
        per_second(n, &elapsed)
    }

    async fn hand_over(&self, n: u64) -> Measured {
        let there = Queue::raw(CAPACITY).expect("a queue");
        let back = Queue::raw(CAPACITY).expect("a queue");
        let ping = self.task("ping", Args::of(&(&there, &back, n)));
        let pong = self.task("pong", Args::of(&(&there, &back, n)));
        let mut times: Vec<Vec<u64>> = self.all(vec![ping, pong]).await;
        Measured::RoundTripsNs(times.swap_remove(0))
    }

    /// Nanoseconds from the SIGKILL of a lock's holder until a thread that waits has the lock.
    pub async fn succession(&self, kills: usize) -> Vec<u64> {
        let mut times = Vec::new();
        for _ in 0..kills {
            let lock = Lock::new().expect("a lock");
            let held = Event::new().expect("an event");
            let task = self.task("hold", Args::of(&(&lock, &held)));
            let holder = self.pool.submit(task).await.expect("the pool is open");
            held.wait_async().await.expect("it holds the lock");
            let pid = holder.pid().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
            let waiter = std::thread::spawn(move || {
                let guard =
                    lock.acquire_timeout(Duration::from_secs(60)).expect("no error").expect("the lock");
                assert!(guard.abandoned_by().is_some(), "it is told");
                Instant::now()
            });
            let killed = Instant::now();
            kill_process(pid.expect("it runs"), Signal::KILL).expect("it runs");
            let got = waiter.join().expect("the waiter");
            times.push(u64::try_from((got - killed).as_nanos()).unwrap_or(u64::MAX));
            holder.await;
        }
        times
    }

    fn task(&self, name: &str, args: Result<Args, wasmpool::ArgsError>) -> Task {
        Task::new(&self.guest.task(name).expect("a task of the guest")).args(args.expect("arguments"))
    }

    /// Runs tasks at the same time; what each returned.
    async fn all<T: DeserializeOwned>(&self, tasks: Vec<Task>) -> Vec<T> {
        let mut handles: Vec<TaskHandle> = Vec::new();
        for task in tasks {
            handles.push(self.pool.submit(task).await.expect("the pool is open"));
        }
        let mut values = Vec::new();
        for handle in handles {
            let record = handle.await;
            match &record.outcome {
                wasmpool::Outcome::Succeeded(value) => values.push(value.to().expect("a value")),
                outcome => panic!("{}: {outcome}", record.name),
            }
        }
        values
    }
}

/// By the slowest.
fn per_second(repetitions: u64, elapsed_ns: &[u64]) -> Measured {
    let slowest = elapsed_ns.iter().max().copied().unwrap_or(1).max(1);
    Measured::PerSecond(repetitions as f64 * 1e9 / slowest as f64)
}

/// The module of `guest/`.
pub fn build_guest() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/guest");
    let own = std::env::current_exe().expect("a program knows its own file");
    // target/release/deps/compare-...
    let target = own.ancestors().nth(3).expect("benches lie three folders deep").join("guests");
    let mut build = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build.current_dir(&folder).args(["build", "--release", "--target", "wasm32-wasip2", "--target-dir"]);
    let status = build.arg(&target).status().expect("cargo can be started");
    assert!(status.success(), "the guest of the benchmark is built");
    target.join("wasm32-wasip2/release/bench_guest.wasm")
}
