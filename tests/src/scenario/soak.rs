//! Kills by the thousand, at random moments, of tasks that share a lock, numbers, a semaphore and a queue.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::sync::{Got, Lock, Queue, Semaphore, Value};
use wasmpool::{Outcome, TaskHandle};

use crate::support::{self, call, say};

const WORKERS: usize = 4;
const PERMITS: u32 = 2;
const ITEMS: u64 = 8;

/// This many kills, at moments that the seed chooses: then nothing is lost, nothing stuck, nothing held twice.
pub fn kills(args: &[String]) {
    let kills: u64 = args[0].parse().expect("a number of kills");
    let seed: u64 = args[1].parse().expect("a seed");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, WORKERS).build().expect("a pool");
        let (lock, permits) = (Lock::new().expect("a lock"), Semaphore::new(PERMITS).expect("a semaphore"));
        let (first, second) = (Value::new(0_i64).expect("a value"), Value::new(0_i64).expect("a value"));
        let jobs = Queue::builder().capacity(16).deliveries_max(u32::MAX).build::<u64>().expect("a queue");
        (0..ITEMS).for_each(|item| jobs.put(item).expect("room"));
        let task = call(&module, "take_turns", (&lock, &first, &second, &permits, &jobs));
        let (mut running, mut random) = (VecDeque::new(), support::Random::new(seed));
        for _ in 0..kills {
            while running.len() < WORKERS {
                running.push_back(pool.submit(task.clone()).await.expect("a handle"));
            }
            let handle: TaskHandle = running.pop_front().expect("there are some");
            let pid = support::until_running(&handle).await;
            let (begun, later) = (Instant::now(), Duration::from_micros(random.below(300)));
            while begun.elapsed() < later {
                std::hint::spin_loop();
            }
            support::signal(pid, 9);
            let record = support::patiently("a killed task", async { handle.await }).await;
            assert_eq!(record.outcome, Outcome::Killed(9), "{}", record.outcome);
        }
        for handle in running {
            handle.kill();
            handle.await;
        }
        let patience = Duration::from_secs(10);
        let guard = lock.acquire_timeout(patience).expect("no error").expect("the lock is free");
        let (one, two) = (first.get(), second.get());
        assert!(one == two || guard.abandoned_by().is_some(), "{one} and {two}");
        let held: Vec<_> =
            (0..PERMITS).map(|_| permits.acquire_timeout(patience).expect("no error")).collect();
        assert!(held.iter().all(Option::is_some), "every permit came back");
        assert!(permits.try_acquire().expect("no error").is_none(), "and not one more");
        // Somebody who was alive may have been inside when the last one died: then its item comes a moment later.
        support::until("every item is back", || jobs.len_hint() == ITEMS).await;
        let mut items = Vec::new();
        while let Got::Item(item) = jobs.try_get().expect("no error") {
            items.push(item);
        }
        assert_eq!(items, (0..ITEMS).collect::<Vec<_>>(), "every item once, each at its place");
        say(&json!({ "kills": kills, "turns": one }));
    });
}
