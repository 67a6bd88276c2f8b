//! The smallest useful plugin: two tasks over numbers, one of which can fail. And three more, which show the
//! same things as the plugins in other languages beside it.

#![forbid(unsafe_code)]

use wasmpool_guest::serde::Serialize;
use wasmpool_guest::sync::{Lock, Queue, SyncError};
use wasmpool_guest::{context, log, task};

/// The square of a number.
#[task]
fn square(n: i64) -> i64 {
    n * n
}

/// How often `b` fits into `a`.
#[task]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    if b == 0 {
        return Err(format!("cannot divide {a} by zero"));
    }
    a.checked_div(b).ok_or_else(|| format!("{a} divided by {b} does not fit into 64 bits"))
}

/// A greeting, from the task's own name.
#[task]
fn greet(name: String) -> String {
    log::info!("greeting {name}");
    format!("{} says hello to {name}", context::name())
}

#[derive(Debug, Serialize, PartialEq)]
#[serde(crate = "wasmpool_guest::serde")]
struct Summary {
    smallest: i64,
    largest: i64,
    mean: f64,
}

/// What the numbers have in common; nothing, if there are none.
#[task]
fn summarize(numbers: Vec<i64>) -> Option<Summary> {
    let sum: i128 = numbers.iter().map(|number| i128::from(*number)).sum();
    Some(Summary {
        smallest: *numbers.iter().min()?,
        largest: *numbers.iter().max()?,
        mean: sum as f64 / numbers.len() as f64,
    })
}

/// Puts words into the queue of this name, while it holds the lock; how many it has put.
#[task]
fn deliver(queue: String, lock: String, words: Vec<String>) -> Result<usize, SyncError> {
    let (jobs, turn) = (Queue::<String>::open(&queue)?, Lock::open(&lock)?);
    let _turn = turn.acquire()?;
    for word in &words {
        jobs.put(word)?;
    }
    Ok(words.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn squares() {
        assert_eq!([1, 2, 3, 4, 5].map(square), [1, 4, 9, 16, 25]);
        assert_eq!(square(-3), 9);
    }

    #[test]
    #[should_panic = "overflow"]
    fn a_square_that_does_not_fit_is_a_panic() {
        square(i64::MAX);
    }

    #[test]
    fn division() {
        assert_eq!(divide(7, 2), Ok(3));
        assert_eq!(divide(1, 0), Err("cannot divide 1 by zero".into()));
        assert!(divide(i64::MIN, -1).is_err());
    }

    #[test]
    fn summaries() {
        let summary = Summary { smallest: -1, largest: 4, mean: 2.0 };
        assert_eq!(summarize(vec![3, -1, 4, 2]), Some(summary));
        assert_eq!(summarize(Vec::new()), None);
    }
}
