//! Pools: tasks in, assignments to workers, tasks stopped, pools closed.

#![forbid(unsafe_code)]

use rustc_hash::{FxHashMap, FxHashSet};
use tokio::sync::oneshot;

use super::Dispatcher;
use super::places::Place;
use crate::outcome::{CancelledBy, Outcome, Record};
use crate::supervisor::call::{Assignment, Call, Reply};
use crate::supervisor::event::{PoolId, Stop, WorkerId};
use crate::supervisor::fork_client::{ServerId, StartRequest};
use crate::supervisor::output::Output;
use crate::supervisor::pool::PoolSettings;
use crate::supervisor::scheduler::{Action, Rank, Scheduler};
use crate::supervisor::worker_handle::{Stage, WorkerHandle};

/// One pool.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) settings: PoolSettings,
    pub(super) scheduler: Scheduler,
    pub(super) waiting: FxHashMap<(ServerId, Rank), Assignment>,
    /// Workers that may have room for something ahead. One that is not among them comes back with its next assignment.
    pub(super) takers: FxHashSet<WorkerId>,
    /// Calls that wait or run.
    pub(super) outstanding: usize,
    closed: bool,
    joiners: Vec<oneshot::Sender<()>>,
}

impl Pool {
    /// What the scheduler wants done next; nothing while the pool's observer is behind.
    fn next_action(&mut self) -> Option<Action> {
        let is_behind = self.settings.observer.as_ref().is_some_and(|observer| observer.is_behind());
        if is_behind { None } else { self.scheduler.next_action() }
    }

    /// What a worker may be given ahead of its need.
    pub(super) fn head_ahead(&self) -> Option<(ServerId, Rank)> {
        let is_behind = self.settings.observer.as_ref().is_some_and(|observer| observer.is_behind());
        let may = self.settings.max_tasks_per_worker > 1 && !is_behind;
        may.then(|| self.scheduler.head_ahead()).flatten()
    }

    /// A task that waits gives its place back; false when as many have as may.
    pub(super) fn lend(&mut self) -> bool {
        let lends = self.scheduler.lend();
        if lends {
            self.settings.lent.lend();
        }
        lends
    }

    /// A task that waited goes on.
    pub(super) fn take_back(&mut self) {
        self.scheduler.take_back();
        self.settings.lent.take_back();
    }
}

impl Dispatcher {
    pub(super) fn open_pool(&mut self, pool: PoolId, settings: PoolSettings) {
        let scheduler = Scheduler::new(settings.staffing());
        let (waiting, takers, joiners) = (FxHashMap::default(), FxHashSet::default(), Vec::new());
        let entry =
            Pool { settings, scheduler, waiting, takers, outstanding: 0, closed: self.ending, joiners };
        self.pools.insert(pool, entry);
    }

    pub(super) fn submit(&mut self, pool: PoolId, assignment: Assignment) {
        let open = self.pools.get(&pool).is_some_and(|pool| !pool.closed);
        if !open {
            for call in assignment.calls {
                let record = call.record_without_worker(Outcome::Cancelled(CancelledBy::Shutdown));
                call.finish(record);
            }
            return;
        }
        if let Some(entry) = self.pools.get_mut(&pool) {
            entry.outstanding += assignment.calls.len();
        }
        let sequence = self.new_id();
        self.enqueue(pool, Rank::new(assignment.shape.priority, sequence), assignment);
        self.pump(pool);
    }

    /// Puts an assignment at this place of the queue.
    pub(super) fn enqueue(&mut self, pool: PoolId, rank: Rank, assignment: Assignment) {
        let server = self.server_for(pool, &assignment.shape);
        let tasks = assignment.calls.iter().map(|call| call.task);
        self.places.put(rank, Place::Waiting { pool, server }, tasks);
        if let Some(entry) = self.pools.get_mut(&pool) {
            entry.scheduler.enqueue(server, rank);
            entry.waiting.insert((server, rank), assignment);
        }
    }

    /// Does what the pool's scheduler decides until there is nothing to do.
    pub(super) fn pump(&mut self, pool: PoolId) {
        loop {
            self.act(pool);
            self.give_ahead(pool);
            if !self.share_ahead(pool) {
                return;
            }
        }
    }

    fn act(&mut self, pool: PoolId) {
        while let Some(action) = self.pools.get_mut(&pool).and_then(Pool::next_action) {
            match action {
                Action::Assign { server, rank, worker } => {
                    let assignment =
                        self.pools.get_mut(&pool).and_then(|pool| pool.waiting.remove(&(server, rank)));
                    if let Some(assignment) = assignment {
                        self.assign(worker, rank, assignment);
                    }
                }
                Action::Start { server } => {
                    let worker = self.new_id();
                    self.workers.insert(worker, WorkerHandle::new(pool, server));
                    self.request_worker(server, StartRequest { pool, worker });
                }
                Action::Retire { worker } => self.retire_worker(worker),
            }
        }
    }

    /// An idle worker is to end; its end is awaited like any other.
    pub(super) fn retire_worker(&mut self, worker: WorkerId) {
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.stage = Stage::Ending(None);
            entry.next_phase();
            entry.kill();
        }
    }

    /// A call ended: its caller gets the record, unless there is another try.
    pub(super) fn finish_call(&mut self, pool: PoolId, mut call: Call, record: Box<Record>) {
        self.places.remove(call.task);
        match call.reply.take() {
            Some(Reply::Nested { parent }) => {
                if let Some(observer) = &call.observer {
                    observer.ended(record.clone(), None);
                }
                self.nested_ended(parent, call.task, record);
            }
            Some(Reply::Stream { index, records })
                if call.observer.is_none() && !matches!(call.output, Output::Stream(_)) =>
            {
                self.to_ring.extend(records.put(index, *record).cloned());
            }
            reply => {
                call.reply = reply;
                call.finish(record);
            }
        }
        self.call_gone(pool);
    }

    /// One call fewer in the pool; whoever joins it may be told.
    pub(super) fn call_gone(&mut self, pool: PoolId) {
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        entry.outstanding = entry.outstanding.saturating_sub(1);
        if entry.outstanding == 0 {
            for joiner in entry.joiners.drain(..) {
                let _ = joiner.send(());
            }
            self.forget_pool_if_over(pool);
        }
    }

    fn forget_pool_if_over(&mut self, pool: PoolId) {
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        if !(entry.closed && entry.outstanding == 0) {
            return;
        }
        // Its idle workers are let go by the scheduler, its starting ones when they come.
        self.pump(pool);
        self.pools.remove(&pool);
        let left = self.workers.iter().filter(|(_, worker)| worker.pool == pool);
        let left: Vec<WorkerId> = left.map(|(id, _)| *id).collect();
        for worker in left {
            match self.workers.get(&worker).map(|worker| &worker.stage) {
                Some(Stage::Starting) => self.forget_starting(worker),
                Some(Stage::Idle) => self.retire_worker(worker),
                _ => {}
            }
        }
        self.forget_enclosed_servers(pool);
    }

    fn forget_starting(&mut self, worker: WorkerId) {
        let Some(entry) = self.workers.remove(&worker) else { return };
        if let Some(server) = self.servers.get_mut(&entry.server) {
            server.pending.retain(|request| request.worker != worker);
        }
    }

    /// Everything of the pool that waits for this server fails with the cause.
    pub(super) fn fail_waiting(&mut self, pool: PoolId, server: ServerId, outcome: &Outcome) {
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        for rank in entry.scheduler.waiting_for(server) {
            self.end_waiting(pool, server, rank, outcome);
        }
    }

    fn end_waiting(&mut self, pool: PoolId, server: ServerId, rank: Rank, outcome: &Outcome) {
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        entry.scheduler.dequeue(server, rank);
        let Some(assignment) = entry.waiting.remove(&(server, rank)) else { return };
        for call in assignment.calls {
            let record = call.record_without_worker(outcome.clone());
            self.finish_call(pool, call, record);
        }
    }

    pub(super) fn stop_task(&mut self, task: u64, how: Stop, by: CancelledBy) {
        match self.places.get(task) {
            Some((rank, Place::Waiting { pool, server })) => {
                self.cancel_waiting(pool, server, rank, task, by)
            }
            Some((_, Place::Running { worker })) => self.stop_running(worker, task, how, by),
            Some((_, Place::Ahead { worker })) => self.stop_ahead(worker, task, how, by),
            // It waits for its next attempt, or has ended.
            None => self.cancel_resting(task, by),
        }
    }

    pub(super) fn is_at(&self, task: u64, place: Place) -> bool {
        self.places.get(task).is_some_and(|(_, at)| at == place)
    }

    fn cancel_waiting(&mut self, pool: PoolId, server: ServerId, rank: Rank, task: u64, by: CancelledBy) {
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        let Some(assignment) = entry.waiting.get_mut(&(server, rank)) else { return };
        // One that has ended is where others of its chunk are.
        let Some(at) = assignment.calls.iter().position(|call| call.task == task) else { return };
        if assignment.calls.len() == 1 {
            self.end_waiting(pool, server, rank, &Outcome::Cancelled(by));
        } else {
            let call = assignment.calls.remove(at);
            let record = call.record_without_worker(Outcome::Cancelled(by));
            self.finish_call(pool, call, record);
        }
        self.pump(pool);
    }

    pub(super) fn close_pool(&mut self, pool: PoolId) {
        if let Some(entry) = self.pools.get_mut(&pool) {
            entry.closed = true;
            entry.scheduler.close();
        }
        self.forget_pool_if_over(pool);
    }

    pub(super) fn drop_waiting(&mut self, pool: PoolId, by: CancelledBy) {
        self.cancel_all_resting(pool, by);
        self.take_all_back(pool);
        let Some(entry) = self.pools.get_mut(&pool) else { return };
        for (server, rank) in entry.scheduler.waiting() {
            // A batch that halts lets what runs go on, and with it what that submitted.
            let nested = |call: &Call| matches!(call.reply, Some(Reply::Nested { .. }));
            let assignment = self.pools.get(&pool).and_then(|entry| entry.waiting.get(&(server, rank)));
            let goes_on = assignment.is_some_and(|assignment| assignment.calls.iter().any(nested));
            if by != CancelledBy::Batch || !goes_on {
                self.end_waiting(pool, server, rank, &Outcome::Cancelled(by));
            }
        }
        self.pump(pool);
    }

    pub(super) fn stop_all(&mut self, pool: PoolId, how: Stop, by: CancelledBy) {
        self.drop_waiting(pool, by);
        let of_pool = self.workers.iter().filter(|(_, worker)| worker.pool == pool);
        let running = of_pool.filter_map(|(id, worker)| match &worker.stage {
            Stage::Running(running) => Some((*id, running.open_calls().map(|call| call.task))),
            _ => None,
        });
        let running: Vec<_> = running.flat_map(|(id, tasks)| tasks.map(move |task| (id, task))).collect();
        // The last call of a chunk first: a worker that ends here hands its later calls back.
        for (worker, task) in running.into_iter().rev() {
            self.stop_running(worker, task, how, by);
        }
    }

    pub(super) fn join_pool(&mut self, pool: PoolId, reply: oneshot::Sender<()>) {
        match self.pools.get_mut(&pool) {
            Some(entry) if entry.outstanding > 0 => entry.joiners.push(reply),
            _ => drop(reply.send(())),
        }
    }

    pub(super) fn resize_pool(&mut self, pool: PoolId, workers: usize) {
        if let Some(entry) = self.pools.get_mut(&pool) {
            entry.settings.workers = workers;
            entry.settings.enclosure.resize(workers);
            let staffing = entry.settings.staffing();
            entry.scheduler.resize(staffing.workers, staffing.spares);
        }
        self.pump(pool);
    }
}
