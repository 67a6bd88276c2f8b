//! The bounds of queues and pipes.

#![forbid(unsafe_code)]

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::pipe::Ends;
use super::{Base, Connection, Queue};
use crate::limits::{DELIVERIES, MESSAGE_BYTES, QUEUE_BYTES, QUEUE_CAPACITY};
use crate::sync::{QueueSpec, Spec, SyncError};

/// The bounds of a queue. [`new`](Self::new) lists every default.
#[derive(Clone, Debug)]
pub struct QueueBuilder {
    name: Option<String>,
    spec: QueueSpec,
}

impl Default for QueueBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl QueueBuilder {
    /// A made-up name, 1024 items of at most 1 MiB, 64 MiB in all, 5 deliveries.
    #[must_use]
    pub fn new() -> Self {
        let spec = QueueSpec {
            capacity: QUEUE_CAPACITY,
            item_bytes_max: MESSAGE_BYTES,
            bytes_max: QUEUE_BYTES,
            deliveries_max: DELIVERIES,
        };
        Self { name: None, spec }
    }

    /// The name under which guests open it: letters a to z, digits, `-`, `_` and `.`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many items it holds, leased ones and dead letters included.
    #[must_use]
    pub fn capacity(mut self, items: u32) -> Self {
        self.spec.capacity = items;
        self
    }

    /// Bytes of one item.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: u32) -> Self {
        self.spec.item_bytes_max = bytes;
        self
    }

    /// Bytes of all items together. Memory is used as far as the queue was ever filled, and kept for what comes.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.spec.bytes_max = bytes;
        self
    }

    /// How often one item is delivered before it is a dead letter.
    #[must_use]
    pub fn deliveries_max(mut self, deliveries: u32) -> Self {
        self.spec.deliveries_max = deliveries;
        self
    }

    /// Makes the queue; its items are JSON.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`] for bounds that cannot be or a name that is none, [`SyncError::Unavailable`]
    /// when there is no memory or descriptor for it.
    pub fn build<T: Serialize + DeserializeOwned>(self) -> Result<Queue<T>, SyncError> {
        let base = Base::create(Spec::Queue(self.spec), self.name.as_deref())?;
        Ok(Queue::new(base, Codec::json()))
    }

    /// Makes the queue; its items are bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`build`](Self::build).
    pub fn build_raw(self) -> Result<Queue<Bytes>, SyncError> {
        let base = Base::create(Spec::Queue(self.spec), self.name.as_deref())?;
        Ok(Queue::new(base, Codec::raw()))
    }
}

/// The bounds of a pipe, for each direction. [`new`](Self::new) lists every default.
#[derive(Clone, Debug)]
pub struct PipeBuilder {
    name: Option<String>,
    spec: QueueSpec,
}

impl Default for PipeBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl PipeBuilder {
    /// A made-up name, 1024 messages of at most 1 MiB, 64 MiB in all, in each direction.
    #[must_use]
    pub fn new() -> Self {
        Self { name: None, spec: QueueBuilder::new().spec }
    }

    /// The name of the pipe: its ends are `NAME.0` and `NAME.1`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How many messages each direction holds.
    #[must_use]
    pub fn capacity(mut self, messages: u32) -> Self {
        self.spec.capacity = messages;
        self
    }

    /// Bytes of one message.
    #[must_use]
    pub fn message_bytes_max(mut self, bytes: u32) -> Self {
        self.spec.item_bytes_max = bytes;
        self
    }

    /// Bytes of all messages of one direction together.
    #[must_use]
    pub fn bytes_max(mut self, bytes: u64) -> Self {
        self.spec.bytes_max = bytes;
        self
    }

    /// Makes the pipe; its messages are JSON. What the first end sends is what the second one receives.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::build`].
    pub fn build<S, R>(self) -> Result<Ends<S, R>, SyncError>
    where
        S: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let base = Base::create(Spec::Pipe(self.spec), self.name.as_deref())?;
        Ok(Connection::pair(&base, Codec::json(), Codec::json()))
    }

    /// Makes the pipe; its messages are bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`QueueBuilder::build`].
    pub fn build_raw(self) -> Result<Ends<Bytes, Bytes>, SyncError> {
        let base = Base::create(Spec::Pipe(self.spec), self.name.as_deref())?;
        Ok(Connection::pair(&base, Codec::raw(), Codec::raw()))
    }
}
