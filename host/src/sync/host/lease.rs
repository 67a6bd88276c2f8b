//! Items that stay the queue's until they are acknowledged.

#![forbid(unsafe_code)]

use std::ops::Deref;

use super::waiting::OwnToken;
use super::{Base, DROP_PATIENCE, unexpected};
use crate::sync::{Answer, Deadline, Operation, SyncError, Waits};

/// An item of a queue that is being worked on. Dropping it gives it back to its place in the queue.
///
/// It belongs to no thread: one thread may take it and another one acknowledge it.
#[derive(Debug)]
#[must_use = "dropping it gives the item back; `ack` says that it is done"]
pub struct Lease<T> {
    raw: RawLease,
    item: T,
}

impl<T> Lease<T> {
    pub(super) fn new(raw: RawLease, item: T) -> Self {
        Self { raw, item }
    }

    /// The item is done and leaves the queue.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the queue.
    pub fn ack(mut self) -> Result<(), SyncError> {
        self.raw.acknowledge()
    }

    /// The item, which is done and leaves the queue.
    ///
    /// # Errors
    ///
    /// As [`ack`](Self::ack).
    pub fn into_item(mut self) -> Result<T, SyncError> {
        self.raw.acknowledge()?;
        Ok(self.item)
    }

    /// Gives the item back to its place, for somebody else or another time. When it was delivered as often as it
    /// may be, it becomes a dead letter.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the queue.
    pub fn nack(mut self) -> Result<(), SyncError> {
        self.raw.give_back(&mut Deadline::brief())
    }

    /// How often the item was delivered: 1 for the first time.
    #[must_use]
    pub fn deliveries(&self) -> u32 {
        self.raw.deliveries
    }
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

/// A lease and the token that has it.
#[derive(Debug)]
pub(super) struct RawLease {
    base: Base,
    who: OwnToken,
    lease: u64,
    deliveries: u32,
    is_settled: bool,
}

impl RawLease {
    /// Waits for an item: its lease and its bytes. `None` at the end.
    pub(super) fn take(base: &Base, waits: &mut dyn Waits) -> Result<Option<(Self, Vec<u8>)>, SyncError> {
        let who = OwnToken::take();
        match base.perform(who.get(), Operation::Get { lease: true }, waits)? {
            Answer::Item(item) => {
                let (base, lease, deliveries) = (base.clone(), item.lease, item.deliveries);
                Ok(Some((Self { base, who, lease, deliveries, is_settled: false }, item.bytes)))
            }
            Answer::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    pub(super) fn acknowledge(&mut self) -> Result<(), SyncError> {
        self.settle(Operation::Acknowledge { lease: self.lease }, &mut Deadline::brief())
    }

    fn give_back(&mut self, waits: &mut Deadline) -> Result<(), SyncError> {
        self.settle(Operation::GiveBack { lease: self.lease }, waits)
    }

    fn settle(&mut self, operation: Operation<'_>, waits: &mut Deadline) -> Result<(), SyncError> {
        if std::mem::replace(&mut self.is_settled, true) {
            return Ok(());
        }
        let settled = self.base.perform(self.who.get(), operation, waits);
        if settled.is_err() {
            self.base.leave(self.who.get(), waits);
        }
        settled.map(drop)
    }
}

impl Drop for RawLease {
    fn drop(&mut self) {
        // Nobody can be told; `nack` tells.
        let _ = self.give_back(&mut Deadline::after(DROP_PATIENCE));
    }
}
