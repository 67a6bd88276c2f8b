//! Pools whose workers die while they are recycled, resized and closed.

#![forbid(unsafe_code)]

use serde_json::json;
use wasmpool::{Module, Outcome, Supervisor, TaskHandle};

use crate::stopping::expect_size;
use crate::support::{self, Ends, Random, call, say};

/// What a task was, and so what its end may be.
enum Kind {
    /// Adds one to this number.
    Good(i64),
    /// Ends its own worker.
    Bad,
    /// Runs until it is killed from outside.
    Victim,
}

/// Many random pools, each with random tasks, deaths, sizes and ends.
pub fn run(args: &[String]) {
    let seed: u64 = args[0].parse().expect("a seed");
    let supervisor = support::supervisor();
    let mut random = Random::new(seed);
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        for (workers, per_worker) in [(1, 1), (1, 2), (1, 5), (2, 1), (2, 3), (3, 2)] {
            one_pool(&supervisor, &module, &mut random, workers, per_worker).await;
        }
    });
    say(&json!({ "seed": seed }));
}

async fn one_pool(
    supervisor: &Supervisor,
    module: &Module,
    random: &mut Random,
    workers: usize,
    per_worker: usize,
) {
    let pool = support::pool(supervisor, workers).max_tasks_per_worker(per_worker).build().expect("a pool");
    let mut ends = Ends::default();
    let mut tasks: Vec<(Kind, TaskHandle)> = Vec::new();
    let mut size = workers;
    for number in 0..30 {
        let (kind, task) = match random.below(10) {
            0 | 1 => (Kind::Bad, call(module, "trap", ())),
            2 => (Kind::Victim, call(module, "ignore_cancelled", ())),
            _ => (Kind::Good(number), call(module, "add", (number, 1))),
        };
        let handle = pool.submit(task).await.expect("the pool is open");
        ends.watch(&handle);
        if matches!(kind, Kind::Victim) {
            let pid = support::until_running(&handle).await;
            support::signal(pid, 9);
        }
        tasks.push((kind, handle));
        if random.below(5) == 0 {
            size = 1 + usize::try_from(random.below(3)).expect("small");
            pool.resize(size);
        }
        // Also those that are idle, and those of the next task.
        if random.below(6) == 0 {
            let children = supervisor.active_children().await;
            children.iter().for_each(|child| support::try_signal(child.pid, 9));
        }
    }
    // With `terminate`, what has not ended is cancelled instead.
    let terminated = random.below(3) == 0;
    if terminated {
        support::patiently("the pool ends", pool.terminate(wasmpool::outcome::CancelledBy::Caller)).await;
    } else {
        for (_, handle) in &tasks {
            support::patiently("a task ends", async { handle.await }).await;
        }
        expect_size(&pool, module, size).await;
        pool.close();
        support::patiently("the pool is joined", pool.join()).await;
    }
    for (kind, handle) in &tasks {
        let outcome = handle.try_record().expect("it has ended").outcome;
        expect_fitting(kind, &outcome, terminated);
    }
    ends.expect_one_each().await;
}

fn expect_fitting(kind: &Kind, outcome: &Outcome, terminated: bool) {
    let fits = match (kind, outcome) {
        (Kind::Good(number), Outcome::Succeeded(value)) => value.to::<i64>().ok() == Some(number + 1),
        (_, Outcome::Killed(9)) => true,
        (Kind::Bad, Outcome::Trapped(_)) => true,
        (_, Outcome::Cancelled(_)) => terminated,
        _ => false,
    };
    assert!(fits, "an outcome that cannot be: {outcome}");
}
