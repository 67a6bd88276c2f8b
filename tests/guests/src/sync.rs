//! Queues, locks and the like: taking turns, dying in the middle, and waiting for what cannot come.
//!
//! The first progress of a task that does not end says that it holds what it is named after.

#![forbid(unsafe_code)]

use std::hint::black_box;
use wasmpool_guest::pool::{self, JoinError};
use wasmpool_guest::sync::{Barrier, Event, Lock, Queue, Semaphore, SyncError, Value};
use wasmpool_guest::{Bytes, context, task};

/// Says that it is where it was to be, and stays there.
fn spin() -> ! {
    spin_at(0)
}

fn spin_at(place: u64) -> ! {
    context::progress(place, None);
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

/// Takes the lock twice.
#[task]
fn acquire_twice(lock: Lock) -> Result<(), SyncError> {
    let _held = lock.acquire()?;
    let _again = lock.acquire()?;
    Ok(())
}

/// Gives back a lock that it did not take.
#[task]
fn release_foreign(lock: Lock) -> Result<(), SyncError> {
    lock.release()
}

/// Gives a lock back twice.
#[task]
fn release_twice(lock: Lock) -> Result<(), SyncError> {
    lock.acquire()?.release()?;
    lock.release()
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

/// Leases an item and never acknowledges it; its progress is how often the item was delivered.
#[task]
fn lease_and_spin(queue: Queue<u64>) -> Result<(), SyncError> {
    let lease = queue.lease()?;
    spin_at(lease.as_ref().map_or(0, |lease| lease.deliveries().into()))
}

/// Leases an item and acknowledges it: the item, and how often it was delivered.
#[task]
fn lease_and_ack(queue: Queue<u64>) -> Result<Option<(u64, u32)>, SyncError> {
    let Some(lease) = queue.lease()? else { return Ok(None) };
    let deliveries = lease.deliveries();
    Ok(Some((lease.into_item()?, deliveries)))
}

/// Puts two items, leases both, acknowledges neither, and returns.
#[task]
fn forget_leases(queue: Queue<u64>) -> Result<(), SyncError> {
    queue.put(1)?;
    queue.put(2)?;
    std::mem::forget((queue.lease()?, queue.lease()?));
    Ok(())
}

/// Takes a permit, keeps it without a guard, and returns.
#[task]
fn forget_permit(semaphore: Semaphore) -> Result<(), SyncError> {
    semaphore.acquire()?.keep();
    Ok(())
}

/// Puts one item of this many bytes.
#[task]
fn put_huge(queue: Queue<Bytes>, bytes: usize) -> Result<(), SyncError> {
    queue.put(Bytes::from(vec![0; bytes]))
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

/// Fills one queue before it takes from the other. Two of them, crosswise, wait for each other.
#[task]
fn full_queue_cycle(a: Queue<u64>, b: Queue<u64>) -> Result<Option<u64>, SyncError> {
    for number in 0..1 << 21 {
        b.put(number)?;
    }
    a.get()
}
