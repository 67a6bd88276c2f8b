//! Locks.

#![forbid(unsafe_code)]

use std::future::Future;
use std::time::Duration;

use super::guard::{Guard, OwnedGuard};
use super::{Base, handle};
use crate::sync::{Deadline, Spec, SyncError};

/// A lock that one task, or one thread of the host program, holds at a time. Python's `Lock`.
///
/// - **Owner:** only who took it gives it back. Taking it twice is [`SyncError::AlreadyOwned`] instead of a
///   wait without end.
/// - **Death:** a holder that dies, is killed or ends without giving it back loses it. The next holder gets it
///   within milliseconds and is told by [`Guard::abandoned_by`].
/// - **Fairness:** whoever comes first may take a free lock, waiting or not; but who has slept in
///   vain for about two milliseconds goes before those who come later, so nobody waits for ever.
///
/// ```
/// use wasmpool::sync::Lock;
///
/// let lock = Lock::new()?;
/// let guard = lock.acquire()?;
/// assert!(std::thread::scope(|scope| scope.spawn(|| lock.try_acquire().map(|g| g.is_none())).join().unwrap())?);
/// drop(guard);
/// assert!(lock.try_acquire()?.is_some());
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Lock {
    base: Base,
}

handle!(Lock);

impl Lock {
    /// A free lock with a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn new() -> Result<Self, SyncError> {
        Base::create(Spec::Lock, None).map(|base| Self { base })
    }

    /// A free lock with this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str) -> Result<Self, SyncError> {
        Base::create(Spec::Lock, Some(name)).map(|base| Self { base })
    }

    /// Waits until it is this thread's.
    ///
    /// # Errors
    ///
    /// [`SyncError::AlreadyOwned`] when this thread holds it.
    pub fn acquire(&self) -> Result<Guard<'_>, SyncError> {
        Guard::take(&self.base, &mut Deadline::never())
    }

    /// Waits for at most this long; `None` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.base, time)
    }

    /// Does not wait; `None` when somebody else holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
        self.acquire_timeout(Duration::ZERO)
    }

    /// Does `action` while this thread holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and then nothing is done.
    pub fn with<R>(&self, action: impl FnOnce() -> R) -> Result<R, SyncError> {
        let _guard = self.acquire()?;
        Ok(action())
    }

    /// Waits without blocking the thread. The guard belongs to no thread: a second `acquire_async` waits for
    /// the first one's guard, also in the same task.
    ///
    /// Cancel safe: when the future is dropped, the lock is not taken, or given back at once. Needs a tokio
    /// runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object.
    pub fn acquire_async(&self) -> impl Future<Output = Result<OwnedGuard, SyncError>> + Send + use<> {
        OwnedGuard::take(&self.base)
    }
}

/// A lock that its holder may take again, and gives back as often. Python's `RLock`.
///
/// Everything else is as for [`Lock`]. It has no async form: what takes it again must be the same participant,
/// and async code has no thread by which to tell.
///
/// ```
/// use wasmpool::sync::RLock;
///
/// let lock = RLock::new()?;
/// let outer = lock.acquire()?;
/// let inner = lock.acquire()?;
/// # drop((inner, outer));
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct RLock {
    base: Base,
}

handle!(RLock);

impl RLock {
    /// A free lock with a made-up name.
    ///
    /// # Errors
    ///
    /// As [`Lock::new`].
    pub fn new() -> Result<Self, SyncError> {
        Base::create(Spec::RLock, None).map(|base| Self { base })
    }

    /// A free lock with this name.
    ///
    /// # Errors
    ///
    /// As [`Lock::named`].
    pub fn named(name: &str) -> Result<Self, SyncError> {
        Base::create(Spec::RLock, Some(name)).map(|base| Self { base })
    }

    /// Waits until it is this thread's, one time more.
    ///
    /// # Errors
    ///
    /// [`SyncError::TooMany`] when it was taken too often.
    pub fn acquire(&self) -> Result<Guard<'_>, SyncError> {
        Guard::take(&self.base, &mut Deadline::never())
    }

    /// Waits for at most this long; `None` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.base, time)
    }

    /// Does not wait; `None` when somebody else holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire).
    pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
        self.acquire_timeout(Duration::ZERO)
    }

    /// Does `action` while this thread holds it.
    ///
    /// # Errors
    ///
    /// As [`acquire`](Self::acquire), and then nothing is done.
    pub fn with<R>(&self, action: impl FnOnce() -> R) -> Result<R, SyncError> {
        let _guard = self.acquire()?;
        Ok(action())
    }
}
