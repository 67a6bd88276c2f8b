//! Workers that are killed because somebody asked for it.
//!
//! What is to die is decided as the call begins, and holds whatever its worker says: one that is faster than the kill is
//! killed as its claim is read, and the claim is dropped. So the same seed kills the same attempts on every machine.

#![forbid(unsafe_code)]

use std::time::Instant;

use super::Dispatcher;
use crate::chaos::{Chaos, Kill, Moment};
use crate::supervisor::call::Call;
use crate::supervisor::event::{PoolId, WorkerId};
use crate::supervisor::timers::Timer;

impl Dispatcher {
    /// How the running call of a worker is to be killed.
    fn kill_of(&mut self, worker: WorkerId) -> Option<Kill> {
        let entry = self.workers.get_mut(&worker)?;
        let chaos = self.pools.get(&entry.pool)?.settings.chaos?;
        let call = entry.running()?.call()?;
        kill(chaos, call)
    }

    /// Whether the worker that gets these calls is killed before it begins; once for each attempt.
    pub(super) fn is_shaken(&self, pool: PoolId, calls: &mut [Call]) -> bool {
        let Some(chaos) = self.pools.get(&pool).and_then(|pool| pool.settings.chaos) else { return false };
        let Some(call) = calls.first_mut().filter(|call| !call.was_shaken) else { return false };
        call.was_shaken = kill(chaos, call).is_some_and(|kill| kill.is_shaken);
        if call.was_shaken {
            tracing::info!(task = &*call.name, "chaos: its worker is killed before it begins");
        }
        call.was_shaken
    }

    /// The running call begins: whether it is to die is known from here on.
    pub(super) fn doom(&mut self, worker: WorkerId, phase: u64, now: Instant) {
        let kill = self.kill_of(worker);
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else { return };
        running.is_doomed = kill.is_some();
        if let Some(Moment::After(delay)) = kill.map(|kill| kill.moment) {
            self.timers.set_after(now, delay, Timer::Chaos { worker, phase });
        }
    }

    /// True when the running call was to die: then it does, and what it said is dropped.
    pub(super) fn dies_instead(&mut self, worker: WorkerId) -> bool {
        let Some(entry) = self.workers.get_mut(&worker) else { return false };
        let Some(running) = entry.running().filter(|running| running.is_doomed && running.intent.is_none())
        else {
            return false;
        };
        running.is_silenced = true;
        tracing::info!(pid = entry.pid(), "chaos: a worker is killed as it gives its result");
        entry.kill();
        true
    }
}

fn kill(chaos: Chaos, call: &Call) -> Option<Kill> {
    chaos.of(call.tag.unwrap_or(call.task), call.attempt)
}
