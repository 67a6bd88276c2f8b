//! Events.

#![forbid(unsafe_code)]

use std::future::Future;
use std::time::Duration;

use super::{Base, flag, handle, waiting};
use crate::sync::{Operation, Spec, SyncError, tokens};

/// A flag that can be waited for. Python's `Event`.
///
/// Setting it wakes everybody who waits; it stays set until it is cleared. Nobody owns it, so a death changes
/// nothing.
///
/// ```
/// use wasmpool::sync::Event;
///
/// let ready = Event::new()?;
/// std::thread::scope(|scope| {
///     scope.spawn(|| ready.set());
///     ready.wait()
/// })?;
/// assert!(ready.is_set()?);
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Event {
    base: Base,
}

handle!(Event);

impl Event {
    /// An event that is not set, with a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn new() -> Result<Self, SyncError> {
        Base::create(Spec::Event, None).map(|base| Self { base })
    }

    /// An event that is not set, with this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str) -> Result<Self, SyncError> {
        Base::create(Spec::Event, Some(name)).map(|base| Self { base })
    }

    /// Sets it and wakes everybody who waits.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object; also of the calls below.
    pub fn set(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Set).map(drop)
    }

    /// Clears it.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn clear(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Clear).map(drop)
    }

    /// Whether it is set.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn is_set(&self) -> Result<bool, SyncError> {
        flag(&self.base.act(Operation::IsSet)?)
    }

    /// Waits until it is set.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn wait(&self) -> Result<(), SyncError> {
        self.base.act_and_wait(Operation::Wait).map(drop)
    }

    /// Waits for at most this long; `false` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        self.base.act_within(Operation::Wait, time).map(|answer| answer.is_some())
    }

    /// Waits without blocking the thread.
    ///
    /// Cancel safe. Needs a tokio runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// As [`set`](Self::set).
    pub fn wait_async(&self) -> impl Future<Output = Result<(), SyncError>> + Send + use<> {
        let base = self.base.clone();
        waiting::wait(move |waits| base.perform(tokens::of_this_thread(), Operation::Wait, waits).map(drop))
    }
}
