//! Processes that change the same numbers: `Value` and `Array` as in Python's tutorial, with and without a `Lock`.

#![forbid(unsafe_code)]

use wasmpool_guest::sync::{Array, Lock, SyncError, Value};
use wasmpool_guest::task;

/// The shared memory example of Python's tutorial: a number is set, and an array is negated.
#[task]
fn f(n: Value<f64>, a: Array<i32>) -> Result<(), SyncError> {
    n.set(3.141_592_7);
    for i in 0..a.len() {
        a.set(i, -a.get(i)?)?;
    }
    Ok(())
}

/// Adds 1 to the counter this many times, each time under the lock: as `with counter.get_lock():`.
#[task]
fn add_locked(lock: Lock, counter: Value<i64>, times: u32) -> Result<(), SyncError> {
    for _ in 0..times {
        let _held = lock.acquire()?;
        counter.set(counter.get() + 1);
    }
    Ok(())
}

/// Adds 1 to the counter this many times, without a lock: each addition is one step.
#[task]
fn add(counter: Value<i64>, times: u32) {
    for _ in 0..times {
        counter.add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn the_tutorials_example() {
        let (n, a) = (Value::stand_in(0.0), Array::stand_in(&[0, 1, 2, 3]));
        f(n.clone(), a.clone()).unwrap();
        assert_eq!(n.get(), 3.141_592_7);
        assert_eq!(a.read(..).unwrap(), [0, -1, -2, -3]);
    }

    #[test]
    fn no_addition_is_lost() {
        let (lock, locked, atomic) = (Lock::stand_in(), Value::stand_in(0), Value::stand_in(0));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| add_locked(lock.clone(), locked.clone(), 500));
                scope.spawn(|| add(atomic.clone(), 500));
            }
        });
        assert_eq!((locked.get(), atomic.get()), (2000, 2000));
    }
}
