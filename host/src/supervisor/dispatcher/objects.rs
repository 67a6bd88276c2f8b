//! Shared objects: what is granted to an assignment, its waits, and what it leaves behind.
//!
//! When an attempt is over, in whatever way, everything that it held goes back before its token is given to
//! anybody else. That never waits: an object that somebody is inside at this very moment is asked again a
//! millisecond later.

#![forbid(unsafe_code)]

use std::io::ErrorKind;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::Dispatcher;
use crate::limits::DEADLOCK_LOOK_TIME;
use crate::os::child::ExitStatus;
use crate::outcome::{Held, Leak};
use crate::protocol::frame;
use crate::protocol::worker::{Ask, GrantedObject, Reply, ToWorker, WaitOn};
use crate::supervisor::call::CallShape;
use crate::supervisor::event::{PoolId, WorkerId};
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::{Holding, Stage, Waiting, WorkerHandle};
use crate::sync::{
    Departure, DictAnswer, DictOperation, Grant, Granted, Object, Recovery, SyncError, tokens,
};

/// When an object that was busy is asked again.
const RECOVERY_RETRY_TIME: Duration = Duration::from_millis(1);
/// The pause between two tries doubles up to this.
const RECOVERY_PAUSE_MAX: Duration = Duration::from_secs(1);
/// After this it is given up. Nobody who means well is inside for longer than a copy takes.
const RECOVERY_TIME_MAX: Duration = Duration::from_secs(10);

/// An attempt that is over, with the objects that were not recovered yet.
#[derive(Debug)]
pub(super) struct Unrecovered {
    pub(super) holding: Holding,
    /// Indices of its grants.
    left: Vec<usize>,
    since: Instant,
    /// When it is tried again, and how long after that.
    due: Instant,
    pause: Duration,
}

/// The grants as a start frame names them.
pub(super) fn on_the_wire(grants: &[Grant]) -> Vec<GrantedObject> {
    let wired = |grant: &Grant| GrantedObject {
        name: grant.name.to_string(),
        spec: grant.object.spec(),
        end: grant.end,
    };
    grants.iter().map(wired).collect()
}

/// The descriptors that go with them.
pub(super) fn files(grants: &[Grant]) -> impl Iterator<Item = BorrowedFd<'_>> {
    grants.iter().filter_map(|grant| match &*grant.object {
        Granted::Memory(object) => object.file(),
        Granted::Dict(_) => None,
    })
}

fn leak(grant: &Grant, what: Held) -> Leak {
    Leak { object: grant.name.to_string(), kind: grant.object.spec().kind().label(), what }
}

impl Holding {
    /// Who the assignment that begins with this task is.
    pub(super) fn new(shape: &Arc<CallShape>, task: u64) -> Self {
        let (token, shape) = (tokens::take(), Arc::clone(shape));
        // Until it has said otherwise.
        Self { token, task, shape, departure: Departure::Died }
    }

    /// What it holds although its task returned.
    fn leaks(&self) -> Vec<Leak> {
        if self.departure == Departure::Died {
            return Vec::new();
        }
        let held = |grant: &Grant| match &*grant.object {
            Granted::Memory(object) => object.held_by(self.token).map(|held| leak(grant, held)),
            Granted::Dict(_) => None,
        };
        self.shape.grants.iter().filter_map(held).collect()
    }
}

impl Dispatcher {
    /// A guest closed its last handle of an object, and held something of it.
    pub(super) fn left(&mut self, worker: WorkerId, grant: u32, held: Held) -> Result<(), String> {
        let Some(running) = self.workers.get_mut(&worker).and_then(|entry| entry.running()) else {
            return Ok(());
        };
        let Some(grant) = running.shape.grants.get(grant as usize) else {
            return Err("it left an object that it was not granted".to_owned());
        };
        let leak = leak(grant, held);
        // It may open the object again, and leave it again.
        if running.facts.leaks.iter().all(|known| known.object != leak.object) {
            running.facts.leaks.push(leak);
        }
        Ok(())
    }

    /// An attempt is over: what it held goes back. What it left held although it returned is told.
    pub(super) fn departed(&mut self, holding: Holding) -> Vec<Leak> {
        let leaks = holding.leaks();
        self.recover_from(holding);
        leaks
    }

    fn recover_from(&mut self, holding: Holding) {
        let left = (0..holding.shape.grants.len()).collect();
        let now = Instant::now();
        let mut over = Unrecovered { holding, left, since: now, due: now, pause: RECOVERY_RETRY_TIME };
        if !over.recover(now) {
            self.recover_again_at(over.due);
            self.unrecovered.push(over);
        }
    }

    pub(super) fn recover_rest(&mut self) {
        let now = Instant::now();
        if self.recovery_at.is_none_or(|at| at > now) {
            // An earlier try was asked for since, and has taken the place of this one.
            return;
        }
        self.recovery_at = None;
        self.unrecovered.retain_mut(|over| over.due > now || !over.recover(now));
        if let Some(due) = self.unrecovered.iter().map(|over| over.due).min() {
            self.recover_again_at(due);
        }
    }

    /// One deadline for all that is left, however much that is.
    fn recover_again_at(&mut self, due: Instant) {
        if self.recovery_at.is_none_or(|at| due < at) {
            self.recovery_at = Some(due);
            self.timers.set(due, Timer::Recovery);
        }
    }

    /// A guest has waited for a while: another assignment may run in its place.
    pub(super) fn wait_began(
        &mut self,
        worker: WorkerId,
        number: u64,
        on: WaitOn,
        timed: bool,
    ) -> Result<(), String> {
        let Some(entry) = self.workers.get_mut(&worker) else { return Ok(()) };
        if entry.waiting.is_some() {
            return Err("it waits for two things at once".to_owned());
        }
        entry.waiting = Some(Waiting { number, on, timed, told: None });
        let pool = entry.pool;
        if let Some(pool) = self.pools.get_mut(&pool) {
            entry.lent = pool.lend();
        }
        if !timed && self.suspects.start_looking() {
            self.timers.set(Instant::now() + DEADLOCK_LOOK_TIME, Timer::DeadlockLook);
        }
        self.pump(pool);
        Ok(())
    }

    /// The wait of this number, or whichever there is, is over.
    pub(super) fn wait_is_over(&mut self, worker: WorkerId, number: Option<u64>) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        if entry.waiting.is_none_or(|waiting| number.is_some_and(|number| waiting.number != number)) {
            return;
        }
        entry.waiting = None;
        if std::mem::take(&mut entry.lent)
            && let Some(pool) = self.pools.get_mut(&entry.pool)
        {
            pool.take_back();
            let pool = entry.pool;
            self.lend_again(pool);
        }
    }

    /// A place among those that may be lent is free: whoever waits and still holds its place gives it back.
    fn lend_again(&mut self, pool: PoolId) {
        let holds = |entry: &&mut WorkerHandle| entry.pool == pool && entry.waiting.is_some() && !entry.lent;
        let Some(entry) = self.workers.values_mut().find(holds) else { return };
        let Some(pool_entry) = self.pools.get_mut(&pool) else { return };
        entry.lent = pool_entry.lend();
        self.pump(pool);
    }

    /// A worker ended, and its last words wait until somebody has read its output. What it held does not.
    pub(super) fn left_unread(&mut self, worker: WorkerId) {
        self.wait_is_over(worker, None);
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let status = entry.child.as_mut().and_then(|child| child.try_wait());
        let nested = std::mem::take(&mut entry.nested);
        if let Some(mut holding) = entry.holding.take() {
            if matches!(status, Some((ExitStatus::Exited(0), _))) {
                holding.departure = Departure::Ended;
            }
            let leaks = self.departed(holding);
            self.told_leaks(worker, leaks);
        }
        self.end_nested(nested);
    }

    /// Puts leaks where the record of the call is made that is judged last.
    fn told_leaks(&mut self, worker: WorkerId, leaks: Vec<Leak>) {
        match self.workers.get_mut(&worker).map(|entry| &mut entry.stage) {
            Some(Stage::Running(running)) => running.facts.leaks.extend(leaks),
            Some(Stage::Ending(Some(ended))) => ended.facts.leaks.extend(leaks),
            _ => {}
        }
    }

    /// A guest asks for something.
    pub(super) fn asked(
        &mut self,
        worker: WorkerId,
        request: u64,
        ask: Ask,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        match ask {
            Ask::Dict { grant, operation } => {
                let reply = Reply::Dict(self.dict(worker, grant, operation)?);
                self.reply(worker, request, reply, None);
            }
            Ask::Submit { export, args } => {
                let taken = self.submit_nested(worker, export, args, descriptors)?;
                self.reply(worker, request, Reply::Submitted(taken), None);
            }
            Ask::Join { task } => self.join_nested(worker, request, task),
            Ask::Cancel { task } => self.cancel_nested(worker, task),
        }
        Ok(())
    }

    fn dict(
        &mut self,
        worker: WorkerId,
        grant: u32,
        operation: DictOperation,
    ) -> Result<Result<DictAnswer, SyncError>, String> {
        let running = self.workers.get_mut(&worker).and_then(|entry| entry.running());
        let grants = running.map(|running| running.shape.grants.as_slice()).unwrap_or_default();
        match grants.get(grant as usize).map(|grant| &*grant.object) {
            Some(Granted::Dict(dictionary)) => {
                let mut dictionary = dictionary.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(dictionary.perform(operation))
            }
            _ => Err("it asks for a dictionary that it was not granted".to_owned()),
        }
    }

    /// Answers a request; false when there is no room for it now.
    pub(super) fn try_reply(
        &self,
        worker: WorkerId,
        request: u64,
        reply: Reply,
        body: Option<BorrowedFd<'_>>,
    ) -> bool {
        let socket = self.workers.get(&worker).and_then(|entry| entry.line.as_ref());
        let Some(socket) = socket else { return true };
        let Ok(bytes) = frame::encode(&ToWorker::Reply { request, reply }) else { return false };
        match socket.try_send(&bytes, body.as_slice()) {
            Ok(sent) => sent,
            // One that is gone needs no answer.
            Err(error) => matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset),
        }
    }

    /// Answers a request. A worker that has no room for the answer it asked for is not ours.
    pub(super) fn reply(
        &mut self,
        worker: WorkerId,
        request: u64,
        reply: Reply,
        body: Option<BorrowedFd<'_>>,
    ) {
        let Some(entry) = self.workers.get(&worker) else { return };
        if entry.line.is_some() && !self.try_reply(worker, request, reply, body) {
            let reason = "it does not read the answers to its requests".to_owned();
            self.condemn(worker, crate::supervisor::verdict::Intent::Protocol(reason));
        }
    }
}

impl Unrecovered {
    /// Recovers what can be; true when nothing is left and the token is free again. An object that somebody who is
    /// alive never leaves is given up: whoever is recovered there later finds this token dead too.
    fn recover(&mut self, now: Instant) -> bool {
        let Holding { token, task, shape, departure } = &self.holding;
        let is_alive = |other| other != *token && tokens::is_alive(other);
        self.left.retain(|index| match &*shape.grants[*index].object {
            Granted::Memory(object) => {
                let object = object.as_end(shape.grants[*index].end);
                object.recover(*token, *task, *departure, &is_alive) == Recovery::Busy
            }
            Granted::Dict(_) => false,
        });
        let given_up = !self.left.is_empty() && now.duration_since(self.since) >= RECOVERY_TIME_MAX;
        if given_up {
            tracing::warn!(task, "a shared object is never left by somebody inside, and is not recovered");
        }
        let done = self.left.is_empty() || given_up;
        if done {
            tokens::give_back(*token);
        }
        self.due = now + self.pause;
        self.pause = (2 * self.pause).min(RECOVERY_PAUSE_MAX);
        done
    }
}
