//! A bounded queue of items.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::argument::shared_object;
use super::handle::{AT_ONCE, Patience};
use super::{Got, Handle, Item, Kind, Lease, Leases, SyncError, decoded, encoded};

/// A bounded queue, as `multiprocessing.Queue` and `JoinableQueue`, for any number of producers and consumers.
///
/// - **Order.** First in, first out, by when each `put` was complete. With several consumers, items are *taken* in that
///   order; which of them is done first is another matter.
/// - **Delivery.** An item that was [taken](Self::get) is delivered at most once: it is gone with its consumer. A
///   [leased](Self::lease) one is delivered until somebody acknowledges it, so maybe more than once, up to a limit (5
///   unless the host says otherwise); then it is a [dead letter](Self::dead_letters).
/// - **Bounds.** A full queue makes producers wait. What is leased, and dead letters, count as being in it. An item has
///   at most 1 MiB unless the host says otherwise ([`SyncError::TooLarge`]).
/// - **End.** After [`close`](Self::close) nothing can be put; consumers still get everything and then the end. The end
///   comes when nothing is leased to others either, because a lease may come back. There is no `empty()` to ask:
///   its answer would be old.
/// - **Death.** An item is wholly in the queue or wholly not: a producer that dies leaves no half of one, and a consumer
///   that dies inside a call has not taken it.
///
/// ```
/// use wasmpool_guest::sync::{Queue, SyncError};
/// use wasmpool_guest::task;
///
/// #[task]
/// fn produce(queue: &Queue<String>) -> Result<(), SyncError> {
///     for word in ["one", "two", "three"] {
///         queue.put(word.to_string())?;
///     }
///     queue.close()
/// }
///
/// #[task]
/// fn consume(queue: &Queue<String>) -> Result<String, SyncError> {
///     let mut text = String::new();
///     for word in queue {
///         text += &word?;
///     }
///     Ok(text)
/// }
///
/// let queue = Queue::stand_in(2); // Smaller than what is put: the producer waits.
/// std::thread::scope(|scope| {
///     scope.spawn(|| produce(&queue));
///     assert_eq!(consume(&queue), Ok("onetwothree".to_string()));
/// });
/// ```
pub struct Queue<T> {
    handle: Handle,
    item: PhantomData<fn() -> T>,
}

shared_object!(Queue<T: Item>, Queue);

impl<T> Queue<T> {
    pub(super) fn of(handle: Handle) -> Self {
        Self { handle, item: PhantomData }
    }
}

impl<T: Item> Queue<T> {
    /// Opens the queue of this name, which the task must have been granted. What is in it is read as `T`; that
    /// all who use it agree about that is theirs to see to.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Queue, name).map(Self::of)
    }

    /// Puts an item in, and waits for room as long as that takes. The item can be lent: `put(&item)`.
    pub fn put(&self, item: impl Borrow<T>) -> Result<(), SyncError> {
        while !self.offer(item.borrow(), None)? {}
        Ok(())
    }

    /// The same; false if there was no room in time.
    pub fn put_timeout(&self, item: impl Borrow<T>, time: Duration) -> Result<bool, SyncError> {
        self.offer(item.borrow(), Some(time))
    }

    /// Puts an item in if there is room; false if not.
    pub fn try_put(&self, item: impl Borrow<T>) -> Result<bool, SyncError> {
        self.offer(item.borrow(), AT_ONCE)
    }

    /// Takes the oldest item, and waits for one as long as that takes; `None` is the end of a closed queue.
    ///
    /// The item is the task's then: if the task dies, nobody else gets it. [`lease`](Self::lease) is for work that
    /// must not be lost.
    pub fn get(&self) -> Result<Option<T>, SyncError> {
        self.taken(None).map(Got::without_limit)
    }

    /// The same, for a limited time.
    pub fn get_timeout(&self, time: Duration) -> Result<Got<T>, SyncError> {
        self.taken(Some(time))
    }

    /// Takes the oldest item, if there is one.
    pub fn try_get(&self) -> Result<Got<T>, SyncError> {
        self.taken(AT_ONCE)
    }

    /// Takes items to the end of the queue. `for item in &queue` does it too.
    pub fn iter(&self) -> Items<'_, T> {
        Items { queue: self, over: false }
    }

    /// Leases the oldest item, and waits for one as long as that takes; `None` is the end of a closed queue.
    ///
    /// It stays the queue's until it is [acknowledged](Lease::ack), as with `get` and `task_done` of a
    /// `JoinableQueue`: a lease that is dropped, or whose task dies or ends, is given back to its place in the
    /// queue. An item that cannot be read as `T` is given back at once, and in the end a dead letter.
    pub fn lease(&self) -> Result<Option<Lease<T>>, SyncError> {
        self.leased(None).map(Got::without_limit)
    }

    /// The same, for a limited time.
    pub fn lease_timeout(&self, time: Duration) -> Result<Got<Lease<T>>, SyncError> {
        self.leased(Some(time))
    }

    /// Leases the oldest item, if there is one.
    pub fn try_lease(&self) -> Result<Got<Lease<T>>, SyncError> {
        self.leased(AT_ONCE)
    }

    /// Leases items to the end of the queue.
    pub fn leases(&self) -> Leases<'_, T> {
        Leases::of(self)
    }

    /// Waits until there is no item in the queue and none leased: all work is done. As `join` of a
    /// `JoinableQueue`. Dead letters do not count.
    pub fn wait_empty(&self) -> Result<(), SyncError> {
        while !self.handle.wait_empty(None)? {}
        Ok(())
    }

    /// The same; false if the time was over first.
    pub fn wait_empty_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        self.handle.wait_empty(Some(time))
    }

    /// Ends it: nothing more can be put, by anybody. Closing it again changes nothing.
    pub fn close(&self) -> Result<(), SyncError> {
        self.handle.close()
    }

    /// How many items can be taken. A hint: it may be old when it arrives.
    pub fn len_hint(&self) -> u64 {
        self.handle.len()
    }

    /// Takes the items that were delivered too often, the oldest first, as many as there are.
    pub fn dead_letters(&self) -> DeadLetters<'_, T> {
        DeadLetters { queue: self }
    }

    fn offer(&self, item: &T, patience: Patience) -> Result<bool, SyncError> {
        encoded(item, |bytes| self.handle.put(bytes, patience))
    }

    fn taken(&self, patience: Patience) -> Result<Got<T>, SyncError> {
        self.handle.get(patience)?.try_map(decoded)
    }

    fn leased(&self, patience: Patience) -> Result<Got<Lease<T>>, SyncError> {
        self.handle.lease(patience)?.try_map(|delivery| Lease::of(&self.handle, delivery))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<T: Item> Queue<T> {
    /// A queue in this process for this many items, for tests. Each is delivered at most 5 times.
    pub fn stand_in(capacity: u32) -> Self {
        Self::of(Handle::queue(capacity))
    }
}

impl<'a, T: Item> IntoIterator for &'a Queue<T> {
    type Item = Result<T, SyncError>;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        self.iter()
    }
}

/// The items of a queue, to its end: what [`Queue::iter`] gives.
///
/// After an error it ends, except after an item that could not be read ([`SyncError::Unreadable`]): that is
/// gone, and the next one can be had.
pub struct Items<'a, T> {
    queue: &'a Queue<T>,
    over: bool,
}

impl<T: Item> Iterator for Items<'_, T> {
    type Item = Result<T, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.over, || self.queue.get())
    }
}

/// The next one, unless there was an end or an error before.
pub(super) fn next<T>(
    over: &mut bool,
    take: impl FnOnce() -> Result<Option<T>, SyncError>,
) -> Option<Result<T, SyncError>> {
    if *over {
        return None;
    }
    let taken = take();
    *over = !matches!(taken, Ok(Some(_)) | Err(SyncError::Unreadable(_)));
    taken.transpose()
}

impl<T> fmt::Debug for Items<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Items").field("queue", self.queue).finish()
    }
}

/// The items that were delivered too often: what [`Queue::dead_letters`] gives.
///
/// One that cannot be read as the queue's type is an error, and gone; a `Queue<Bytes>` of the same name reads any.
pub struct DeadLetters<'a, T> {
    queue: &'a Queue<T>,
}

impl<T: Item> Iterator for DeadLetters<'_, T> {
    type Item = Result<T, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.queue.handle.take_dead().transpose().map(|taken| taken.and_then(decoded))
    }
}

impl<T> fmt::Debug for DeadLetters<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetters").field("queue", self.queue).finish()
    }
}
