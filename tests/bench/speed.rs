//! How fast tasks are, beside what a user would take instead, and beside what the machine can do.
//!
//! Every figure of one line is taken in turn, round by round. Ours is measured through the library, in pools whose
//! workers are in a required sandbox.

#![forbid(unsafe_code)]

use std::time::Instant;

use bytes::Bytes;
use wasmpool::{Args, Module, ModuleSource, Outcome, Pool, Process, SharedBytes, Supervisor, Target, Task};

use crate::forks::Work;
use crate::measure::Spread;
use crate::{facts, forks, limits, ours, overhead, python};

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
    /// The goal, where it is no peer.
    pub least_each_second: Option<f64>,
}

impl Line {
    pub fn each_second(&self) -> f64 {
        1e9 / self.own.median
    }

    pub fn is_fast_enough(&self) -> bool {
        self.least_each_second.is_none_or(|least| self.each_second() >= least)
    }
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

/// Page faults of a worker with a task of the SDK, from its fork to its end (`host/PROFILE.md`).
const WORKER_PAGES: usize = 51;
const WARM: &str = "a task, a process each, of a module that initialised 50 MB before, pool of 2";

/// One side of a line: times one round.
type Side<'a> = (String, Goal, Box<dyn Fn() -> f64 + 'a>);

pub struct Bench {
    pub runtime: tokio::runtime::Runtime,
    supervisor: Supervisor,
    guest: Module,
    hello: Module,
    warm: Module,
    cold: Module,
    rounds: usize,
    divisor: u64,
    /// Only what is called like this, where it is said.
    only: Option<String>,
}

/// Measures everything in this many rounds, or what is called like `only`.
pub fn measure(rounds: usize, divisor: u64, only: Option<String>) -> Speed {
    let bench = Bench::new(rounds, divisor, only);
    let lines = vec![
        bench.commands(),
        bench.fresh(),
        bench.reused(),
        bench.chunks(),
        bench.apply(),
        bench.process(),
        bench.echo(false),
        bench.echo(true),
        bench.warm(),
    ];
    let lines = lines.into_iter().flatten().collect();
    Speed { lines, facts: facts::all(&bench) }
}

impl Bench {
    pub fn new(rounds: usize, divisor: u64, only: Option<String>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
        let runtime = runtime.expect("a runtime");
        let supervisor = Supervisor::builder().build().expect("a supervisor");
        let guest =
            runtime.block_on(supervisor.load(ours::build_guest().as_path())).expect("the guest loads");
        let load = |name: &str, text: String| {
            let module = ModuleSource::Bytes { name: name.to_owned(), bytes: text.into_bytes() };
            runtime.block_on(supervisor.load(module)).expect("the module loads")
        };
        let hello = load("hello", include_str!("hello.wat").to_owned());
        let warm = include_str!("warm.wat");
        let cold = load("cold", warm.replace("wasmpool-init", "never"));
        let warm = load("warm", warm.to_owned());
        Self { runtime, supervisor, guest, hello, warm, cold, rounds, divisor, only }
    }

    pub fn n(&self, n: u64) -> u64 {
        (n / self.divisor).max(4)
    }

    pub fn pool(&self, workers: usize) -> wasmpool::PoolBuilder {
        Pool::builder().supervisor(&self.supervisor).workers(workers)
    }

    pub fn task(&self, name: &str) -> Target {
        self.guest.task(name).expect("a task of the guest")
    }

    /// Whether it was asked for.
    pub fn is_wanted(&self, what: &str) -> bool {
        self.only.as_ref().is_none_or(|only| what.contains(only))
    }

    /// Ours and the others in turn.
    fn line(&self, what: &'static str, own: impl Fn() -> f64, others: Vec<Side<'_>>) -> Option<Line> {
        if !self.is_wanted(what) {
            return None;
        }
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
        Some(Line { what, own: Spread::of(times), peers: peers.collect(), least_each_second: None })
    }

    /// A map over numbers: nanoseconds for each.
    pub fn map(&self, pool: &Pool, n: u64) -> f64 {
        let double = self.task("double");
        let n = i64::try_from(n).expect("few");
        let began = Instant::now();
        let doubled: Vec<i64> = self.runtime.block_on(pool.map(&double, 0..n)).expect("every task succeeds");
        let time = began.elapsed();
        assert_eq!(doubled.iter().sum::<i64>(), n * (n - 1));
        time.as_nanos() as f64 / n as f64
    }

    fn commands(&self) -> Option<Line> {
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
        self.line("a command that prints a line, a process each, pool of 2", own, others)
    }

    fn fresh(&self) -> Option<Line> {
        let pool = self.pool(2).build().expect("a pool");
        self.map(&pool, self.n(100));
        let private_bytes = facts::children().iter().map(|pid| facts::private_bytes(*pid)).max().unwrap_or(0);
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
                Box::new(move || forks::time(forks, private_bytes, Work::Nothing)),
            ),
            (
                format!(
                    "the same, each getting a packet, writing to {WORKER_PAGES} pages and sending a packet"
                ),
                Goal::Shown,
                Box::new(move || forks::time(forks, private_bytes, Work::Pages(WORKER_PAGES))),
            ),
        ];
        self.line("a task, a process each, pool of 2", || self.map(&pool, self.n(2000)), others)
    }

    fn reused(&self) -> Option<Line> {
        let pool = self.pool(2).max_tasks_per_worker(1_000_000).build().expect("a pool");
        let mut others = vec![
            of_python("Python `Pool(2).map(chunksize=1)`", "pool-reused", self.n(20_000), Goal::Faster(1.0)),
            of_python("Python `ProcessPoolExecutor(2).map`", "executor", self.n(5000), Goal::Shown),
        ];
        let own = || self.map(&pool, self.n(20_000));
        others.push((
            "an instance each of the smallest module in one process".to_owned(),
            Goal::Shown,
            limits::instances(self.n(20_000)),
        ));
        self.line("a task, workers reused, an instance each, pool of 2", own, others)
    }

    fn chunks(&self) -> Option<Line> {
        let pool = self.pool(2).chunksize(10_000).max_tasks_per_worker(1_000_000).build().expect("a pool");
        let n = self.n(1_000_000);
        let python = "Python `Pool(2).map(chunksize=10000)`, its workers reused";
        let others = vec![of_python(python, "pool-chunks", n, Goal::Shown)];
        let what = "an item, 10 000 of them in a chunk with an instance, pool of 2";
        let line = self.line(what, || self.map(&pool, n), others)?;
        Some(Line { least_each_second: Some(1e6), ..line })
    }

    fn apply(&self) -> Option<Line> {
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
        self.line("one `apply` after the other, a process each that is forked ahead", own, others)
    }

    fn process(&self) -> Option<Line> {
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
        self.line("one `Process`, start to join", own, others)
    }

    /// Bytes there and back, copied for the worker or shared with it.
    fn echo(&self, is_shared: bool) -> Option<Line> {
        let pool = self.pool(1).build().expect("a pool");
        let echo = self.task("echo");
        let data = Bytes::from(vec![b'x'; 64 << 20]);
        let shared = SharedBytes::new(&data).expect("memory");
        let n = self.n(8);
        let own = || {
            let times = (0..n).map(|_| {
                let args = if is_shared { Args::shared(&shared) } else { Args::raw(data.clone()) };
                let task = Task::new(&echo).args(args);
                let began = Instant::now();
                let handle = self.runtime.block_on(pool.submit(task)).expect("the pool is open");
                let record = self.runtime.block_on(async { handle.await });
                let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
                assert_eq!(value.bytes().len(), data.len());
                began.elapsed().as_nanos() as f64
            });
            Spread::of(times.collect()).median
        };
        let others = vec![
            of_python(
                "Python `Pool(1).apply`",
                "echo",
                self.n(8),
                Goal::Faster(if is_shared { 10.0 } else { 4.0 }),
            ),
            ("a copy of as much".to_owned(), Goal::Shown, limits::copy(data.len())),
        ];
        let what = if is_shared { "64 MiB as `SharedBytes`, echoed" } else { "64 MiB, echoed" };
        self.line(what, own, others)
    }

    /// A module that runs something once beside the same one that does not.
    fn warm(&self) -> Option<Line> {
        let pool = self.pool(2).build().expect("a pool");
        let n = i64::try_from(self.n(2000)).expect("few");
        let look = |module: &Module| {
            let look = module.task("look").expect("an export");
            let began = Instant::now();
            let looked: Vec<i64> = self.runtime.block_on(pool.map(&look, 0..n)).expect("every task succeeds");
            assert_eq!(looked.len(), usize::try_from(n).expect("few"));
            began.elapsed().as_nanos() as f64 / n as f64
        };
        if self.is_wanted(WARM) {
            // It is initialised once, and that is not what is measured.
            look(&self.warm);
        }
        let cold: Side<'_> =
            ("the same without".to_owned(), Goal::Faster(0.5), Box::new(|| look(&self.cold)));
        self.line(WARM, || look(&self.warm), vec![cold])
    }
}

fn of_python<'a>(what: &str, name: &'static str, n: u64, goal: Goal) -> Side<'a> {
    (what.to_owned(), goal, Box::new(move || Spread::of(python::times(name, n)).median))
}
