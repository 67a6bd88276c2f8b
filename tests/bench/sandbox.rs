//! What the walls around a worker cost: the same tasks, each in a process of its own, with and without them.
//!
//! A round trip is from the submission of a task that does nothing to its record. As many of them are under way as
//! the pool has workers. The kinds of walls take turns within each round, so that a machine that slows down slows
//! all of them down.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use wasmpool::{Module, Policy, Pool, Process, SandboxMode, StartMethod, Supervisor, Task};

use crate::measure::Spread;
use crate::ours;

/// What stands around the workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Walls {
    /// Nothing.
    Off,
    /// The pool's cgroup alone.
    Cgroup,
    /// Every layer that the machine can give.
    Required,
}

impl Walls {
    pub const ALL: [Self; 3] = [Self::Off, Self::Cgroup, Self::Required];

    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Cgroup => "cgroup",
            Self::Required => "required",
        }
    }

    fn mode(self) -> SandboxMode {
        match self {
            Self::Required => SandboxMode::Required,
            // Limits that were asked for hold without a sandbox, so a pool that has some is in a cgroup and no more.
            Self::Off | Self::Cgroup => SandboxMode::Off,
        }
    }
}

/// What is timed.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Pool {
        workers: usize,
        start_method: StartMethod,
    },
    /// A program that loads a cached module and runs one task of it.
    Program,
}

/// One row: nanoseconds for each kind of walls.
#[derive(Debug)]
pub struct Cost {
    pub what: &'static str,
    /// In the order of [`Walls::ALL`]; nothing where the machine gives no cgroup.
    pub times: Vec<Option<Spread>>,
    /// What the sandbox may add at most, in percent.
    pub target: Option<f64>,
}

/// What is timed, how often in one round, and what the sandbox may add in percent.
const SUBJECTS: &[(&str, Subject, u64, Option<f64>)] = &[
    ("forked worker, pool of 1", of_pool(1, StartMethod::ForkServer), 1000, Some(40.0)),
    ("forked workers, pool of 2", of_pool(2, StartMethod::ForkServer), 1000, Some(40.0)),
    ("spawned worker, pool of 1", of_pool(1, StartMethod::Spawn), 60, None),
    ("spawned workers, pool of 2", of_pool(2, StartMethod::Spawn), 60, None),
    ("a program that runs one task of a cached module", Subject::Program, 20, None),
];

const fn of_pool(workers: usize, start_method: StartMethod) -> Subject {
    Subject::Pool { workers, start_method }
}

/// Times everything in this many rounds.
pub async fn costs(rounds: usize, divisor: u64) -> Vec<Cost> {
    let supervisor = Supervisor::builder().build().expect("a supervisor");
    let guest = ours::build_guest();
    let module = supervisor.load(guest.as_path()).await.expect("the guest loads");
    let layers = supervisor.doctor().await.expect("the doctor answers");
    let has_cgroup = layers.iter().any(|(layer, state)| layer.label() == "cgroup" && state.is_ok());
    let mut costs = Vec::new();
    for (what, subject, n, target) in SUBJECTS {
        let kinds = Walls::ALL.map(|walls| (walls != Walls::Cgroup || has_cgroup).then_some(walls));
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); kinds.len()];
        let pools = kinds.map(|walls| subject.pool(&supervisor, walls?));
        for round in 0..=rounds {
            eprint!("\r\x1b[K{what}: round {round} of {rounds}");
            for (index, walls) in kinds.iter().enumerate() {
                let Some(walls) = walls else { continue };
                let n = (n / divisor).max(5);
                let time = match (subject, &pools[index]) {
                    (Subject::Pool { workers, .. }, Some(pool)) => {
                        round_trips(pool, &module, walls.mode(), *workers, n).await
                    }
                    _ => programs(&guest, *walls, n),
                };
                // The first round starts fork servers and fills caches.
                if round > 0 {
                    times[index].push(time);
                }
            }
        }
        eprint!("\r\x1b[K");
        let spread = |times: Vec<f64>| (!times.is_empty()).then(|| Spread::of(times));
        costs.push(Cost { what, times: times.into_iter().map(spread).collect(), target: *target });
    }
    costs
}

impl Subject {
    fn pool(self, supervisor: &Supervisor, walls: Walls) -> Option<Pool> {
        let Self::Pool { workers, start_method } = self else { return None };
        let pool = Pool::builder().supervisor(supervisor).workers(workers).start_method(start_method);
        let pool = if walls == Walls::Cgroup { pool.memory_bytes_max(MEMORY_BYTES) } else { pool };
        Some(pool.build().expect("a pool"))
    }
}

/// More than a task that does nothing needs.
const MEMORY_BYTES: u64 = 4 << 30;

/// Nanoseconds for each of `n` round trips.
async fn round_trips(pool: &Pool, module: &Module, mode: SandboxMode, workers: usize, n: u64) -> f64 {
    let target = module.task("nothing").expect("a task of the guest");
    let one_after_the_other = |count: u64| {
        let task = Task::new(&target).policy(Policy { sandbox: mode });
        async move {
            for _ in 0..count {
                let record = pool.submit(task.clone()).await.expect("the pool is open").await;
                assert!(record.outcome.is_success(), "{}", record.outcome);
            }
        }
    };
    let began = Instant::now();
    let each = n / workers as u64;
    futures_util::future::join_all((0..workers).map(|_| one_after_the_other(each))).await;
    began.elapsed().as_nanos() as f64 / (each * workers as u64) as f64
}

/// Nanoseconds for each of `n` programs, one after the other.
fn programs(guest: &Path, walls: Walls, n: u64) -> f64 {
    let own = std::env::current_exe().expect("a program knows its own file");
    let began = Instant::now();
    for _ in 0..n {
        let status = Command::new(&own).arg(RUN_ONE).arg(guest).arg(walls.name()).status();
        assert!(status.expect("it starts").success(), "the task succeeds");
    }
    began.elapsed().as_nanos() as f64 / n as f64
}

/// Makes this program one of [`programs`].
pub const RUN_ONE: &str = "run-one-task";

/// Loads the module and runs one task of it.
pub async fn run_one(guest: &str, walls: &str) {
    let walls = Walls::ALL.into_iter().find(|known| known.name() == walls).expect("a kind of walls");
    let supervisor = Supervisor::builder().build().expect("a supervisor");
    let module = supervisor.load(guest).await.expect("the guest loads");
    let task = Task::new(&module.task("nothing").expect("a task")).policy(Policy { sandbox: walls.mode() });
    let record = if walls == Walls::Cgroup {
        let pool = Pool::builder().supervisor(&supervisor).workers(1).memory_bytes_max(MEMORY_BYTES).build();
        pool.expect("a pool").submit(task).await.expect("the pool is open").await
    } else {
        Process::new(task).supervisor(&supervisor).start().expect("it starts").join().await
    };
    assert!(record.outcome.is_success(), "{}", record.outcome);
}
