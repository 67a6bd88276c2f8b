//! One end of a pipe.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use super::argument::shared_object;
use super::handle::{AT_ONCE, Patience};
use super::queue::next;
use super::{Got, Handle, Item, Kind, SyncError, decoded, encoded};

/// One end of a pipe, as `multiprocessing.Pipe` gives two: it sends `S` to the other end and receives `R` from there.
///
/// - **Order.** What is sent is received in that order, each item once, in both directions independently.
/// - **Bounds.** As those of a [`Queue`](super::Queue): when as much is under way as the pipe holds, sending waits.
/// - **One holder.** Each end belongs to one task at a time; for another one it is
///   [`SyncError::AlreadyOwned`].
/// - **End and death.** When one end is [closed](Self::close), or its task ends or dies, the other still receives
///   what was sent, then the end, and its own sending is [`SyncError::Closed`]. An item is sent wholly or not at all.
///
/// ```
/// use serde_json::{Value, json};
/// use wasmpool_guest::sync::{Connection, SyncError};
/// use wasmpool_guest::{serde_json, task};
///
/// #[task]
/// fn child(connection: Connection<Value>) -> Result<(), SyncError> {
///     connection.send(json!([42, null, "hello"]))
/// }
///
/// let (parent, other) = Connection::<Value>::stand_in_pair(8);
/// child(other)?;
/// assert_eq!(parent.recv()?, Some(json!([42, null, "hello"])));
/// assert_eq!(parent.recv()?, None);
/// # Ok::<(), SyncError>(())
/// ```
pub struct Connection<S, R = S> {
    handle: Handle,
    items: PhantomData<fn(S) -> R>,
}

shared_object!(Connection<S: Item, R: Item>, Pipe);

impl<S, R> Connection<S, R> {
    fn of(handle: Handle) -> Self {
        Self { handle, items: PhantomData }
    }
}

impl<S: Item, R: Item> Connection<S, R> {
    /// Opens the end of a pipe that was granted to the task under this name.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Pipe, name).map(Self::of)
    }

    /// Sends an item, and waits for room as long as that takes. The item can be lent: `send(&item)`.
    pub fn send(&self, item: impl Borrow<S>) -> Result<(), SyncError> {
        while !self.offer(item.borrow(), None)? {}
        Ok(())
    }

    /// The same; false if there was no room in time.
    pub fn send_timeout(&self, item: impl Borrow<S>, time: Duration) -> Result<bool, SyncError> {
        self.offer(item.borrow(), Some(time))
    }

    /// Sends an item if there is room; false if not.
    pub fn try_send(&self, item: impl Borrow<S>) -> Result<bool, SyncError> {
        self.offer(item.borrow(), AT_ONCE)
    }

    /// Receives the next item, and waits for it as long as that takes; `None` when the other end has closed and
    /// everything was received.
    pub fn recv(&self) -> Result<Option<R>, SyncError> {
        self.received(None).map(Got::without_limit)
    }

    /// The same, for a limited time.
    pub fn recv_timeout(&self, time: Duration) -> Result<Got<R>, SyncError> {
        self.received(Some(time))
    }

    /// Receives the next item, if there is one.
    pub fn try_recv(&self) -> Result<Got<R>, SyncError> {
        self.received(AT_ONCE)
    }

    /// Receives to the end. `for item in &connection` does it too.
    pub fn iter(&self) -> Received<'_, S, R> {
        Received { connection: self, over: false }
    }

    /// Sends nothing more. It can still receive.
    pub fn close(&self) -> Result<(), SyncError> {
        self.handle.close()
    }

    fn offer(&self, item: &S, patience: Patience) -> Result<bool, SyncError> {
        encoded(item, |bytes| self.handle.put(bytes, patience))
    }

    fn received(&self, patience: Patience) -> Result<Got<R>, SyncError> {
        self.handle.get(patience)?.try_map(decoded)
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<S: Item, R: Item> Connection<S, R> {
    /// Both ends of a pipe in this process, for this many items in each direction, for tests. An end is closed when
    /// its last clone is dropped.
    pub fn stand_in_pair(capacity: u32) -> (Self, Connection<R, S>) {
        let (one, other) = Handle::pipe(capacity);
        (Self::of(one), Connection::of(other))
    }
}

impl<'a, S: Item, R: Item> IntoIterator for &'a Connection<S, R> {
    type Item = Result<R, SyncError>;
    type IntoIter = Received<'a, S, R>;

    fn into_iter(self) -> Received<'a, S, R> {
        self.iter()
    }
}

/// What comes from the other end of a pipe, to its end: what [`Connection::iter`] gives.
///
/// After an error it ends, except after an item that could not be read ([`SyncError::Unreadable`]).
pub struct Received<'a, S, R> {
    connection: &'a Connection<S, R>,
    over: bool,
}

impl<S: Item, R: Item> Iterator for Received<'_, S, R> {
    type Item = Result<R, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        next(&mut self.over, || self.connection.recv())
    }
}

impl<S, R> fmt::Debug for Received<'_, S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received").field("connection", self.connection).finish()
    }
}
