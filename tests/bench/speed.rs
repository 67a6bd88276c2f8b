//! How fast tasks are, beside what a user would take instead, and beside what the machine can do.
//!
//! Every figure of one line is taken in turn, round by round. Ours is measured through the library, in pools whose
//! workers are in a required sandbox.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use bytes::Bytes;
use rustix::process::{Pid, Signal};
use wasmpool::outcome::TaskValue;
use wasmpool::{Args, Limits, Module, Outcome, Pool, Process, SharedBytes, Supervisor, Target, Task};

use crate::measure::{Spread, percentile};
use crate::{forks, ours, overhead, python};

/// Bytes of a large argument and result.
const LARGE_BYTES: usize = 64 << 20;

/// What a ratio is to be.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// The peer's time is at least this many times ours.
    Faster(f64),
    /// Nothing was promised.
    Shown,
}

/// Somebody beside us.
#[derive(Debug)]
pub struct Peer {
    pub what: String,
    pub time: Spread,
    pub goal: Goal,
}

/// What was measured of one thing: nanoseconds.
#[derive(Debug)]
pub struct Line {
    pub what: &'static str,
    pub own: Spread,
    pub peers: Vec<Peer>,
}

/// A figure that stands by itself.
#[derive(Debug)]
pub struct Fact {
    pub what: &'static str,
    pub shown: String,
    pub goal: &'static str,
    pub is_met: bool,
}

/// Everything.
#[derive(Debug)]
pub struct Speed {
    pub lines: Vec<Line>,
    pub facts: Vec<Fact>,
}

/// One side of a line: times one round.
type Side<'a> = (String, Goal, Box<dyn Fn() -> f64 + 'a>);

struct Bench {
    runtime: tokio::runtime::Runtime,
    supervisor: Supervisor,
    guest: Module,
    hello: Module,
    rounds: usize,
    divisor: u64,
}

type Named<T> = (&'static str, fn(&Bench, &'static str) -> T);

const LINES: &[Named<Line>] = &[
    ("a command that prints a line, a process each, pool of 2", Bench::commands),
    ("a task, a process each, pool of 2", Bench::fresh),
    ("a task, workers reused, an instance each, pool of 2", Bench::reused),
    ("an item, 10 000 of them in a chunk with an instance, pool of 2", Bench::chunks),
    ("one `apply` after the other, a process each that is forked ahead", Bench::apply),
    ("one `Process`, start to join", Bench::process),
    ("64 MiB, echoed: from `Bytes` to `Bytes`", Bench::echo),
    ("64 MiB, echoed: from `SharedBytes` to `SharedBytes`", Bench::echo_shared),
];

const FACTS: &[Named<Fact>] = &[
    ("proportional set size of a worker that waits, and of its fork server: the largest", Bench::idle_memory),
    ("a worker is killed until its record is there, median of 100", Bench::killed),
    (
        "a map of 1 000 000 tasks beside one of 2000: time for each, and growth of the supervisor",
        Bench::length,
    ),
];

/// Measures in this many rounds everything, or that of whose name this is a part.
pub fn measure(rounds: usize, divisor: u64, word: Option<&str>) -> Speed {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime");
    let supervisor = Supervisor::builder().build().expect("a supervisor");
    let guest = runtime.block_on(supervisor.load(ours::build_guest().as_path())).expect("the guest loads");
    let hello = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/hello.wat");
    let hello = runtime.block_on(supervisor.load(hello.as_path())).expect("the command loads");
    let bench = Bench { runtime, supervisor, guest, hello, rounds, divisor };
    let is_asked_for = |what: &str| word.is_none_or(|word| what.contains(word));
    let lines = LINES.iter().filter(|(what, _)| is_asked_for(what));
    let facts = FACTS.iter().filter(|(what, _)| is_asked_for(what));
    let lines = lines.map(|(what, line)| line(&bench, what)).collect();
    let facts = facts.map(|(what, fact)| fact(&bench, what)).collect();
    Speed { lines, facts }
}

impl Bench {
    fn n(&self, n: u64) -> u64 {
        (n / self.divisor).max(4)
    }

    fn pool(&self, workers: usize) -> wasmpool::PoolBuilder {
        Pool::builder().supervisor(&self.supervisor).workers(workers)
    }

    fn task(&self, name: &str) -> Target {
        self.guest.task(name).expect("a task of the guest")
    }

    /// Ours and the others in turn.
    fn line(&self, what: &'static str, own: impl Fn() -> f64, others: Vec<Side<'_>>) -> Line {
        let (mut times, mut peers) = (Vec::new(), vec![Vec::new(); others.len()]);
        for round in 0..=self.rounds {
            eprint!("\r\x1b[K{what}: round {round} of {}", self.rounds);
            let measured = own();
            let others: Vec<f64> = others.iter().map(|(_, _, side)| side()).collect();
            // The first round fills caches.
            if round > 0 {
                times.push(measured);
                peers.iter_mut().zip(others).for_each(|(times, time)| times.push(time));
            }
        }
        eprint!("\r\x1b[K");
        let peers = others.into_iter().zip(peers);
        let peers = peers.map(|((what, goal, _), times)| Peer { what, time: Spread::of(times), goal });
        Line { what, own: Spread::of(times), peers: peers.collect() }
    }

    /// A map over numbers: nanoseconds for each.
    fn map(&self, pool: &Pool, n: u64) -> f64 {
        let double = self.task("double");
        let n = i64::try_from(n).expect("few");
        let began = Instant::now();
        let doubled: Vec<i64> = self.runtime.block_on(pool.map(&double, 0..n)).expect("every task succeeds");
        let time = began.elapsed();
        assert_eq!(doubled.iter().sum::<i64>(), n * (n - 1));
        time.as_nanos() as f64 / n as f64
    }

    fn commands(&self, what: &'static str) -> Line {
        let n = self.n(2000);
        let pool = self.pool(2).build().expect("a pool");
        let command = self.hello.command().expect("a command");
        let own = || {
            let began = Instant::now();
            let task = Task::new(&command).argv(vec!["hello".to_owned()]);
            let tasks = futures_util::stream::iter((0..n).map(move |_| task.clone()));
            let records = pool.records(tasks, wasmpool::Order::Completion);
            let said = |said: u64, (_, record): (u64, wasmpool::Record)| {
                assert_eq!(&record.stdout[..], b"hello\n", "{}", record.outcome);
                std::future::ready(said + 1)
            };
            let ended = self.runtime.block_on(futures_util::StreamExt::fold(records, 0, said));
            assert_eq!(ended, n);
            began.elapsed().as_nanos() as f64 / n as f64
        };
        let mut others: Vec<Side<'_>> = Vec::new();
        let folder = tempfile::tempdir().expect("a folder");
        if let Some((program, version)) = overhead::wasmtime() {
            let (_, compiled) = overhead::compile_hello(&program, folder.path());
            let runs = usize::try_from(self.n(200)).expect("few");
            let side = move || {
                let began = Instant::now();
                overhead::run_wasmtime(&program, &compiled, runs);
                began.elapsed().as_nanos() as f64 / runs as f64
            };
            others.push((
                format!("`{version}` run, compiled before, two at once"),
                Goal::Faster(6.0),
                Box::new(side),
            ));
        }
        self.line(what, own, others)
    }

    fn fresh(&self, what: &'static str) -> Line {
        let pool = self.pool(2).build().expect("a pool");
        self.map(&pool, self.n(100));
        let private_bytes = children().iter().map(|pid| private_bytes(*pid)).max().unwrap_or(0);
        let forks = self.n(4000);
        let others: Vec<Side<'_>> = vec![
            of_python(
                "Python `Pool(2, maxtasksperchild=1).map`",
                "pool-fresh",
                self.n(400),
                Goal::Faster(10.0),
            ),
            (
                format!(
                    "fork, exit and wait by two processes with {} KiB of their own",
                    private_bytes / 1024
                ),
                Goal::Faster(1.0 / 3.0),
                Box::new(move || forks::time(forks, private_bytes)),
            ),
        ];
        self.line(what, || self.map(&pool, self.n(2000)), others)
    }

    fn reused(&self, what: &'static str) -> Line {
        let pool = self.pool(2).max_tasks_per_worker(1_000_000).build().expect("a pool");
        let others = vec![
            of_python("Python `Pool(2).map(chunksize=1)`", "pool-reused", self.n(20_000), Goal::Faster(1.0)),
            of_python("Python `ProcessPoolExecutor(2).map`", "executor", self.n(5000), Goal::Shown),
        ];
        let own = || self.map(&pool, self.n(20_000));
        self.line(what, own, others)
    }

    fn chunks(&self, what: &'static str) -> Line {
        let pool = self.pool(2).chunksize(10_000).max_tasks_per_worker(1_000_000).build().expect("a pool");
        let own = || self.map(&pool, self.n(1_000_000));
        self.line(what, own, Vec::new())
    }

    fn apply(&self, what: &'static str) -> Line {
        let pool = self.pool(1).build().expect("a pool");
        let double = self.task("double");
        let n = self.n(1000);
        let own = || {
            let times = (0..n).map(|_| {
                let began = Instant::now();
                let doubled: i64 = self.runtime.block_on(pool.apply(&double, (1,))).expect("it succeeds");
                assert_eq!(doubled, 2);
                began.elapsed().as_nanos() as f64
            });
            Spread::of(times.collect()).median
        };
        let others =
            vec![of_python("Python `Pool(1).apply`, its worker reused", "apply", n, Goal::Faster(1.0))];
        self.line(what, own, others)
    }

    fn process(&self, what: &'static str) -> Line {
        let double = self.task("double");
        let n = self.n(500);
        let own = || {
            let times = (0..n).map(|_| {
                let task = Task::new(&double).args(Args::of(&(1,)).expect("a number"));
                let began = Instant::now();
                let process = Process::new(task).supervisor(&self.supervisor).start().expect("it starts");
                let record = self.runtime.block_on(process.join());
                assert!(record.outcome.is_success(), "{}", record.outcome);
                began.elapsed().as_nanos() as f64
            });
            Spread::of(times.collect()).median
        };
        let others = vec![of_python("Python `Process`, forked", "process", self.n(200), Goal::Faster(3.0))];
        self.line(what, own, others)
    }

    /// A task that returns what it gets: its time, and what it returned.
    fn echoed(&self, pool: &Pool, args: Args) -> (f64, TaskValue) {
        let task = Task::new(&self.task("echo"));
        let began = Instant::now();
        let handle = self.runtime.block_on(pool.submit(task.args(args))).expect("the pool is open");
        let record = self.runtime.block_on(async { handle.await });
        let time = began.elapsed().as_nanos() as f64;
        let Outcome::Succeeded(value) = record.outcome else { panic!("{}", record.outcome) };
        assert_eq!(value.bytes().len(), LARGE_BYTES);
        (time, value)
    }

    fn echo(&self, what: &'static str) -> Line {
        let pool = self.pool(1).build().expect("a pool");
        let data = Bytes::from(vec![b'x'; LARGE_BYTES]);
        let n = self.n(8);
        let own = || {
            let times = (0..n).map(|_| self.echoed(&pool, Args::raw(data.clone())).0);
            Spread::of(times.collect()).median
        };
        let others =
            vec![of_python("Python `Pool(1).apply`", "echo", n, Goal::Faster(4.0)), copying(&data, n)];
        self.line(what, own, others)
    }

    /// Each result is the next argument.
    fn echo_shared(&self, what: &'static str) -> Line {
        let pool = self.pool(1).build().expect("a pool");
        let data = vec![b'x'; LARGE_BYTES];
        let n = self.n(8);
        let own = || {
            let mut shared = SharedBytes::copy_from_slice(&data).expect("there is room");
            let times = (0..n).map(|_| {
                let (time, value) = self.echoed(&pool, Args::shared(shared.clone()));
                shared = value.shared().expect("it is a file");
                time
            });
            let times = times.collect();
            assert!(*shared == *data);
            Spread::of(times).median
        };
        let others =
            vec![of_python("Python `Pool(1).apply`", "echo", n, Goal::Faster(10.0)), copying(&data, n)];
        self.line(what, own, others)
    }

    /// What a worker has of its own, and its share of the rest, while it waits for a task.
    fn idle_memory(&self, what: &'static str) -> Fact {
        let pool = self.pool(2).build().expect("a pool");
        self.map(&pool, 100);
        let shares: Vec<f64> = children().iter().filter_map(|pid| in_rollup(*pid, "Pss:")).collect();
        let most = shares.iter().copied().fold(0.0, f64::max) / 1024.0;
        Fact { what, shown: format!("{most:.2} MiB"), goal: "at most 1.5 MiB", is_met: most <= 1.5 }
    }

    /// From the SIGKILL of a worker to its record.
    fn killed(&self, what: &'static str) -> Fact {
        let pool = self.pool(1).build().expect("a pool");
        let limits = Limits { timeout: Some(Duration::from_secs(60)), ..Limits::default() };
        let task = Task::new(&self.task("spin")).limits(limits);
        let times = (0..self.n(100)).map(|_| {
            let handle = self.runtime.block_on(pool.submit(task.clone())).expect("the pool is open");
            // One that is killed before it began would be tried again.
            while handle.progress().is_none() {
                std::thread::yield_now();
            }
            let pid = handle.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
            let pid = pid.expect("it runs in a process");
            let began = Instant::now();
            rustix::process::kill_process(pid, Signal::KILL).expect("a child of ours");
            let record = self.runtime.block_on(async { handle.await });
            assert_eq!(record.outcome.exit_code(), 137, "{}", record.outcome);
            u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
        });
        let median = percentile(&times.collect::<Vec<_>>(), 50) / 1e6;
        Fact { what, shown: format!("{median:.1} ms"), goal: "at most 5 ms", is_met: median <= 5.0 }
    }

    /// Whether a long map costs more for each task than a short one, and what the supervisor keeps of it.
    fn length(&self, what: &'static str) -> Fact {
        let pool = self.pool(2).max_tasks_per_worker(1_000_000).build().expect("a pool");
        let (short, long) = (self.n(2000), self.n(1_000_000));
        self.map(&pool, short);
        let short = Spread::of((0..5).map(|_| self.map(&pool, short)).collect()).median;
        let double = self.task("double");
        let before = in_rollup(std::process::id(), "Rss:").unwrap_or(0.0);
        let began = Instant::now();
        let one = Args::of(&(1,)).expect("a number");
        let tasks = futures_util::stream::iter((0..long).map(move |_| Task::new(&double).args(one.clone())));
        let records = pool.records(tasks, wasmpool::Order::Completion);
        let count = |count: u64, (_, record): (u64, wasmpool::Record)| {
            std::future::ready(count + u64::from(record.outcome.is_success()))
        };
        let ended = self.runtime.block_on(futures_util::StreamExt::fold(records, 0, count));
        assert_eq!(ended, long);
        let each = began.elapsed().as_nanos() as f64 / long as f64;
        let grown = (in_rollup(std::process::id(), "Rss:").unwrap_or(0.0) - before) / 1024.0;
        let slower = (each / short - 1.0) * 100.0;
        Fact {
            what,
            shown: format!("{slower:+.0} %, {grown:.1} MiB"),
            goal: "within 20 %, at most 32 MiB",
            is_met: slower <= 20.0 && grown <= 32.0,
        }
    }
}

/// As fast as it could be: the bytes are copied once, within a process, to where bytes were before.
fn copying<'a>(data: &'a [u8], n: u64) -> Side<'a> {
    let time = move || {
        let mut copy = vec![1; data.len()];
        let times = (0..n).map(|_| {
            let began = Instant::now();
            std::hint::black_box(&mut copy).copy_from_slice(std::hint::black_box(data));
            began.elapsed().as_nanos() as f64
        });
        Spread::of(times.collect()).median
    };
    ("one copy in memory".to_owned(), Goal::Shown, Box::new(time))
}

fn of_python<'a>(what: &str, name: &'static str, n: u64, goal: Goal) -> Side<'a> {
    (what.to_owned(), goal, Box::new(move || Spread::of(python::times(name, n)).median))
}

/// The processes of ours below this one.
fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1))
            .is_some_and(|parent| parent == own)
    };
    let entries = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

fn private_bytes(pid: u32) -> usize {
    in_rollup(pid, "Anonymous:").map_or(0, |kib| kib as usize * 1024)
}

/// A number of a process's memory in KiB, as the kernel sums it up.
fn in_rollup(pid: u32, name: &str) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
