//! A lock that its holder may take again.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::argument::shared_object;
use super::handle::AT_ONCE;
use super::{Guard, Handle, Kind, SyncError};

/// A lock that its holder may take again, as `multiprocessing.RLock`. It is free when it was given back as often as it
/// was taken.
///
/// Fairness, owner and death are as with [`Lock`](super::Lock): the death of a holder frees it however often it
/// was taken.
///
/// ```
/// use wasmpool_guest::sync::{RLock, SyncError};
///
/// let lock = RLock::stand_in();
/// let total = lock.with(|| lock.with(|| 1 + 1))??;
/// assert_eq!(total, 2);
/// # Ok::<(), SyncError>(())
/// ```
pub struct RLock {
    handle: Handle,
}

shared_object!(RLock, RLock);

impl RLock {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the lock of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::RLock, name).map(Self::of)
    }

    /// Takes it, however long that takes; at once if the task holds it already.
    pub fn acquire(&self) -> Result<Guard<'_>, SyncError> {
        Guard::take(&self.handle)
    }

    /// Takes it, unless that takes longer: then `None`.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, Some(time))
    }

    /// Takes it if nobody else holds it.
    pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, AT_ONCE)
    }

    /// Does this with the lock held. As Python's `with lock:`.
    pub fn with<R>(&self, action: impl FnOnce() -> R) -> Result<R, SyncError> {
        let _held = self.acquire()?;
        Ok(action())
    }

    /// Gives back once what was taken and [kept](Guard::keep) without a guard.
    pub fn release(&self) -> Result<(), SyncError> {
        self.handle.release()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl RLock {
    /// A lock in this process, for tests.
    pub fn stand_in() -> Self {
        Self::of(Handle::lock(Kind::RLock))
    }
}
