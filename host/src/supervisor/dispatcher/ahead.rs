//! Assignments that workers are given ahead of their need, so that none waits for its next one.
//!
//! A worker that is used again has a few assignments beside the one that runs, in its socket. Each has a number in the
//! worker's lane, and there it is taken once: by the worker, which then runs it, or back by this side. So a task never waits
//! behind one that takes long: as soon as that has run for a moment, what its worker was given ahead goes back to
//! its place in the queue. That goes only for tasks to which nothing is granted and of which nobody waits to hear.

#![forbid(unsafe_code)]

use std::time::Instant;

use super::Dispatcher;
use super::places::Place;
use super::pools::Pool;
use super::start::{How, start_packet};
use crate::limits::{ACKNOWLEDGEMENT_TIME_MAX, AHEAD_MAX};
use crate::outcome::{CancelledBy, Outcome};
use crate::supervisor::call::{Assignment, Input, Reply};
use crate::supervisor::event::{PoolId, Stop, WorkerId};
use crate::supervisor::fork_client::ServerId;
use crate::supervisor::line::Line;
use crate::supervisor::scheduler::Rank;
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::{Ahead, Running, Stage, WorkerHandle};
use crate::task::Stdin;

/// Whether it may have one more ahead.
fn may_take(entry: &WorkerHandle, tasks_max: usize) -> bool {
    let Stage::Running(running) = &entry.stage else { return false };
    let is_free = running.is_put_off
        && !running.is_long
        && !running.last
        && running.intent.is_none()
        && running.asked.is_none();
    let has_room = entry.ahead.len() < AHEAD_MAX && entry.assignments + entry.ahead.len() + 1 < tasks_max;
    is_free && has_room && entry.line.as_ref().is_some_and(Line::has_lane)
}

impl Dispatcher {
    /// Gives what waits in the pool to workers that are busy, as far as they can be given something ahead.
    pub(super) fn give_ahead(&mut self, pool: PoolId) {
        loop {
            let Some((server, rank)) = self.pools.get(&pool).and_then(Pool::head_ahead) else { return };
            let Some(entry) = self.pools.get(&pool) else { return };
            let fits =
                entry.waiting.get(&(server, rank)).is_some_and(|waiting| self.may_be_ahead(pool, waiting));
            let Some(worker) = fits.then(|| self.taker(pool, server)).flatten() else { return };
            let Some(entry) = self.pools.get_mut(&pool) else { return };
            entry.scheduler.dequeue(server, rank);
            if let Some(assignment) = entry.waiting.remove(&(server, rank)) {
                self.assign_ahead(worker, rank, assignment);
            }
        }
    }

    /// Nothing waits and a worker is idle: whoever has most ahead gives it back. False when nobody has anything.
    pub(super) fn share_ahead(&mut self, pool: PoolId) -> bool {
        if !self.pools.get(&pool).is_some_and(|entry| entry.scheduler.has_idle_place()) {
            return false;
        }
        let holders = self.workers.iter().filter(|(_, entry)| entry.pool == pool && !entry.ahead.is_empty());
        let Some((worker, _)) = holders.max_by_key(|(id, entry)| (entry.ahead.len(), **id)) else {
            return false;
        };
        let worker = *worker;
        self.withdraw(worker)
    }

    /// Whether it can be taken back without a trace.
    fn may_be_ahead(&self, pool: PoolId, assignment: &Assignment) -> bool {
        let Assignment { shape, calls } = assignment;
        let is_inline = calls.iter().all(|call| matches!(call.input, Input::Inline(_)));
        is_inline && matches!(shape.stdin, Stdin::Empty) && self.may_be_put_off(pool, shape)
    }

    /// The worker that has the least ahead, of those that may have more.
    fn taker(&mut self, pool: PoolId, server: ServerId) -> Option<WorkerId> {
        let (entry, workers) = (self.pools.get_mut(&pool)?, &self.workers);
        let tasks_max = entry.settings.max_tasks_per_worker;
        entry.takers.retain(|id| workers.get(id).is_some_and(|entry| may_take(entry, tasks_max)));
        let takers = entry.takers.iter().filter_map(|id| Some((*id, workers.get(id)?)));
        let takers = takers.filter(|(_, entry)| entry.server == server);
        takers.min_by_key(|(id, entry)| (entry.ahead.len(), *id)).map(|(id, _)| id)
    }

    /// The worker has begun something, or has less ahead: it is looked at when there is something to give.
    pub(super) fn may_be_taker(&mut self, pool: PoolId, worker: WorkerId) {
        if let Some(entry) = self.pools.get_mut(&pool)
            && entry.settings.max_tasks_per_worker > 1
        {
            entry.takers.insert(worker);
        }
    }

    pub(super) fn no_taker_any_more(&mut self, pool: PoolId, worker: WorkerId) {
        if let Some(entry) = self.pools.get_mut(&pool) {
            entry.takers.remove(&worker);
        }
    }

    fn assign_ahead(&mut self, worker: WorkerId, rank: Rank, assignment: Assignment) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        let tasks_max = self.pools.get(&pool).map_or(1, |pool| pool.settings.max_tasks_per_worker);
        // After what it has ended come what it runs and what it was given before this.
        let last = entry.assignments + entry.ahead.len() + 2 >= tasks_max;
        let Some((line, number)) =
            entry.line.as_mut().and_then(|line| line.offer().map(|number| (line, number)))
        else {
            return;
        };
        let how = How { last, lane: false, quiet: true, ahead: Some(number) };
        let packet = match start_packet(&assignment.shape, &assignment.calls, worker, how) {
            Ok(packet) => packet,
            Err(reason) => {
                // No frame has its number, so nothing behind it could be taken.
                self.withdraw(worker);
                if let Some(line) = self.workers.get(&worker).and_then(|entry| entry.line.as_ref()) {
                    line.take_back();
                }
                return self.refuse(pool, assignment.calls, &reason);
            }
        };
        // What there is no room for is taken back like what was sent.
        let is_sent = line.try_send(&packet.bytes, &[]).unwrap_or(false);
        self.places.shift(rank, Place::Ahead { worker });
        let running = Running::new(worker, rank, assignment, last, Instant::now());
        let running = Box::new(Running { is_put_off: true, number: Some(number), ..running });
        entry.ahead.push_back(Ahead { number, running, holding: packet.holding });
        if !is_sent {
            if let Some(running) = entry.running() {
                running.is_long = true;
            }
            self.withdraw(worker);
        }
    }

    /// The worker's assignment is over, and it is fit for another one: it goes on with what it has ahead, or is idle.
    pub(super) fn next_assignment(&mut self, pool: PoolId, worker: WorkerId, since: Instant) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let Some(Ahead { mut running, holding, .. }) = entry.ahead.pop_front() else {
            return self.release(pool, worker, true);
        };
        let pid = entry.pid();
        running.facts.started = since;
        self.places.shift(running.rank, Place::Running { worker });
        for call in &mut running.calls {
            call.room = None;
            if let (Some(Reply::Handle(handle)), Some(pid)) = (&call.reply, pid) {
                handle.set_pid(pid);
            }
        }
        entry.holding = Some(holding);
        entry.stage = Stage::Running(running);
        let phase = entry.next_phase();
        let now = Instant::now();
        self.timers.set(now + ACKNOWLEDGEMENT_TIME_MAX, Timer::WorkerAnswer { worker, phase });
        self.hear_when(worker, true, now);
        self.may_be_taker(pool, worker);
    }

    /// What the worker runs takes long: whatever it has ahead runs somewhere else.
    pub(super) fn runs_long(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        if let Some(running) = entry.running() {
            running.is_long = true;
        }
        self.take_back(worker);
        self.pump(pool);
    }

    /// Takes back what the worker did not take, and hears what it has said: if it has taken something, that runs.
    pub(super) fn take_back(&mut self, worker: WorkerId) {
        self.withdraw(worker);
        self.catch_up(worker);
    }

    /// Takes back what the worker did not take; each goes back to its place in the queue. False when there was nothing.
    ///
    /// What it still has ahead then it has taken: it has said already, and it may not have been heard, that what it ran
    /// before is over.
    pub(super) fn withdraw(&mut self, worker: WorkerId) -> bool {
        let Some(entry) = self.workers.get_mut(&worker) else { return false };
        let next = entry.running().filter(|running| !running.acknowledged).and_then(|running| running.number);
        if next.is_none() && entry.ahead.is_empty() {
            return false;
        }
        let Some(taken) = entry.line.as_ref().and_then(Line::take_back) else { return false };
        // Numbers begin again after the last one.
        let is_taken = |number: u32| taken.wrapping_sub(number) < u32::MAX / 2;
        let kept = entry.ahead.iter().take_while(|ahead| is_taken(ahead.number)).count();
        let back = entry.ahead.split_off(kept);
        let (pool, is_any) = (entry.pool, !back.is_empty());
        let is_idle = next.is_some_and(|number| !is_taken(number));
        if is_idle {
            self.take_back_the_next(pool, worker);
        }
        for ahead in back {
            self.enqueue_ahead(pool, ahead);
        }
        self.may_be_taker(pool, worker);
        is_any || is_idle
    }

    /// What the worker was to go on with it has not begun, and now it does not: it is idle.
    fn take_back_the_next(&mut self, pool: PoolId, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let Stage::Running(running) = std::mem::replace(&mut entry.stage, Stage::Idle) else { return };
        if let Some(holding) = entry.holding.take() {
            self.departed(holding);
        }
        self.release(pool, worker, true);
        let Running { rank, shape, calls, .. } = *running;
        self.again(pool, rank, shape, calls);
    }

    /// Whether the worker has gone on to the next assignment by itself; it goes on to no other one.
    pub(super) fn has_moved_on(&mut self, worker: WorkerId) -> bool {
        self.withdraw(worker);
        self.workers.get(&worker).is_some_and(|entry| !entry.ahead.is_empty())
    }

    fn enqueue_ahead(&mut self, pool: PoolId, ahead: Ahead) {
        let Running { rank, shape, calls, .. } = *ahead.running;
        self.departed(ahead.holding);
        self.again(pool, rank, shape, calls);
    }

    /// The worker will run nothing more: what it has ahead was not begun.
    pub(super) fn lose_ahead(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        for ahead in std::mem::take(&mut entry.ahead) {
            match ahead.running.asked {
                None => self.enqueue_ahead(pool, ahead),
                Some(by) => self.cancel_ahead(pool, ahead, by),
            }
        }
    }

    fn cancel_ahead(&mut self, pool: PoolId, ahead: Ahead, by: CancelledBy) {
        self.departed(ahead.holding);
        for call in ahead.running.calls.into_iter().filter(|call| !call.is_answered()) {
            let record = call.record_without_worker(Outcome::Cancelled(by));
            self.finish_call(pool, call, record);
        }
    }

    /// Takes back all that was given ahead in this pool.
    pub(super) fn take_all_back(&mut self, pool: PoolId) {
        let holders = self.workers.iter().filter(|(_, entry)| entry.pool == pool && !entry.ahead.is_empty());
        let holders: Vec<WorkerId> = holders.map(|(id, _)| *id).collect();
        for worker in holders {
            self.take_back(worker);
        }
    }

    /// Stops a task that was given ahead: it is taken back, or has begun meanwhile.
    pub(super) fn stop_ahead(&mut self, worker: WorkerId, task: u64, how: Stop, by: CancelledBy) {
        self.take_back(worker);
        if !self.is_at(task, Place::Ahead { worker }) {
            return self.stop_task(task, how, by);
        }
        // A worker of ours says that an assignment is over before it takes the next one.
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let has_it = |ahead: &&mut Ahead| ahead.running.open_calls().any(|call| call.task == task);
        // Others of its chunk go on, if it has ended.
        if let Some(ahead) = entry.ahead.iter_mut().find(has_it) {
            ahead.running.asked = Some(by);
            entry.kill();
        }
    }
}
