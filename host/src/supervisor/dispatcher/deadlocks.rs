//! Looking for deadlocks among guests that wait.
//!
//! Looks happen only while somebody waits without a time-out, every 100 ms. What waits for ever is the answer
//! of [`deadlock`]; this module says who needs whom, by the objects' present state, which is what keeps
//! a late message from making a false alarm. A wait is ended only when two looks in a row found it stuck.
//!
//! The host program counts as able to act on an object as long as anything outside the dispatcher holds it: a
//! handle, or a grant in a task that was not submitted yet.

#![forbid(unsafe_code)]

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Dispatcher;
use super::places::Place;
use crate::limits::DEADLOCK_LOOK_TIME;
use crate::protocol::frame;
use crate::protocol::worker::{ToWorker, WaitOn};
use crate::supervisor::call::CallShape;
use crate::supervisor::deadlock::{Needs, cycle, stuck};
use crate::supervisor::event::{PoolId, WorkerId};
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::{Stage, Waiting, WorkerHandle};
use crate::sync::{Blockers, Granted, Token, WaitFor};

/// Bytes of a cycle in words.
const CYCLE_BYTES_MAX: usize = 1024;
/// How long one that was told of a deadlock may take to go on, before others are told.
const ANSWER_TIME: Duration = Duration::from_secs(1);

/// Waits that were stuck at the last look, by worker and number.
#[derive(Debug, Default)]
pub(super) struct Suspects {
    looking: bool,
    waits: HashSet<(WorkerId, u64)>,
}

impl Suspects {
    /// True when no look is due yet.
    pub(super) fn start_looking(&mut self) -> bool {
        !std::mem::replace(&mut self.looking, true)
    }
}

/// What could act: the nodes of the wait graph.
struct Actors {
    workers: Vec<WorkerId>,
    /// The queues of pools come after the workers.
    pools: Vec<PoolId>,
    node_of_worker: HashMap<WorkerId, usize>,
    node_of_pool: HashMap<PoolId, usize>,
    node_of_token: HashMap<Token, usize>,
    /// How often each object is held by what the dispatcher knows.
    held: HashMap<*const Granted, usize>,
}

impl Dispatcher {
    pub(super) fn look_for_deadlocks(&mut self) {
        self.suspects.looking = false;
        let endless = |entry: &WorkerHandle| entry.waiting.is_some_and(|waiting| !waiting.timed);
        if !self.workers.values().any(endless) {
            self.suspects.waits.clear();
            return;
        }
        self.suspects.looking = true;
        self.timers.set(Instant::now() + DEADLOCK_LOOK_TIME, Timer::DeadlockLook);
        let actors = self.actors();
        let needs = self.needs(&actors);
        let stuck = stuck(&needs);
        let before = std::mem::take(&mut self.suspects.waits);
        let mut victims = Vec::new();
        for (node, worker) in actors.workers.iter().enumerate().filter(|(node, _)| stuck[*node]) {
            let Some(waiting) = self.workers.get(worker).and_then(|entry| entry.waiting) else { continue };
            self.suspects.waits.insert((*worker, waiting.number));
            if before.contains(&(*worker, waiting.number)) {
                victims.push(node);
            }
        }
        // One at a time: the end of one wait may end the others.
        let Some(first) = victims.first() else { return };
        let cycle = cycle(&needs, &stuck, *first);
        let seen_before = |node: &usize| *node >= actors.workers.len() || victims.contains(node);
        if !cycle.iter().all(seen_before) {
            return;
        }
        // Who submitted a task and waits for it before others: with its end the rest of them ends too. Otherwise the
        // youngest.
        let rank = |node: &usize| {
            let entry = self.workers.get(actors.workers.get(*node)?)?;
            let waiting = entry.waiting.filter(|waiting| waiting.told.is_none())?;
            Some((matches!(waiting.on, WaitOn::Task { .. }), entry.holding.as_ref()?.task))
        };
        let foremost =
            |nodes: &[usize]| nodes.iter().copied().filter(|node| rank(node).is_some()).max_by_key(rank);
        let victim = foremost(&cycle).or_else(|| foremost(&victims));
        if let Some(victim) = victim {
            let text = self.describe(&actors, &cycle);
            self.end_wait(actors.workers[victim], text);
        }
    }

    fn actors(&self) -> Actors {
        let running = |entry: &&WorkerHandle| matches!(entry.stage, Stage::Running(_));
        let mut workers: Vec<WorkerId> =
            self.workers.iter().filter(|(_, entry)| running(entry)).map(|(id, _)| *id).collect();
        // In one order, so that two looks at the same state agree.
        workers.sort_unstable();
        let pools: Vec<PoolId> = self.pools.keys().copied().collect();
        let node_of_worker = workers.iter().enumerate().map(|(node, worker)| (*worker, node)).collect();
        let node_of_pool =
            pools.iter().enumerate().map(|(index, pool)| (*pool, workers.len() + index)).collect();
        let token = |(node, worker): (usize, &WorkerId)| {
            let holding = self.workers.get(worker).and_then(|entry| entry.holding.as_ref())?;
            Some((holding.token, node))
        };
        let node_of_token = workers.iter().enumerate().filter_map(token).collect();
        let held = self.held();
        Actors { workers, pools, node_of_worker, node_of_pool, node_of_token, held }
    }

    /// Counts what the dispatcher itself holds of each object.
    fn held(&self) -> HashMap<*const Granted, usize> {
        let stages = self.workers.values().flat_map(|entry| {
            let shape = match &entry.stage {
                Stage::Running(running) => Some(&running.shape),
                Stage::Ending(Some(ended)) => Some(&ended.shape),
                _ => None,
            };
            shape.into_iter().chain(entry.holding.as_ref().map(|holding| &holding.shape))
        });
        let waiting = self.pools.values().flat_map(|pool| pool.waiting.values());
        let waiting = waiting
            .map(|assignment| &assignment.shape)
            .chain(self.resting.values().map(|resting| &resting.shape));
        let over = self.unrecovered.iter().map(|over| &over.holding.shape);
        let (mut seen, mut held) = (HashSet::new(), HashMap::new());
        for shape in stages.chain(waiting).chain(over) {
            if !shape.grants.is_empty() && seen.insert(Arc::as_ptr(shape)) {
                shape
                    .grants
                    .iter()
                    .for_each(|grant| *held.entry(Arc::as_ptr(&grant.object)).or_default() += 1);
            }
        }
        held
    }

    fn needs(&self, actors: &Actors) -> Vec<Needs> {
        let of_worker = |worker: &WorkerId| {
            let entry = self.workers.get(worker)?;
            let waiting = entry.waiting.filter(|waiting| !waiting.timed)?;
            // Who was told, or is being stopped, goes on in a moment.
            let told = waiting.told.is_some_and(|told| told.elapsed() < ANSWER_TIME);
            let stopped = matches!(&entry.stage, Stage::Running(running) if running.intent.is_some());
            if told || stopped {
                return None;
            }
            self.needs_of(actors, *worker, entry, waiting)
        };
        let of_pool = |pool: &PoolId| {
            let free = self.pools.get(pool).is_none_or(|pool| pool.scheduler.has_free_place());
            let holds_place = |worker: &&WorkerId| {
                self.workers.get(worker).is_some_and(|entry| entry.pool == *pool && !entry.lent)
            };
            let holders = actors.workers.iter().filter(holds_place);
            (!free).then(|| Needs::AnyOf(holders.map(|worker| actors.node_of_worker[worker]).collect()))
        };
        let workers = actors.workers.iter().map(of_worker);
        let pools = actors.pools.iter().map(of_pool);
        workers.chain(pools).map(|needs| needs.unwrap_or(Needs::Nothing)).collect()
    }

    /// What a waiting worker needs; `None` when it can go on, or when that cannot be told.
    fn needs_of(
        &self,
        actors: &Actors,
        worker: WorkerId,
        entry: &WorkerHandle,
        waiting: Waiting,
    ) -> Option<Needs> {
        match waiting.on {
            // One that is between two attempts goes on by itself.
            WaitOn::Task { task } => match self.places.get(task)?.1 {
                Place::Running { worker } | Place::Ahead { worker } => {
                    Some(Needs::AnyOf(vec![*actors.node_of_worker.get(&worker)?]))
                }
                Place::Waiting { pool, .. } => Some(Needs::AnyOf(vec![*actors.node_of_pool.get(&pool)?])),
            },
            WaitOn::Object { grant, what } => {
                let holding = entry.holding.as_ref()?;
                let grant = holding.shape.grants.get(grant as usize)?;
                let Granted::Memory(object) = &*grant.object else { return None };
                match object.as_end(grant.end).blockers(holding.token, what) {
                    Blockers::Nobody => None,
                    // One who is no task of ours: a thread of the host program, or somebody who is gone and whose
                    // lock is on its way back.
                    Blockers::Owner(owner) => {
                        actors.node_of_token.get(&owner).map(|node| Needs::AnyOf(vec![*node]))
                    }
                    Blockers::Anybody => self.needs_any(actors, worker, &grant.object),
                }
            }
        }
    }

    /// Any other task that was granted the object; `None` when the host program can act on it.
    fn needs_any(&self, actors: &Actors, worker: WorkerId, object: &Arc<Granted>) -> Option<Needs> {
        let known = actors.held.get(&Arc::as_ptr(object)).copied().unwrap_or(0);
        if Arc::strong_count(object) > known {
            return None;
        }
        let shares = |shape: &CallShape| shape.grants.iter().any(|grant| Arc::ptr_eq(&grant.object, object));
        // What one that is about to end still holds comes back.
        let ends = |entry: &WorkerHandle| !matches!(entry.stage, Stage::Running(_));
        let mut ending =
            self.workers.values().filter(|entry| ends(entry)).filter_map(|entry| entry.holding.as_ref());
        if ending.any(|holding| shares(&holding.shape))
            || self.unrecovered.iter().any(|over| shares(&over.holding.shape))
            // One that is tried again in a while can act then.
            || self.resting.values().any(|resting| shares(&resting.shape))
        {
            return None;
        }
        let others = actors.workers.iter().filter(|other| {
            let holding = self.workers.get(other).and_then(|entry| entry.holding.as_ref());
            **other != worker && holding.is_some_and(|holding| shares(&holding.shape))
        });
        let others = others.map(|other| actors.node_of_worker[other]);
        let queued = self
            .pools
            .iter()
            .filter(|(_, pool)| pool.waiting.values().any(|assignment| shares(&assignment.shape)));
        let queued = queued.filter_map(|(pool, _)| actors.node_of_pool.get(pool).copied());
        Some(Needs::AnyOf(others.chain(queued).collect()))
    }

    /// The cycle in words.
    fn describe(&self, actors: &Actors, cycle: &[usize]) -> String {
        let said: Vec<String> = cycle
            .iter()
            .map(|node| match actors.workers.get(*node) {
                Some(worker) => self.describe_wait(*worker),
                None => "the tasks that wait in the pool wait for a place in it".to_owned(),
            })
            .collect();
        let mut text = said.join("; ");
        if cycle.len() == 1 {
            text += ", and nobody is left who could end that";
        }
        if text.len() > CYCLE_BYTES_MAX {
            text.truncate(text.floor_char_boundary(CYCLE_BYTES_MAX - 4));
            text += " ...";
        }
        text
    }

    /// "`name` (task 7) waits for an item of queue `jobs`".
    fn describe_wait(&self, worker: WorkerId) -> String {
        let Some(entry) = self.workers.get(&worker) else { return String::new() };
        let Stage::Running(running) = &entry.stage else { return String::new() };
        let name = running.call().map_or("?", |call| &*call.name);
        let task = running.call().map_or(0, |call| call.task);
        let on = match entry.waiting.map(|waiting| waiting.on) {
            Some(WaitOn::Task { task }) => format!("the end of task {task}, which it submitted"),
            Some(WaitOn::Object { grant, what }) => {
                let grant = running.shape.grants.get(grant as usize);
                let object = grant.map(|grant| (grant.name.to_string(), grant.object.spec().kind().label()));
                let (object, kind) = object.unwrap_or_default();
                let owner = self.owner_of(entry, waiting_grant(entry), what);
                format!("{} {kind} `{object}`{owner}", what.label())
            }
            None => "nothing".to_owned(),
        };
        format!("`{name}` (task {task}) waits for {on}")
    }

    /// ", which is task 9", when one task alone could end the wait.
    fn owner_of(&self, entry: &WorkerHandle, grant: Option<usize>, what: WaitFor) -> String {
        let owner = || {
            let holding = entry.holding.as_ref()?;
            let grant = holding.shape.grants.get(grant?)?;
            let Granted::Memory(object) = &*grant.object else { return None };
            let Blockers::Owner(owner) = object.as_end(grant.end).blockers(holding.token, what) else {
                return None;
            };
            let holds =
                |entry: &&WorkerHandle| entry.holding.as_ref().is_some_and(|holding| holding.token == owner);
            let task = self.workers.values().find(holds)?.holding.as_ref()?.task;
            Some(format!(", which is task {task}"))
        };
        owner().unwrap_or_default()
    }

    /// Ends the wait of a worker with the error.
    fn end_wait(&mut self, worker: WorkerId, cycle: String) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let Some(waiting) = &mut entry.waiting else { return };
        waiting.told = Some(Instant::now());
        let message = ToWorker::Deadlock { wait: waiting.number, cycle: cycle.clone() };
        tracing::info!(worker, %cycle, "a wait is ended: deadlock");
        if let (Some(socket), Ok(bytes)) = (&entry.line, frame::encode(&message)) {
            // A worker that does not read stays where it is, until somebody stops its task.
            let _ = socket.try_send(&bytes, &[]);
        }
        if let Some(running) = entry.running() {
            running.deadlock = Some(cycle);
        }
    }
}

fn waiting_grant(entry: &WorkerHandle) -> Option<usize> {
    match entry.waiting?.on {
        WaitOn::Object { grant, .. } => Some(grant as usize),
        WaitOn::Task { .. } => None,
    }
}
