//! When a worker's socket is watched.
//!
//! Each frame that is waited for wakes this thread, and takes its CPU from the workers. A worker with one short task says
//! that it begins and how that ended, and then ends, which is one thing to wait for instead of three. So where nobody
//! waits for what it says meanwhile, its socket is left alone for a moment, and read when the worker has ended.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::time::Instant;

use super::{Dispatcher, WORKER_SOCKET, token};
use crate::limits::{HEARING_TIME, LANE_CALLS_MIN};
use crate::supervisor::call::{Call, CallShape};
use crate::supervisor::event::{PoolId, WorkerId};
use crate::supervisor::line::Line;
use crate::supervisor::timers::Timer;

impl Dispatcher {
    /// Whether nobody waits for what the worker says before it ends, but for a moment: no time is measured to end it, and
    /// its guest has nothing to ask for.
    pub(super) fn may_be_put_off(&self, pool: PoolId, shape: &CallShape) -> bool {
        let is_timed = shape.limits.is_timed();
        let is_shaken = self.pools.get(&pool).is_none_or(|pool| pool.settings.chaos.is_some());
        let asks = !shape.grants.is_empty() || shape.artifact.may_submit;
        !(is_timed || is_shaken || asks)
    }

    /// Hears what the worker has said through its lane until now, so that what is done to it is done to what it runs.
    pub(super) fn catch_up(&mut self, worker: WorkerId) {
        if self.workers.get(&worker).and_then(|entry| entry.line.as_ref()).is_some_and(Line::has_more) {
            self.worker_readable(worker);
        }
    }

    /// Watches the worker's socket from now on.
    pub(super) fn hear(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        if let Some(deadline) = entry.hearing.take() {
            self.timers.take_back(deadline);
        }
        let Some(line) = entry.line.as_ref().filter(|_| !entry.is_heard && !entry.paused) else { return };
        match self.poller.add(line, token(WORKER_SOCKET, worker)) {
            Ok(()) => {
                entry.is_heard = true;
                self.unread.extend(entry.line.as_ref().filter(|line| line.has_lane()).map(|_| worker));
            }
            Err(error) => {
                tracing::warn!(%error, "a worker cannot be watched, so it is ended");
                entry.kill();
            }
        }
    }

    /// A lane for a worker that will say much through it: its descriptor.
    pub(super) fn lane_for(
        &mut self,
        worker: WorkerId,
        shape: &CallShape,
        calls: &[Call],
        last: bool,
    ) -> Option<OwnedFd> {
        // Of calls that are heard of together nobody knows to the microsecond which used how much CPU time.
        let is_wanted = shape.limits.cpu_time.is_none() && (!last || calls.len() >= LANE_CALLS_MIN);
        let line = self.workers.get_mut(&worker)?.line.as_mut();
        let line = line.filter(|line| is_wanted && !line.has_lane())?;
        line.add_lane().ok()
    }

    /// The lane did not go to its worker.
    pub(super) fn without_lane(&mut self, worker: WorkerId, lane: Option<OwnedFd>) {
        if let Some(line) = lane.and_then(|_| self.workers.get_mut(&worker)?.line.as_mut()) {
            line.remove_lane();
        }
    }

    /// Watches a worker that was given something to do. One with a lane wakes this thread by the socket when it has something
    /// to say for which somebody waits.
    pub(super) fn hear_when(&mut self, worker: WorkerId, is_put_off: bool, now: Instant) {
        let line = self.workers.get(&worker).and_then(|entry| entry.line.as_ref());
        if !is_put_off || line.is_some_and(Line::has_lane) {
            self.hear(worker);
        }
        if is_put_off {
            self.hear_later(worker, now);
        }
    }

    /// Watches it, or looks into its lane, once a short task would have ended.
    fn hear_later(&mut self, worker: WorkerId, now: Instant) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let timer = Timer::Hearing { worker, phase: entry.phase };
        entry.hearing = Some(self.timers.set_named(now + HEARING_TIME, timer));
    }

    /// Does not watch it any more.
    pub(super) fn stop_hearing(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        if let Some(deadline) = entry.hearing.take() {
            self.timers.take_back(deadline);
        }
        if std::mem::take(&mut entry.is_heard)
            && let Some(line) = &entry.line
        {
            self.poller.remove(line);
        }
    }
}
