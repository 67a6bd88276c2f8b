//! Workers that are used again and have their next tasks at hand: nothing waits behind what takes long, nothing is lost
//! with a worker, nothing runs twice, nothing that was stopped runs.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use wasmpool::outcome::CancelledBy;
use wasmpool::{Module, ModuleSource, Order, Outcome, Pool, Record, Supervisor, Task};

use crate::support::{self, Random, call, patiently};

/// Of each kind.
const TASKS: i64 = 2000;

async fn short(supervisor: &Supervisor) -> Module {
    let bytes = include_bytes!("../../wat/short.wat").to_vec();
    let source = ModuleSource::Bytes { name: "short".to_owned(), bytes };
    supervisor.load(source).await.expect("the module loads")
}

fn reused(supervisor: &Supervisor, workers: usize) -> Pool {
    support::pool(supervisor, workers).max_tasks_per_worker(100_000).build().expect("a pool")
}

async fn records(pool: &Pool, tasks: Vec<Task>) -> Vec<Record> {
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    patiently("the tasks", records.map(|(_, record)| record).collect()).await
}

fn value(record: &Record) -> i64 {
    let Outcome::Succeeded(value) = &record.outcome else { panic!("{}: {}", record.name, record.outcome) };
    value.to().expect("a number")
}

/// Run with the number of workers.
pub fn all(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = short(&supervisor).await;
        long_ones_hold_nothing_back(&supervisor, &module, workers).await;
        deaths_are_of_one(&supervisor, &module, workers).await;
        what_waits_is_stopped(&supervisor, &module, workers).await;
        kills_lose_nothing(&supervisor, &module, workers).await;
        limits_of_a_worker_hold(&supervisor, &module).await;
    });
}

/// Workers are taken for good, in the middle of short tasks.
async fn long_ones_hold_nothing_back(supervisor: &Supervisor, module: &Module, workers: usize) {
    let pool = reused(supervisor, workers);
    let (mut spinning, mut others) = (Vec::new(), Vec::new());
    for number in 0..TASKS {
        let is_long = number % 100 == 50 && spinning.len() + 1 < workers.min(4);
        let task = call(module, "spin_if", (number, if is_long { number } else { -1 }));
        let handle = pool.submit(task).await.expect("the pool is open");
        if is_long { spinning.push(handle) } else { others.push((number, handle)) }
    }
    for (number, handle) in others {
        let record = patiently("a short task", async { handle.await }).await;
        assert_eq!(value(&record), number);
    }
    for handle in &spinning {
        handle.kill();
    }
    for handle in spinning {
        let outcome = patiently("the end of a long one", async { handle.await }).await.outcome;
        assert_eq!(outcome, Outcome::Cancelled(CancelledBy::Caller));
    }
}

/// A worker that ends takes nothing with it.
async fn deaths_are_of_one(supervisor: &Supervisor, module: &Module, workers: usize) {
    for (chunksize, each) in [(1, 7), (10, 23)] {
        let pool = support::pool(supervisor, workers).max_tasks_per_worker(100_000).chunksize(chunksize);
        let pool = pool.build().expect("a pool");
        let tasks = (1..=TASKS / 10).map(|number| call(module, "trap_each", (number, each))).collect();
        let records = records(&pool, tasks).await;
        for (number, record) in (1..).zip(&records) {
            if number % each == 0 {
                assert_eq!(record.outcome.exit_code(), 200, "{number}: {}", record.outcome);
            } else {
                assert_eq!(value(record), number);
            }
        }
    }
}

/// Tasks that wait behind long ones are stopped one by one, and then all at once.
async fn what_waits_is_stopped(supervisor: &Supervisor, module: &Module, workers: usize) {
    let pool = reused(supervisor, workers);
    let mut submitted = Vec::new();
    for number in 0..200_i64 {
        let long = if number < workers as i64 { number } else { -1 };
        submitted.push(pool.submit(call(module, "spin_if", (number, long))).await.expect("the pool is open"));
    }
    let stopped = submitted.split_off(100);
    for handle in &stopped {
        handle.cancel();
    }
    for handle in stopped {
        let outcome = patiently("what was cancelled", async { handle.await }).await.outcome;
        assert_eq!(outcome, Outcome::Cancelled(CancelledBy::Caller));
    }
    patiently("the pool's end", pool.terminate(CancelledBy::Batch)).await;
    for handle in submitted {
        let outcome = patiently("what was terminated", async { handle.await }).await.outcome;
        assert_eq!(outcome, Outcome::Cancelled(CancelledBy::Batch));
    }
}

/// Workers are killed all the time: each task ends once, with its value or with the signal.
async fn kills_lose_nothing(supervisor: &Supervisor, module: &Module, workers: usize) {
    let pool = reused(supervisor, workers);
    let tasks: Vec<Task> = (0..TASKS).map(|number| call(module, "double", (number,))).collect();
    let mut random = Random::new(7);
    let ended = Cell::new(0_u64);
    let killing = async {
        loop {
            // Between two kills tasks end: five workers that never begin one, in a row, would be no worker to be had.
            let next = ended.get() + 5 + random.below(20);
            support::until("more tasks end", || ended.get() >= next).await;
            let children = supervisor.active_children().await;
            if let Some(child) = children.get(random.below(children.len().max(1) as u64) as usize) {
                support::try_signal(child.pid, 9);
            }
        }
    };
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input).map(|(_, record)| {
        ended.set(ended.get() + 1);
        record
    });
    let records: Vec<Record> = tokio::select! {
        records = patiently("the tasks", records.collect()) => records,
        () = killing => unreachable!("it never ends"),
    };
    assert_eq!(records.len(), TASKS as usize);
    let mut killed = 0;
    for (number, record) in (0..).zip(&records) {
        match record.outcome {
            Outcome::Killed(9) => killed += 1,
            _ => assert_eq!(value(record), 2 * number),
        }
    }
    let tasks: BTreeSet<u64> = records.iter().map(|record| record.task).collect();
    assert_eq!(tasks.len(), TASKS as usize, "each ended once");
    support::say(&serde_json::json!({ "killed": killed }));
}

/// A worker runs as many tasks as it may, and no more; what tasks took is told of each.
async fn limits_of_a_worker_hold(supervisor: &Supervisor, module: &Module) {
    let pool = support::pool(supervisor, 1).max_tasks_per_worker(7).build().expect("a pool");
    let tasks = (0..70).map(|number| call(module, "double", (number,))).collect();
    let workers: Vec<_> = records(&pool, tasks).await.iter().map(|record| record.pid).collect();
    assert!(workers.chunks(7).all(|seven| seven.iter().all(|pid| *pid == seven[0])), "{workers:?}");
    assert_eq!(workers.iter().collect::<BTreeSet<_>>().len(), 10);
    // Calls that are heard of together have their own times all the same.
    let pool = support::pool(supervisor, 1).chunksize(50).build().expect("a pool");
    let long = |number: i64| if number % 10 == 0 { 20_000_000 } else { 1 };
    let tasks = (0..50).map(|number| call(module, "count_down", (long(number),))).collect();
    let began = Instant::now();
    let records = records(&pool, tasks).await;
    let elapsed = began.elapsed();
    for (number, record) in (0..).zip(&records) {
        // On no machine 20 million rounds take less.
        assert!(number % 10 != 0 || support::ms(record.wall_time) > 1.0, "call {number}: {record:?}");
        // The last one has what the end of its worker took besides.
        assert!(record.cpu_time <= record.wall_time || number == 49, "call {number}: {record:?}");
    }
    let sum: Duration = records.iter().map(|record| record.wall_time).sum();
    assert!(sum <= elapsed, "calls took {sum:?} of {elapsed:?}");
}
