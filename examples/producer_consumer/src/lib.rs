//! Processes that hand each other items through a queue: the queue example of a Python `multiprocessing` tutorial, and
//! the same with work that must not be lost.
//!
//! In the tutorial, whoever asks `queue.empty()` whether all is done has a race. Here the producer closes the queue, and
//! the consumer's loop ends.

#![forbid(unsafe_code)]

use wasmpool_guest::pool::{self, JoinError};
use wasmpool_guest::serde_json::{Value, json};
use wasmpool_guest::sync::{Queue, SyncError};
use wasmpool_guest::task;

/// What the tutorial's child process does.
#[task]
fn f(q: Queue<Value>) -> Result<(), SyncError> {
    q.put(json!([42, null, "hello"]))
}

/// The tutorial's main program: starts the child, prints what it put, and joins it.
#[task]
fn parent(q: Queue<Value>) -> Result<Option<Value>, String> {
    let p = pool::submit::<()>("f", (&q,)).map_err(|error| error.to_string())?;
    let item = q.get().map_err(|error| error.to_string())?;
    p.join().map_err(|error: JoinError| error.to_string())?;
    Ok(item)
}

/// Puts the numbers from 1 to `n`, and closes the queue: there is nothing more to come.
#[task]
fn produce(queue: Queue<u64>, n: u64) -> Result<(), SyncError> {
    for number in 1..=n {
        queue.put(number)?;
    }
    queue.close()
}

/// Adds up numbers to the end of the queue. If this process is killed, the number it works on goes to another consumer.
#[task]
fn consume(queue: Queue<u64>) -> Result<u64, SyncError> {
    let mut sum = 0;
    for number in queue.leases() {
        let number = number?;
        sum += *number;
        number.ack()?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use wasmpool_guest::testing::Host;

    #[test]
    fn the_child_puts_what_the_parent_gets() {
        let q = Queue::<Value>::stand_in(1);
        let host = Host::new().grant("q", &q).fallible_task("f", |(q,): (Queue<Value>,)| f(q));
        let got = host.run(|| parent(Queue::open("q").map_err(|error| error.to_string())?));
        assert_eq!(got.returned(), Ok(Some(json!([42, null, "hello"]))));
    }

    #[test]
    fn two_consumers_take_each_number_once() {
        let queue = Queue::stand_in(4);
        let sum = thread::scope(|scope| {
            let consumers = [0, 1].map(|_| scope.spawn(|| consume(queue.clone())));
            assert_eq!(produce(queue.clone(), 1000), Ok(()));
            consumers.into_iter().map(|consumer| consumer.join().unwrap().unwrap()).sum::<u64>()
        });
        assert_eq!(sum, 500_500);
    }

    #[test]
    fn what_a_consumer_drops_comes_again() {
        let queue = Queue::stand_in(4);
        produce(queue.clone(), 3).unwrap();
        drop(queue.lease().unwrap());
        assert_eq!(consume(queue), Ok(6));
    }
}
