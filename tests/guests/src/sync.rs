//! Queues, locks and the like: taking turns, dying in the middle, and waiting for what cannot come.
//!
//! The first progress of a task that does not end says that it holds what it is named after.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::time::{Duration, Instant};
use wasmpool_guest::pool::{self, JoinError, SubmitError};
use wasmpool_guest::sync::{Barrier, Event, Lock, Queue, Semaphore, SyncError, Value};
use wasmpool_guest::{Bytes, context, task};

/// Says that it is where it was to be, and stays there.
fn spin() -> ! {
    spin_after(0)
}

/// Tells a number, and spins.
fn spin_after(number: u64) -> ! {
    context::progress(number, None);
    loop {
        black_box(());
    }
}

/// Takes the lock and never gives it back.
#[task]
fn hold_lock_and_spin(lock: Lock) -> Result<(), SyncError> {
    let _held = lock.acquire()?;
    spin()
}

/// Takes the lock and traps.
#[task]
fn hold_lock_and_trap(lock: Lock) -> Result<(), SyncError> {
    let _held = lock.acquire()?;
    context::progress(0, None);
    crate::trap()
}

/// Takes the lock, keeps it without a guard, and returns.
#[task]
fn hold_lock_and_return(lock: Lock) -> Result<(), SyncError> {
    lock.acquire()?.keep();
    Ok(())
}

/// Takes the lock and gives it back: the number of the task that had it before and did not.
#[task]
fn ask_who_abandoned(lock: Lock) -> Result<Option<u64>, SyncError> {
    Ok(lock.acquire()?.abandoned_by())
}

/// Takes the first lock, meets the other party, then takes the second. Two of them in opposite order wait for each other.
#[task]
fn lock_in_order(first: Lock, second: Lock, meet: Barrier) -> Result<(), SyncError> {
    let _first = first.acquire()?;
    meet.wait()?;
    let _second = second.acquire()?;
    Ok(())
}

/// Takes and gives back the lock for so long, once all parties are there: how often it had it.
#[task]
fn lock_for_a_while(lock: Lock, start: Barrier, ms: u64) -> Result<u64, SyncError> {
    start.wait()?;
    let (begin, mut times) = (Instant::now(), 0);
    while begin.elapsed() < Duration::from_millis(ms) {
        lock.with(|| times += 1)?;
    }
    Ok(times)
}

/// Takes the lock twice: what the second time says, after which it still holds it once.
#[task]
fn acquire_twice(lock: Lock) -> Result<String, SyncError> {
    let held = lock.acquire()?;
    let error = wrong(lock.acquire());
    held.release()?;
    error
}

/// Gives back a lock that it did not take: what that says.
#[task]
fn release_foreign(lock: Lock) -> Result<String, SyncError> {
    wrong(lock.release())
}

/// Gives a lock back twice: what the second time says.
#[task]
fn release_twice(lock: Lock) -> Result<String, SyncError> {
    lock.acquire()?.release()?;
    wrong(lock.release())
}

/// The text of an error that must be.
fn wrong<T>(result: Result<T, SyncError>) -> Result<String, SyncError> {
    match result {
        Ok(_) => Err(SyncError::Damaged("it was allowed".to_owned())),
        Err(error) => Ok(error.to_string()),
    }
}

/// Takes a permit and never gives it back.
#[task]
fn semaphore_hold_and_spin(semaphore: Semaphore) -> Result<(), SyncError> {
    let _permit = semaphore.acquire()?;
    spin()
}

/// Adds 1 to the value `n` times, each time in two steps under the lock.
#[task]
fn increments(lock: Lock, value: Value<i64>, n: u32) -> Result<(), SyncError> {
    for _ in 0..n {
        let _held = lock.acquire()?;
        value.set(black_box(value.get()) + 1);
    }
    Ok(())
}

/// Puts the numbers from 1 to `n`.
#[task]
fn put_many(queue: Queue<u64>, n: u64) -> Result<(), SyncError> {
    (1..=n).try_for_each(|number| queue.put(number))
}

/// Puts items of so many of the letter until it is stopped. Its first progress says that there is one.
#[task]
fn put_letters(queue: Queue<String>, letter: char, bytes: usize) -> Result<(), SyncError> {
    let item = letter.to_string().repeat(bytes);
    loop {
        queue.put(&item)?;
        context::progress(1, None);
    }
}

/// Takes `n` numbers, or as many as there are to the end: their sum.
#[task]
fn take_many(queue: Queue<u64>, n: u64) -> Result<u64, SyncError> {
    let mut sum = 0;
    for _ in 0..n {
        let Some(number) = queue.get()? else { break };
        sum += number;
    }
    Ok(sum)
}

/// Takes everything to the end.
#[task]
fn take_all(queue: Queue<u64>) -> Result<Vec<u64>, SyncError> {
    queue.iter().collect()
}

/// Leases an item and never acknowledges it. Its progress says how often the item was delivered.
#[task]
fn lease_and_spin(queue: Queue<u64>) -> Result<(), SyncError> {
    match queue.lease()? {
        Some(lease) => spin_after(lease.deliveries().into()),
        None => Ok(()),
    }
}

/// Leases an item and acknowledges it: the item, and how often it was delivered.
#[task]
fn lease_and_ack(queue: Queue<u64>) -> Result<Option<(u64, u32)>, SyncError> {
    let Some(lease) = queue.lease()? else { return Ok(None) };
    let deliveries = lease.deliveries();
    Ok(Some((lease.into_item()?, deliveries)))
}

/// Puts one item of this many bytes.
#[task]
fn put_huge(queue: Queue<Bytes>, bytes: usize) -> Result<(), SyncError> {
    queue.put(Bytes::from(vec![b'x'; bytes]))
}

/// Puts items until it is stopped.
#[task]
fn flood_queue(queue: Queue<Bytes>) -> Result<(), SyncError> {
    let item = Bytes::from(vec![b'x'; 64 * 1024]);
    loop {
        queue.put(&item)?;
    }
}

/// Waits for the event.
#[task]
fn wait_event(event: Event) -> Result<(), SyncError> {
    context::progress(0, None);
    event.wait()
}

/// Waits for the event for so long: whether it was set.
#[task]
fn wait_event_for(event: Event, ms: u64) -> Result<bool, SyncError> {
    event.wait_timeout(Duration::from_millis(ms))
}

/// Meets the other parties: its place among them.
#[task]
fn meet_barrier(barrier: Barrier) -> Result<u32, SyncError> {
    context::progress(0, None);
    barrier.wait()
}

/// The sum of the numbers to `depth`, each added by a task that waits for the next.
#[task]
fn nested_sum(depth: u64) -> Result<u64, JoinError> {
    let Some(below) = depth.checked_sub(1) else { return Ok(0) };
    Ok(depth + pool::submit::<u64>("nested_sum", (below,))?.join()?)
}

/// Waits, with the lock, for a task that needs the lock.
#[task]
fn nested_under_lock(lock: Lock) -> Result<(), String> {
    let _held = lock.acquire().map_err(|error| error.to_string())?;
    let needs_it = pool::submit::<Option<u64>>("ask_who_abandoned", (&lock,));
    needs_it.map_err(JoinError::from).and_then(pool::Task::join).map_err(|error| error.to_string())?;
    Ok(())
}

/// Submits a task that never ends, and does not wait for it.
#[task]
fn submit_and_leave() -> Result<(), SubmitError> {
    pool::submit::<()>("ignore_cancelled", ()).map(drop)
}

/// Fills one queue before it takes from the other. Two of them, crosswise, wait for each other.
#[task]
fn full_queue_cycle(a: Queue<u64>, b: Queue<u64>) -> Result<Option<u64>, SyncError> {
    for number in 0..1 << 21 {
        b.put(number)?;
    }
    a.get()
}
