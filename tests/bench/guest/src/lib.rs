//! What the benchmark runs inside workers. Times are nanoseconds of the guest's own clock.

#![forbid(unsafe_code)]

use std::time::Instant;

use wasmpool_guest::sync::{Barrier, Event, Lock, Queue, SyncError};
use wasmpool_guest::{Bytes, context, task};

/// Is started and ends.
#[task]
fn nothing() {}

/// As much as the other side's does.
#[task]
fn double(n: i64) -> i64 {
    2 * n
}

/// Gives back what it got.
#[task]
fn echo(data: Bytes) -> Bytes {
    data
}

/// How much it got.
#[task]
fn length(data: Bytes) -> u64 {
    data.len() as u64
}

/// Says that it runs, and never ends.
#[task]
fn spin() {
    context::progress(1, None);
    loop {
        std::hint::black_box(());
    }
}

/// Takes and gives back a lock `n` times.
#[task]
fn lock_pairs(lock: Lock, start: Barrier, n: u64) -> Result<u64, SyncError> {
    start.wait()?;
    let began = Instant::now();
    for _ in 0..n {
        drop(lock.acquire()?);
    }
    Ok(nanoseconds(began))
}

/// Takes the lock, says so, and never gives it back.
#[task]
fn hold(lock: Lock, held: Event) -> Result<(), SyncError> {
    let _held = lock.acquire()?;
    held.set()?;
    loop {
        std::hint::black_box(());
    }
}

/// Puts `n` items of this many bytes.
#[task]
fn produce(queue: Queue<Bytes>, start: Barrier, n: u64, bytes: usize) -> Result<u64, SyncError> {
    let item = Bytes::from(vec![b'x'; bytes]);
    start.wait()?;
    for _ in 0..n {
        queue.put(&item)?;
    }
    Ok(0)
}

/// Takes `n` items.
#[task]
fn consume(queue: Queue<Bytes>, start: Barrier, n: u64) -> Result<u64, SyncError> {
    start.wait()?;
    let began = Instant::now();
    for _ in 0..n {
        queue.get()?;
    }
    Ok(nanoseconds(began))
}

/// Sends an item there and waits for it to come back, `n` times; how long each took.
#[task]
fn ping(there: Queue<Bytes>, back: Queue<Bytes>, n: u64) -> Result<Vec<u64>, SyncError> {
    let item = Bytes::from(b"12345678".to_vec());
    let mut times = Vec::new();
    for _ in 0..n {
        let began = Instant::now();
        there.put(&item)?;
        back.get()?;
        times.push(nanoseconds(began));
    }
    Ok(times)
}

/// Sends back what comes, `n` times.
#[task]
fn pong(there: Queue<Bytes>, back: Queue<Bytes>, n: u64) -> Result<Vec<u64>, SyncError> {
    for _ in 0..n {
        if let Some(item) = there.get()? {
            back.put(&item)?;
        }
    }
    Ok(Vec::new())
}

fn nanoseconds(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
}
