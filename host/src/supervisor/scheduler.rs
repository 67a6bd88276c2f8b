//! Which waiting assignment goes to which worker of a pool, and when a worker is to be forked or let go.
//!
//! Pure: it knows numbers, no processes. The dispatcher tells it what happened and asks for the next
//! action until there is none.
//!
//! `workers` counts running assignments. Workers are forked ahead of need: up to `spares` are idle or
//! starting beside the running ones, first for servers whose tasks wait, then for the server that was
//! used last, so that the next task finds a worker that is ready.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::event::WorkerId;
use super::fork_client::ServerId;
use crate::limits::WAITING_WORKERS_MAX;

/// The place of an assignment in the queue: higher priority first, then what a task submitted before what
/// the host did (or submitters that wait would fill the pool), then first come, first served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Rank {
    priority: Reverse<i32>,
    depth: Reverse<u32>,
    sequence: u64,
}

impl Rank {
    pub(super) fn new(priority: i32, sequence: u64) -> Self {
        Self { priority: Reverse(priority), depth: Reverse(0), sequence }
    }

    /// The same for a task that was submitted by tasks, this many one above the other.
    pub(super) fn nested(mut self, depth: u32) -> Self {
        self.depth = Reverse(depth);
        self
    }
}

/// What the dispatcher is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Give the assignment at this place to this idle worker.
    Assign { server: ServerId, rank: Rank, worker: WorkerId },
    /// Get one more worker from this server.
    Start { server: ServerId },
    /// Let this idle worker go.
    Retire { worker: WorkerId },
}

/// How a pool is to be staffed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Staffing {
    /// Assignments that run at one time.
    pub(super) workers: usize,
    /// Workers that are idle or starting beside them.
    pub(super) spares: usize,
    /// Whether workers take more than one assignment: then the spares are the idle workers.
    pub(super) reused: bool,
    /// Whether workers are forked before there is a task for them.
    pub(super) ahead: bool,
}

/// What one server has in this pool.
#[derive(Debug, Default)]
struct Lane {
    waiting: BTreeMap<Rank, ()>,
    idle: Vec<WorkerId>,
    starting: usize,
}

impl Lane {
    fn spare(&self) -> usize {
        self.idle.len() + self.starting
    }

    fn head(&self) -> Option<Rank> {
        self.waiting.first_key_value().map(|(rank, ())| *rank)
    }

    fn is_unused(&self) -> bool {
        self.waiting.is_empty() && self.spare() == 0
    }
}

/// The queue and the staff of one pool.
#[derive(Debug)]
pub(super) struct Scheduler {
    staffing: Staffing,
    lanes: BTreeMap<ServerId, Lane>,
    running: usize,
    /// Assignments that run, wait in a host import, and have given their place back.
    lent: usize,
    last_used: Option<ServerId>,
    closed: bool,
}

impl Scheduler {
    pub(super) fn new(staffing: Staffing) -> Self {
        Self { staffing, lanes: BTreeMap::new(), running: 0, lent: 0, last_used: None, closed: false }
    }

    pub(super) fn resize(&mut self, workers: usize, spares: usize) {
        self.staffing.workers = workers;
        self.staffing.spares = spares;
    }

    /// No worker is forked ahead any more, and idle ones without work are let go.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn enqueue(&mut self, server: ServerId, rank: Rank) {
        self.lanes.entry(server).or_default().waiting.insert(rank, ());
        self.last_used = Some(server);
    }

    /// True when it was waiting.
    pub(super) fn dequeue(&mut self, server: ServerId, rank: Rank) -> bool {
        let found = self.lanes.get_mut(&server).is_some_and(|lane| lane.waiting.remove(&rank).is_some());
        self.forget_unused(server);
        found
    }

    /// Everything that waits for this server.
    pub(super) fn waiting_for(&self, server: ServerId) -> Vec<Rank> {
        self.lanes.get(&server).map(|lane| lane.waiting.keys().copied().collect()).unwrap_or_default()
    }

    /// Everything that waits.
    pub(super) fn waiting(&self) -> Vec<(ServerId, Rank)> {
        let all = self.lanes.iter();
        all.flat_map(|(server, lane)| lane.waiting.keys().map(|rank| (*server, *rank))).collect()
    }

    /// The server has something waiting, idle or starting in this pool.
    pub(super) fn uses(&self, server: ServerId) -> bool {
        self.last_used == Some(server) || self.lanes.contains_key(&server)
    }

    /// What is next, where everything that may run does: something to give to a worker ahead of its need.
    pub(super) fn head_ahead(&self) -> Option<(ServerId, Rank)> {
        if self.running < self.staffing.workers {
            return None;
        }
        let heads = self.lanes.iter().filter_map(|(server, lane)| Some((*server, lane.head()?)));
        heads.min_by_key(|(_, rank)| *rank)
    }

    /// Whether a worker has nothing to do though it might, and nothing waits.
    pub(super) fn has_idle_place(&self) -> bool {
        let is_idle = self.lanes.values().any(|lane| !lane.idle.is_empty());
        self.staffing.reused
            && is_idle
            && self.running < self.staffing.workers
            && self.lanes.values().all(|lane| lane.waiting.is_empty())
    }

    /// Assignments that run.
    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// A worker that was asked for is ready.
    pub(super) fn started(&mut self, server: ServerId, worker: WorkerId) {
        let lane = self.lanes.entry(server).or_default();
        lane.starting = lane.starting.saturating_sub(1);
        lane.idle.push(worker);
    }

    /// A worker that was asked for will not come.
    pub(super) fn start_failed(&mut self, server: ServerId) {
        if let Some(lane) = self.lanes.get_mut(&server) {
            lane.starting = lane.starting.saturating_sub(1);
        }
        self.forget_unused(server);
    }

    /// An assignment left its worker; the worker is idle again if it is fit for reuse.
    pub(super) fn released(&mut self, server: ServerId, idle: Option<WorkerId>) {
        self.running = self.running.saturating_sub(1);
        if let Some(worker) = idle {
            self.lanes.entry(server).or_default().idle.push(worker);
        }
    }

    /// A running assignment waits: another one may run in its place. False when as many wait as may.
    pub(super) fn lend(&mut self) -> bool {
        let lends = self.lent < WAITING_WORKERS_MAX;
        if lends {
            self.lent += 1;
            self.running = self.running.saturating_sub(1);
        }
        lends
    }

    /// It goes on, at once: for a while one more than `workers` may run.
    pub(super) fn take_back(&mut self) {
        self.lent = self.lent.saturating_sub(1);
        self.running += 1;
    }

    /// Whether one more assignment could run now.
    pub(super) fn has_free_place(&self) -> bool {
        self.running < self.staffing.workers
    }

    /// An idle worker is gone.
    pub(super) fn lost(&mut self, server: ServerId, worker: WorkerId) {
        if let Some(lane) = self.lanes.get_mut(&server) {
            lane.idle.retain(|idle| *idle != worker);
        }
        self.forget_unused(server);
    }

    /// Stops forking ahead for a server that cannot give workers.
    pub(super) fn give_up(&mut self, server: ServerId) {
        if self.last_used == Some(server) {
            self.last_used = None;
        }
    }

    fn forget_unused(&mut self, server: ServerId) {
        if self.lanes.get(&server).is_some_and(Lane::is_unused) {
            self.lanes.remove(&server);
        }
    }

    /// The next thing to do; the state is as if it were done.
    pub(super) fn next_action(&mut self) -> Option<Action> {
        self.next_assignment().or_else(|| self.next_start()).or_else(|| self.next_retirement())
    }

    fn next_assignment(&mut self) -> Option<Action> {
        if self.running >= self.staffing.workers {
            return None;
        }
        let ready = self.lanes.iter_mut().filter(|(_, lane)| !lane.idle.is_empty());
        let (server, lane) =
            ready.filter(|(_, lane)| lane.head().is_some()).min_by_key(|(_, lane)| lane.head())?;
        let (server, (rank, ())) = (*server, lane.waiting.pop_first()?);
        // The worker that was idle last has the warmest caches.
        let worker = lane.idle.pop()?;
        self.running += 1;
        self.forget_unused(server);
        Some(Action::Assign { server, rank, worker })
    }

    fn spare(&self) -> usize {
        self.lanes.values().map(Lane::spare).sum()
    }

    fn spares_max(&self) -> usize {
        if self.staffing.reused {
            self.staffing.spares.saturating_sub(self.running)
        } else {
            self.staffing.spares
        }
    }

    fn next_start(&mut self) -> Option<Action> {
        if self.spare() >= self.spares_max() {
            return None;
        }
        let server = self.neediest().or_else(|| self.worth_forking_ahead())?;
        self.lanes.entry(server).or_default().starting += 1;
        Some(Action::Start { server })
    }

    /// The server whose tasks wait for more workers than it has: servers without any worker first, then
    /// in the order of the queue.
    fn neediest(&self) -> Option<ServerId> {
        let needy = self.lanes.iter().filter(|(_, lane)| lane.waiting.len() > lane.spare());
        needy.min_by_key(|(_, lane)| (lane.spare() > 0, lane.head())).map(|(server, _)| *server)
    }

    fn worth_forking_ahead(&self) -> Option<ServerId> {
        let server = self.last_used.filter(|_| !self.closed && self.staffing.ahead)?;
        self.lanes.values().all(|lane| lane.waiting.is_empty()).then_some(server)
    }

    /// Lets an idle worker go that stands in the way of a server whose tasks wait, or of a smaller pool.
    fn next_retirement(&mut self) -> Option<Action> {
        let spare = self.spare();
        let blocked = spare >= self.spares_max()
            && self.lanes.values().any(|lane| !lane.waiting.is_empty() && lane.spare() == 0);
        let over = spare > self.spares_max();
        let unwanted = self.closed || !self.staffing.ahead;
        if !(blocked || over || unwanted) {
            return None;
        }
        let last_used = self.last_used;
        let dispensable = self.lanes.iter_mut().filter(|(_, lane)| !lane.idle.is_empty());
        let (server, lane) = dispensable
            .filter(|(_, lane)| over || lane.waiting.is_empty())
            .min_by_key(|(server, lane)| (!lane.waiting.is_empty(), Some(**server) == last_used))?;
        let (server, worker) = (*server, lane.idle.remove(0));
        self.forget_unused(server);
        Some(Action::Retire { worker })
    }
}

#[cfg(test)]
#[path = "scheduler_tests.rs"]
mod tests;
