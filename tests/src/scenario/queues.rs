//! T5: the end of a queue, consumers that die with an item, producers that die inside a put. Guest 16.

#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use wasmpool::sync::{Got, Queue, SyncError};
use wasmpool::{Limits, Outcome};

use crate::support::{self, call, say};

/// A host feeds, guests drain: every item once, then the end; in pools of this many workers.
pub fn feed_and_drain(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let queue = Queue::<u64>::bounded(16).expect("a queue");
        let mut consumers = Vec::new();
        for _ in 0..workers.max(2) {
            consumers.push(pool.submit(call(&module, "take_all", (&queue,))).await.expect("a handle"));
        }
        let n = 5000_u64;
        for item in 0..n {
            queue.put_async(item).await.expect("room");
        }
        queue.close().expect("open");
        let mut taken = Vec::new();
        for handle in consumers {
            let record = support::patiently("a consumer", async { handle.await }).await;
            let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
            let items: Vec<u64> = value.to().expect("numbers");
            assert!(items.is_sorted(), "each consumer sees the order");
            taken.extend(items);
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..n).collect::<Vec<_>>());
        assert_eq!(queue.get(), Ok(None));
        assert_eq!(queue.put(1), Err(SyncError::Closed));
    });
}

/// Guests that lease and die: items come back, at most N times, then they are dead letters.
pub fn leases(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let queue = Queue::builder().capacity(8).deliveries_max(3).build::<u64>().expect("a queue");
        queue.put(1).expect("room");
        queue.put(2).expect("room");
        for delivery in 1..=3_u32 {
            let handle = pool.submit(call(&module, "lease_and_spin", (&queue,))).await.expect("a handle");
            let pid = support::until_running(&handle).await;
            let (number, _) = handle.progress().expect("it told the delivery");
            assert_eq!(
                number,
                u64::from(delivery),
                "the item came back to its place, before the younger one"
            );
            support::signal(pid, 9);
            assert_eq!(handle.await.outcome, Outcome::Killed(9));
        }
        let younger: Option<(u64, u32)> =
            pool.apply(&support::target(&module, "lease_and_ack"), (&queue,)).await.expect("an item");
        assert_eq!(younger, Some((2, 1)));
        let dead: Vec<u64> = queue.dead_letters().map(|item| item.expect("an item")).collect();
        assert_eq!(dead, [1]);
        assert_eq!(queue.wait_empty_timeout(Duration::from_secs(10)), Ok(true));
    });
}

/// Producers are killed in the middle of putting: what is in the queue is whole, and the queue goes on.
pub fn killed_producers(args: &[String]) {
    let kills: u64 = args[0].parse().expect("a number of kills");
    let workers: usize = args[1].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let queue = Queue::<String>::bounded(64).expect("a queue");
        let (mut random, mut items, mut seen) = (support::Random::new(kills), 0, BTreeSet::new());
        for round in 0..kills {
            // A letter a round, from one byte to ten pages.
            let bytes = 1 + random.below(40_000);
            let letter = char::from(b'a' + u8::try_from(round % 26).expect("below 26"));
            let handle =
                pool.submit(call(&module, "put_letters", (&queue, letter, bytes))).await.expect("a handle");
            let pid = support::until_running(&handle).await;
            for _ in 0..random.below(4) {
                let Got::Item(item) = queue.get_timeout(Duration::from_secs(10)).expect("no error") else {
                    panic!("the producer puts without end")
                };
                check(&item, &mut seen);
                items += 1;
            }
            support::signal(pid, 9);
            assert_eq!(
                support::patiently("a producer", async { handle.await }).await.outcome,
                Outcome::Killed(9)
            );
            while let Got::Item(item) = queue.try_get().expect("no error") {
                check(&item, &mut seen);
                items += 1;
            }
        }
        queue.put("host".to_owned()).expect("room");
        queue.close().expect("open");
        assert_eq!(queue.get(), Ok(Some("host".to_owned())));
        assert_eq!(queue.get(), Ok(None));
        assert!(items > 0);
        say(&json!({ "kills": kills, "items": items }));
    });
}

/// An item is one letter, as often as it was put.
fn check(item: &str, seen: &mut BTreeSet<char>) {
    let first = item.chars().next().expect("an item has at least one letter");
    assert!(item.chars().all(|letter| letter == first), "an item is whole");
    seen.insert(first);
}

/// Guest 16: an item over the limit is an error, and the queue usable; a flood without consumer waits until the time is over.
pub fn floods(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let queue = Queue::builder().capacity(4).build::<String>().expect("a queue");
        let limits = Limits { memory_bytes: 3 << 30, ..Limits::default() };
        let task = call(&module, "put_huge", (&queue, 1_u64 << 30)).limits(limits);
        let handle = pool.submit(task).await.expect("a handle");
        let record = support::patiently("a huge item", async { handle.await }).await;
        say(&support::record(&record));
        queue.put("small".to_owned()).expect("the queue is usable");
        assert_eq!(queue.get(), Ok(Some("small".to_owned())));
        // Over the limit of an item, and small enough to reach the host: an error, which this guest returns.
        let handle = pool.submit(call(&module, "put_huge", (&queue, 2_u64 << 20))).await.expect("a handle");
        let record = support::patiently("a large item", async { handle.await }).await;
        say(&support::record(&record));
        let before = support::resident_bytes();
        let limits = Limits { timeout: Some(Duration::from_millis(500)), ..Limits::default() };
        let task = call(&module, "flood_queue", (&queue,)).limits(limits);
        let handle = pool.submit(task).await.expect("a handle");
        let record = support::patiently("a flood", async { handle.await }).await;
        say(&support::record(&record));
        assert_eq!(queue.len_hint(), 4);
        let grown = support::resident_bytes().saturating_sub(before);
        assert!(grown < 16 << 20, "{grown} bytes more");
    });
}
