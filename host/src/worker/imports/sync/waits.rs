//! How a guest waits in a host function.
//!
//! A wait sleeps in slices and looks around between them. The first slices, [`WAIT_WITH_SLOT_TIME_MAX`]
//! together, are the task's own business. A longer wait is told to the supervisor, which gives the task's
//! place in the pool to another one and looks for deadlocks; from then on each slice is at most
//! [`WAIT_LOOK_TIME_MAX`], and between two of them the worker reads what the supervisor has to say.
//!
//! An interrupt ends the sleep at once, by its signal, and the next look ends the wait: the guest returns
//! from the host function and meets the epoch. One that arrives just before the sleep costs one slice.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use crate::limits::{JOIN_WITH_SLOT_TIME_MAX, WAIT_LOOK_TIME_MAX, WAIT_WITH_SLOT_TIME_MAX};
use crate::protocol::worker::WaitOn;
use crate::sync::{Stop, WaitFor, Waits};
use crate::worker::engine;
use crate::worker::link::Link;

/// The time-out that never comes.
pub(super) const NEVER: u32 = u32::MAX;

/// Who waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter<'a> {
    pub(super) link: &'a Link,
    pub(super) task: u64,
    /// What [`engine::interrupts`] said when the assignment began.
    pub(super) interrupts: u32,
}

impl Waiter<'_> {
    /// True once the supervisor asked for the end of the guest.
    pub(super) fn is_interrupted(&self) -> bool {
        engine::interrupts() != self.interrupts
    }
}

/// One wait, of one call. Costs nothing until the call has to wait.
#[derive(Debug)]
pub(super) struct Patience<'a> {
    waiter: Waiter<'a>,
    timeout_ms: u32,
    /// How long the task keeps its place in the pool.
    with_slot: Duration,
    began: Option<Instant>,
    told: Option<Told<'a>>,
}

/// A wait that the supervisor knows of, for as long as this lives.
#[derive(Debug)]
struct Told<'a> {
    link: &'a Link,
    wait: u64,
    on: WaitOn,
}

impl<'a> Told<'a> {
    fn new(link: &'a Link, on: WaitOn, timed: bool) -> Self {
        Self { link, wait: link.begin_wait(on, timed), on }
    }
}

impl Drop for Told<'_> {
    fn drop(&mut self) {
        self.link.end_wait(self.wait);
    }
}

impl<'a> Patience<'a> {
    /// `timeout_ms` as guests give it: 0 does not wait, [`NEVER`] waits without limit.
    pub(super) fn new(waiter: Waiter<'a>, timeout_ms: u32) -> Self {
        Self { waiter, timeout_ms, with_slot: WAIT_WITH_SLOT_TIME_MAX, began: None, told: None }
    }

    /// The same for what takes longer in any case: the task's place in the pool is given back soon.
    pub(super) fn for_long(waiter: Waiter<'a>, timeout_ms: u32) -> Self {
        Self { with_slot: JOIN_WITH_SLOT_TIME_MAX, ..Self::new(waiter, timeout_ms) }
    }

    /// How long to sleep before asking again. `bounded`: the time-out counts.
    pub(super) fn sleep_at_most(&mut self, on: WaitOn, bounded: bool) -> Result<Duration, Stop> {
        let bounded = bounded && self.timeout_ms != NEVER;
        if self.waiter.is_interrupted() {
            return Err(Stop::Cancelled);
        }
        let now = Instant::now();
        let waited = now.duration_since(*self.began.get_or_insert(now));
        let timeout = Duration::from_millis(self.timeout_ms.into());
        let left = if bounded { timeout.saturating_sub(waited) } else { Duration::MAX };
        let with_slot = self.with_slot.saturating_sub(waited);
        if self.told.is_none() && !left.min(with_slot).is_zero() {
            return Ok(left.min(with_slot));
        }
        self.look(on, bounded, left)?;
        if left.is_zero() { Err(Stop::TimedOut) } else { Ok(left.min(WAIT_LOOK_TIME_MAX)) }
    }

    /// Sees to it that the supervisor knows of the wait, and hears what it has to say.
    fn look(&mut self, on: WaitOn, timed: bool, left: Duration) -> Result<(), Stop> {
        if left.is_zero() && self.told.is_none() {
            return Ok(());
        }
        let Waiter { link, task, .. } = self.waiter;
        if self.told.as_ref().is_some_and(|told| told.on != on) {
            self.told = None;
        }
        let told = self.told.get_or_insert_with(|| Told::new(link, on, timed));
        match link.stop_of(task, told.wait) {
            Some(stop) => Err(stop),
            None => Ok(()),
        }
    }
}

/// How one operation on a granted object waits.
#[derive(Debug)]
pub(super) struct ObjectWaits<'a> {
    pub(super) patience: Patience<'a>,
    /// The object's number among the grants.
    pub(super) grant: u32,
    /// The operation takes a lock back at its end, however long that takes.
    pub(super) takes_back: bool,
}

impl Waits for ObjectWaits<'_> {
    fn sleep_at_most(&mut self, what: WaitFor) -> Result<Duration, Stop> {
        let on = WaitOn::Object { grant: self.grant, what };
        let bounded = !(self.takes_back && what == WaitFor::Lock);
        self.patience.sleep_at_most(on, bounded)
    }
}
