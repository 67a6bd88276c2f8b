//! Processes that take turns: the lock example of Python's tutorial.

#![forbid(unsafe_code)]

use wasmpool_guest::sync::{Lock, SyncError};
use wasmpool_guest::task;

/// Prints one line, while no other process prints.
#[task]
fn f(l: Lock, i: u32) -> Result<(), SyncError> {
    l.with(|| println!("hello world {i}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn each_gives_the_lock_back() {
        let lock = Lock::stand_in();
        thread::scope(|scope| {
            for number in 0..10 {
                let lock = lock.clone();
                scope.spawn(move || f(lock, number).unwrap());
            }
        });
        assert!(lock.try_acquire().unwrap().is_some());
    }

    #[test]
    fn nobody_prints_while_another_holds_it() {
        let lock = Lock::stand_in();
        let _held = lock.acquire().unwrap();
        // The same thread is the same participant, so what would be a wait is an error.
        assert_eq!(f(lock.clone(), 1), Err(SyncError::AlreadyOwned));
    }
}
