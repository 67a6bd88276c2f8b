//! How a caller waits: how long, and what may end the wait besides what is waited for.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::SyncError;
use crate::limits::INSIDE_TIME_MAX;

/// What a caller waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum WaitFor {
    /// The holder of a lock (or of a condition's lock) to let go.
    Lock,
    /// A permit.
    Permit,
    /// An event to be set.
    Event,
    /// A condition to be notified.
    Notify,
    /// The other parties of a barrier.
    Parties,
    /// An item in a queue or from the other end of a pipe.
    Item,
    /// Room in a queue or pipe.
    Room,
    /// A queue without items and leases.
    Empty,
}

impl WaitFor {
    /// In words, after "waits for".
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Lock => "the holder of",
            Self::Permit => "a permit of",
            Self::Event => "the setting of",
            Self::Notify => "a notification of",
            Self::Parties => "the other parties of",
            Self::Item => "an item of",
            Self::Room => "room in",
            Self::Empty => "the end of all work of",
        }
    }
}

/// Why a wait ends before what is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    TimedOut,
    /// The guest was interrupted or asked to stop.
    Cancelled,
    Deadlock(String),
    /// Another participant stays inside the object, where an honest one is for microseconds.
    Stuck,
}

impl From<Stop> for SyncError {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::TimedOut => Self::TimedOut,
            Stop::Cancelled => Self::Cancelled,
            Stop::Deadlock(cycle) => Self::Deadlock(cycle),
            Stop::Stuck => Self::Damaged("another participant stays inside it".to_owned()),
        }
    }
}

/// How one operation waits. An operation that need not wait never asks.
pub(crate) trait Waits {
    /// Called before each sleep, the first one included: the longest time to sleep before asking again.
    /// A sleep may also end early, for no reason or by a signal.
    fn sleep_at_most(&mut self, what: WaitFor) -> Result<Duration, Stop>;
}

/// Waits until a point in time, or for ever. What a thread of the host program does.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    at: Option<Instant>,
    over: fn() -> Stop,
}

impl Deadline {
    pub(crate) fn never() -> Self {
        Self { at: None, over: || Stop::TimedOut }
    }

    /// `Duration::ZERO` does not wait at all.
    pub(crate) fn after(time: Duration) -> Self {
        Self { at: Instant::now().checked_add(time), over: || Stop::TimedOut }
    }

    /// For what waits for nobody, but for whoever is inside the object at the moment. A hostile participant
    /// could stay there, and must not keep a thread of the host program.
    pub(crate) fn brief() -> Self {
        Self { over: || Stop::Stuck, ..Self::after(INSIDE_TIME_MAX) }
    }
}

impl Waits for Deadline {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        const LOOK_AGAIN: Duration = Duration::from_secs(1);
        let Some(at) = self.at else { return Ok(LOOK_AGAIN) };
        let left = at.saturating_duration_since(Instant::now());
        if left.is_zero() { Err((self.over)()) } else { Ok(left.min(LOOK_AGAIN)) }
    }
}

/// The waits of somebody whose time may be over, but who has to finish: only the other reasons stop it.
pub(super) struct Untimed<'w>(pub(super) &'w mut dyn Waits);

impl Waits for Untimed<'_> {
    fn sleep_at_most(&mut self, what: WaitFor) -> Result<Duration, Stop> {
        const LOOK_AGAIN: Duration = Duration::from_millis(100);
        match self.0.sleep_at_most(what) {
            Err(Stop::TimedOut) => Ok(LOOK_AGAIN),
            other => other,
        }
    }
}
