//! A number of permits.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::argument::shared_object;
use super::handle::AT_ONCE;
use super::{Guard, Handle, Kind, SyncError};

/// A number of permits, as `multiprocessing.Semaphore` and `BoundedSemaphore`: whoever made it says which.
///
/// - **Fairness.** Whoever comes first may get a permit first, also before one that waits.
/// - **Owner.** Of a bounded one, only a holder gives a permit back ([`SyncError::NotOwner`]). To any other, also
///   a task that holds none can [`release`](Self::release) one, as a signal to one that waits: it gives back a permit
///   that another holds, or adds one when nobody holds any.
/// - **Death.** The permits of a task that dies or ends come back.
///
/// ```
/// use wasmpool_guest::sync::{Semaphore, SyncError};
/// use wasmpool_guest::task;
///
/// /// No more than a few of these use the service at the same time.
/// #[task]
/// fn ask(service: Semaphore) -> Result<&'static str, SyncError> {
///     let _permit = service.acquire()?;
///     Ok("answer")
/// }
///
/// let service = Semaphore::stand_in_bounded(2);
/// assert_eq!(ask(service.clone()), Ok("answer"));
/// let held = (service.acquire()?, service.acquire()?);
/// assert!(service.try_acquire()?.is_none());
/// drop(held);
/// assert_eq!(service.release(), Err(SyncError::NotOwner));
/// # Ok::<(), SyncError>(())
/// ```
pub struct Semaphore {
    handle: Handle,
}

shared_object!(Semaphore, Semaphore);

impl Semaphore {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the semaphore of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Semaphore, name).map(Self::of)
    }

    /// Takes a permit, however long that takes.
    pub fn acquire(&self) -> Result<Guard<'_>, SyncError> {
        Guard::take(&self.handle)
    }

    /// Takes a permit, unless that takes longer: then `None`.
    pub fn acquire_timeout(&self, time: Duration) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, Some(time))
    }

    /// Takes a permit if one is free.
    pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
        Guard::take_within(&self.handle, AT_ONCE)
    }

    /// Gives back a permit that was taken and [kept](Guard::keep) without a guard, or adds one as a signal.
    ///
    /// ```
    /// use wasmpool_guest::sync::Semaphore;
    ///
    /// let ready = Semaphore::stand_in(0);
    /// let signal = ready.clone();
    /// std::thread::spawn(move || signal.release());
    /// ready.acquire()?.keep();
    /// # Ok::<(), wasmpool_guest::sync::SyncError>(())
    /// ```
    pub fn release(&self) -> Result<(), SyncError> {
        self.handle.release()
    }

    /// How many permits are free. A hint: it may be old when it arrives.
    pub fn free_hint(&self) -> u64 {
        self.handle.len()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Semaphore {
    /// A semaphore in this process, for tests.
    pub fn stand_in(permits: u32) -> Self {
        Self::of(Handle::semaphore(permits, false))
    }

    /// One to which only a holder gives a permit back.
    pub fn stand_in_bounded(permits: u32) -> Self {
        Self::of(Handle::semaphore(permits, true))
    }
}
