//! Conditions.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::guard::Held;
use super::waiting::{self, OwnToken};
use super::{Base, abandoned_by, handle, unless_timed_out};
use crate::sync::{Deadline, Operation, Spec, SyncError, Token, tokens};

/// A lock with a way to wait for a change of what it protects. Python's `Condition`.
///
/// - The lock is as [`Lock`](super::Lock): owner only, given back when the holder dies.
/// - **A wait may end for no reason**, and does so when somebody who waits dies, because a notification may
///   have died with it. So look again what you waited for, or use `wait_for`.
/// - A notification wakes those who wait when it is sent; it is not kept for later.
///
/// ```
/// use wasmpool::sync::{Condition, Value};
///
/// let (changed, value) = (Condition::new()?, Value::<i64>::new(0)?);
/// std::thread::scope(|scope| {
///     scope.spawn(|| {
///         let held = changed.lock()?;
///         value.set(7);
///         held.notify_all()
///     });
///     let held = changed.lock()?;
///     held.wait_for(|| value.get() == 7)
/// })?;
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Condition {
    base: Base,
}

handle!(Condition);

impl Condition {
    /// A condition with a free lock and a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unavailable`] when there is no memory or descriptor for it.
    pub fn new() -> Result<Self, SyncError> {
        Base::create(Spec::Condition, None).map(|base| Self { base })
    }

    /// A condition with a free lock and this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str) -> Result<Self, SyncError> {
        Base::create(Spec::Condition, Some(name)).map(|base| Self { base })
    }

    /// Waits until its lock is this thread's.
    ///
    /// # Errors
    ///
    /// [`SyncError::AlreadyOwned`] when this thread holds it.
    pub fn lock(&self) -> Result<ConditionGuard<'_>, SyncError> {
        ConditionGuard::take(&self.base, &mut Deadline::never())
    }

    /// Waits for at most this long; `None` when the time was over.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn lock_timeout(&self, time: Duration) -> Result<Option<ConditionGuard<'_>>, SyncError> {
        unless_timed_out(ConditionGuard::take(&self.base, &mut Deadline::after(time)))
    }

    /// Does not wait; `None` when somebody else holds the lock.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock).
    pub fn try_lock(&self) -> Result<Option<ConditionGuard<'_>>, SyncError> {
        self.lock_timeout(Duration::ZERO)
    }

    /// Waits for the lock without blocking the thread. The guard belongs to no thread.
    ///
    /// Cancel safe: when the future is dropped, the lock is not taken, or given back at once. Needs a tokio
    /// runtime, and one thread of its blocking pool while it waits.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object.
    pub fn lock_async(&self) -> impl Future<Output = Result<OwnedConditionGuard, SyncError>> + Send + use<> {
        let base = self.base.clone();
        waiting::wait(move |waits| {
            let who = OwnToken::take();
            let answer = base.perform(who.get(), Operation::Acquire, waits)?;
            let held = Held::new(base.clone(), who);
            Ok(OwnedConditionGuard { held, abandoned_by: abandoned_by(&answer)? })
        })
    }
}

/// The lock of a condition, held by this thread. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct ConditionGuard<'a> {
    base: &'a Base,
    who: Token,
    abandoned_by: Cell<Option<u64>>,
    stays_on_thread: PhantomData<*const ()>,
}

impl<'a> ConditionGuard<'a> {
    fn take(base: &'a Base, waits: &mut Deadline) -> Result<Self, SyncError> {
        let who = tokens::of_this_thread();
        let abandoned_by = Cell::new(abandoned_by(&base.perform(who, Operation::Acquire, waits)?)?);
        Ok(Self { base, who, abandoned_by, stays_on_thread: PhantomData })
    }

    /// The number of the task that held the lock before and died, or ended without giving it back. Told once;
    /// a wait, which takes the lock again, may bring another one.
    #[must_use]
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by.get()
    }

    /// Gives the lock back, waits for a notification (or for no reason), and takes the lock again.
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object.
    pub fn wait(&self) -> Result<(), SyncError> {
        self.wait_until(&mut Deadline::never())
    }

    /// Waits for at most this long; `false` when the time was over. The lock is held again in any case.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        unless_timed_out(self.wait_until(&mut Deadline::after(time))).map(|notified| notified.is_some())
    }

    /// Waits until `is_true`, which is asked with the lock held.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_for(&self, mut is_true: impl FnMut() -> bool) -> Result<(), SyncError> {
        while !is_true() {
            self.wait()?;
        }
        Ok(())
    }

    /// Waits until `is_true` for at most this long; what it is at the end.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn wait_for_timeout(
        &self,
        time: Duration,
        mut is_true: impl FnMut() -> bool,
    ) -> Result<bool, SyncError> {
        let begun = Instant::now();
        while !is_true() {
            if !self.wait_timeout(time.saturating_sub(begun.elapsed()))? {
                return Ok(is_true());
            }
        }
        Ok(true)
    }

    /// Wakes at most so many who wait; they go on once this thread gives the lock back.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn notify(&self, count: u32) -> Result<(), SyncError> {
        self.base.perform(self.who, Operation::Notify(count), &mut Deadline::brief()).map(drop)
    }

    /// Wakes everybody who waits.
    ///
    /// # Errors
    ///
    /// As [`wait`](Self::wait).
    pub fn notify_all(&self) -> Result<(), SyncError> {
        self.notify(u32::MAX)
    }

    fn wait_until(&self, waits: &mut Deadline) -> Result<(), SyncError> {
        let answer = self.base.perform(self.who, Operation::Wait, waits)?;
        self.abandoned_by.set(abandoned_by(&answer)?);
        Ok(())
    }
}

impl Drop for ConditionGuard<'_> {
    fn drop(&mut self) {
        // Nobody can be told. After a wait that failed, the lock may be somebody else's and stays so.
        self.base.release_dropped(self.who);
    }
}

/// The lock of a condition, held by async code. Dropping it gives it back. It belongs to no thread.
#[derive(Debug)]
#[must_use = "dropping it gives the lock back"]
pub struct OwnedConditionGuard {
    held: Held,
    abandoned_by: Option<u64>,
}

impl OwnedConditionGuard {
    /// As [`ConditionGuard::abandoned_by`].
    #[must_use]
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by
    }

    /// As [`ConditionGuard::wait`], without blocking the thread. The guard goes along with the wait: when the
    /// future is dropped, the lock is given back (and nobody waits any more) within 50 ms.
    ///
    /// # Errors
    ///
    /// As [`ConditionGuard::wait`]; the lock is given back then.
    pub fn wait_async(mut self) -> impl Future<Output = Result<Self, SyncError>> + Send + use<> {
        // To try first without waiting would miss every notification.
        waiting::wait_elsewhere(move |waits| {
            let answer = self.held.base().perform(self.held.who(), Operation::Wait, waits)?;
            self.abandoned_by = abandoned_by(&answer)?;
            Ok(self)
        })
    }

    /// Wakes at most so many who wait; `u32::MAX` is everybody.
    ///
    /// # Errors
    ///
    /// As [`ConditionGuard::wait`].
    pub fn notify(&self, count: u32) -> Result<(), SyncError> {
        let notify = Operation::Notify(count);
        self.held.base().perform(self.held.who(), notify, &mut Deadline::brief()).map(drop)
    }
}
