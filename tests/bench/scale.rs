//! What a task costs when there are more of them, more modules, more workers and more bytes.
//!
//! Everything is measured through the library, in a required sandbox. The points of a series take turns, round by
//! round, so that a machine that slows down slows all of them down. A round before the first fills caches; the
//! dearest points are measured in fewer rounds, and not in that one.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;
use futures_util::StreamExt;
use wasmpool::{Args, Module, ModuleSource, Outcome, Pool, Supervisor, Target, Task};

use crate::facts;
use crate::measure::Spread;
use crate::speed::Bench;

/// Rounds of each point, but of the dearest.
pub const ROUNDS: usize = 5;

/// What grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Tasks,
    Modules,
    Workers,
    Bytes,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Tasks, Self::Modules, Self::Workers, Self::Bytes];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Modules => "modules",
            Self::Workers => "workers",
            Self::Bytes => "bytes",
        }
    }
}

/// Nanoseconds at one size.
#[derive(Clone, Debug)]
pub struct Point {
    pub x: u64,
    pub time: Spread,
    pub rounds: usize,
    /// The largest resident set of this program meanwhile.
    pub peak_bytes: f64,
}

/// One thing at all sizes.
#[derive(Debug)]
pub struct Line {
    pub what: &'static str,
    pub points: Vec<Point>,
    /// The sizes whose costs are compared.
    pub compared: (u64, u64),
}

#[derive(Debug)]
pub struct Series {
    pub kind: Kind,
    pub lines: Vec<Line>,
    /// The most fork servers that lived at one time, where it is of interest.
    pub fork_servers: Option<usize>,
}

/// A line before it is measured: sizes, each with its rounds, and what times one of them.
struct Plan<'a> {
    what: &'static str,
    sizes: Vec<(u64, usize)>,
    compared: (u64, u64),
    time: Box<dyn Fn(u64) -> f64 + 'a>,
}

/// Measures all series, or the one that is called so; short ones, where they are to be quick.
pub fn measure(quick: bool, only: Option<&str>) -> Vec<Series> {
    let bench = Bench::new(1, 1, None);
    let is_wanted = |kind: Kind| only.is_none_or(|only| only == kind.name());
    let measured = |kind: Kind| match kind {
        Kind::Tasks => tasks(&bench, quick),
        Kind::Modules => modules(&bench, quick),
        Kind::Workers => workers(&bench, quick),
        Kind::Bytes => bytes(&bench, quick),
    };
    Kind::ALL.into_iter().filter(|kind| is_wanted(*kind)).map(measured).collect()
}

/// Batches of a task that does next to nothing, in pools of two.
fn tasks(bench: &Bench, quick: bool) -> Series {
    let fresh = bench.pool(2).build().expect("a pool");
    let reused = bench.pool(2).max_tasks_per_worker(1_000_000).build().expect("a pool");
    let time = |pool: &Pool, n: u64| {
        // Short batches are timed again and again.
        let batches = (500 / n).max(1);
        (0..batches).map(|_| bench.map(pool, n)).sum::<f64>() / batches as f64
    };
    let sizes = |dear: [(u64, usize); 2]| {
        let few = [1, 10, 100, 1000, 10_000].map(|n| (n, ROUNDS));
        let sizes: Vec<_> =
            few.into_iter().chain(dear.into_iter().filter(|(_, rounds)| *rounds > 0)).collect();
        up_to(if quick { 1000 } else { u64::MAX }, sizes)
    };
    let plans = vec![
        Plan {
            what: "a process each",
            sizes: sizes([(100_000, 1), (1_000_000, 0)]),
            compared: (1000, 100_000),
            time: Box::new(|n| time(&fresh, n)),
        },
        Plan {
            what: "workers reused, an instance each",
            sizes: sizes([(100_000, 3), (1_000_000, 1)]),
            compared: (1000, 1_000_000),
            time: Box::new(|n| time(&reused, n)),
        },
    ];
    Series { kind: Kind::Tasks, lines: in_turn(plans, quick), fork_servers: None }
}

/// Batches over many modules: all tasks of one, then all of the next. No two sizes share a module, and more modules than
/// fork servers may live are used between two batches of the same ones, so each module's fork server is started in the batch.
fn modules(bench: &Bench, quick: bool) -> Series {
    let sizes = up_to(if quick { 100 } else { u64::MAX }, [1, 10, 100, 1000].map(|n| (n, ROUNDS)).to_vec());
    // 1000 modules in the cache of whoever runs this would drive out others.
    let cache = tempfile::tempdir().expect("a folder");
    let supervisor = Supervisor::builder().cache_dir(cache.path()).build().expect("a supervisor");
    let compiled = |n: u64| {
        eprint!("\r\x1b[Kcompiling {n} modules");
        // A batch of one is timed with ten modules in turn.
        let targets = (0..n.max(10)).map(|number| bench.runtime.block_on(constant(&supervisor, n, number)));
        (n, targets.collect::<Vec<Target>>())
    };
    let targets: BTreeMap<u64, Vec<Target>> = sizes.iter().map(|(n, _)| compiled(*n)).collect();
    let pool = Pool::builder().supervisor(&supervisor).workers(2).build().expect("a pool");
    let (fork_servers, calls) = (Cell::new(0), Cell::new(0));
    let time = |n: u64, each: u64| {
        // Looking takes time, so it is done in the round that is not told.
        let is_first = calls.replace(calls.get() + 1) < 2 * sizes.len();
        let look = || {
            if is_first {
                fork_servers.set(fork_servers.get().max(facts::fork_servers()));
            }
        };
        let targets = targets.get(&n).expect("a size of these");
        let batches = targets.chunks(usize::try_from(n).expect("few"));
        let times =
            batches.map(|targets| bench.runtime.block_on(one_after_the_other(&pool, targets, each, look)));
        Spread::of(times.collect()).median
    };
    let plan = |what, time| Plan { what, sizes: sizes.clone(), compared: (10, 1000), time };
    let plans = vec![
        plan("a task of each module", Box::new(|n| time(n, 1))),
        plan("ten tasks of each module", Box::new(|n| time(n, 10))),
    ];
    let lines = in_turn(plans, quick);
    Series { kind: Kind::Modules, lines, fork_servers: Some(fork_servers.get()) }
}

/// Nanoseconds for each task of a batch with so many tasks of each target.
async fn one_after_the_other(pool: &Pool, targets: &[Target], each: u64, look: impl Fn()) -> f64 {
    let args = Args::of(&(1_i64,)).expect("a number");
    let tasks = targets.iter().flat_map(|target| (0..each).map(move |_| target));
    let tasks: Vec<Task> = tasks.map(|target| Task::new(target).args(args.clone())).collect();
    let n = tasks.len();
    let began = Instant::now();
    let mut records = pool.records(futures_util::stream::iter(tasks), wasmpool::Order::Completion);
    let mut ended = 0;
    while let Some((_, record)) = records.next().await {
        assert!(record.outcome.is_success(), "{}", record.outcome);
        look();
        ended += 1;
    }
    assert_eq!(ended, n);
    began.elapsed().as_nanos() as f64 / n as f64
}

/// A module like no other: it adds a number of its own.
async fn constant(supervisor: &Supervisor, size: u64, number: u64) -> Target {
    let text = format!(
        "(module (memory (export \"memory\") 1) (func (export \"add\") (param i64) (result i64)
           (i64.add (local.get 0) (i64.const {}))))",
        size * 10_000 + number
    );
    let source = ModuleSource::Bytes { name: format!("add-{size}-{number}"), bytes: text.into_bytes() };
    let module: Module = supervisor.load(source).await.expect("the module loads");
    module.task("add").expect("an export")
}

/// Pools of different sizes, each made for its batch, and warm when it is timed.
fn workers(bench: &Bench, quick: bool) -> Series {
    let most = if quick { 16 } else { 64 };
    let time = |workers: u64, n: u64, reuse: usize| {
        let size = usize::try_from(workers).expect("few");
        let pool = bench.pool(size).max_tasks_per_worker(reuse).build().expect("a pool");
        bench.map(&pool, 4 * workers.max(16));
        let time = bench.map(&pool, if quick { n / 10 } else { n });
        pool.close();
        bench.runtime.block_on(pool.join());
        time
    };
    let sizes = || up_to(most, [1, 2, 4, 8, 16, 32, 64].map(|workers| (workers, ROUNDS)).to_vec());
    let plans = vec![
        Plan {
            what: "a process each",
            sizes: sizes(),
            compared: (2, 64),
            time: Box::new(|workers| time(workers, 2000, 1)),
        },
        Plan {
            what: "workers reused, an instance each",
            sizes: sizes(),
            compared: (2, 64),
            time: Box::new(|workers| time(workers, 10_000, 1_000_000)),
        },
    ];
    Series { kind: Kind::Workers, lines: in_turn(plans, quick), fork_servers: None }
}

/// Calls with an argument of so many bytes, one after the other, a process each that is forked ahead.
fn bytes(bench: &Bench, quick: bool) -> Series {
    const MIB: u64 = 1 << 20;
    let pool = bench.pool(1).build().expect("a pool");
    let most = if quick { 16 * MIB } else { 256 * MIB };
    let data = Bytes::from(vec![b'x'; usize::try_from(most).expect("it fits")]);
    let time = |task: &str, bytes: u64| {
        let target = bench.task(task);
        let length = usize::try_from(bytes).expect("it fits");
        let call = || {
            let task = Task::new(&target).args(Args::raw(data.slice(..length)));
            let began = Instant::now();
            let handle = bench.runtime.block_on(pool.submit(task)).expect("the pool is open");
            let record = bench.runtime.block_on(async { handle.await });
            let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
            let answer = value.bytes().len();
            let time = began.elapsed().as_nanos() as f64;
            assert!(target.name().ends_with("length") || answer == length, "{answer} bytes came back");
            time
        };
        // A virtual machine may have lent its free memory to its host, and takes it back at a price of its own.
        call();
        Spread::of((0..(128 * MIB / bytes).clamp(3, 200)).map(|_| call()).collect()).median
    };
    let sizes = || {
        let sizes = [1, 1 << 10, 64 << 10, MIB, 16 * MIB, 64 * MIB, 256 * MIB];
        up_to(most, sizes.map(|bytes| (bytes, ROUNDS)).to_vec())
    };
    let plans = vec![
        Plan {
            what: "taken, a number returned",
            sizes: sizes(),
            compared: (16 * MIB, 256 * MIB),
            time: Box::new(|bytes| time("length", bytes)),
        },
        Plan {
            what: "taken and returned",
            sizes: sizes(),
            compared: (16 * MIB, 256 * MIB),
            time: Box::new(|bytes| time("echo", bytes)),
        },
    ];
    Series { kind: Kind::Bytes, lines: in_turn(plans, quick), fork_servers: None }
}

fn up_to(most: u64, sizes: Vec<(u64, usize)>) -> Vec<(u64, usize)> {
    sizes.into_iter().filter(|(size, _)| *size <= most).collect()
}

/// Every size of every plan in each round.
fn in_turn(plans: Vec<Plan<'_>>, quick: bool) -> Vec<Line> {
    let rounds = if quick { 2 } else { ROUNDS };
    let mut times: Vec<Vec<(Vec<f64>, f64)>> =
        plans.iter().map(|plan| vec![(Vec::new(), 0.0); plan.sizes.len()]).collect();
    for round in 0..=rounds {
        for (plan, times) in plans.iter().zip(&mut times) {
            for ((size, wanted), (times, peak)) in plan.sizes.iter().zip(times) {
                let is_dear = *wanted < ROUNDS;
                if round > *wanted || (round == 0 && is_dear) {
                    continue;
                }
                eprint!("\r\x1b[K{}, {size}: round {round} of {rounds}", plan.what);
                facts::forget_peak();
                let time = (plan.time)(*size);
                if round > 0 {
                    times.push(time);
                    *peak = peak.max(facts::peak_bytes());
                }
            }
        }
    }
    eprint!("\r\x1b[K");
    let line = |(plan, times): (Plan<'_>, Vec<(Vec<f64>, f64)>)| {
        let points = plan.sizes.iter().zip(times).map(|((x, _), (times, peak_bytes))| Point {
            x: *x,
            rounds: times.len(),
            time: Spread::of(times),
            peak_bytes,
        });
        Line { what: plan.what, points: points.collect(), compared: plan.compared }
    };
    plans.into_iter().zip(times).map(line).collect()
}
