//! Items that stay the queue's until they are acknowledged.

#![forbid(unsafe_code)]

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::handle::Delivery;
use super::queue::next;
use super::{Handle, Item, Queue, SyncError, decoded};

/// An item that the task works on, and that is the queue's until the work is [done](Self::ack).
///
/// Dropping it gives the item back to its place in the queue, and so does the end or the death of the task; whoever
/// takes it then sees one more of [`deliveries`](Self::deliveries). After as many as the queue allows it is a
/// [dead letter](Queue::dead_letters) instead, so that an item that kills its consumers does not do so for ever.
///
/// ```
/// use wasmpool_guest::sync::{Queue, SyncError};
/// use wasmpool_guest::task;
///
/// /// Works until all is done. What it did not finish, another worker will.
/// #[task]
/// fn work(jobs: &Queue<u32>) -> Result<Vec<u32>, SyncError> {
///     let mut done = Vec::new();
///     for job in jobs.leases() {
///         let job = job?;
///         if *job == 13 && job.deliveries() == 1 {
///             continue; // Dropped, so it comes again.
///         }
///         done.push(*job);
///         job.ack()?;
///     }
///     Ok(done)
/// }
///
/// let jobs = Queue::stand_in(8);
/// for job in [7, 13, 21] {
///     jobs.put(job)?;
/// }
/// jobs.close()?;
/// assert_eq!(work(&jobs), Ok(vec![7, 13, 21]));
/// # Ok::<(), SyncError>(())
/// ```
#[must_use = "a lease that is dropped at once gives the item back at once"]
pub struct Lease<T> {
    item: T,
    /// Open until it was acknowledged or given back.
    open: Open,
    deliveries: u32,
}

/// The lease itself, without its item. Dropping it gives back.
struct Open {
    handle: Handle,
    lease: u64,
    over: bool,
    not_send: PhantomData<*const ()>,
}

impl Open {
    fn end(&mut self, how: impl FnOnce(&Handle, u64) -> Result<(), SyncError>) -> Result<(), SyncError> {
        self.over = true;
        how(&self.handle, self.lease)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if !self.over {
            // It fails when the queue is damaged, or the lease was taken back: then there is nothing to give.
            let _ = self.handle.give_back(self.lease);
        }
    }
}

impl<T: Item> Lease<T> {
    pub(super) fn of(handle: &Handle, delivery: Delivery) -> Result<Self, SyncError> {
        let Delivery { bytes, lease, deliveries } = delivery;
        // First, so that an item that cannot be read goes back.
        let open = Open { handle: handle.clone(), lease, over: false, not_send: PhantomData };
        Ok(Self { item: decoded(bytes)?, open, deliveries })
    }
}

impl<T> Lease<T> {
    /// The work is done: the item is gone from the queue. As `task_done`.
    pub fn ack(self) -> Result<(), SyncError> {
        self.into_item().map(|_| ())
    }

    /// The same, and gives the item.
    pub fn into_item(mut self) -> Result<T, SyncError> {
        self.open.end(Handle::acknowledge)?;
        Ok(self.item)
    }

    /// Gives the item back to its place in the queue, for anybody to take: what dropping does, with its error.
    pub fn nack(mut self) -> Result<(), SyncError> {
        self.open.end(Handle::give_back)
    }

    /// How often the item was delivered: 1 for the first time.
    pub fn deliveries(&self) -> u32 {
        self.deliveries
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Lease<T> {
    /// A change is the task's own: given back, the item is what it was.
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Lease<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("item", &self.item).field("deliveries", &self.deliveries).finish()
    }
}

/// Leases of the items of a queue, to its end: what [`Queue::leases`] gives.
///
/// After an error it ends, except after an item that could not be read ([`SyncError::Unreadable`]).
pub struct Leases<'a, T> {
    queue: &'a Queue<T>,
    over: bool,
}

impl<'a, T> Leases<'a, T> {
    pub(super) fn of(queue: &'a Queue<T>) -> Self {
        Self { queue, over: false }
    }
}

impl<T: Item> Iterator for Leases<'_, T> {
    type Item = Result<Lease<T>, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.over, || self.queue.lease())
    }
}

impl<T> fmt::Debug for Leases<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").field("queue", self.queue).finish()
    }
}
