//! Stand-ins for shared objects in one process, under `cargo test`: what `guest` asks the host, done here.
//!
//! A participant is a thread. Everything is under plain mutexes and wakes everybody, since a test has a handful of
//! threads and wants right answers. Two things are done as after the death of a task: what a thread gives back while it
//! panics, and what it still holds when it ends.

#![forbid(unsafe_code)]

mod barrier;
mod lock;
mod participant;
mod queue;
pub(crate) mod room;
mod semaphore;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::handle::{Delivery, Got, Patience, Taken, Woken};
use super::{Kind, SyncError};
use crate::native;
use barrier::Barrier;
use lock::Lock;
use participant::{give_up, hold, who};
use queue::{Pipe, Queue};
use room::Room;
use semaphore::Semaphore;

/// An object in this process.
#[derive(Debug)]
struct Object {
    kind: Kind,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Lock(Lock),
    Semaphore(Semaphore),
    Event(Room<Event>),
    Barrier(Barrier),
    Value(Room<u64>),
    Array { bytes: Room<Vec<u8>>, element_bytes: usize },
    Queue(Queue),
    Pipe(Pipe),
    Dict(Room<BTreeMap<String, Vec<u8>>>),
}

/// An event.
#[derive(Debug, Default)]
struct Event {
    is_set: bool,
    /// How often it was set, so that who waits sees it also when it is cleared again at once.
    times: u64,
}

impl Object {
    /// Gives back what a participant that has ended still holds.
    fn leave(&self, gone: u64) {
        match &self.body {
            Body::Lock(lock) => lock.leave(gone),
            Body::Semaphore(semaphore) => semaphore.leave(gone),
            Body::Queue(queue) => queue.leave(gone),
            _ => {}
        }
    }
}

/// A handle to an object in this process. A clone is the same participant in the same thread.
#[derive(Debug)]
pub(crate) struct Handle {
    name: String,
    object: Arc<Object>,
    /// Which end of a pipe, 0 or 1.
    end: usize,
}

/// The inner object of this kind, or the error that it is of another one.
macro_rules! body {
    ($handle:expr, $kind:ident) => {
        match &$handle.object.body {
            Body::$kind(body) => Ok(body),
            _ => Err($handle.wrong_kind(concat!("that of a ", stringify!($kind)))),
        }
    };
}

impl Handle {
    fn new(kind: Kind, body: Body) -> Self {
        static MADE: AtomicU64 = AtomicU64::new(1);
        let name = format!("{}-{}", kind.label(), MADE.fetch_add(1, Ordering::Relaxed));
        Self { name, object: Arc::new(Object { kind, body }), end: 0 }
    }

    /// A lock, an `RLock`, or a condition.
    pub(crate) fn lock(kind: Kind) -> Self {
        Self::new(kind, Body::Lock(Lock::new(kind == Kind::RLock)))
    }

    pub(crate) fn semaphore(permits: u32, bounded: bool) -> Self {
        Self::new(Kind::Semaphore, Body::Semaphore(Semaphore::new(permits, bounded)))
    }

    pub(crate) fn event() -> Self {
        Self::new(Kind::Event, Body::Event(Room::default()))
    }

    pub(crate) fn barrier(parties: u32) -> Self {
        Self::new(Kind::Barrier, Body::Barrier(Barrier::new(parties)))
    }

    pub(crate) fn value(bits: u64) -> Self {
        Self::new(Kind::Value, Body::Value(Room::new(bits)))
    }

    pub(crate) fn array(bytes: Vec<u8>, element_bytes: usize) -> Self {
        Self::new(Kind::Array, Body::Array { bytes: Room::new(bytes), element_bytes })
    }

    pub(crate) fn queue(capacity: u32) -> Self {
        Self::new(Kind::Queue, Body::Queue(Queue::new(capacity)))
    }

    pub(crate) fn pipe(capacity: u32) -> (Self, Self) {
        let one = Self::new(Kind::Pipe, Body::Pipe(Pipe::new(capacity)));
        let other = Self { name: format!("{}-other", one.name), object: Arc::clone(&one.object), end: 1 };
        (one, other)
    }

    pub(crate) fn dict() -> Self {
        Self::new(Kind::Dict, Body::Dict(Room::new(BTreeMap::new())))
    }

    /// What [`Host`](crate::testing::Host) granted under this name to the task of this thread.
    pub(crate) fn open(kind: Kind, name: &str) -> Result<Self, SyncError> {
        let Some(handle) = native::granted(name) else {
            return Err(SyncError::AccessDenied(format!(
                "access denied: `{name}` was not granted; in a test, `testing::Host::grant` does it"
            )));
        };
        if handle.object.kind == kind { Ok(handle) } else { Err(handle.wrong_kind(kind.label())) }
    }

    /// The same object under another name.
    pub(crate) fn named(&self, name: String) -> Self {
        let mut handle = self.clone();
        handle.name = name;
        handle
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    fn wrong_kind(&self, wanted: &str) -> SyncError {
        let (name, is) = (&self.name, self.object.kind.label());
        SyncError::WrongKind(format!("wrong kind: `{name}` is of kind {is}, not {wanted}"))
    }

    pub(crate) fn acquire(&self, patience: Patience) -> Result<Option<Taken>, SyncError> {
        let taken = match &self.object.body {
            Body::Semaphore(semaphore) => Ok(semaphore.acquire(who(), patience)),
            _ => body!(self, Lock)?.acquire(who(), patience),
        };
        if let Ok(Some(_)) = taken {
            hold(&self.object);
        }
        taken
    }

    pub(crate) fn release(&self) -> Result<(), SyncError> {
        match &self.object.body {
            Body::Semaphore(semaphore) => semaphore.release(who())?,
            _ => body!(self, Lock)?.release(who())?,
        }
        give_up(&self.object);
        Ok(())
    }

    /// What dropping a guard does. In a panic it is what the death of a task does.
    pub(crate) fn release_on_drop(&self) {
        if thread::panicking() {
            self.object.leave(who());
            give_up(&self.object);
        } else {
            // It fails when it was given back without the guard: then there is nothing to do.
            let _ = self.release();
        }
    }

    pub(crate) fn set(&self) -> Result<(), SyncError> {
        body!(self, Event)?.change(|event| {
            event.is_set = true;
            event.times += 1;
        });
        Ok(())
    }

    pub(crate) fn clear(&self) -> Result<(), SyncError> {
        body!(self, Event)?.change(|event| event.is_set = false);
        Ok(())
    }

    pub(crate) fn is_set(&self) -> Result<bool, SyncError> {
        match &self.object.body {
            Body::Barrier(barrier) => Ok(barrier.is_broken()),
            _ => Ok(body!(self, Event)?.change(|event| event.is_set)),
        }
    }

    pub(crate) fn wait_event(&self, patience: Patience) -> Result<bool, SyncError> {
        let room = body!(self, Event)?;
        let before = room.change(|event| event.times);
        let waited = room.wait(patience, |event| (event.is_set || event.times != before).then_some(()));
        Ok(waited.is_some())
    }

    pub(crate) fn wait_condition(&self, patience: Patience) -> Result<Woken, SyncError> {
        body!(self, Lock)?.wait_notified(who(), patience)
    }

    pub(crate) fn notify(&self, count: u32) -> Result<(), SyncError> {
        body!(self, Lock)?.notify(who(), count)
    }

    pub(crate) fn meet(&self, patience: Patience) -> Result<Option<u32>, SyncError> {
        body!(self, Barrier)?.meet(patience)
    }

    pub(crate) fn reset(&self) -> Result<(), SyncError> {
        body!(self, Barrier)?.reset();
        Ok(())
    }

    pub(crate) fn abort(&self) -> Result<(), SyncError> {
        body!(self, Barrier)?.abort();
        Ok(())
    }

    pub(crate) fn len(&self) -> u64 {
        match &self.object.body {
            Body::Semaphore(semaphore) => semaphore.free(),
            Body::Barrier(barrier) => barrier.waiting(),
            Body::Array { bytes, element_bytes } => bytes.change(|bytes| bytes.len() / element_bytes) as u64,
            Body::Queue(queue) => queue.len(),
            Body::Pipe(pipe) => pipe.incoming(self.end).len(),
            Body::Dict(entries) => entries.change(|entries| entries.len()) as u64,
            Body::Lock(_) | Body::Event(_) | Body::Value(_) => 0,
        }
    }

    /// Changes a value, and gives what was there before.
    fn exchange(&self, change: impl FnOnce(u64) -> u64) -> u64 {
        let bits = body!(self, Value).expect("a `Value` is only made of a handle to one");
        bits.change(|bits| std::mem::replace(bits, change(*bits)))
    }

    pub(crate) fn load(&self) -> u64 {
        self.exchange(|bits| bits)
    }

    pub(crate) fn store(&self, new: u64) -> u64 {
        self.exchange(|_| new)
    }

    pub(crate) fn add_integer(&self, addend: i64) -> i64 {
        self.exchange(|bits| bits.wrapping_add_signed(addend)).cast_signed()
    }

    pub(crate) fn add_float(&self, addend: f64) -> f64 {
        f64::from_bits(self.exchange(|bits| (f64::from_bits(bits) + addend).to_bits()))
    }

    pub(crate) fn compare_exchange(&self, expected: u64, new: u64) -> u64 {
        self.exchange(|bits| if bits == expected { new } else { bits })
    }

    pub(crate) fn read(&self, start: u64, count: u64) -> Result<Vec<u8>, SyncError> {
        self.elements(start, count, |part| part.to_vec())
    }

    pub(crate) fn write(&self, start: u64, new: &[u8]) -> Result<(), SyncError> {
        let Body::Array { element_bytes, .. } = &self.object.body else {
            return Err(self.wrong_kind("array"));
        };
        let count = (new.len() / element_bytes) as u64;
        self.elements(start, count, |part| part.copy_from_slice(new))
    }

    /// Calls `then` with the bytes of these elements of an array.
    fn elements<R>(&self, start: u64, count: u64, then: impl FnOnce(&mut [u8]) -> R) -> Result<R, SyncError> {
        let Body::Array { bytes, element_bytes } = &self.object.body else {
            return Err(self.wrong_kind("array"));
        };
        let place = |index: u64| usize::try_from(index).ok()?.checked_mul(*element_bytes);
        bytes.change(|bytes| {
            let length = bytes.len() / element_bytes;
            let range = place(start).zip(start.checked_add(count).and_then(place));
            match range.and_then(|(from, to)| bytes.get_mut(from..to)) {
                Some(part) => Ok(then(part)),
                None => Err(SyncError::OutOfRange(format!(
                    "out of range: {count} elements from {start} on, of an array of {length}"
                ))),
            }
        })
    }

    pub(crate) fn put(&self, item: &[u8], patience: Patience) -> Result<bool, SyncError> {
        match &self.object.body {
            Body::Pipe(pipe) => pipe.outgoing(self.end).put(item, patience),
            _ => body!(self, Queue)?.put(item, patience),
        }
    }

    pub(crate) fn get(&self, patience: Patience) -> Result<Got<Vec<u8>>, SyncError> {
        Ok(match &self.object.body {
            Body::Pipe(pipe) => pipe.incoming(self.end).get(who(), patience),
            _ => body!(self, Queue)?.get(who(), patience),
        })
    }

    pub(crate) fn lease(&self, patience: Patience) -> Result<Got<Delivery>, SyncError> {
        let delivery = body!(self, Queue)?.lease(who(), patience);
        if let Got::Item(_) = delivery {
            hold(&self.object);
        }
        Ok(delivery)
    }

    pub(crate) fn acknowledge(&self, lease: u64) -> Result<(), SyncError> {
        body!(self, Queue)?.acknowledge(who(), lease)?;
        give_up(&self.object);
        Ok(())
    }

    pub(crate) fn give_back(&self, lease: u64) -> Result<(), SyncError> {
        body!(self, Queue)?.give_back(who(), lease)?;
        give_up(&self.object);
        Ok(())
    }

    pub(crate) fn close(&self) -> Result<(), SyncError> {
        match &self.object.body {
            Body::Pipe(pipe) => pipe.outgoing(self.end).close(),
            _ => body!(self, Queue)?.close(),
        }
        Ok(())
    }

    pub(crate) fn wait_empty(&self, patience: Patience) -> Result<bool, SyncError> {
        Ok(body!(self, Queue)?.wait_empty(patience))
    }

    pub(crate) fn take_dead(&self) -> Result<Option<Vec<u8>>, SyncError> {
        Ok(body!(self, Queue)?.take_dead())
    }

    pub(crate) fn dict_get(&self, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        Ok(body!(self, Dict)?.change(|entries| entries.get(key).cloned()))
    }

    pub(crate) fn dict_set(&self, key: &str, value: &[u8]) -> Result<Option<Vec<u8>>, SyncError> {
        Ok(body!(self, Dict)?.change(|entries| entries.insert(key.to_owned(), value.to_vec())))
    }

    pub(crate) fn dict_remove(&self, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        Ok(body!(self, Dict)?.change(|entries| entries.remove(key)))
    }

    pub(crate) fn dict_swap(
        &self,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, SyncError> {
        Ok(body!(self, Dict)?.change(|entries| {
            let matches = entries.get(key).map(Vec::as_slice) == expected;
            match new {
                Some(new) if matches => drop(entries.insert(key.to_owned(), new.to_vec())),
                None if matches => drop(entries.remove(key)),
                _ => {}
            }
            matches
        }))
    }

    pub(crate) fn dict_keys(&self, after: Option<&str>) -> Result<Vec<String>, SyncError> {
        let is_after = |key: &&String| after.is_none_or(|after| key.as_str() > after);
        Ok(body!(self, Dict)?.change(|entries| entries.keys().filter(is_after).cloned().collect()))
    }

    pub(crate) fn dict_clear(&self) -> Result<(), SyncError> {
        body!(self, Dict)?.change(BTreeMap::clear);
        Ok(())
    }
}

impl Clone for Handle {
    fn clone(&self) -> Self {
        if let Body::Pipe(pipe) = &self.object.body {
            pipe.open(self.end);
        }
        Self { name: self.name.clone(), object: Arc::clone(&self.object), end: self.end }
    }
}

impl Drop for Handle {
    /// Leaves the object: as a party of a barrier that dies, or as a holder of an end of a pipe.
    fn drop(&mut self) {
        match &self.object.body {
            Body::Barrier(barrier) if thread::panicking() => barrier.abort(),
            Body::Pipe(pipe) => pipe.leave(self.end),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
