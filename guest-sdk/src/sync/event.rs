//! A flag that can be waited for.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::argument::shared_object;
use super::{Handle, Kind, SyncError};

/// A flag that can be waited for, as `multiprocessing.Event`. It is clear at first.
///
/// - **Order.** What a task did before [`set`](Self::set) is done for whoever sees the flag set.
/// - **Fairness.** Setting it releases all who wait, also when it is cleared again at once.
/// - **Death.** A task that dies does not change it.
///
/// ```
/// use wasmpool_guest::sync::{Event, SyncError};
/// use wasmpool_guest::task;
///
/// /// Works until it is told to stop.
/// #[task]
/// fn poll(stop: &Event) -> Result<u64, SyncError> {
///     let mut rounds = 1;
///     while !stop.is_set()? {
///         rounds += 1;
///     }
///     Ok(rounds)
/// }
///
/// let stop = Event::stand_in();
/// stop.set()?;
/// assert_eq!(poll(&stop), Ok(1));
/// # Ok::<(), SyncError>(())
/// ```
pub struct Event {
    handle: Handle,
}

shared_object!(Event, Event);

impl Event {
    fn of(handle: Handle) -> Self {
        Self { handle }
    }

    /// Opens the event of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Event, name).map(Self::of)
    }

    /// Sets it, and wakes everybody who waits for it.
    pub fn set(&self) -> Result<(), SyncError> {
        self.handle.set()
    }

    /// Clears it: from here on, `wait` waits.
    pub fn clear(&self) -> Result<(), SyncError> {
        self.handle.clear()
    }

    /// Whether it is set.
    pub fn is_set(&self) -> Result<bool, SyncError> {
        self.handle.is_set()
    }

    /// Waits until it is set.
    pub fn wait(&self) -> Result<(), SyncError> {
        while !self.handle.wait_event(None)? {}
        Ok(())
    }

    /// Waits until it is set; false if the time was over first.
    pub fn wait_timeout(&self, time: Duration) -> Result<bool, SyncError> {
        self.handle.wait_event(Some(time))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Event {
    /// An event in this process, for tests.
    pub fn stand_in() -> Self {
        Self::of(Handle::event())
    }
}
