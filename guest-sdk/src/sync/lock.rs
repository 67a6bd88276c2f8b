//! A lock that one task holds at a time.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::argument::shared_object;
use super::handle::AT_ONCE;
use super::{Guard, Handle, Kind, SyncError};

/// A lock that one task holds at a time, as `multiprocessing.Lock`.
///
/// - **Fairness.** Whoever comes first may get it first, also before one that waits; but nobody who waits is passed over
///   for ever.
/// - **Owner.** Only the holder gives it back ([`SyncError::NotOwner`]), and taking it twice is an error
///   ([`SyncError::AlreadyOwned`]), not a hang; [`RLock`](super::RLock) nests.
/// - **Death.** When the holder dies or ends, whoever waits gets the lock and is told by
///   [`Guard::abandoned_by`].
///
/// ```
/// use wasmpool_guest::sync::{Lock, SyncError};
/// use wasmpool_guest::task;
///
/// #[task]
/// fn say_hello(lock: Lock, number: u32) -> Result<(), SyncError> {
///     let _held = lock.acquire()?;
///     println!("hello world {number}");
///     Ok(())
/// }
///
/// let lock = Lock::stand_in();
/// std::thread::scope(|scope| {
///     for number in 0..3 {
///         let lock = lock.clone();
///         scope.spawn(move || say_hello(lock, number));
///     }
/// });
/// assert!(lock.try_acquire()?.is_some());
/// # Ok::<(), SyncError>(())
/// ```
pub struct Lock {
    handle: Handle,
}

shared_object!(Lock, Lock);

impl Lock {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the lock of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Lock, name).map(Self::of)
    }

    /// Takes it, however long that takes.
    pub fn acquire(&self) -> Result<Guard<'_>, SyncError> {
        Guard::take(&self.handle)
    }

    /// Takes it, unless that takes longer: then `None`.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, Some(time))
    }

    /// Takes it if nobody holds it.
    pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, AT_ONCE)
    }

    /// Does this with the lock held. As Python's `with lock:`.
    pub fn with<R>(&self, action: impl FnOnce() -> R) -> Result<R, SyncError> {
        let _held = self.acquire()?;
        Ok(action())
    }

    /// Gives back what was taken and [kept](Guard::keep) without a guard.
    ///
    /// ```
    /// use wasmpool_guest::sync::{Lock, SyncError};
    ///
    /// let lock = Lock::stand_in();
    /// lock.acquire()?.keep();
    /// assert_eq!(lock.release(), Ok(()));
    /// assert_eq!(lock.release(), Err(SyncError::NotOwner));
    /// # Ok::<(), SyncError>(())
    /// ```
    pub fn release(&self) -> Result<(), SyncError> {
        self.handle.release()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Lock {
    /// A lock in this process, for tests.
    pub fn stand_in() -> Self {
        Self::of(Handle::lock(Kind::Lock))
    }
}
