//! Every type of shared object, between a guest that uses it by the SDK and this program.

#![forbid(unsafe_code)]

use serde::de::DeserializeOwned;
use wasmpool::sync::{Array, Barrier, Condition, Dict, Event, Pipe, Queue, RLock, Semaphore, Value};
use wasmpool::{Module, Outcome, Pool, Task};

use crate::support::{self, call};

/// What a task returned.
async fn returned<T: DeserializeOwned>(pool: &Pool, task: Task) -> T {
    let handle = pool.submit(task).await.expect("a handle");
    let record = support::patiently("a task", async { handle.await }).await;
    let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
    value.to().expect("a value of this type")
}

pub fn every_type(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        numbers(&pool, &module).await;
        dict(&pool, &module).await;
        connection(&pool, &module).await;
        timeouts(&pool, &module).await;
        queue(&pool, &module).await;
    });
}

async fn numbers(pool: &Pool, module: &Module) {
    let (integer, float) =
        (Value::<i64>::new(40).expect("a value"), Value::<f64>::new(0.25).expect("a value"));
    let row = Array::<i32>::named("row", 3).expect("an array");
    row.write(0, &[7, 8, 9]).expect("inside");
    type Said = (i64, f64, Vec<i32>, String, String);
    let (before, halved, read, outside, wider) =
        returned::<Said>(pool, call(module, "use_numbers", (&integer, &float, &row))).await;
    assert_eq!((before, halved, read), (40, 0.5, vec![8, 9]));
    assert!(outside.contains("out of range"), "{outside}");
    assert!(wider.contains("`row` has no elements of 8 bytes"), "{wider}");
    assert_eq!((integer.get(), float.get()), (-2, 0.25));
    assert_eq!(row.read(..), Ok(vec![-1, -2, 9]));
}

async fn dict(pool: &Pool, module: &Module) {
    let map = Dict::<u64>::new().expect("a dict");
    type Said = (Vec<Option<u64>>, Vec<bool>, Vec<String>, u64);
    let (values, swaps, keys, len) = returned::<Said>(pool, call(module, "use_dict", (&map,))).await;
    assert_eq!(values, [None, Some(1), Some(2), None]);
    assert_eq!(swaps, [false, true, true, true]);
    assert_eq!((keys, len), (vec!["a".to_owned(), "b".to_owned()], 2));
    assert_eq!((map.get("a"), map.get("b")), (Ok(Some(5)), Ok(Some(4))));
}

async fn connection(pool: &Pool, module: &Module) {
    let (ours, theirs) = Pipe::connect::<u64, String>().expect("a pipe");
    let task = call(module, "use_connection", (&theirs,));
    drop(theirs);
    let handle = pool.submit(task).await.expect("a handle");
    for number in [1, 22, 333] {
        ours.send(number).expect("the other end is there");
        assert_eq!(ours.recv_async().await, Ok(Some(number.to_string())));
    }
    ours.close().expect("open");
    let record = support::patiently("the other end", async { handle.await }).await;
    let Outcome::Succeeded(count) = &record.outcome else { panic!("{}", record.outcome) };
    assert_eq!(count.to::<u64>().expect("a number"), 3);
    assert_eq!(ours.recv(), Ok(None));
}

async fn timeouts(pool: &Pool, module: &Module) {
    let (semaphore, event) = (Semaphore::new(1).expect("a semaphore"), Event::new().expect("an event"));
    let (condition, barrier) = (Condition::new().expect("a condition"), Barrier::new(2).expect("a barrier"));
    let lock = RLock::new().expect("a lock");
    let task = call(module, "use_timeouts", (&semaphore, &event, &condition, &barrier, &lock));
    let answers: Vec<bool> = returned(pool, task).await;
    assert_eq!(answers, [true, false, true, false, false, false, false, true, true]);
    assert!(semaphore.try_acquire().expect("no error").is_some(), "the permit came back");
    assert!(lock.try_acquire().expect("no error").is_some(), "the lock was given back twice");
}

async fn queue(pool: &Pool, module: &Module) {
    let queue = Queue::builder().capacity(1).deliveries_max(2).build_raw().expect("a queue");
    let said: Vec<String> = returned(pool, call(module, "use_queue", (&queue,))).await;
    let expected = [
        "TimedOut",
        "false false",
        "1 of 5000 bytes",
        "2 of 5000 bytes",
        "1 dead, whole: true",
        "End Err(Closed)",
    ];
    assert_eq!(said, expected);
    assert_eq!(queue.get(), Ok(None));
}
