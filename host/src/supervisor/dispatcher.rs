//! The dispatcher: one loop on one thread that owns all mutable state of a supervisor.
//!
//! Everything that can happen is an [`Event`]; each is handled to its end before the next. What to do is
//! decided by pure parts (`scheduler`, `verdict`), this module and its children do it. It never runs
//! users' code and never waits for anything but events: callbacks, file access and `exec` have threads
//! of their own.

#![forbid(unsafe_code)]

mod ahead;
mod artifacts;
mod chaos;
mod deadlocks;
mod failures;
mod frames;
mod groups;
mod hearing;
mod huge_code;
mod init;
mod items;
mod load;
mod nested;
mod objects;
mod places;
mod pools;
mod processes;
mod results;
mod retries;
mod servers;
mod start;
mod time;
mod workers;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustc_hash::FxHashMap;

use crate::limits::{FORK_SERVERS_MAX, FORKS_PER_SERVER_MAX, FRAME_BYTES_MAX};
use crate::os::poll::Poller;
use crate::outcome::CancelledBy;
use crate::policy::SandboxMode;
use crate::supervisor::artifact_store::ArtifactStore;
use crate::supervisor::event::{
    ChildInfo, Command, DoctorReply, Event, PoolId, ProcessId, ProgramSettings, Stop, WorkerId,
};
use crate::supervisor::fork_client::{Process, Server, ServerId, ServerKey};
use crate::supervisor::inbox::Inbox;
use crate::supervisor::pool::RecordMail;
use crate::supervisor::timers::{Timer, Timers};
use crate::supervisor::worker_handle::{Stage, WorkerHandle};

use artifacts::Artifacts;
use deadlocks::Suspects;
use huge_code::SharedCode;
use objects::Unrecovered;
use places::Places;
use pools::Pool;
use results::SmallValues;
use retries::Resting;

/// Poll tokens: what a descriptor is, in the lowest bits, and whose it is.
const KIND_BITS: u32 = 2;
const WORKER_SOCKET: u64 = 0;
const WORKER_END: u64 = 1;
const PROCESS_SOCKET: u64 = 2;
const PROCESS_END: u64 = 3;
const INBOX: u64 = u64::MAX;

fn token(kind: u64, id: u64) -> u64 {
    id << KIND_BITS | kind
}

/// A number that is another one in each supervisor.
fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

/// What a dispatcher is made with.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) program: ProgramSettings,
    pub(super) store: ArtifactStore,
    pub(super) fork_servers_max: usize,
    pub(super) forks_per_server_max: u64,
    pub(super) compile_time: Option<Duration>,
    pub(super) compile_memory_bytes: Option<u64>,
    pub(super) compile_sandbox: SandboxMode,
}

impl Settings {
    pub(super) fn new(program: ProgramSettings, store: ArtifactStore) -> Self {
        Self {
            program,
            store,
            fork_servers_max: FORK_SERVERS_MAX,
            forks_per_server_max: FORKS_PER_SERVER_MAX,
            compile_time: None,
            compile_memory_bytes: None,
            compile_sandbox: SandboxMode::default(),
        }
    }
}

/// All state of one supervisor.
#[derive(Debug)]
pub(super) struct Dispatcher {
    settings: Settings,
    inbox: Arc<Inbox>,
    poller: Poller,
    timers: Timers,
    buffer: Vec<u8>,
    next_id: u64,
    pools: FxHashMap<PoolId, Pool>,
    places: Places,
    /// Calls that wait for their next attempt.
    resting: FxHashMap<u64, Resting>,
    /// What the waits between attempts are drawn from.
    seed: u64,
    artifacts: Artifacts,
    huge_code: SharedCode,
    servers: FxHashMap<ServerId, Server>,
    server_ids: HashMap<ServerKey, ServerId>,
    processes: FxHashMap<ProcessId, Process>,
    /// Programs that the spawn thread was asked for and has not answered: their children are ours.
    spawning: usize,
    workers: FxHashMap<WorkerId, WorkerHandle>,
    paused: Vec<WorkerId>,
    /// Workers that may have more to say, of which nothing else tells.
    unread: Vec<WorkerId>,
    /// Workers in the middle of a chunk, whose lanes are looked into at this time.
    dozing: Vec<WorkerId>,
    look_at: Option<Instant>,
    /// Streams for which there are records; they are woken once what happened together was handled.
    to_ring: Vec<Arc<RecordMail>>,
    small_values: SmallValues,
    doctors: HashMap<ProcessId, DoctorReply>,
    /// What attempts that are over may still hold in shared memory.
    unrecovered: Vec<Unrecovered>,
    /// When that is tried again.
    recovery_at: Option<Instant>,
    /// Answers wait for room in their workers' sockets, and their time is set.
    answers_late: bool,
    /// Waits that looked endless at the last look.
    suspects: Suspects,
    ending: bool,
}

impl Dispatcher {
    pub(super) fn new(settings: Settings, inbox: Arc<Inbox>) -> std::io::Result<Self> {
        let poller = Poller::new()?;
        poller.add(&inbox.waker, INBOX)?;
        Ok(Self {
            settings,
            inbox,
            poller,
            timers: Timers::default(),
            buffer: vec![0; FRAME_BYTES_MAX],
            next_id: 0,
            pools: FxHashMap::default(),
            places: Places::default(),
            resting: FxHashMap::default(),
            seed: seed(),
            artifacts: Artifacts::default(),
            huge_code: SharedCode::default(),
            servers: FxHashMap::default(),
            server_ids: HashMap::new(),
            processes: FxHashMap::default(),
            spawning: 0,
            workers: FxHashMap::default(),
            paused: Vec::new(),
            unread: Vec::new(),
            dozing: Vec::new(),
            look_at: None,
            to_ring: Vec::new(),
            small_values: SmallValues::default(),
            doctors: HashMap::new(),
            unrecovered: Vec::new(),
            recovery_at: None,
            answers_late: false,
            suspects: Suspects::default(),
            ending: false,
        })
    }

    /// Runs until it is told to shut down and nothing is left.
    pub(super) fn run(mut self) {
        let mut tokens = Vec::new();
        while !(self.ending && self.is_empty()) {
            let timeout = self.until_next(Instant::now());
            tokens.clear();
            if let Err(error) = self.poller.wait(timeout, &mut tokens) {
                tracing::error!(%error, "the dispatcher cannot wait for events");
                break;
            }
            for token in &tokens {
                self.handle_token(*token);
            }
            while let Some(timer) = self.timers.elapsed(Instant::now()) {
                self.handle(Event::Elapsed(timer));
            }
            self.read_on();
            self.to_ring.drain(..).for_each(|records| records.ring());
            self.inbox.bells.ring();
            self.sweep_timers();
        }
    }

    /// How long nothing happens by itself.
    fn until_next(&self, now: Instant) -> Option<Duration> {
        if !self.unread.is_empty() {
            return Some(Duration::ZERO);
        }
        let look = self.look_at.map(|at| at.saturating_duration_since(now));
        self.timers.until_next(now).into_iter().chain(look).min()
    }

    /// True when no task is left and no child can come any more.
    fn is_empty(&self) -> bool {
        let has_tasks = !self.places.is_empty() || !self.resting.is_empty();
        self.workers.is_empty() && !has_tasks && self.spawning == 0 && self.unrecovered.is_empty()
    }

    fn handle_token(&mut self, token: u64) {
        let id = token >> KIND_BITS;
        match token {
            INBOX => {
                for event in self.inbox.take() {
                    self.handle(event);
                }
            }
            _ => self.handle(match token & ((1 << KIND_BITS) - 1) {
                WORKER_SOCKET => Event::WorkerReadable(id),
                WORKER_END => Event::WorkerEnded(id),
                PROCESS_SOCKET => Event::ProcessReadable(id),
                _ => Event::ProcessEnded(id),
            }),
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Command(command) => self.handle_command(command),
            Event::Spawned { process, result } => self.process_spawned(process, result),
            Event::Looked { key, found } => self.artifact_looked_up(key, found),
            Event::WorkerReadable(worker) => self.worker_readable(worker),
            Event::WorkerEnded(worker) => self.worker_ended(worker),
            Event::ProcessReadable(process) => self.process_readable(process),
            Event::ProcessEnded(process) => self.process_ended(process),
            Event::Elapsed(timer) => self.elapsed(timer),
        }
    }

    fn handle_command(&mut self, command: Command) {
        match command {
            Command::Load { module, reply } => self.load(module, reply),
            Command::OpenPool { pool, settings } => self.open_pool(pool, settings),
            Command::Submit { pool, assignment } => self.submit(pool, *assignment),
            Command::Stop { task, how, by } => self.stop_task(task, how, by),
            Command::Close { pool } => self.close_pool(pool),
            Command::DropWaiting { pool, by } => self.drop_waiting(pool, by),
            Command::StopAll { pool, how, by } => self.stop_all(pool, how, by),
            Command::Join { pool, reply } => self.join_pool(pool, reply),
            Command::Resize { pool, workers } => self.resize_pool(pool, workers),
            Command::ObserverRoom { pool } => self.pump(pool),
            Command::OutputRoom => self.resume_paused(),
            Command::Children { reply } => drop(reply.send(self.children())),
            Command::Doctor { reply } => self.examine(reply),
            Command::Shutdown { how } => self.shut_down(how),
        }
    }

    fn elapsed(&mut self, timer: Timer) {
        if let Some(worker) = timer.worker() {
            self.catch_up(worker);
        }
        match timer {
            Timer::TaskTime { worker, phase } if self.in_phase(worker, phase) => self.task_timed_out(worker),
            Timer::CpuTime { worker, phase } if self.in_phase(worker, phase) => {
                self.look_at_cpu_clock(worker)
            }
            Timer::Hearing { worker, phase } if self.in_phase(worker, phase) => {
                self.hear(worker);
                self.runs_long(worker);
            }
            Timer::Chaos { worker, phase } if self.in_phase(worker, phase) => self.kill(worker),
            Timer::Grace { worker, phase } if self.in_phase(worker, phase) => self.grace_is_over(worker),
            Timer::InterruptAnswer { worker, phase } if self.in_phase(worker, phase) => self.kill(worker),
            Timer::WorkerAnswer { worker, phase } if self.in_phase(worker, phase) => {
                self.worker_overdue(worker)
            }
            Timer::ProcessAnswer { process, phase } => self.process_timed_out(process, phase),
            Timer::ServerRetry { server } => self.serve(server),
            Timer::Retry { task } => self.rested(task),
            Timer::Recovery => self.recover_rest(),
            Timer::DeadlockLook => self.look_for_deadlocks(),
            Timer::LateReplies => self.answer_late(),
            // Deadlines of an earlier phase.
            Timer::TaskTime { .. }
            | Timer::CpuTime { .. }
            | Timer::Hearing { .. }
            | Timer::Chaos { .. }
            | Timer::Grace { .. }
            | Timer::InterruptAnswer { .. }
            | Timer::WorkerAnswer { .. } => {}
        }
    }

    fn sweep_timers(&mut self) {
        let (workers, processes, resting) = (&self.workers, &self.processes, &self.resting);
        self.timers.sweep(|timer| match *timer {
            Timer::TaskTime { worker, phase }
            | Timer::CpuTime { worker, phase }
            | Timer::Hearing { worker, phase }
            | Timer::Chaos { worker, phase }
            | Timer::Grace { worker, phase }
            | Timer::WorkerAnswer { worker, phase }
            | Timer::InterruptAnswer { worker, phase } => {
                workers.get(&worker).is_some_and(|worker| worker.phase == phase)
            }
            Timer::ProcessAnswer { process, phase } => {
                processes.get(&process).is_some_and(|process| process.phase == phase)
            }
            Timer::Retry { task } => resting.contains_key(&task),
            Timer::ServerRetry { .. } | Timer::Recovery | Timer::DeadlockLook | Timer::LateReplies => true,
        });
    }

    fn in_phase(&self, worker: WorkerId, phase: u64) -> bool {
        self.workers.get(&worker).is_some_and(|worker| worker.phase == phase)
    }

    fn kill(&self, worker: WorkerId) {
        if let Some(worker) = self.workers.get(&worker) {
            worker.kill();
        }
    }

    fn new_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    fn children(&self) -> Vec<ChildInfo> {
        let running = self.workers.values().filter_map(|worker| match &worker.stage {
            Stage::Running(running) => Some((worker, running.open_calls().next()?)),
            _ => None,
        });
        running
            .filter_map(|(worker, call)| Some(ChildInfo { name: call.name.to_string(), pid: worker.pid()? }))
            .collect()
    }

    fn shut_down(&mut self, how: Stop) {
        self.ending = true;
        for pool in self.pools.keys().copied().collect::<Vec<_>>() {
            self.close_pool(pool);
            self.stop_all(pool, how, CancelledBy::Shutdown);
        }
    }
}

impl Drop for Dispatcher {
    /// However the loop ended: whoever still waits for a reply learns that there is none.
    fn drop(&mut self) {
        self.to_ring.drain(..).for_each(|records| records.ring());
        self.inbox.bells.ring();
        self.inbox.close();
    }
}
