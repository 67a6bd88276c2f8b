//! A lock with a way to wait for a change of what it protects.

#![forbid(unsafe_code)]

use std::cell::Cell;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use super::argument::shared_object;
use super::handle::{AT_ONCE, Patience, Taken, Woken};
use super::{Handle, Kind, SyncError};

/// A lock with a way to wait for a change of what it protects, as `multiprocessing.Condition`.
///
/// - **The lock** is its own, and as [`Lock`](super::Lock) in fairness, owner and death.
/// - **Fairness.** Those who have waited longest are woken first; which of them has the lock first is another matter.
/// - **Waking.** A wait may end without a notification, so wait [for something](ConditionGuard::wait_for) and not
///   just once.
/// - **Death.** A task that dies while it waits takes no notification with it: all others are woken, to look again.
///
/// ```
/// use wasmpool_guest::sync::{Condition, SyncError, Value};
/// use wasmpool_guest::task;
///
/// /// Waits until the counter has come this far.
/// #[task]
/// fn wait_until(changed: Condition, counter: Value<i64>, at_least: i64) -> Result<i64, SyncError> {
///     let held = changed.lock()?;
///     held.wait_for(|| counter.get() >= at_least)?;
///     Ok(counter.get())
/// }
///
/// let (changed, counter) = (Condition::stand_in(), Value::stand_in(0));
/// let waiting = std::thread::spawn({
///     let (changed, counter) = (changed.clone(), counter.clone());
///     move || wait_until(changed, counter, 3)
/// });
/// for _ in 0..3 {
///     let held = changed.lock()?;
///     counter.add(1);
///     held.notify_all()?;
/// }
/// assert_eq!(waiting.join().unwrap(), Ok(3));
/// # Ok::<(), SyncError>(())
/// ```
pub struct Condition {
    handle: Handle,
}

shared_object!(Condition, Condition);

impl Condition {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the condition of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Condition, name).map(Self::of)
    }

    /// Takes its lock, however long that takes.
    pub fn lock(&self) -> Result<ConditionGuard<'_>, SyncError> {
        loop {
            if let Some(guard) = self.take(None)? {
                return Ok(guard);
            }
        }
    }

    /// Takes its lock, unless that takes longer: then `None`.
    pub fn lock_timeout(&self, time: Duration) -> Result<Option<ConditionGuard<'_>>, SyncError> {
        self.take(Some(time))
    }

    /// Takes its lock if nobody holds it.
    pub fn try_lock(&self) -> Result<Option<ConditionGuard<'_>>, SyncError> {
        self.take(AT_ONCE)
    }

    fn take(&self, patience: Patience) -> Result<Option<ConditionGuard<'_>>, SyncError> {
        Ok(self.handle.acquire(patience)?.map(|taken| ConditionGuard::of(&self.handle, taken)))
    }
}

/// The lock of a condition, held. Dropping it gives it back.
#[derive(Debug)]
#[must_use = "a guard that is dropped at once gives back at once"]
pub struct ConditionGuard<'a> {
    handle: &'a Handle,
    abandoned_by: Cell<Option<u64>>,
    not_send: PhantomData<*const ()>,
}

impl<'a> ConditionGuard<'a> {
    fn of(handle: &'a Handle, taken: Taken) -> Self {
        Self { handle, abandoned_by: Cell::new(taken.abandoned_by), not_send: PhantomData }
    }

    /// The task that died or ended with the lock, just before it came to this task: when it was taken, or in
    /// the last wait.
    pub fn abandoned_by(&self) -> Option<u64> {
        self.abandoned_by.get()
    }

    /// Gives the lock back, waits to be woken, and takes the lock again.
    pub fn wait(&self) -> Result<(), SyncError> {
        self.woken(None).map(|_| ())
    }

    /// The same; false if the time was over first. The lock is held again in any case, also after an error.
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        self.woken(Some(time))
    }

    /// Waits until this is true. It is asked with the lock held, first before any waiting.
    pub fn wait_for(&self, mut predicate: impl FnMut() -> bool) -> Result<(), SyncError> {
        while !predicate() {
            self.wait()?;
        }
        Ok(())
    }

    /// The same; false if it was not true when the time was over.
    pub fn wait_for_timeout(
        &self,
        time: Duration,
        mut predicate: impl FnMut() -> bool,
    ) -> Result<bool, SyncError> {
        let begin = Instant::now();
        while !predicate() {
            let left = time.saturating_sub(begin.elapsed());
            if left.is_zero() {
                return Ok(false);
            }
            self.wait_timeout(left)?;
        }
        Ok(true)
    }

    /// Wakes as many of those who wait, or all if they are fewer. They go on when this guard is dropped.
    pub fn notify(&self, count: u32) -> Result<(), SyncError> {
        self.handle.notify(count)
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) -> Result<(), SyncError> {
        self.handle.notify(u32::MAX)
    }

    fn woken(&self, patience: Patience) -> Result<bool, SyncError> {
        let Woken { in_time, abandoned_by } = self.handle.wait_condition(patience)?;
        self.abandoned_by.set(abandoned_by);
        Ok(in_time)
    }
}

impl Drop for ConditionGuard<'_> {
    fn drop(&mut self) {
        self.handle.release_on_drop();
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Condition {
    /// A condition in this process, for tests.
    pub fn stand_in() -> Self {
        Self::of(Handle::lock(Kind::Condition))
    }
}
