//! Every type of shared object, each with what the other guests do not call.

#![forbid(unsafe_code)]

use std::time::Duration;
use wasmpool_guest::sync::{
    Array, Barrier, Condition, Connection, Dict, Event, Got, Queue, RLock, Semaphore, SyncError, Value,
};
use wasmpool_guest::{Bytes, task};

/// As short as a wait can be.
const SHORT: Duration = Duration::from_millis(1);

/// Changes two numbers and a row: what it read, and the texts of two errors.
#[task]
fn use_numbers(
    integer: Value<i64>,
    float: Value<f64>,
    row: Array<i32>,
) -> Result<(i64, f64, Vec<i32>, String, String), SyncError> {
    let before = integer.add(2);
    assert_eq!(integer.compare_exchange(before, 0), Err(before + 2));
    assert_eq!(integer.compare_exchange(before + 2, -1), Ok(before + 2));
    assert_eq!((integer.swap(-2), float.swap(0.5)), (-1, 0.25));
    let halved = float.add(-0.25);
    let read = row.read(1..)?;
    row.write(0, &[-1, -2])?;
    assert_eq!((row.get(1)?, row.len()), (-2, 3));
    let outside = row.write(2, &[0, 0]).err().map(|error| error.to_string());
    let wider = Array::<f64>::open(row.name()).err().map(|error| error.to_string());
    Ok((before, halved, read, outside.unwrap_or_default(), wider.unwrap_or_default()))
}

type Steps = (Vec<Option<u64>>, Vec<bool>, Vec<String>, u64);

/// Uses a map: what each step gave.
#[task]
fn use_dict(map: Dict<u64>) -> Result<Steps, SyncError> {
    let values = vec![map.insert("b", 1)?, map.insert("b", 2)?, map.get("b")?, map.get("c")?];
    let swaps = vec![
        map.compare_and_swap("b", Some(&1), Some(&3))?,
        map.compare_and_swap("b", Some(&2), Some(&4))?,
        map.compare_and_swap("a", None, Some(&5))?,
        map.compare_and_swap("gone", None, Some(&6))?,
    ];
    assert_eq!(map.remove("gone"), Ok(Some(6)));
    Ok((values, swaps, map.keys()?, map.len()))
}

/// Answers each number with its text, until the other end closes.
#[task]
fn use_connection(end: Connection<String, u64>) -> Result<usize, SyncError> {
    let mut count = 0;
    for number in &end {
        end.send(number?.to_string())?;
        count += 1;
    }
    Ok(count)
}

/// Sends the numbers below the count to whoever is at the other end, and gives the answers.
#[task]
fn ask_connection(end: Connection<u64, String>, count: u64) -> Result<Vec<String>, SyncError> {
    let mut answers = Vec::new();
    for number in 0..count {
        end.send(number)?;
        answers.extend(end.recv()?);
    }
    Ok(answers)
}

/// Lets each kind of wait time out, and gives what each said.
#[task]
fn use_timeouts(
    semaphore: Semaphore,
    event: Event,
    condition: Condition,
    barrier: Barrier,
    lock: RLock,
) -> Result<Vec<bool>, SyncError> {
    let permit = semaphore.try_acquire()?;
    let held = (lock.acquire()?, lock.try_acquire()?);
    let changed = condition.lock()?;
    let answers = vec![
        permit.is_some(),
        semaphore.acquire_timeout(SHORT)?.is_some(),
        held.1.is_some(),
        event.is_set()?,
        event.wait_timeout(SHORT)?,
        changed.wait_timeout(SHORT)?,
        barrier.wait_timeout(SHORT)?.is_some(),
        barrier.is_broken()?,
        barrier.wait() == Err(SyncError::Broken),
    ];
    changed.notify_all()?;
    barrier.reset()?;
    event.set()?;
    event.wait()?;
    Ok(answers)
}

/// Uses a queue of bytes that has room for one item: what came out of it, also twice and from the dead letters.
#[task]
fn use_queue(queue: Queue<Bytes>) -> Result<Vec<String>, SyncError> {
    let item = Bytes::from(vec![b'x'; 5000]);
    let mut said = vec![format!("{:?}", queue.try_get()?)];
    queue.put(&item)?;
    said.push(format!("{} {}", queue.try_put(&item)?, queue.put_timeout(&item, SHORT)?));
    while let Got::Item(lease) = queue.try_lease()? {
        said.push(format!("{} of {} bytes", lease.deliveries(), lease.len()));
    }
    let dead: Vec<Bytes> = queue.dead_letters().collect::<Result<_, _>>()?;
    said.push(format!("{} dead, whole: {}", dead.len(), dead == [item]));
    queue.wait_empty()?;
    queue.close()?;
    said.push(format!("{:?} {:?}", queue.try_get()?, queue.put(Bytes::default())));
    Ok(said)
}
