//! A meeting point of a number of parties.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::argument::shared_object;
use super::{Handle, Kind, SyncError};

/// A meeting point of a number of parties, as `multiprocessing.Barrier`: all wait until as many are there as it
/// was made for, then all go on, and it is ready for the next round.
///
/// - **Order.** What each did before it came is done for all when they go on.
/// - **Parties** are those who opened it; whoever dies as one of them breaks it at once, so that nobody waits for it
///   in vain. One that has returned just is not a party any more.
/// - **Broken** is what it stays, with an error for all who wait and all who come, until somebody calls
///   [`reset`](Self::reset). A wait that times out breaks it too, and [`abort`](Self::abort) does.
///
/// ```
/// use wasmpool_guest::sync::{Barrier, SyncError};
/// use wasmpool_guest::task;
///
/// #[task]
/// fn start_together(start: Barrier) -> Result<bool, SyncError> {
///     let place = start.wait()?;
///     Ok(place == 0) // True for one of them, which can do what is done once.
/// }
///
/// let start = Barrier::stand_in(2);
/// let other = std::thread::spawn({
///     let start = start.clone();
///     move || start_together(start)
/// });
/// assert_ne!(start_together(start), other.join().unwrap());
/// ```
pub struct Barrier {
    handle: Handle,
}

shared_object!(Barrier, Barrier);

impl Barrier {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the barrier of this name, which the task must have been granted: from here on it is a party.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Barrier, name).map(Self::of)
    }

    /// Waits for the other parties. Gives the task's place among them, from 0, each place once.
    pub fn wait(&self) -> Result<u32, SyncError> {
        loop {
            if let Some(place) = self.handle.meet(None)? {
                return Ok(place);
            }
        }
    }

    /// The same, unless it takes longer: then `None`, and the barrier is broken for all.
    pub fn wait_timeout(&self, time: Duration) -> Result<Option<u32>, SyncError> {
        self.handle.meet(Some(time))
    }

    /// Makes it an empty, whole barrier again. Those who wait get [`SyncError::Broken`].
    pub fn reset(&self) -> Result<(), SyncError> {
        self.handle.reset()
    }

    /// Breaks it, so that nobody waits for a task that will not come.
    pub fn abort(&self) -> Result<(), SyncError> {
        self.handle.abort()
    }

    /// Whether it is broken.
    pub fn is_broken(&self) -> Result<bool, SyncError> {
        self.handle.is_set()
    }

    /// How many wait. A hint: it may be old when it arrives.
    pub fn n_waiting(&self) -> u64 {
        self.handle.len()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Barrier {
    /// A barrier in this process, for tests. Who drops it in a panic breaks it.
    pub fn stand_in(parties: u32) -> Self {
        Self::of(Handle::barrier(parties))
    }
}
