//! Semaphores.

#![forbid(unsafe_code)]

use std::future::Future;
use std::time::Duration;

use super::guard::{Guard, OwnedGuard};
use super::{Base, handle};
use crate::sync::{Deadline, Operation, Spec, SyncError};

/// What both kinds of semaphores have.
macro_rules! semaphore {
    ($name:ident, $bounded:literal) => {
        handle!($name);

        impl $name {
            /// So many permits, with a made-up name.
            ///
            /// # Errors
            ///
            /// [`SyncError::OutOfRange`] for a number that cannot be, [`SyncError::Unavailable`] when there is
            /// no memory or descriptor for it.
            pub fn new(permits: u32) -> Result<Self, SyncError> {
                Base::create(Spec::Semaphore { permits, bounded: $bounded }, None).map(|base| Self { base })
            }

            /// So many permits, with this name.
            ///
            /// # Errors
            ///
            /// As `new`, and [`SyncError::OutOfRange`] when it is no name.
            pub fn named(name: &str, permits: u32) -> Result<Self, SyncError> {
                let spec = Spec::Semaphore { permits, bounded: $bounded };
                Base::create(spec, Some(name)).map(|base| Self { base })
            }

            /// Waits for a permit.
            ///
            /// # Errors
            ///
            /// [`SyncError::TooMany`] when as many hold permits as may.
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

            /// Does not wait; `None` when there is no permit.
            ///
            /// # Errors
            ///
            /// As [`acquire`](Self::acquire).
            pub fn try_acquire(&self) -> Result<Option<Guard<'_>>, SyncError> {
                self.acquire_timeout(Duration::ZERO)
            }

            /// Waits without blocking the thread. The permit belongs to no thread.
            ///
            /// Cancel safe: when the future is dropped, no permit is taken, or it is given back at once. Needs
            /// a tokio runtime, and one thread of its blocking pool while it waits.
            ///
            /// # Errors
            ///
            /// As [`acquire`](Self::acquire).
            pub fn acquire_async(
                &self,
            ) -> impl Future<Output = Result<OwnedGuard, SyncError>> + Send + use<> {
                OwnedGuard::take(&self.base)
            }

            /// How many permits are free: a hint, it may be old when it arrives.
            #[must_use]
            pub fn free_hint(&self) -> u64 {
                self.base.len_hint()
            }
        }
    };
}

/// A number of permits that anybody may add to. Python's `Semaphore`.
///
/// - **Death:** the permits that a task holds come back when it dies or ends.
/// - **Fairness:** a free permit goes to whoever takes it first.
///
/// ```
/// use wasmpool::sync::Semaphore;
///
/// let items = Semaphore::new(0)?;
/// items.release()?;
/// assert!(items.try_acquire()?.is_some());
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Semaphore {
    base: Base,
}

semaphore!(Semaphore, false);

impl Semaphore {
    /// Adds a permit, as a signal to whoever waits for one. A thread that holds a permit gives back its own.
    ///
    /// # Errors
    ///
    /// [`SyncError::TooMany`] when there are as many permits as can be.
    pub fn release(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Release).map(drop)
    }
}

/// A number of permits that never becomes larger. Python's `BoundedSemaphore`.
///
/// Only a holder gives a permit back, by dropping its guard. Everything else is as for [`Semaphore`].
///
/// ```
/// use wasmpool::sync::BoundedSemaphore;
///
/// let seats = BoundedSemaphore::new(1)?;
/// let seat = seats.acquire()?;
/// assert!(seats.try_acquire()?.is_none());
/// drop(seat);
/// assert!(seats.try_acquire()?.is_some());
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BoundedSemaphore {
    base: Base,
}

semaphore!(BoundedSemaphore, true);
