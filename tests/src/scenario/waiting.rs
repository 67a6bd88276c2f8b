//! T14: tasks that wait for tasks, for each other, and for nobody.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::sync::{Barrier, Event, Lock, Queue};
use wasmpool::{Limits, Outcome, Record, Task};

use crate::support::{self, Ends, call, say};

async fn all(pool: &wasmpool::Pool, tasks: Vec<Task>) -> (Vec<Record>, Duration) {
    let (mut ends, mut handles, begun) = (Ends::default(), Vec::new(), Instant::now());
    for task in tasks {
        let handle = pool.submit(task).await.expect("a handle");
        ends.watch(&handle);
        handles.push(handle);
    }
    let mut records = Vec::new();
    for handle in handles {
        records.push(support::patiently("a task", async { handle.await }).await);
    }
    ends.expect_one_each().await;
    (records, begun.elapsed())
}

/// Tasks that submit tasks and wait, in a pool of this many workers; too deep is an error.
pub fn nested(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let (records, _) = all(&pool, (0..20).map(|_| call(&module, "nested_sum", (4,))).collect()).await;
        for record in &records {
            let Outcome::Succeeded(sum) = &record.outcome else { panic!("{}", record.outcome) };
            assert_eq!(sum.to::<u64>().expect("a number"), 4 + 3 + 2 + 1);
        }
        let (records, _) = all(&pool, vec![call(&module, "nested_sum", (9,))]).await;
        say(&support::record(&records[0]));
        let three: String = pool.apply(&support::target(&module, "letters"), (3,)).await.expect("letters");
        assert_eq!(three, "xxx");
        // More answers than its socket holds wait until it reads them, and none is lost.
        let (records, _) = all(&pool, vec![call(&module, "join_late", (40, 40_000))]).await;
        let Outcome::Succeeded(bytes) = &records[0].outcome else { panic!("{}", records[0].outcome) };
        assert_eq!(bytes.to::<usize>().expect("a number"), 40 * 40_000);
        // What was submitted and not joined ends with its submitter.
        let (records, time) = all(&pool, vec![call(&module, "submit_and_leave", ())]).await;
        assert!(records[0].outcome.is_success(), "{}", records[0].outcome);
        support::patiently("the pool is joined", async {
            pool.close();
            pool.join().await
        })
        .await;
        say(&json!({ "left_after_ms": support::ms(time) }));
    });
}

/// Two consumers and a producer finish in a pool of this many workers: who waits gives its place back.
pub fn places(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let queue = Queue::<u64>::bounded(2).expect("a queue");
        let mut tasks: Vec<Task> = (0..2).map(|_| call(&module, "take_many", (&queue, 50))).collect();
        tasks.push(call(&module, "put_many", (&queue, 100)));
        let (records, _) = all(&pool, tasks).await;
        for record in records {
            assert!(record.outcome.is_success(), "{}", record.outcome);
        }
    });
}

/// Cycles of every kind end with an error that names them, within a second.
pub fn deadlocks(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        for (name, tasks) in cycles(&module) {
            let expected = tasks.len();
            let (records, time) = all(&pool, tasks).await;
            let dead: Vec<&Record> =
                records.iter().filter(|record| matches!(record.outcome, Outcome::Deadlock(_))).collect();
            assert!(
                !dead.is_empty(),
                "{name}: {:?}",
                records.iter().map(|record| record.outcome.to_string()).collect::<Vec<_>>()
            );
            assert!(records.iter().all(|record| matches!(record.outcome.exit_code(), 0 | 1 | 233)), "{name}");
            say(&json!({
                "cycle": name, "tasks": expected, "dead": dead.len(), "ms": support::ms(time),
                "text": dead[0].outcome.to_string(), "code": dead[0].outcome.exit_code(),
            }));
        }
    });
}

/// Tasks that wait for each other for ever. No handle of the host outlives this, so it cannot act.
fn cycles(module: &wasmpool::Module) -> Vec<(&'static str, Vec<Task>)> {
    let lock = || Lock::new().expect("a lock");
    let (first, second, meet) = (lock(), lock(), Barrier::new(2).expect("a barrier"));
    let opposite = vec![
        call(module, "lock_in_order", (&first, &second, &meet)),
        call(module, "lock_in_order", (&second, &first, &meet)),
    ];
    let queue = || Queue::<u64>::bounded(1).expect("a queue");
    let (a, b) = (queue(), queue());
    let full = vec![call(module, "full_queue_cycle", (&a, &b)), call(module, "full_queue_cycle", (&b, &a))];
    let empty = vec![call(module, "take_many", (&queue(), 1))];
    let event = vec![call(module, "wait_event", (&Event::new().expect("an event"),))];
    let barrier = vec![call(module, "meet_barrier", (&Barrier::new(2).expect("a barrier"),))];
    let nested = vec![call(module, "nested_under_lock", (&lock(),))];
    vec![
        ("locks in opposite order", opposite),
        ("full queues", full),
        ("an empty queue that nobody fills", empty),
        ("an event that nobody sets", event),
        ("a barrier whose other party never comes", barrier),
        ("a task that waits for one that needs its lock", nested),
    ]
}

/// As long as anybody can still act there is no alarm: the host, a task that waits for its turn, one with a time-out.
pub fn no_false_alarms(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let event = Event::new().expect("an event");
        let handle = pool.submit(call(&module, "wait_event", (&event,))).await.expect("a handle");
        support::until_running(&handle).await;
        // Several looks long, the host does nothing; it could.
        support::until("a while has passed", {
            let begun = Instant::now();
            move || begun.elapsed() > Duration::from_secs(1)
        })
        .await;
        assert!(!handle.is_finished(), "the host can still set it");
        event.set().expect("no error");
        let record = support::patiently("the waiter", async { handle.await }).await;
        assert!(record.outcome.is_success(), "{}", record.outcome);
        // The one that could act is asleep for a second, and waits behind another.
        let queue = Queue::<u64>::bounded(4).expect("a queue");
        let tasks = vec![
            call(&module, "take_many", (&queue, 1)),
            call(&module, "sleep_ms", (700_u64,)),
            call(&module, "put_many", (&queue, 1)),
        ];
        drop(queue);
        let (records, _) = all(&pool, tasks).await;
        for record in records {
            assert!(record.outcome.is_success(), "{}", record.outcome);
        }
        // With a time-out of its own a wait ends by itself.
        let limits = Limits { timeout: Some(Duration::from_secs(30)), ..Limits::default() };
        let event = Event::new().expect("an event");
        let task = call(&module, "wait_event_for", (&event, 800_u64)).limits(limits);
        drop(event);
        let (records, _) = all(&pool, vec![task]).await;
        let Outcome::Succeeded(set) = &records[0].outcome else { panic!("{}", records[0].outcome) };
        assert!(!set.to::<bool>().expect("a flag"));
    });
}

/// What was asked to stop is not started again, and what was answered is not begun; the second call of a chunk that dies is
/// a party that died.
pub fn stopped_waiters(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        // The wait ends with an error, which the task returns: with retries left, but nobody wants them.
        let event = Event::new().expect("an event");
        let handle = pool.submit(call(&module, "wait_event", (&event,)).retries(3)).await.expect("a handle");
        support::until_running(&handle).await;
        handle.terminate();
        let record = support::patiently("who was asked to stop", async { handle.await }).await;
        assert_eq!((record.outcome.is_success(), record.attempt), (false, 1), "{}", record.outcome);

        let chunks = support::pool(&supervisor, 1).chunksize(2).build().expect("a pool");
        let target = support::target(&module, "first_waits");
        let values = chunks.map_async::<_, u32>(&target, [0_u32, 1]);
        let running = || !support::children().is_empty();
        support::until("the chunk runs", running).await;
        let stops = async { chunks.terminate(wasmpool::outcome::CancelledBy::Caller).await };
        support::patiently("the chunk is stopped", stops).await;
        drop(values);

        let barrier = Barrier::new(2).expect("a barrier");
        let chunks = support::pool(&supervisor, 1).chunksize(2).build().expect("a pool");
        let begun = Event::new().expect("an event");
        let tasks = [0_u32, 1].map(|number| call(&module, "party", (&barrier, &begun, number)));
        let mut records = chunks.records(futures_util::stream::iter(tasks), wasmpool::Order::Input);
        let (_, first) = futures_util::StreamExt::next(&mut records).await.expect("the first call");
        assert!(first.outcome.is_success(), "{}", first.outcome);
        let waits = barrier.clone();
        let waiter = std::thread::spawn(move || waits.wait_timeout(Duration::from_secs(30)));
        support::until("the host waits", || barrier.n_waiting() == 1).await;
        support::until("the second call is a party", || begun.is_set() == Ok(true)).await;
        support::signal(first.pid.expect("it had a worker"), 9);
        assert_eq!(waiter.join().expect("the waiter"), Err(wasmpool::sync::SyncError::Broken));
        let (_, second) = futures_util::StreamExt::next(&mut records).await.expect("the second call");
        assert_eq!(second.outcome, Outcome::Killed(9));
    });
}
