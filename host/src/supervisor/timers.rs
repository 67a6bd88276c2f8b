//! Deadlines, kept in the order in which they come.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::event::{ProcessId, WorkerId};
use super::fork_client::ServerId;

/// What a deadline is for. A worker's deadlines carry the phase they were set in: in a later phase they
/// mean nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Timer {
    /// The running call has used up its wall-clock time.
    TaskTime { worker: WorkerId, phase: u64 },
    /// The running call may have used up its CPU time: its worker's clock tells.
    CpuTime { worker: WorkerId, phase: u64 },
    /// The worker's socket is to be watched.
    Hearing { worker: WorkerId, phase: u64 },
    /// The running call is to be killed for chaos.
    Chaos { worker: WorkerId, phase: u64 },
    /// The grace period of a cancelled call is over.
    Grace { worker: WorkerId, phase: u64 },
    /// The worker did not acknowledge, or did not end, in time.
    WorkerAnswer { worker: WorkerId, phase: u64 },
    /// The interrupt did not end the guest.
    InterruptAnswer { worker: WorkerId, phase: u64 },
    /// An exec'ed process did not answer in time.
    ProcessAnswer { process: ProcessId, phase: u64 },
    /// The wait before the next attempt at a task is over.
    Retry { task: u64 },
    /// Another try to start a fork server.
    ServerRetry { server: ServerId },
    /// Another try to take back what the dead held in shared memory.
    Recovery,
    /// Another look whether tasks wait for each other.
    DeadlockLook,
    /// Another try to answer workers that had no room for an answer.
    LateReplies,
}

impl Timer {
    /// The worker whose deadline it is.
    pub(super) fn worker(self) -> Option<WorkerId> {
        match self {
            Self::TaskTime { worker, .. }
            | Self::CpuTime { worker, .. }
            | Self::Hearing { worker, .. }
            | Self::Chaos { worker, .. }
            | Self::Grace { worker, .. }
            | Self::WorkerAnswer { worker, .. }
            | Self::InterruptAnswer { worker, .. } => Some(worker),
            Self::ProcessAnswer { .. }
            | Self::Retry { .. }
            | Self::ServerRetry { .. }
            | Self::Recovery
            | Self::DeadlockLook
            | Self::LateReplies => None,
        }
    }
}

/// Names a deadline that was set.
pub(super) type Deadline = (Instant, u64);

/// All deadlines of the dispatcher.
#[derive(Debug, Default)]
pub(super) struct Timers {
    entries: BTreeMap<Deadline, Timer>,
    next: u64,
    /// How many there were when stale ones were last swept out.
    swept: usize,
}

/// Fewer deadlines than this are never swept.
const SWEEP_MIN: usize = 1024;

impl Timers {
    pub(super) fn set(&mut self, at: Instant, timer: Timer) {
        self.set_named(at, timer);
    }

    /// The same for one that may be [taken back](Self::take_back).
    pub(super) fn set_named(&mut self, at: Instant, timer: Timer) -> Deadline {
        self.next += 1;
        let deadline = (at, self.next);
        self.entries.insert(deadline, timer);
        deadline
    }

    /// It wakes nobody any more. One that is over is no error.
    pub(super) fn take_back(&mut self, deadline: Deadline) {
        self.entries.remove(&deadline);
    }

    /// The same for a time that somebody chose: one that no clock shows never comes.
    pub(super) fn set_after(&mut self, now: Instant, time: Duration, timer: Timer) {
        if let Some(at) = now.checked_add(time) {
            self.set(at, timer);
        }
    }

    /// Forgets deadlines that mean nothing any more, whenever their number has doubled: those of tasks
    /// that ended long before their deadline would pile up otherwise.
    pub(super) fn sweep(&mut self, mut means_something: impl FnMut(&Timer) -> bool) {
        if self.entries.len() >= (2 * self.swept).max(SWEEP_MIN) {
            self.entries.retain(|_, timer| means_something(timer));
            self.swept = self.entries.len();
        }
    }

    /// Takes out the first deadline that is over.
    pub(super) fn elapsed(&mut self, now: Instant) -> Option<Timer> {
        let entry = self.entries.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// How long until the next one.
    pub(super) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.entries.first_key_value().map(|((at, _), _)| at.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_deadlines_do_not_pile_up() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        for worker in 0..100_000 {
            timers.set(start, Timer::Grace { worker, phase: 0 });
            timers.sweep(|timer| matches!(timer, Timer::Grace { worker: 99_999, .. }));
        }
        assert!(timers.entries.len() <= SWEEP_MIN, "{} are left", timers.entries.len());
    }

    #[test]
    fn a_deadline_that_is_taken_back_wakes_nobody() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let deadline = timers.set_named(start, Timer::Recovery);
        timers.set(start, Timer::DeadlockLook);
        timers.take_back(deadline);
        assert_eq!(timers.elapsed(start), Some(Timer::DeadlockLook));
        assert_eq!(timers.until_next(start), None);
        timers.take_back(deadline);
    }

    #[test]
    fn a_time_that_no_clock_shows_never_comes() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        timers.set_after(start, Duration::MAX, Timer::Recovery);
        assert_eq!(timers.until_next(start), None);
        timers.set_after(start, Duration::from_secs(1), Timer::Recovery);
        assert_eq!(timers.until_next(start), Some(Duration::from_secs(1)));
    }

    #[test]
    fn deadlines_come_in_order_and_only_when_they_are_over() {
        let start = Instant::now();
        let (mut timers, ms) = (Timers::default(), Duration::from_millis);
        let timer = |worker| Timer::Grace { worker, phase: 0 };
        timers.set(start + ms(20), timer(2));
        timers.set(start + ms(10), timer(1));
        timers.set(start + ms(10), timer(3));
        assert_eq!(timers.until_next(start), Some(ms(10)));
        assert_eq!(timers.elapsed(start), None);
        let late = start + ms(30);
        let order: Vec<_> = std::iter::from_fn(|| timers.elapsed(late)).collect();
        assert_eq!(order, [timer(1), timer(3), timer(2)]);
    }
}
