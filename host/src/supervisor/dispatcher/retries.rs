//! The end of an attempt: judged, told, and followed by another attempt, now or after a wait.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::Dispatcher;
use crate::outcome::{CancelledBy, NotRun, Outcome, Record};
use crate::policy::Layers;
use crate::retry::{Next, is_death};
use crate::supervisor::call::{Assignment, Call, CallShape};
use crate::supervisor::event::PoolId;
use crate::supervisor::scheduler::Rank;
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::{Ended, Measured};

/// A call between two of its attempts.
#[derive(Debug)]
pub(super) struct Resting {
    pool: PoolId,
    pub(super) shape: Arc<CallShape>,
    call: Call,
}

impl Dispatcher {
    /// Claim and evidence are complete: the call ends, or is tried again. True when it waits in the queue again.
    pub(super) fn judge(
        &mut self,
        pool: PoolId,
        ended: Ended,
        pid: Option<u32>,
        layers: Layers,
        measured: Measured,
    ) -> bool {
        let (shape, asked) = (Arc::clone(&ended.shape), ended.asked);
        let (mut call, record) = ended.judge(pid, layers, measured);
        tracing::debug!(task = &*call.name, pid, outcome = record.outcome.label(), "task ended");
        // Who was asked to stop is not started again.
        if self.ending || asked {
            self.finish_call(pool, call, record);
            return false;
        }
        call.deaths += u32::from(is_death(&record.outcome));
        let seed = self.seed ^ call.task;
        match call.retry.next(&record.outcome, call.attempt, call.deaths, seed) {
            Next::Nothing => self.finish_call(pool, call, record),
            Next::Retry(after) => {
                self.try_again(pool, shape, call, record, after);
                return after.is_zero();
            }
            Next::Quarantine => self.quarantine(pool, call, record),
        }
        false
    }

    fn try_again(
        &mut self,
        pool: PoolId,
        shape: Arc<CallShape>,
        call: Call,
        record: Box<Record>,
        after: Duration,
    ) {
        tracing::info!(task = &*call.name, attempt = call.attempt, outcome = %record.outcome, ?after, "another attempt");
        if let Some(observer) = &call.observer {
            observer.ended(record, Some(after));
        }
        let call = call.next_attempt(SystemTime::now() + after);
        if after.is_zero() {
            return self.enqueue_again(Resting { pool, shape, call });
        }
        let task = call.task;
        self.places.leave(task);
        self.resting.insert(task, Resting { pool, shape, call });
        self.timers.set_after(Instant::now(), after, Timer::Retry { task });
    }

    /// Its last attempt stays what it was; that there is no other one is the task's outcome.
    fn quarantine(&mut self, pool: PoolId, call: Call, record: Box<Record>) {
        let deaths = format!("{} deaths of its workers, the last one: {}", call.deaths, record.outcome);
        tracing::warn!(task = &*call.name, "quarantined after {deaths}");
        if let Some(observer) = &call.observer {
            observer.ended(record, Some(Duration::ZERO));
        }
        let call = call.next_attempt(SystemTime::now());
        let record = call.record_without_worker(Outcome::NotRun(NotRun::Quarantined(deaths)));
        self.finish_call(pool, call, record);
    }

    /// The wait before another attempt is over.
    pub(super) fn rested(&mut self, task: u64) {
        if let Some(resting) = self.resting.remove(&task) {
            let pool = resting.pool;
            self.enqueue_again(resting);
            self.pump(pool);
        }
    }

    fn enqueue_again(&mut self, resting: Resting) {
        let Resting { pool, shape, call } = resting;
        let rank = Rank::new(shape.priority, self.new_id()).nested(call.depth);
        self.enqueue(pool, rank, Assignment { shape, calls: vec![call] });
    }

    /// A call that waits for its next attempt is stopped.
    pub(super) fn cancel_resting(&mut self, task: u64, by: CancelledBy) {
        if let Some(Resting { pool, call, .. }) = self.resting.remove(&task) {
            let record = call.record_without_worker(Outcome::Cancelled(by));
            self.finish_call(pool, call, record);
        }
    }

    /// All of this pool's.
    pub(super) fn cancel_all_resting(&mut self, pool: PoolId, by: CancelledBy) {
        let of_pool = self.resting.iter().filter(|(_, resting)| resting.pool == pool);
        let mut tasks: Vec<u64> = of_pool.map(|(task, _)| *task).collect();
        tasks.sort_unstable();
        tasks.into_iter().for_each(|task| self.cancel_resting(task, by));
    }
}
