//! Stopping tasks: in each state, politely and not, and without hitting the next one.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::{Limits, Module, Outcome, Pool, Task, TaskHandle};

use crate::support::{self, Ends, call, ms, say, target};

const GRACE: Duration = Duration::from_millis(300);

fn with_grace(task: Task) -> Task {
    task.limits(Limits { grace_period: GRACE, ..Limits::default() })
}

/// Stops a task that runs; what it took.
async fn stop(pool: &Pool, task: Task, how: impl Fn(&TaskHandle)) -> (wasmpool::Record, Duration) {
    let handle = pool.submit(task).await.expect("a handle");
    support::until_running(&handle).await;
    let begun = Instant::now();
    how(&handle);
    let record = support::patiently("it ends", async { (&handle).await }).await;
    (record, begun.elapsed())
}

/// A pool of this size runs this many tasks at one time, and not one more.
pub async fn expect_size(pool: &Pool, module: &Module, size: usize) {
    let mut handles = Vec::new();
    for _ in 0..=size {
        handles.push(pool.submit(call(module, "ignore_cancelled", ())).await.expect("a handle"));
    }
    let running = || handles.iter().filter(|handle| handle.progress().is_some()).count();
    support::until("the pool runs as many as it should", || running() >= size).await;
    assert_eq!(running(), size, "it runs more than it should");
    handles.iter().for_each(TaskHandle::kill);
    for handle in handles {
        assert_eq!(support::patiently("it ends", async { handle.await }).await.outcome.exit_code(), 230);
    }
}

/// `cancel`, `terminate` and `kill` of a task that runs: who ends when.
pub fn running(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let zero = Duration::ZERO;
        // The task, how it is stopped, how long it has at least, its code.
        type Row = (&'static str, &'static str, fn(&TaskHandle), Duration, u8);
        let rows: [Row; 7] = [
            // It tidies up within its grace period, and what it returns then counts.
            ("wait_cancelled", "terminate", TaskHandle::terminate, zero, 0),
            ("ignore_cancelled", "terminate", TaskHandle::terminate, GRACE, 230),
            ("defy_cancelled", "terminate", TaskHandle::terminate, GRACE, 230),
            ("ignore_cancelled", "cancel", TaskHandle::cancel, zero, 230),
            ("wait_cancelled", "cancel", TaskHandle::cancel, zero, 230),
            ("ignore_cancelled", "kill", TaskHandle::kill, zero, 230),
            ("wait_cancelled", "kill", TaskHandle::kill, zero, 230),
        ];
        for (name, how, stopping, at_least, code) in rows {
            let (record, took) = stop(&pool, with_grace(call(&module, name, ())), stopping).await;
            say(&json!({ "task": name, "how": how, "ms": ms(took), "code": record.outcome.exit_code() }));
            assert_eq!(record.outcome.exit_code(), code, "{name} {how}: {}", record.outcome);
            assert!(took >= at_least, "{name} {how}: it had {GRACE:?} and ended after {took:?}");
            assert!(took < at_least + Duration::from_secs(1), "{name} {how}: {took:?}");
        }
        // One that never asks, and ends by itself within its grace period.
        for _ in 0..5 {
            let handle =
                pool.submit(with_grace(call(&module, "sleep_ms", (100_u64,)))).await.expect("a handle");
            support::until("it has a worker", || handle.pid().is_some()).await;
            handle.terminate();
            let record = support::patiently("it ends", async { handle.await }).await;
            assert!(record.outcome.is_success(), "its result is lost: {}", record.outcome);
        }
        let (record, took) = stop(&pool, call(&module, "ignore_cancelled", ()), |handle| {
            support::signal(handle.pid().expect("it runs"), 19);
            handle.cancel();
        })
        .await;
        say(
            &json!({ "task": "stopped", "how": "cancel", "ms": ms(took), "code": record.outcome.exit_code() }),
        );
        assert!(took < Duration::from_millis(1200), "a stopped worker: {took:?}");
        expect_size(&pool, &module, 2).await;
    });
}

/// A task that waits is taken out of the queue; one that has ended stays as it is.
pub fn waiting_and_finished(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let mut ends = Ends::default();
        let busy = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
        support::until_running(&busy).await;
        for how in [TaskHandle::cancel, TaskHandle::terminate, TaskHandle::kill] {
            let waiting = pool.submit(call(&module, "add", (1, 2))).await.expect("a handle");
            ends.watch(&waiting);
            how(&waiting);
            let record = support::patiently("it is cancelled", async { (&waiting).await }).await;
            assert_eq!((record.outcome.exit_code(), record.pid), (230, None));
        }
        assert!(!busy.is_finished(), "its neighbour's end is not its own");
        busy.kill();
        assert_eq!((&busy).await.outcome.exit_code(), 230);
        let finished = pool.submit(call(&module, "add", (1, 2))).await.expect("a handle");
        ends.watch(&finished);
        assert!((&finished).await.outcome.is_success());
        finished.cancel();
        finished.terminate();
        finished.kill();
        let next: i64 = pool.apply(&target(&module, "add"), (2, 2)).await.expect("a value");
        assert_eq!(next, 4);
        assert!((&finished).await.outcome.is_success(), "a stop came after the end");
        ends.expect_one_each().await;
    });
}

/// Attempts are cancelled, or time out, just when they end, on a worker that is reused: the next task on
/// it is never hit.
pub fn never_the_next(args: &[String]) {
    let mut random = support::Random::new(args[0].parse().expect("a seed"));
    let supervisor = support::supervisor();
    let (mut stopped, mut ended) = (0, 0);
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).max_tasks_per_worker(1000).build().expect("a pool");
        for round in 0..100 {
            let timeout = (round % 2 == 0).then(|| Duration::from_micros(1000 + random.below(3000)));
            let limits = Limits { timeout, ..Limits::default() };
            let task = call(&module, "burn_ms", (2_u64,)).limits(limits);
            let first = pool.submit(task).await.expect("a handle");
            let second = pool.submit(call(&module, "burn_ms", (3_u64,))).await.expect("a handle");
            if timeout.is_none() {
                tokio::time::sleep(Duration::from_micros(random.below(5000))).await;
                first.cancel();
            }
            match support::patiently("the first", async { first.await }).await.outcome {
                Outcome::Succeeded(_) => ended += 1,
                Outcome::Cancelled(_) | Outcome::LimitExceeded(_) => stopped += 1,
                other => panic!("{other}"),
            }
            let record = support::patiently("the second", async { second.await }).await;
            assert!(record.outcome.is_success(), "round {round}: the next task: {}", record.outcome);
        }
    });
    say(&json!({ "stopped": stopped, "ended": ended }));
}

/// Time-outs while a reader does not read: the task ends all the same.
pub fn timeout_of_an_unread_writer(_: &[String]) {
    let supervisor = support::supervisor();
    let (sink, reader) = wasmpool::output_channel(64 * 1024);
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let limits = Limits { timeout: Some(Duration::from_millis(300)), ..Limits::default() };
        let task = call(&module, "flood_output", ()).output(wasmpool::Output::Stream(sink)).limits(limits);
        let handle = pool.submit(task).await.expect("a handle");
        let begun = Instant::now();
        let record = support::patiently("it times out", async { handle.await }).await;
        assert_eq!(record.outcome.exit_code(), 221, "{}", record.outcome);
        say(&json!({ "ms": ms(begun.elapsed()) }));
        let next: i64 = pool.apply(&target(&module, "add"), (2, 2)).await.expect("a value");
        assert_eq!(next, 4);
    });
    drop(reader);
}
