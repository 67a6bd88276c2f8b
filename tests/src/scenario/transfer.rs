//! Large arguments and results, with workers that are killed in the middle of them.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::outcome::TaskValue;
use wasmpool::{Args, Limits, Module, Outcome, Pool, SharedBytes, StartMethod, Task, TaskHandle};

use crate::oracle::descriptors;
use crate::support::{self, call, ms, say, target};

const MIB: usize = 1 << 20;
/// Small tasks that run beside the large ones.
const SMALL_TASKS: u64 = 50;

fn echo(module: &Module, bytes: usize) -> Task {
    Task::new(&target(module, "echo")).args(Args::raw(vec![7_u8; bytes]))
}

/// Runs the small tasks; how long they took together.
async fn small_tasks(pool: &Pool, module: &Module) -> Duration {
    let begun = Instant::now();
    let values: Vec<u64> =
        pool.map(&target(module, "sleep_ms"), vec![1_u64; SMALL_TASKS as usize]).await.expect("values");
    assert_eq!(values, [1; SMALL_TASKS as usize]);
    begun.elapsed()
}

fn expect_whole(outcome: &Outcome, bytes: usize) {
    let Outcome::Succeeded(value) = outcome else { panic!("{outcome}") };
    assert!(value.bytes().len() == bytes && value.bytes().iter().all(|byte| *byte == 7), "it is not whole");
}

/// The largest argument that there may be, there and back, while small tasks run beside it.
pub fn largest(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 3).build().expect("a pool");
        let alone = small_tasks(&pool, &module).await;
        let begun = Instant::now();
        let large = pool.submit(echo(&module, 256 * MIB)).await.expect("a handle");
        let beside = small_tasks(&pool, &module).await;
        let record = support::patiently("the echo", async { (&large).await }).await;
        expect_whole(&record.outcome, 256 * MIB);
        let one_more = pool.submit(echo(&module, 256 * MIB + 1)).await.expect("a handle").await;
        assert_eq!(one_more.outcome.exit_code(), 225, "{}", one_more.outcome);
        say(&json!({ "alone_ms": ms(alone), "beside_ms": ms(beside), "echo_ms": ms(begun.elapsed()) }));
    });
}

/// Bytes that several tasks share, large and small, and those who cannot have them.
pub fn shared(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        for length in [0, 1, MIB] {
            let bytes = SharedBytes::with(length, |bytes| bytes.fill(7)).expect("memory");
            let task = Task::new(&target(&module, "echo")).args(Args::shared(&bytes));
            let mut handles = Vec::new();
            for _ in 0..4 {
                handles.push(pool.submit(task.clone()).await.expect("a handle"));
            }
            for handle in handles {
                expect_whole(&handle.await.outcome, length);
            }
            assert!(bytes.iter().all(|byte| *byte == 7), "no task changed them");
            let limits = wasmpool::Limits { argument_bytes: MIB as u64 - 1, ..Default::default() };
            let outcome = pool.submit(task.limits(limits)).await.expect("a handle").await.outcome;
            assert_eq!(outcome.exit_code(), if length < MIB { 0 } else { 225 }, "{outcome}");
            let wrong = Task::new(&target(&module, "add")).args(Args::shared(&bytes));
            let outcome = pool.submit(wrong).await.expect("a handle").await.outcome;
            assert!(matches!(outcome, Outcome::NotRun(_)), "{outcome}");
        }
        say(&json!({ "done": true }));
    });
}

/// Kills workers at many moments of a large echo: a whole result wins, a partial one is dropped.
pub fn killed(args: &[String]) {
    let seed: u64 = args[0].parse().expect("a seed");
    let mut random = support::Random::new(seed);
    let supervisor = support::supervisor();
    let (mut whole, mut died) = (0, 0);
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 3).build().expect("a pool");
        let begun = Instant::now();
        let undisturbed = pool.submit(echo(&module, 64 * MIB)).await.expect("a handle").await;
        expect_whole(&undisturbed.outcome, 64 * MIB);
        let usual_ms = u64::try_from(begun.elapsed().as_millis()).expect("not for ever");
        for round in 0..5 {
            // From its first fifth to a little after its usual end.
            let moment = usual_ms * (1 + round) / 4 - usual_ms / 5 + random.below(usual_ms / 10);
            let large = pool.submit(echo(&module, 64 * MIB)).await.expect("a handle");
            let (_, ()) = tokio::join!(small_tasks(&pool, &module), kill_at(&large, moment));
            let record = support::patiently("the echo", async { (&large).await }).await;
            match &record.outcome {
                Outcome::Killed(9) => died += 1,
                outcome => {
                    expect_whole(outcome, 64 * MIB);
                    whole += 1;
                }
            }
        }
        let after: i64 = pool.apply(&target(&module, "add"), (1, 2)).await.expect("a value");
        assert_eq!(after, 3);
    });
    say(&json!({ "whole": whole, "died": died }));
}

/// Kills the task's worker that many milliseconds after it got one.
async fn kill_at(handle: &TaskHandle, after_ms: u64) {
    support::until("it has a worker", || handle.pid().is_some()).await;
    tokio::time::sleep(Duration::from_millis(after_ms)).await;
    if let Some(pid) = handle.pid().filter(|_| !handle.is_finished()) {
        support::try_signal(pid, 9);
    }
}

/// Bytes that are no multiple of anything, filled where they lie.
fn shared_bytes(length: usize) -> SharedBytes {
    let fill =
        |bytes: &mut [u8]| bytes.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at % 251) as u8);
    SharedBytes::with(length, fill).expect("there is room")
}

fn echo_shared(module: &Module, bytes: &SharedBytes) -> Task {
    Task::new(&target(module, "echo")).args(Args::shared(bytes))
}

async fn value(pool: &Pool, task: Task) -> TaskValue {
    let record = pool.submit(task).await.expect("a handle").await;
    let Outcome::Succeeded(value) = record.outcome else { panic!("{}", record.outcome) };
    value
}

/// A buffer goes to a task, and the file in which its result lies is handed from one task to the next.
pub fn shared_chain(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        for start_method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let pool = support::pool(&supervisor, 1).start_method(start_method).build().expect("a pool");
            for length in [0, 1, 24 * 1024, 24 * 1024 + 1, 48 * 1024 + 1, 5 * MIB + 4321] {
                let first = shared_bytes(length);
                let mut next = first.clone();
                for _ in 0..3 {
                    let value = value(&pool, echo_shared(&module, &next)).await;
                    next = value.shared().expect("a file");
                    let is_same = std::ptr::eq(next.as_ptr(), value.bytes().as_ptr());
                    assert!(is_same || length <= 48 * 1024, "{length} bytes were copied");
                }
                assert!(
                    next == first && value(&pool, echo_shared(&module, &next)).await.bytes() == &first[..]
                );
            }
        }
    });
}

/// Limits hold for shared buffers, and what takes JSON refuses them.
pub fn shared_limits(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let bytes = shared_bytes(3 * MIB);
        let limited = |argument_bytes, result_bytes| {
            let limits = Limits { argument_bytes, result_bytes, ..Limits::default() };
            echo_shared(&module, &bytes).limits(limits)
        };
        let limit = 3 * MIB as u64;
        value(&pool, limited(limit, limit)).await;
        for task in [limited(limit - 1, limit), limited(limit, limit - 1)] {
            let record = pool.submit(task).await.expect("a handle").await;
            assert_eq!(record.outcome.exit_code(), 225, "{}", record.outcome);
            assert!(record.outcome.to_string().contains("3145728"), "{}", record.outcome);
        }
        let json = Task::new(&target(&module, "add")).args(Args::shared(&bytes));
        let refused = pool.submit(json).await.expect("a handle").await;
        assert!(refused.outcome.to_string().contains("JSON"), "{}", refused.outcome);
    });
}

/// Results that somebody keeps take descriptors, and no more than some.
pub fn shared_kept(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let bytes = shared_bytes(100_000);
        value(&pool, echo_shared(&module, &bytes)).await;
        let before = descriptors();
        let mut values = Vec::new();
        for _ in 0..2 * wasmpool::limits::SHARED_RESULTS_MAX {
            values.push(value(&pool, echo_shared(&module, &bytes)).await);
        }
        // Workers that come and go have some too.
        let kept = descriptors() - before.min(descriptors());
        assert!(kept < wasmpool::limits::SHARED_RESULTS_MAX + 32, "{kept} descriptors");
        for value in values {
            assert_eq!(value.shared().expect("a file, or a copy"), bytes);
        }
    });
}

/// Results that nobody waits for do not hold up anything.
pub fn unread(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        for bytes in [64 * 1024 - 1, 64 * 1024, 64 * 1024 + 1, MIB, 16 * MIB] {
            drop(pool.submit(call(&module, "big_result", (bytes,))).await.expect("a handle"));
        }
        let value: i64 = pool.apply(&target(&module, "add"), (1, 2)).await.expect("a value");
        assert_eq!(value, 3);
        pool.close();
        support::patiently("the pool is joined", pool.join()).await;
    });
}
