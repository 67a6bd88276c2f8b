//! Contending for a while, draining to the end, putting without end, and waiting for tasks.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use wasmpool_guest::pool::{self, JoinError};
use wasmpool_guest::sync::{Barrier, Event, Lock, Queue, Semaphore, SyncError, Value};
use wasmpool_guest::{context, task};

/// How often it got the lock in this time.
#[task]
fn lock_for_a_while(lock: Lock, start: Barrier, ms: u64) -> Result<u64, SyncError> {
    start.wait()?;
    let (began, mut count) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(ms) {
        let _held = lock.acquire()?;
        count += 1;
    }
    Ok(count)
}

/// Takes everything to the end.
#[task]
fn take_all(queue: Queue<u64>) -> Result<Vec<u64>, SyncError> {
    queue.iter().collect()
}

/// Puts items of one letter, of this many bytes, until it is stopped.
#[task]
fn put_letters(queue: Queue<String>, letter: char, bytes: usize) -> Result<(), SyncError> {
    let item = letter.to_string().repeat(bytes);
    context::progress(0, None);
    loop {
        queue.put(&item)?;
    }
}

/// Waits for the event for this time: whether it was set.
#[task]
fn wait_event_for(event: Event, ms: u64) -> Result<bool, SyncError> {
    event.wait_timeout(Duration::from_millis(ms))
}

/// Submits a task that never ends, and does not wait for it.
#[task]
fn submit_and_leave() -> Result<(), String> {
    pool::submit::<()>("wait_cancelled", ()).map(std::mem::forget).map_err(|error| error.to_string())
}

/// Takes the lock and gives it back.
#[task]
fn lock_once(lock: Lock) -> Result<(), SyncError> {
    lock.acquire()?.release()
}

/// Waits, with the lock, for a task that needs the lock.
#[task]
fn nested_under_lock(lock: Lock) -> Result<(), JoinError> {
    let _held = lock.acquire().map_err(|error| JoinError::Other(error.to_string()))?;
    pool::submit::<()>("lock_once", (&lock,))?.join()
}

/// Takes turns with others like it until it is killed: adds 1 to two numbers under a lock, holds a permit, leases an
/// item. If the numbers differ although nobody was killed between them, it fails.
#[task]
fn take_turns(
    lock: Lock,
    first: Value<i64>,
    second: Value<i64>,
    permits: Semaphore,
    jobs: Queue<u64>,
) -> Result<(), String> {
    let said = |error: SyncError| error.to_string();
    loop {
        let held = lock.acquire().map_err(said)?;
        let (one, two) = (first.get(), second.get());
        if one != two && held.abandoned_by().is_none() {
            return Err(format!("{one} and {two}, and nobody left them so"));
        }
        first.set(one + 1);
        second.set(one + 1);
        context::progress(0, None);
        drop(held);
        let permit = permits.acquire().map_err(said)?;
        drop(jobs.lease().map_err(said)?);
        drop(permit);
    }
}

/// The first call of a chunk waits until it is asked to stop; a later one never ends.
#[task]
fn first_waits(number: u32) -> u32 {
    while number > 0 || !context::cancelled() {
        context::progress(number.into(), None);
    }
    number
}

/// A party of the barrier in each call; the second one says so, and never meets the others.
#[task]
fn party(barrier: Barrier, second: Event, number: u32) -> Result<u32, SyncError> {
    let parties = barrier.n_waiting();
    if number > 0 {
        second.set()?;
    }
    while number > 0 {
        context::progress(parties, None);
    }
    Ok(number)
}

/// A result of this many bytes.
#[task]
fn letters(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Submits `n` tasks with results of this many bytes and asks for all of them before it reads any answer: together more
/// than its socket holds. Their bytes.
#[task]
fn join_late(n: usize, bytes: usize) -> Result<usize, JoinError> {
    let tasks = (0..n).map(|_| pool::submit::<String>("letters", (bytes,))).collect::<Result<Vec<_>, _>>()?;
    let (mut sum, mut waiting) = (0, Vec::new());
    for task in tasks {
        match task.join_timeout(Duration::ZERO)? {
            Some(letters) => sum += letters.len(),
            None => waiting.push(task),
        }
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_millis(500) {}
    for task in waiting {
        sum += task.join()?.len();
    }
    Ok(sum)
}
