//! Pipes.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::waiting::{self, OwnToken};
use super::{
    Base, DROP_PATIENCE, Got, PipeBuilder, handle, hint, keep_if_stuck, unexpected, unless_timed_out,
};
use crate::sync::grant::EndKeeper;
use crate::sync::{
    Answer, Deadline, Grant, Granted, Object, Operation, SharedObject, SyncError, Waits, tokens,
};

/// The two ends of one pipe: what one sends, the other receives.
pub type Ends<S, R> = (Connection<S, R>, Connection<R, S>);

/// Makes pairs of connections. Python's `Pipe`.
#[derive(Clone, Copy, Debug)]
pub struct Pipe;

impl Pipe {
    /// Two connected ends, with made-up names.
    ///
    /// ```
    /// use wasmpool::sync::Pipe;
    ///
    /// let (asker, answerer) = Pipe::connect::<String, u64>()?;
    /// asker.send("six times seven".to_owned())?;
    /// assert_eq!(answerer.recv()?.as_deref(), Some("six times seven"));
    /// answerer.send(42)?;
    /// drop(answerer);
    /// assert_eq!(asker.recv()?, Some(42));
    /// assert_eq!(asker.recv()?, None);
    /// # Ok::<(), wasmpool::sync::SyncError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn connect<S, R>() -> Result<Ends<S, R>, SyncError>
    where
        S: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        PipeBuilder::new().build()
    }

    /// Two connected ends that send bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect).
    pub fn connect_raw() -> Result<Ends<Bytes, Bytes>, SyncError> {
        PipeBuilder::new().build_raw()
    }

    /// A pipe with a name or other bounds.
    #[must_use]
    pub fn builder() -> PipeBuilder {
        PipeBuilder::new()
    }
}

/// One end of a pipe, which sends `S` and receives `R`. Python's `Connection`.
///
/// - **One holder:** an end belongs to whoever uses it first: the host program with its first call here, or the
///   task that it is granted to. For anybody else it is [`SyncError::AlreadyOwned`] from then on.
/// - **Order:** what one end sends, the other receives in that order, each message wholly and once. A holder
///   that dies after it received a message takes it along.
/// - **End:** when a holder closes its end, drops it, ends or dies, the other end receives what was sent and
///   then the end, and cannot send any more. The same happens when an end that nobody holds is dropped
///   everywhere: the connection, and every task that it was granted to.
pub struct Connection<S, R> {
    pub(super) base: Base,
    view: Arc<SharedObject>,
    send: Codec<S>,
    receive: Codec<R>,
    /// Who holds the end in the host program, from the first use on.
    holder: OnceLock<Arc<Holder>>,
    opening: Mutex<()>,
}

handle!(Connection<S, R>);

/// The holder of an end. What still waits in another thread shares it.
#[derive(Debug)]
struct Holder {
    view: Arc<SharedObject>,
    token: OwnToken,
    /// As long as a future waits, the host program can act on the pipe.
    grant: Grant,
}

impl Holder {
    fn perform(&self, operation: Operation<'_>, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        self.view.perform(self.token.get(), operation, waits)
    }

    /// Waits for a message: its bytes, or `None` at the end.
    fn receive(&self, waits: &mut dyn Waits) -> Result<Option<Vec<u8>>, SyncError> {
        match self.perform(Operation::Get { lease: false }, waits)? {
            Answer::Item(item) => Ok(Some(item.bytes)),
            Answer::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Nobody can be told. A pipe that is damaged is of no use to the other end either.
        let left = self.perform(Operation::Leave, &mut Deadline::after(DROP_PATIENCE));
        keep_if_stuck(self.grant.name(), self.token.get(), left);
    }
}

impl<S, R> Connection<S, R> {
    /// Both ends of the pipe that `base` is.
    pub(super) fn pair(base: &Base, send: Codec<S>, receive: Codec<R>) -> Ends<S, R> {
        (Self::end(base, 0, send, receive), Connection::end(base, 1, receive, send))
    }

    fn end(base: &Base, end: u8, send: Codec<S>, receive: Codec<R>) -> Self {
        let Granted::Memory(object) = &*base.grant.object else {
            unreachable!("only a dict is not in memory, and `pair` is given a pipe")
        };
        let mut grant = base.grant.clone();
        grant.name = format!("{}.{end}", grant.name).into();
        grant.end = end;
        grant.end_keeper = Some(Arc::new(EndKeeper(object.as_end(end))));
        let view = Arc::new(object.as_end(end));
        let (holder, opening) = (OnceLock::new(), Mutex::new(()));
        Self { base: Base { grant }, view, send, receive, holder, opening }
    }

    fn holder(&self) -> Result<&Arc<Holder>, SyncError> {
        if let Some(holder) = self.holder.get() {
            return Ok(holder);
        }
        let _one_opens = self.opening.lock().unwrap_or_else(PoisonError::into_inner);
        if self.holder.get().is_none() {
            let (view, token) = (Arc::clone(&self.view), OwnToken::take());
            view.perform(token.get(), Operation::Open, &mut Deadline::brief())?;
            let grant = self.base.grant.clone();
            return Ok(self.holder.get_or_init(|| Arc::new(Holder { view, token, grant })));
        }
        self.holder()
    }

    /// Sends a message; waits for room.
    ///
    /// # Errors
    ///
    /// [`SyncError::Closed`] when this end was closed or the other one is gone; [`SyncError::TooLarge`];
    /// [`SyncError::AlreadyOwned`] when this end is somebody else's.
    pub fn send(&self, message: impl Borrow<S>) -> Result<(), SyncError> {
        self.send_until(message.borrow(), &mut Deadline::never())
    }

    /// Waits for room for at most this long; `false` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_timeout(&self, message: impl Borrow<S>, time: Duration) -> Result<bool, SyncError> {
        unless_timed_out(self.send_until(message.borrow(), &mut Deadline::after(time)))
            .map(|sent| sent.is_some())
    }

    /// Does not wait; `false` when there is no room.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn try_send(&self, message: impl Borrow<S>) -> Result<bool, SyncError> {
        self.send_timeout(message, Duration::ZERO)
    }

    /// Sends a message; waits for room without blocking the thread.
    ///
    /// When the future is dropped while it waits, the message may still be sent in the next 50 ms, wholly or not at
    /// all. Needs a tokio runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_async<M: Borrow<S>>(
        &self,
        message: M,
    ) -> impl Future<Output = Result<(), SyncError>> + Send + use<S, R, M> {
        let bytes = self.send.encode(message.borrow());
        let ready = self.holder().cloned().and_then(|holder| Ok((holder, bytes?)));
        async move {
            let (holder, bytes) = ready?;
            waiting::wait(move |waits| holder.perform(Operation::Put(&bytes), waits).map(drop)).await
        }
    }

    fn send_until(&self, message: &S, waits: &mut Deadline) -> Result<(), SyncError> {
        let bytes = self.send.encode(message)?;
        self.holder()?.perform(Operation::Put(&bytes), waits).map(drop)
    }

    /// Receives the next message; waits for one. `None` is the end: the other end is closed or gone, and
    /// nothing is left.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unreadable`] for a message that is no `R`; [`SyncError::AlreadyOwned`] when this end is
    /// somebody else's.
    pub fn recv(&self) -> Result<Option<R>, SyncError> {
        self.receive_until(&mut Deadline::never())
    }

    /// Waits for a message for at most this long.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_timeout(&self, time: Duration) -> Result<Got<R>, SyncError> {
        Got::of(self.receive_until(&mut Deadline::after(time)))
    }

    /// Receives a message if there is one.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<Got<R>, SyncError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Receives the next message; waits without blocking the thread.
    ///
    /// **Not cancel safe:** a message that comes within 50 ms after the future was dropped may be lost, because a
    /// pipe cannot take it back. In a `select!` loop, keep the future instead of making a new one. Needs a tokio
    /// runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_async(&self) -> impl Future<Output = Result<Option<R>, SyncError>> + Send + use<S, R> {
        let (holder, codec) = (self.holder().cloned(), self.receive);
        async move {
            let holder = holder?;
            let bytes = waiting::wait(move |waits| holder.receive(waits)).await?;
            bytes.map(|bytes| codec.decode(bytes)).transpose()
        }
    }

    fn receive_until(&self, waits: &mut Deadline) -> Result<Option<R>, SyncError> {
        let bytes = self.holder()?.receive(waits)?;
        bytes.map(|bytes| self.receive.decode(bytes)).transpose()
    }

    /// Sends nothing more: the other end receives what was sent, and then the end.
    ///
    /// # Errors
    ///
    /// [`SyncError::AlreadyOwned`] when this end is somebody else's.
    pub fn close(&self) -> Result<(), SyncError> {
        self.holder()?.perform(Operation::Close, &mut Deadline::brief()).map(drop)
    }

    /// How many messages can be received: a hint, it may be old when it arrives.
    #[must_use]
    pub fn len_hint(&self) -> u64 {
        let answer = self.view.perform(tokens::of_this_thread(), Operation::Len, &mut Deadline::brief());
        answer.as_ref().map_or(0, hint)
    }

    /// Receives message after message, to the end.
    pub fn iter(&self) -> Received<'_, S, R> {
        Received(self)
    }
}

/// The messages that one end of a pipe receives, to the end.
#[derive(Debug)]
pub struct Received<'a, S, R>(&'a Connection<S, R>);

impl<S, R> Iterator for Received<'_, S, R> {
    type Item = Result<R, SyncError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.recv().transpose()
    }
}

impl<'a, S, R> IntoIterator for &'a Connection<S, R> {
    type Item = Result<R, SyncError>;
    type IntoIter = Received<'a, S, R>;

    fn into_iter(self) -> Received<'a, S, R> {
        self.iter()
    }
}

impl<S, R> fmt::Debug for Connection<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("name", &self.name()).finish_non_exhaustive()
    }
}
