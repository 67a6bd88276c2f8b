//! Workers: given assignments, stopped, ended, judged.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatcher;
use super::groups::explain_death;
use super::places::Place;
use super::start::{How, start_packet};
use crate::limits::{ACKNOWLEDGEMENT_TIME_MAX, EXIT_TIME_MAX, INTERRUPT_TIME_MAX};
use crate::os::child::{ExitStatus, Usage};
use crate::outcome::{CancelledBy, NotRun, Outcome};
use crate::policy::Layers;
use crate::protocol::frame;
use crate::protocol::worker::{Claim, ToWorker};
use crate::supervisor::call::{Assignment, Call, CallShape, Reply};
use crate::supervisor::event::{PoolId, Stop, WorkerId};
use crate::supervisor::line::Line;
use crate::supervisor::scheduler::Rank;
use crate::supervisor::timers::Timer;
use crate::supervisor::verdict::{Evidence, Intent, Said};
use crate::supervisor::worker_handle::{Clocks, Ended, Facts, Measured, Running, Stage};
use crate::sync::Departure;

impl Dispatcher {
    /// Gives an assignment to an idle worker.
    pub(super) fn assign(&mut self, worker: WorkerId, rank: Rank, assignment: Assignment) {
        let Assignment { shape, mut calls } = assignment;
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        let tasks_max = self.pools.get(&pool).map_or(1, |pool| pool.settings.max_tasks_per_worker);
        // The copy of what was initialised is used up by then, and another copy is cheaper than doing it again.
        let is_warm = self.servers.get(&entry.server).is_some_and(|server| server.key.init.is_some());
        let last = is_warm || entry.assignments + 1 >= tasks_max;
        let is_put_off = self.may_be_put_off(pool, &shape);
        let lane = self.lane_for(worker, &shape, &calls, last);
        let how = How { last, lane: lane.is_some(), quiet: is_put_off, ahead: None };
        let packet = match start_packet(&shape, &calls, worker, how) {
            Ok(packet) => packet,
            Err(reason) => {
                self.without_lane(worker, lane);
                self.release(pool, worker, true);
                return self.refuse(pool, calls, &reason);
            }
        };
        // Before anything is sent: what it never read it cannot have begun.
        if self.is_shaken(pool, &mut calls) {
            self.workers.get(&worker).into_iter().for_each(|entry| entry.kill());
        }
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let now = Instant::now();
        self.places.shift(rank, Place::Running { worker });
        for call in &mut calls {
            call.room = None;
            if let (Some(Reply::Handle(handle)), Some(pid)) = (&call.reply, entry.pid()) {
                handle.set_pid(pid);
            }
        }
        let running = Running::new(worker, rank, Assignment { shape, calls }, last, now);
        let running = Running { is_put_off, ..running };
        entry.holding = Some(packet.holding);
        entry.stage = Stage::Running(Box::new(running));
        let phase = entry.next_phase();
        let descriptors: Vec<BorrowedFd<'_>> = packet
            .inputs
            .iter()
            .map(|file| file.as_fd())
            .chain(packet.stdin.iter().map(|file| file.as_fd()))
            .chain(entry.holding.iter().flat_map(|holding| super::objects::files(&holding.shape.grants)))
            .chain(lane.iter().map(|lane| lane.as_fd()))
            .collect();
        let sent = entry.line.as_ref().is_some_and(|socket| {
            // A worker that reads nothing is ended by the deadline, one that is gone by its end.
            socket.try_send(&packet.bytes, &descriptors).unwrap_or(false)
        });
        if !sent {
            entry.kill();
        }
        self.timers.set(now + ACKNOWLEDGEMENT_TIME_MAX, Timer::WorkerAnswer { worker, phase });
        self.hear_when(worker, is_put_off, now);
        if is_put_off {
            self.may_be_taker(pool, worker);
        }
    }

    /// The calls can never be sent.
    pub(super) fn refuse(&mut self, pool: PoolId, calls: Vec<Call>, reason: &str) {
        for call in calls {
            let record = call.record_without_worker(Outcome::NotRun(NotRun::Argument(reason.to_owned())));
            self.finish_call(pool, call, record);
        }
        self.pump(pool);
    }

    /// The worker's assignment is over for the scheduler.
    pub(super) fn release(&mut self, pool: PoolId, worker: WorkerId, idle: bool) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let server = entry.server;
        if let Some(deadline) = entry.hearing.take() {
            self.timers.take_back(deadline);
        }
        if idle {
            entry.stage = Stage::Idle;
            entry.next_phase();
        }
        match self.pools.get_mut(&pool) {
            Some(pool) => pool.scheduler.released(server, idle.then_some(worker)),
            None if idle => self.retire_worker(worker),
            None => {}
        }
    }

    pub(super) fn stop_running(&mut self, worker: WorkerId, task: u64, how: Stop, by: CancelledBy) {
        self.take_back(worker);
        if !self.is_at(task, Place::Running { worker }) {
            return self.stop_task(task, how, by);
        }
        self.hear(worker);
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let (pool, phase) = (entry.pool, entry.phase);
        let Some(running) = entry.running() else { return };
        let current = running.call().is_some_and(|call| call.task == task);
        if !current {
            return self.stop_later_call(pool, worker, task, by);
        }
        let again = running.intent.is_some() || running.asked.is_some();
        let (first_task, grace) = (running.first_task, running.shape.limits.grace_period);
        if how != Stop::Terminate {
            running.intent.get_or_insert(Intent::Cancelled(by));
        }
        match how {
            Stop::Kill => {
                entry.kill();
                self.resume(worker);
            }
            Stop::Interrupt => self.interrupt(worker),
            Stop::Terminate if again => {}
            // A task that ends by itself within its grace period keeps its own outcome.
            Stop::Terminate => {
                running.asked = Some(by);
                if let (Some(socket), Ok(bytes)) =
                    (&entry.line, frame::encode(&ToWorker::Cancel { task: first_task }))
                {
                    // A worker that does not read is ended after the grace period.
                    let _ = socket.try_send(&bytes, &[]);
                }
                self.timers.set_after(Instant::now(), grace, Timer::Grace { worker, phase });
            }
        }
    }

    /// A call of a chunk that its worker has not begun: its caller is answered, a later result dropped.
    fn stop_later_call(&mut self, pool: PoolId, worker: WorkerId, task: u64, by: CancelledBy) {
        let running = self.workers.get_mut(&worker).and_then(|entry| entry.running());
        let calls = running.map(|running| &mut running.calls);
        let slot =
            calls.and_then(|calls| calls.iter_mut().find(|call| call.task == task && !call.is_answered()));
        if let Some(call) = slot.map(Call::take) {
            let record = call.record_without_worker(Outcome::Cancelled(by));
            self.finish_call(pool, call, record);
        }
    }

    pub(super) fn grace_is_over(&mut self, worker: WorkerId) {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else { return };
        if let Some(by) = running.asked {
            running.intent.get_or_insert(Intent::Cancelled(by));
        }
        self.interrupt(worker);
    }

    /// Interrupts the guest; the kill follows if that does not end it.
    pub(super) fn interrupt(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get(&worker) else { return };
        if let Some(child) = &entry.child {
            child.signal(crate::os::signals::INTERRUPT_SIGNAL);
        }
        let phase = entry.phase;
        self.timers.set(Instant::now() + INTERRUPT_TIME_MAX, Timer::InterruptAnswer { worker, phase });
        // What is to end does not wait for whoever reads its output.
        self.resume(worker);
    }

    /// A worker that did not acknowledge, or did not end, in time.
    pub(super) fn worker_overdue(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        if entry.running().is_some_and(|running| running.acknowledged) {
            self.condemn(worker, Intent::Protocol("it closed its socket and went on".to_owned()));
        } else {
            entry.kill();
        }
    }

    /// The worker is ended for what it did.
    pub(super) fn condemn(&mut self, worker: WorkerId, intent: Intent) {
        // One that has gone on by itself does not end for what is over.
        let is_over = matches!(intent, Intent::Limit(..)) && self.has_moved_on(worker);
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        if !is_over {
            entry.kill();
        }
        let reused = entry.assignments > 0;
        match &mut entry.stage {
            // An earlier task may have made it say that; this one never ran, and runs somewhere else.
            Stage::Running(running) if reused && !running.acknowledged => {
                tracing::warn!(?intent, "a worker is ended before its next task began");
            }
            Stage::Running(running) => drop(running.intent.get_or_insert(intent)),
            Stage::Ending(_) => {}
            Stage::Starting | Stage::Idle => {
                tracing::warn!(pid = entry.pid(), ?intent, "an idle worker is ended");
            }
        }
    }

    /// The worker's process ended: what it said last counts, then the kernel's word.
    pub(super) fn worker_ended(&mut self, worker: WorkerId) {
        if !self.read_last_frames(worker) {
            return self.left_unread(worker);
        }
        self.wait_is_over(worker, None);
        self.stop_hearing(worker);
        self.lose_ahead(worker);
        let Some(mut entry) = self.workers.remove(&worker) else { return };
        let pid = entry.pid();
        let (status, usage) = match entry.child.take() {
            Some(mut child) => {
                self.poller.remove(&child);
                child.wait()
            }
            None => (ExitStatus::Unknown, Usage::default()),
        };
        explain_death(&mut entry, status);
        let measured = Measured {
            evidence: Evidence::Ended(status),
            cpu_time: usage.cpu_time,
            peak_memory_bytes: Some(usage.peak_memory_bytes).filter(|bytes| *bytes > 0),
        };
        let (pool, server) = (entry.pool, entry.server);
        self.no_taker_any_more(pool, worker);
        self.origin_lost_one(entry.origin);
        let leaks = entry.holding.take().map(|holding| self.departed(holding)).unwrap_or_default();
        self.end_nested(std::mem::take(&mut entry.nested));
        match entry.stage {
            Stage::Starting => {}
            Stage::Idle => {
                if let Some(pool) = self.pools.get_mut(&pool) {
                    pool.scheduler.lost(server, worker);
                }
                self.idle_worker_lost(server, status);
            }
            Stage::Ending(ended) => {
                if let Some(mut ended) = ended {
                    ended.facts.leaks.extend(leaks);
                    self.judge(pool, *ended, pid, entry.layers, measured);
                }
            }
            Stage::Running(running) => {
                if let Some(pool) = self.pools.get_mut(&pool) {
                    pool.scheduler.released(server, None);
                }
                let status = if running.is_silenced { ExitStatus::Signaled(libc::SIGKILL) } else { status };
                let measured = Measured { evidence: Evidence::Ended(status), ..measured };
                if self.died_running(pool, *running, pid, entry.layers, measured) {
                    self.worker_never_began(worker, server, status);
                }
            }
        }
        self.pump(pool);
    }

    /// True when it never ran.
    fn died_running(
        &mut self,
        pool: PoolId,
        running: Running,
        pid: Option<u32>,
        layers: Layers,
        measured: Measured,
    ) -> bool {
        let Running {
            worker,
            shape,
            rank,
            mut calls,
            acknowledged,
            facts,
            intent,
            asked,
            deadlock,
            is_doomed,
            ..
        } = running;
        let intent = intent.or_else(|| asked.filter(|_| !acknowledged).map(Intent::Cancelled));
        if !acknowledged && intent.is_none() {
            // It never ran: nobody is to blame, and it runs somewhere else.
            let was_shaken = calls.iter().any(|call| call.was_shaken);
            self.again(pool, rank, shape, calls);
            return !was_shaken;
        }
        if let Some(call) = calls.pop_front().filter(|call| !call.is_answered()) {
            let wall_time = facts.started.elapsed();
            let shape = Arc::clone(&shape);
            let asked = asked.is_some();
            let ended = Ended {
                worker,
                call,
                shape,
                said: None,
                intent,
                facts,
                wall_time,
                deadlock,
                asked,
                is_doomed,
            };
            self.judge(pool, ended, pid, layers, measured);
        }
        self.again(pool, rank, shape, calls);
        false
    }

    /// Calls that were not begun go back to their place in the queue.
    pub(super) fn again(&mut self, pool: PoolId, rank: Rank, shape: Arc<CallShape>, calls: VecDeque<Call>) {
        let calls: Vec<Call> = calls.into_iter().filter(|call| !call.is_answered()).collect();
        if !calls.is_empty() {
            self.enqueue(pool, rank, Assignment { shape, calls });
        }
    }

    /// The running call ended by the worker's word; what is left of the chunk goes on or is dispatched again.
    pub(super) fn call_said(&mut self, worker: WorkerId, said: Said, took: Duration, goes_on: bool) {
        if self.dies_instead(worker) {
            return;
        }
        self.wait_is_over(worker, None);
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let (pool, pid) = (entry.pool, entry.pid());
        let layers = entry.layers;
        entry.next_phase();
        let Some(Clocks { wall_time, ended_at, cpu_time }) = entry.clocks(took, Instant::now()) else {
            return;
        };
        let has_more = entry.line.as_ref().is_some_and(Line::has_more);
        let Some(running) = entry.running() else { return };
        // A call that was answered already is not begun: nobody could stop it any more. Unless it has ended as well.
        let answered = running.calls.get(1).is_some_and(Call::is_answered) && !has_more;
        let is_stopped = answered || running.intent.is_some();
        // Who has gone on by itself does not end for what is over.
        let may_go_on = goes_on && (!is_stopped || self.has_moved_on(worker));
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let Some(running) = entry.running() else { return };
        let call = running.calls.pop_front().filter(|call| !call.is_answered());
        let intent = running.intent.take();
        let asked = running.asked.take().is_some();
        let deadlock = running.deadlock.take();
        let facts = std::mem::replace(&mut running.facts, Facts::new(ended_at, cpu_time));
        // The next call of a chunk begins where this one ends.
        let next_at = facts.started_at.map(|at| at + wall_time);
        let more = may_go_on && !running.calls.is_empty();
        let reusable = may_go_on && !running.last;
        running.index += 1;
        let shape = Arc::clone(&running.shape);
        let departure = departure(&said, intent.as_ref());
        let ended = call.map(|call| Ended {
            worker,
            call,
            shape,
            said: Some(said),
            intent,
            facts,
            wall_time,
            deadlock,
            asked,
            is_doomed: false,
        });
        let nested = std::mem::take(&mut entry.nested);
        if let Some(holding) = &mut entry.holding {
            // The next call of a chunk has to say for itself how it ends.
            holding.departure = if more { Departure::Died } else { departure };
        }
        let holding = if reusable && !more { entry.holding.take() } else { None };
        if more || reusable {
            let measured = Measured { evidence: Evidence::Alive, cpu_time, peak_memory_bytes: None };
            if more {
                entry.tell_started(next_at);
                self.begin_time(worker, ended_at);
            } else {
                entry.assignments += 1;
                self.next_assignment(pool, worker, ended_at);
            }
            let leaks = holding.map(|holding| self.departed(holding)).unwrap_or_default();
            self.end_nested(nested);
            let mut is_tried_again = false;
            if let Some(mut ended) = ended {
                ended.facts.leaks.extend(leaks);
                is_tried_again = self.judge(pool, ended, pid, layers, measured);
            }
            // In the middle of a chunk nothing else is to be decided.
            if !more || is_tried_again {
                self.pump(pool);
            }
        } else {
            self.end_nested(nested);
            self.end_worker(worker, ended, may_go_on);
        }
    }

    /// The worker has nothing more to do. It is judged when it has ended; one that is not fit to end by
    /// itself is ended.
    fn end_worker(&mut self, worker: WorkerId, ended: Option<Ended>, fit: bool) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        let stage = std::mem::replace(&mut entry.stage, Stage::Ending(ended.map(Box::new)));
        let phase = entry.next_phase();
        let Stage::Running(running) = stage else { return };
        let Running { shape, rank, calls, last, .. } = *running;
        // What it says now is of no interest, and its end is told by the kernel.
        self.stop_hearing(worker);
        if !(fit && last)
            && let Some(entry) = self.workers.get_mut(&worker)
        {
            // It waits for another assignment that it will not get.
            entry.line = None;
        }
        self.timers.set(Instant::now() + EXIT_TIME_MAX, Timer::WorkerAnswer { worker, phase });
        self.release(pool, worker, false);
        self.again(pool, rank, shape, calls);
        self.lose_ahead(worker);
        self.pump(pool);
    }

    /// Reads workers again that were paused and whose readers made room.
    pub(super) fn resume_paused(&mut self) {
        for worker in std::mem::take(&mut self.paused) {
            self.resume(worker);
        }
    }

    /// Reads a worker again, if it was paused.
    fn resume(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker).filter(|entry| entry.paused) else { return };
        entry.paused = false;
        if entry.ended_while_paused {
            entry.ended_while_paused = false;
            self.worker_ended(worker);
        } else {
            self.hear(worker);
        }
    }
}

/// How a participant of shared objects leaves with this call.
fn departure(said: &Said, intent: Option<&Intent>) -> Departure {
    match said {
        Said::Value(_) | Said::Else(Claim::Failed { .. } | Claim::Exited { .. }) if intent.is_none() => {
            Departure::Ended
        }
        _ => Departure::Died,
    }
}
