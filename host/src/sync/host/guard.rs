//! What somebody holds until it is dropped: a lock, or a permit of a semaphore.

#![forbid(unsafe_code)]

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use super::waiting::{self, OwnToken};
use super::{Base, DROP_PATIENCE, abandoned_by};
use crate::sync::{Deadline, Operation, SyncError, Token, tokens};

/// A lock, or a permit of a semaphore, that this thread holds. Dropping it gives it back.
///
/// It stays on the thread that took it.
#[derive(Debug)]
#[must_use = "dropping it gives back what was taken"]
pub struct Guard<'a> {
    base: &'a Base,
    who: Token,
    abandoned_by: Option<u64>,
    stays_on_thread: PhantomData<*const ()>,
}

impl<'a> Guard<'a> {
    pub(super) fn take(base: &'a Base, waits: &mut Deadline) -> Result<Self, SyncError> {
        let who = tokens::of_this_thread();
        let abandoned_by = abandoned_by(&base.perform(who, Operation::Acquire, waits)?)?;
        Ok(Self { base, who, abandoned_by, stays_on_thread: PhantomData })
    }

    pub(super) fn take_within(base: &'a Base, time: Duration) -> Result<Option<Self>, SyncError> {
        super::unless_timed_out(Self::take(base, &mut Deadline::after(time)))
    }

    /// The number of the task that held it before and died, or ended without giving it back: what the lock
    /// protects may be half changed. Told to one holder only.
    #[must_use]
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by
    }

    /// Gives it back, as dropping does, and says whether that went well.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object.
    pub fn release(self) -> Result<(), SyncError> {
        let (base, who) = (self.base, self.who);
        // Nothing that it owns is lost with it.
        std::mem::forget(self);
        base.perform(who, Operation::Release, &mut Deadline::brief()).map(drop)
    }

    /// Lets go of the guard and keeps what was taken, such as a permit that counts something that was used up. It
    /// is this thread's as long as the thread lives.
    pub fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        // Nobody can be told; `release` tells.
        self.base.release_dropped(self.who);
    }
}

/// A lock, or a permit of a semaphore, that async code holds. Dropping it gives it back. It belongs to no
/// thread and can be sent to any.
#[derive(Debug)]
#[must_use = "dropping it gives back what was taken"]
pub struct OwnedGuard {
    held: Held,
    abandoned_by: Option<u64>,
}

impl OwnedGuard {
    pub(super) fn take(
        base: &Base,
    ) -> impl Future<Output = Result<Self, SyncError>> + Send + 'static + use<> {
        let base = base.clone();
        waiting::wait(move |waits| {
            let who = OwnToken::take();
            let answer = base.perform(who.get(), Operation::Acquire, waits)?;
            let held = Held::new(base.clone(), who);
            Ok(Self { held, abandoned_by: abandoned_by(&answer)? })
        })
    }

    /// As [`Guard::abandoned_by`].
    #[must_use]
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by
    }

    /// As [`Guard::release`].
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object.
    pub fn release(mut self) -> Result<(), SyncError> {
        self.held.release(&mut Deadline::brief())
    }
}

/// Something held by a token of its own. Dropping it gives both back.
#[derive(Debug)]
pub(super) struct Held {
    base: Base,
    who: OwnToken,
    is_held: bool,
}

impl Held {
    pub(super) fn new(base: Base, who: OwnToken) -> Self {
        Self { base, who, is_held: true }
    }

    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    pub(super) fn who(&self) -> Token {
        self.who.get()
    }

    fn release(&mut self, waits: &mut Deadline) -> Result<(), SyncError> {
        if !std::mem::take(&mut self.is_held) {
            return Ok(());
        }
        let released = self.base.perform(self.who.get(), Operation::Release, waits);
        if released.is_err() {
            self.base.leave(self.who.get(), waits);
        }
        released.map(drop)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Nobody can be told; `release` tells.
        let _ = self.release(&mut Deadline::after(DROP_PATIENCE));
    }
}
