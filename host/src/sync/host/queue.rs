//! Queues.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::lease::{Lease, RawLease};
use super::taker::Taker;
use super::{Base, QueueBuilder, handle, unexpected, unless_timed_out, waiting};
use crate::sync::{Answer, Deadline, Operation, SyncError, Waits, tokens};

/// A bounded queue of items, for many producers and many consumers. Python's `Queue`, and with leases its
/// `JoinableQueue`.
///
/// - **Order:** first in, first out, by the time at which a put ended. An item that was given back goes to its
///   old place.
/// - **Delivery:** an item is wholly in the queue or wholly out, whatever dies when. `get` delivers it at most
///   once: with a consumer that dies right after it, it is gone. A [`lease`](Self::lease) delivers it at least
///   once: it goes back when the consumer dies, ends or gives it back, up to a number of deliveries (5 by
///   default); after that it is a [dead letter](Self::dead_letters) and nobody's harm.
/// - **End:** after [`close`](Self::close) nothing can be put; every item that is there is delivered, and then
///   comes the end. As long as an item that is leased may come back, consumers wait for it.
/// - **Fairness:** an item goes to whoever takes it first.
/// - **Bounds:** a full queue makes producers wait. Leased items and dead letters count.
///
/// Items are JSON, or bytes as they are for a queue made by [`raw`](Queue::raw). What guests put in is their
/// word: an item that is no `T` is [`SyncError::Unreadable`].
///
/// ```
/// use wasmpool::sync::Queue;
///
/// let queue = Queue::<u64>::bounded(100)?;
/// for number in 1..=3 {
///     queue.put(number)?;
/// }
/// queue.close()?;
/// let items: Vec<u64> = queue.iter().collect::<Result<_, _>>()?;
/// assert_eq!(items, [1, 2, 3]);
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
pub struct Queue<T> {
    pub(super) base: Base,
    codec: Codec<T>,
    taker: Arc<Taker>,
}

handle!(Queue<T>);

/// What came of waiting for an item for a limited time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Got<T> {
    /// This item.
    Item(T),
    /// Nothing, and nothing will come any more: it is closed and everything was taken.
    End,
    /// Nothing yet.
    TimedOut,
}

impl<T> Got<T> {
    /// The item, if there was one.
    pub fn item(self) -> Option<T> {
        match self {
            Self::Item(item) => Some(item),
            Self::End | Self::TimedOut => None,
        }
    }

    /// From what was waited for: an item or the end, unless the time was over.
    pub(super) fn of(result: Result<Option<T>, SyncError>) -> Result<Self, SyncError> {
        Ok(match unless_timed_out(result)? {
            Some(Some(item)) => Self::Item(item),
            Some(None) => Self::End,
            None => Self::TimedOut,
        })
    }
}

impl<T: Serialize + DeserializeOwned> Queue<T> {
    /// A queue of so many items, with a made-up name.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::build`].
    pub fn bounded(capacity: u32) -> Result<Self, SyncError> {
        QueueBuilder::new().capacity(capacity).build()
    }

    /// A queue of so many items, with this name.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::build`].
    pub fn named(name: &str, capacity: u32) -> Result<Self, SyncError> {
        QueueBuilder::new().name(name).capacity(capacity).build()
    }
}

impl Queue<Bytes> {
    /// A queue of so many byte strings as they are, with a made-up name.
    ///
    /// ```
    /// use wasmpool::sync::Queue;
    ///
    /// let queue = Queue::raw(10)?;
    /// queue.put(bytes::Bytes::from_static(&[0, 255]))?;
    /// assert_eq!(queue.get()?.as_deref(), Some(&[0, 255][..]));
    /// # Ok::<(), wasmpool::sync::SyncError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::build`].
    pub fn raw(capacity: u32) -> Result<Self, SyncError> {
        QueueBuilder::new().capacity(capacity).build_raw()
    }
}

impl Queue<()> {
    /// A queue with other bounds.
    ///
    /// ```
    /// use wasmpool::sync::Queue;
    ///
    /// let queue = Queue::builder().name("jobs").message_bytes_max(1000).deliveries_max(3).build::<String>()?;
    /// assert_eq!(queue.name(), "jobs");
    /// # Ok::<(), wasmpool::sync::SyncError>(())
    /// ```
    #[must_use]
    pub fn builder() -> QueueBuilder {
        QueueBuilder::new()
    }
}

impl<T> Queue<T> {
    pub(super) fn new(base: Base, codec: Codec<T>) -> Self {
        Self { base, codec, taker: Arc::default() }
    }

    /// Puts an item in; waits for room.
    ///
    /// # Errors
    ///
    /// [`SyncError::Closed`]; [`SyncError::TooLarge`] when the item is over the limit for one.
    pub fn put(&self, item: impl Borrow<T>) -> Result<(), SyncError> {
        self.put_until(item.borrow(), &mut Deadline::never())
    }

    /// Waits for room for at most this long; `false` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_timeout(&self, item: impl Borrow<T>, time: Duration) -> Result<bool, SyncError> {
        unless_timed_out(self.put_until(item.borrow(), &mut Deadline::after(time))).map(|put| put.is_some())
    }

    /// Does not wait; `false` when the queue is full.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn try_put(&self, item: impl Borrow<T>) -> Result<bool, SyncError> {
        self.put_timeout(item, Duration::ZERO)
    }

    /// Puts an item in; waits for room without blocking the thread.
    ///
    /// When the future is dropped while it waits, the item may still be put in the next 50 ms, wholly or not at all.
    /// Needs a tokio runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put).
    pub fn put_async<I: Borrow<T>>(
        &self,
        item: I,
    ) -> impl Future<Output = Result<(), SyncError>> + Send + use<T, I> {
        let (base, bytes) = (self.base.clone(), self.codec.encode(item.borrow()));
        async move {
            let bytes = bytes?;
            let put = move |waits: &mut dyn Waits| {
                base.perform(tokens::of_this_thread(), Operation::Put(&bytes), waits).map(drop)
            };
            waiting::wait(put).await
        }
    }

    fn put_until(&self, item: &T, waits: &mut Deadline) -> Result<(), SyncError> {
        let bytes = self.codec.encode(item)?;
        self.base.perform(tokens::of_this_thread(), Operation::Put(&bytes), waits).map(drop)
    }

    /// Takes the next item for good; waits for one. `None` is the end: closed, and nothing is left.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unreadable`] for an item that is no `T`: it is taken for good.
    pub fn get(&self) -> Result<Option<T>, SyncError> {
        self.get_until(&mut Deadline::never())
    }

    /// Waits for an item for at most this long.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_timeout(&self, time: Duration) -> Result<Got<T>, SyncError> {
        Got::of(self.get_until(&mut Deadline::after(time)))
    }

    /// Takes an item if there is one.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn try_get(&self) -> Result<Got<T>, SyncError> {
        self.get_timeout(Duration::ZERO)
    }

    /// Takes the next item for good; waits without blocking the thread.
    ///
    /// Cancel safe: an item that came too late for a dropped future goes to the next one of this handle, or
    /// back to its place, which counts as a delivery. Needs no runtime; all futures of a handle and its clones wait
    /// on one thread.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get).
    pub fn get_async(&self) -> impl Future<Output = Result<Option<T>, SyncError>> + Send + use<T> {
        let (taken, codec) = (Arc::clone(&self.taker).take(self.base.clone()), self.codec);
        async move {
            // Leased until this future goes on with it.
            match taken.await? {
                Some((mut lease, bytes)) => {
                    lease.acknowledge()?;
                    codec.decode(bytes).map(Some)
                }
                None => Ok(None),
            }
        }
    }

    fn get_until(&self, waits: &mut Deadline) -> Result<Option<T>, SyncError> {
        let get = Operation::Get { lease: false };
        match self.base.perform(tokens::of_this_thread(), get, waits)? {
            Answer::Item(item) => self.codec.decode(item.bytes).map(Some),
            Answer::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes item after item for good, to the end. What `for item in &queue` does.
    pub fn iter(&self) -> Items<'_, T> {
        Items(self)
    }

    /// Leases the next item; waits for one. `None` is the end.
    ///
    /// ```
    /// use wasmpool::sync::Queue;
    ///
    /// let queue = Queue::<String>::bounded(10)?;
    /// queue.put("work".to_owned())?;
    /// drop(queue.lease()?);
    /// let lease = queue.lease()?.expect("it was given back");
    /// assert_eq!((lease.as_str(), lease.deliveries()), ("work", 2));
    /// lease.ack()?;
    /// queue.wait_empty()?;
    /// # Ok::<(), wasmpool::sync::SyncError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SyncError::Unreadable`] for an item that is no `T`: it is given back, and so becomes a dead letter
    /// after a few deliveries.
    pub fn lease(&self) -> Result<Option<Lease<T>>, SyncError> {
        self.lease_until(&mut Deadline::never())
    }

    /// Waits for an item for at most this long.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_timeout(&self, time: Duration) -> Result<Got<Lease<T>>, SyncError> {
        Got::of(self.lease_until(&mut Deadline::after(time)))
    }

    /// Leases an item if there is one.
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn try_lease(&self) -> Result<Got<Lease<T>>, SyncError> {
        self.lease_timeout(Duration::ZERO)
    }

    /// Leases the next item; waits without blocking the thread. Cancel safe, as [`get_async`](Self::get_async).
    ///
    /// # Errors
    ///
    /// As [`lease`](Self::lease).
    pub fn lease_async(&self) -> impl Future<Output = Result<Option<Lease<T>>, SyncError>> + Send + use<T> {
        let (taken, codec) = (Arc::clone(&self.taker).take(self.base.clone()), self.codec);
        async move { taken.await?.map(|(raw, bytes)| Ok(Lease::new(raw, codec.decode(bytes)?))).transpose() }
    }

    fn lease_until(&self, waits: &mut Deadline) -> Result<Option<Lease<T>>, SyncError> {
        let taken = RawLease::take(&self.base, waits)?;
        taken.map(|(raw, bytes)| Ok(Lease::new(raw, self.codec.decode(bytes)?))).transpose()
    }

    /// Leases item after item, to the end.
    pub fn leases(&self) -> Leases<'_, T> {
        Leases(self)
    }

    /// Nothing more is put: consumers get what is there, and then the end.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the queue; also of the calls below.
    pub fn close(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Close).map(drop)
    }

    /// Waits until there is no item and no lease: Python's `JoinableQueue.join`.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn wait_empty(&self) -> Result<(), SyncError> {
        self.base.act_and_wait(Operation::WaitEmpty).map(drop)
    }

    /// Waits for at most this long; `false` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn wait_empty_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        self.base.act_within(Operation::WaitEmpty, time).map(|empty| empty.is_some())
    }

    /// Waits without blocking the thread. Cancel safe.
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close).
    pub fn wait_empty_async(&self) -> impl Future<Output = Result<(), SyncError>> + Send + use<T> {
        let base = self.base.clone();
        waiting::wait(move |waits| {
            base.perform(tokens::of_this_thread(), Operation::WaitEmpty, waits).map(drop)
        })
    }

    /// How many items can be taken: a hint, it may be old when it arrives.
    #[must_use]
    pub fn len_hint(&self) -> u64 {
        self.base.len_hint()
    }

    /// Takes the items that were delivered as often as they may be, the oldest first. Does not wait.
    pub fn dead_letters(&self) -> DeadLetters<'_, T> {
        DeadLetters(self)
    }

    fn take_dead(&self) -> Result<Option<T>, SyncError> {
        match self.base.act(Operation::TakeDead)? {
            Answer::Item(item) => self.codec.decode(item.bytes).map(Some),
            Answer::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self { base: self.base.clone(), codec: self.codec, taker: Arc::clone(&self.taker) }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// The items of a queue, each taken for good, to the end.
#[derive(Debug)]
pub struct Items<'a, T>(&'a Queue<T>);

impl<T> Iterator for Items<'_, T> {
    type Item = Result<T, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.get().transpose()
    }
}

impl<'a, T> IntoIterator for &'a Queue<T> {
    type Item = Result<T, SyncError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

/// The leases of a queue's items; see [`Queue::leases`].
#[derive(Debug)]
pub struct Leases<'a, T>(&'a Queue<T>);

impl<T> Iterator for Leases<'_, T> {
    type Item = Result<Lease<T>, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.lease().transpose()
    }
}

/// The dead letters of a queue; see [`Queue::dead_letters`].
#[derive(Debug)]
pub struct DeadLetters<'a, T>(&'a Queue<T>);

impl<T> Iterator for DeadLetters<'_, T> {
    type Item = Result<T, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take_dead().transpose()
    }
}
