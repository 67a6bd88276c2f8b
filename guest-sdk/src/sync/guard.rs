//! What is taken is given back.

#![forbid(unsafe_code)]

use std::marker::PhantomData;

use super::handle::{Patience, Taken};
use super::{Handle, SyncError};

/// A lock, or a permit of a semaphore, that the task holds. Dropping it gives it back.
///
/// It belongs to whoever took it, so it cannot go to another thread.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once gives back at once"]
pub struct Guard<'a> {
    handle: &'a Handle,
    abandoned_by: Option<u64>,
    not_send: PhantomData<*const ()>,
}

impl<'a> Guard<'a> {
    fn of(handle: &'a Handle, taken: Taken) -> Self {
        Self { handle, abandoned_by: taken.abandoned_by, not_send: PhantomData }
    }

    /// Takes it, however long that takes.
    pub(super) fn take(handle: &'a Handle) -> Result<Self, SyncError> {
        loop {
            if let Some(guard) = Self::take_within(handle, None)? {
                return Ok(guard);
            }
        }
    }

    /// Takes it, unless that takes longer.
    pub(super) fn take_within(handle: &'a Handle, patience: Patience) -> Result<Option<Self>, SyncError> {
        Ok(handle.acquire(patience)?.map(|taken| Self::of(handle, taken)))
    }

    /// The task that held it before, if that died or ended without giving it back: what it protects may be half
    /// changed. It is told once, to the next holder.
    ///
    /// ```
    /// use wasmpool_guest::sync::Lock;
    /// use wasmpool_guest::testing::Host;
    ///
    /// let lock = Lock::stand_in();
    /// let broken = lock.clone();
    /// let died = std::thread::spawn(move || {
    ///     Host::new().id(7).run(|| {
    ///         let _held = broken.acquire();
    ///         panic!("in the middle of a change")
    ///     })
    /// });
    /// assert!(died.join().is_err());
    /// assert_eq!(lock.acquire()?.abandoned_by(), Some(7));
    /// assert_eq!(lock.acquire()?.abandoned_by(), None);
    /// # Ok::<(), wasmpool_guest::sync::SyncError>(())
    /// ```
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by
    }

    /// Gives it back, and says whether that went well, which dropping cannot.
    pub fn release(self) -> Result<(), SyncError> {
        let handle = self.handle;
        self.keep();
        handle.release()
    }

    /// Keeps it without a guard. It is given back by `release` of the object, or when the task ends.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.handle.release_on_drop();
    }
}
