//! The time of the running call, by both of its clocks.
//!
//! A timer ends a call at its wall-clock limit. No timer can wait for a CPU clock of another process, but a worker has
//! one thread, so its CPU clock never runs faster than the wall clock: after what is left of the CPU time the clock is
//! read, and if the worker has slept meanwhile, a timer is set for what is left then. Behind it stands the
//! worker's own RLIMIT_CPU, which needs nobody to look.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use super::Dispatcher;
use crate::outcome::LimitKind;
use crate::supervisor::event::WorkerId;
use crate::supervisor::timers::Timer;
use crate::supervisor::verdict::{Intent, cpu_time_detail};

/// Between two looks at a CPU clock that stands nearly at its limit: a share of the limit within these bounds, so that
/// a guest that sleeps there costs next to nothing, and one that computes is not late by more than that.
const LOOK_SHARE: u32 = 32;
const LOOK_TIME_MIN: Duration = Duration::from_millis(1);
const LOOK_TIME_MAX: Duration = Duration::from_millis(100);

/// When to look at the clock again; `None` when the time is used up.
fn next_look(limit: Duration, used: Duration) -> Option<Duration> {
    let left = limit.checked_sub(used).filter(|left| !left.is_zero())?;
    Some(left.max((limit / LOOK_SHARE).clamp(LOOK_TIME_MIN, LOOK_TIME_MAX)))
}

impl Dispatcher {
    /// The time of the call that runs in this worker begins.
    pub(super) fn begin_time(&mut self, worker: WorkerId, now: Instant) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let phase = entry.phase;
        let Some(running) = entry.running() else { return };
        let limits = &running.shape.limits;
        if let Some(timeout) = limits.timeout {
            self.timers.set_after(now, timeout, Timer::TaskTime { worker, phase });
        }
        if let Some(look) = limits.cpu_time.map(|limit| next_look(limit, Duration::ZERO).unwrap_or_default())
        {
            self.timers.set_after(now, look, Timer::CpuTime { worker, phase });
        }
        self.doom(worker, phase, now);
    }

    pub(super) fn task_timed_out(&mut self, worker: WorkerId) {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else { return };
        let after = running.shape.limits.timeout.unwrap_or_default();
        running.intent.get_or_insert(Intent::TimedOut(after));
        self.interrupt(worker);
    }

    /// As much time has passed as the call had left on its worker's CPU clock.
    pub(super) fn look_at_cpu_clock(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let (phase, clock) = (entry.phase, entry.cpu_time());
        let Some(running) = entry.running() else { return };
        let Some(limit) = running.shape.limits.cpu_time else { return };
        let used = clock.saturating_sub(running.facts.cpu_before);
        if let Some(look) = next_look(limit, used) {
            return self.timers.set_after(Instant::now(), look, Timer::CpuTime { worker, phase });
        }
        running.intent.get_or_insert_with(|| Intent::Limit(LimitKind::CpuTime, cpu_time_detail(used, limit)));
        self.interrupt(worker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_is_looked_at_when_it_may_have_run_out_and_not_all_the_time() {
        let ms = Duration::from_millis;
        for (limit, used, look) in [
            (ms(200), ms(0), Some(ms(200))),
            (ms(200), ms(150), Some(ms(50))),
            (ms(320), ms(319), Some(ms(10))),
            (ms(3_600_000), ms(3_599_999), Some(ms(100))),
            (ms(5), ms(5) - Duration::from_nanos(1), Some(ms(1))),
            (ms(200), ms(200), None),
            (ms(200), ms(900), None),
            (Duration::ZERO, Duration::ZERO, None),
        ] {
            assert_eq!(next_look(limit, used), look, "{used:?} of {limit:?}");
        }
    }
}
