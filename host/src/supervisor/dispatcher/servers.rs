//! Fork servers: started by need, asked for workers, replaced when they are lost, retired by use.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::groups::without_group;
use super::init::init_of;
use super::{Dispatcher, WORKER_END, token};
use crate::limits::{FORKS_ASKED_MAX, START_FAILURES_MAX};
use crate::os::child::{Child, ExitStatus};
use crate::os::socket::PacketSocket;
use crate::outcome::{Outcome, StartFailed, StartFailure};
use crate::policy::Layer;
use crate::protocol::fork_server::{FromForkServer, ToForkServer};
use crate::protocol::frame;
use crate::supervisor::artifact_store::{Artifact, ArtifactKey};
use crate::supervisor::call::CallShape;
use crate::supervisor::cgroup::PoolGroup;
use crate::supervisor::event::{PoolId, ProcessId, WorkerId};
use crate::supervisor::fork_client::{Process, Purpose, Server, ServerId, ServerKey, Stage, StartRequest};
use crate::supervisor::line::Line;
use crate::supervisor::pool::StartMethod;
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::{Stage as WorkerStage, WorkerHandle};

/// The wait after the first failure to get a worker; it doubles with each further one.
const FIRST_RETRY: Duration = Duration::from_millis(10);

/// What stands around a worker.
struct Walls {
    layers: Arc<[Layer]>,
    group: Option<Arc<PoolGroup>>,
}

impl Dispatcher {
    /// The server for calls of this shape.
    pub(super) fn server_for(&mut self, pool: PoolId, shape: &CallShape) -> ServerId {
        let group = self.group_of(pool, shape.policy.sandbox);
        let key = ServerKey {
            artifact: shape.module.artifact_key(shape.limits.fuel.is_some()),
            engine: shape.module.engine_settings(&shape.limits),
            policy: shape.policy.clone(),
            dirs: shape.dirs.iter().map(|dir| dir.rule().clone()).collect(),
            nets: shape.nets.iter().map(|net| net.rule().clone()).collect(),
            start_method: shape.start_method,
            init: init_of(shape),
            enclosed: (!matches!(group, Ok(None))).then_some(pool),
        };
        if let Some(server) = self.server_ids.get(&key) {
            return *server;
        }
        self.forget_unused_servers();
        let id = self.new_id();
        let server = Server {
            key: key.clone(),
            module: Arc::clone(&shape.module),
            kind: shape.kind,
            dirs: shape.dirs.clone(),
            artifact: None,
            group,
            process: None,
            pending: VecDeque::new(),
            failures: 0,
            failed_at: 0,
            idle_deaths: 0,
            retry_at: None,
            last_used: id,
        };
        self.servers.insert(id, server);
        self.server_ids.insert(key, id);
        id
    }

    /// Lets go of modules that nobody uses any more, once there are many.
    fn forget_unused_servers(&mut self) {
        if self.servers.len() < 4 * self.settings.fork_servers_max {
            return;
        }
        let (pools, workers) = (&self.pools, &self.workers);
        let used = |id: ServerId, server: &Server| {
            server.process.is_some()
                || !server.pending.is_empty()
                || pools.values().any(|pool| pool.scheduler.uses(id))
                || workers.values().any(|worker| worker.server == id)
        };
        self.servers.retain(|id, server| used(*id, server));
        self.server_ids.retain(|_, id| self.servers.contains_key(id));
    }

    /// Asks the server for one more worker.
    pub(super) fn request_worker(&mut self, server: ServerId, request: StartRequest) {
        let now = self.new_id();
        if let Some(entry) = self.servers.get_mut(&server) {
            entry.pending.push_back(request);
            entry.last_used = now;
        }
        self.serve(server);
    }

    /// Brings the server as far as it can be brought: artifact, process, forks.
    pub(super) fn serve(&mut self, server: ServerId) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        if entry.pending.is_empty() || entry.retry_at.is_some_and(|at| at > Instant::now()) {
            return;
        }
        entry.retry_at = None;
        if let Err(cause) = &entry.group {
            let cause = without_group(cause);
            return self.give_up(server, &Outcome::StartFailed(cause));
        }
        if entry.artifact.is_none() {
            let (key, module) = (entry.key.artifact, Arc::clone(&entry.module));
            let Some(artifact) = self.artifact(key, &module) else { return };
            let Some(entry) = self.servers.get_mut(&server) else { return };
            entry.artifact = Some(artifact);
        }
        let Some(entry) = self.servers.get_mut(&server) else { return };
        match (entry.key.start_method, entry.process) {
            (StartMethod::Spawn, _) => self.spawn_workers(server),
            (StartMethod::ForkServer, Some(process)) => self.fork_workers(server, process),
            (StartMethod::ForkServer, None) => self.start_fork_server(server),
        }
    }

    fn start_fork_server(&mut self, server: ServerId) {
        self.make_room_for_fork_server();
        match self.start_process(Purpose::ForkServer { server }, "fork-server") {
            Ok(process) => {
                if let Some(entry) = self.servers.get_mut(&server) {
                    entry.process = Some(process);
                }
            }
            Err(error) => self.server_failed(server, StartFailure::Worker, error.to_string()),
        }
    }

    /// Retires the fork server that was not used for the longest time while there are too many.
    fn make_room_for_fork_server(&mut self) {
        loop {
            let live = self.servers.iter().filter_map(|(id, server)| Some((*id, server, server.process?)));
            let live: Vec<_> = live.collect();
            if live.len() < self.settings.fork_servers_max {
                return;
            }
            let unused = live.iter().filter(|(_, server, process)| {
                let busy = self.processes.get(process).is_some_and(|process| !process.asked.is_empty());
                server.pending.is_empty() && !busy
            });
            let Some((_, _, process)) = unused.min_by_key(|(_, server, _)| server.last_used) else { return };
            self.retire_fork_server(*process);
        }
    }

    /// The fork server forks no more; its workers go on.
    pub(super) fn retire_fork_server(&mut self, process: ProcessId) {
        let Some(entry) = self.processes.get_mut(&process) else { return };
        entry.stage = Stage::Retired;
        if let Some(server) = entry.server().and_then(|server| self.servers.get_mut(&server)) {
            server.process = None;
            // Its memory belongs to whoever holds the module.
            server.artifact = None;
        }
        self.bury_if_childless(process);
    }

    /// A retired fork server is ended after its last worker.
    pub(super) fn bury_if_childless(&mut self, process: ProcessId) {
        let childless = |process: &Process| process.stage == Stage::Retired && process.alive == 0;
        if self.processes.get(&process).is_some_and(childless) {
            self.forget_process(process);
        }
    }

    fn spawn_workers(&mut self, server: ServerId) {
        while let Some(request) = self.servers.get_mut(&server).and_then(|entry| entry.pending.pop_front()) {
            if let Err(error) = self.start_process(Purpose::Spawned { server, request }, "worker") {
                self.back_to_pending(server, request);
                self.server_failed(server, StartFailure::Worker, error.to_string());
                return;
            }
        }
    }

    fn back_to_pending(&mut self, server: ServerId, request: StartRequest) {
        if let Some(entry) = self.servers.get_mut(&server) {
            entry.pending.push_front(request);
        }
    }

    /// The supervisor's end of the socket of a worker that will be. It is watched once the worker has a task.
    pub(super) fn connect(&mut self, worker: WorkerId, socket: PacketSocket) {
        if let Some(worker) = self.workers.get_mut(&worker) {
            worker.line = Some(Line::new(socket));
        }
    }

    /// Asks a fork server that is ready for what is pending, as much of it at a time as its socket has room for: one
    /// that reads nothing must not hold this thread up.
    fn fork_workers(&mut self, server: ServerId, process: ProcessId) {
        loop {
            let Some(entry) = self.processes.get_mut(&process) else { return };
            if entry.stage != Stage::Ready || entry.asked.len() >= FORKS_ASKED_MAX {
                return;
            }
            if entry.forks >= self.settings.forks_per_server_max && entry.asked.is_empty() {
                self.retire_fork_server(process);
                return self.serve(server);
            }
            let Some(request) = self.servers.get_mut(&server).and_then(|entry| entry.pending.pop_front())
            else {
                return;
            };
            if let Err(error) = self.ask_to_fork(process, request) {
                self.back_to_pending(server, request);
                return self.server_lost(process, StartFailure::ForkServerLost, error.to_string());
            }
        }
    }

    fn ask_to_fork(&mut self, process: ProcessId, request: StartRequest) -> std::io::Result<()> {
        let (ours, theirs) = PacketSocket::pair()?;
        let bytes =
            frame::encode(&ToForkServer::Fork { worker: request.worker }).map_err(std::io::Error::other)?;
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        if !entry.socket.try_send(&bytes, &[theirs.as_fd()])? {
            return Err(std::io::ErrorKind::WouldBlock.into());
        }
        entry.asked.push_back(request.worker);
        entry.forks += 1;
        self.connect(request.worker, ours);
        self.expect_answer(process);
        Ok(())
    }

    /// An answer of a fork server or a spawned worker.
    pub(super) fn server_said(
        &mut self,
        process: ProcessId,
        message: FromForkServer,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        let Some(server) = entry.server() else { return Ok(()) };
        match message {
            FromForkServer::Ready { layers } if entry.stage.is_loading() => {
                self.server_ready(process, server, layers);
                Ok(())
            }
            FromForkServer::LoadFailed { kind, detail } if entry.stage == Stage::Loading => {
                self.load_failed(process, Outcome::StartFailed(StartFailed { kind, detail }));
                Ok(())
            }
            FromForkServer::Forked { worker } if entry.asked.front() == Some(&worker) => {
                self.fork_answered(process);
                self.worker_forked(process, worker, descriptors)?;
                self.serve(server);
                Ok(())
            }
            FromForkServer::ForkFailed { worker, errno } if entry.asked.front() == Some(&worker) => {
                self.fork_answered(process);
                let reason = std::io::Error::from_raw_os_error(errno).to_string();
                self.fork_failed(server, worker, reason);
                Ok(())
            }
            other => self.init_said(process, server, other),
        }
    }

    /// The oldest request to fork was answered. No deadline holds when it was the last one.
    fn fork_answered(&mut self, process: ProcessId) {
        let Some(entry) = self.processes.get_mut(&process) else { return };
        entry.asked.pop_front();
        if entry.asked.is_empty() {
            self.answered(process);
        }
    }

    fn server_ready(&mut self, process: ProcessId, server: ServerId, layers: Vec<Layer>) {
        let Some(entry) = self.processes.get(&process) else { return };
        let layers = match self.layers_in_force(entry, layers) {
            Ok(layers) => layers,
            Err(cause) => return self.load_failed(process, Outcome::StartFailed(cause)),
        };
        let Some(entry) = self.processes.get_mut(&process) else { return };
        (entry.layers, entry.stage) = (layers, Stage::Ready);
        let spawned = match entry.purpose {
            Purpose::Spawned { request, .. } => Some(request),
            _ => None,
        };
        self.answered(process);
        match spawned {
            Some(request) => self.spawned_worker_ready(process, request),
            None => self.serve(server),
        }
    }

    fn worker_forked(
        &mut self,
        process: ProcessId,
        worker: WorkerId,
        descriptors: Vec<OwnedFd>,
    ) -> Result<(), String> {
        let pidfd = descriptors.into_iter().next().ok_or("it handed over a worker without a pidfd")?;
        let child = Child::adopt(pidfd)
            .map_err(|error| format!("it handed over what is no child of ours: {error}"))?;
        let known = |other: &WorkerHandle| other.pid() == Some(child.pid());
        let is_server =
            |other: &Process| other.child.as_ref().is_some_and(|other| other.pid() == child.pid());
        if self.workers.values().any(known) || self.processes.values().any(is_server) {
            // Dropping the claimed child would end the one that is known by this number.
            child.disown();
            return Err("it handed over a process that is known already".to_owned());
        }
        let Some(entry) = self.processes.get_mut(&process) else { return Ok(()) };
        entry.alive += 1;
        let walls = Walls { layers: Arc::clone(&entry.layers), group: entry.group.clone() };
        self.worker_ready(worker, child, walls, Some(process));
        Ok(())
    }

    fn spawned_worker_ready(&mut self, process: ProcessId, request: StartRequest) {
        let Some(mut entry) = self.forget_process(process) else { return };
        if let Some(child) = entry.child.take() {
            let walls = Walls { layers: Arc::clone(&entry.layers), group: entry.group.take() };
            self.worker_ready(request.worker, child, walls, None);
        }
    }

    fn worker_ready(&mut self, worker: WorkerId, child: Child, walls: Walls, origin: Option<ProcessId>) {
        if self.poller.add(&child, token(WORKER_END, worker)).is_err() {
            tracing::warn!(pid = child.pid(), "a worker cannot be watched, so it is ended");
            child.kill();
        }
        let Some(entry) = self.workers.get_mut(&worker) else {
            // Its pool is gone; dropping the child ends it.
            self.origin_lost_one(origin);
            return;
        };
        entry.child = Some(child);
        (entry.layers, entry.group) = (walls.layers, walls.group);
        entry.origin = origin;
        entry.stage = WorkerStage::Idle;
        let (pool, server) = (entry.pool, entry.server);
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.scheduler.started(server, worker);
        }
        self.pump(pool);
    }

    pub(super) fn origin_lost_one(&mut self, origin: Option<ProcessId>) {
        if let Some(process) = origin {
            if let Some(entry) = self.processes.get_mut(&process) {
                entry.alive = entry.alive.saturating_sub(1);
            }
            self.bury_if_childless(process);
        }
    }

    fn fork_failed(&mut self, server: ServerId, worker: WorkerId, reason: String) {
        self.request_again(server, worker);
        // Of several forks that were asked for together one counts.
        let counted = |entry: &Server| entry.retry_at.is_some_and(|at| at > Instant::now());
        if !self.servers.get(&server).is_some_and(counted) {
            self.server_failed(server, StartFailure::Worker, format!("fork failed: {reason}"));
        }
    }

    /// Puts a worker that was asked for back among what is pending.
    fn request_again(&mut self, server: ServerId, worker: WorkerId) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        let pool = entry.pool;
        entry.line = None;
        self.back_to_pending(server, StartRequest { pool, worker });
    }

    /// The artifact could not be loaded or linked. It will not be another time, so its tasks fail.
    pub(super) fn load_failed(&mut self, process: ProcessId, outcome: Outcome) {
        let Some(server) = self.take_requests_back(process) else { return };
        self.give_up(server, &outcome);
    }

    /// A fork server (or a spawned worker before it was ready) is gone; what was asked of it is asked again.
    pub(super) fn server_lost(&mut self, process: ProcessId, kind: StartFailure, reason: String) {
        let retired = self.processes.get(&process).is_none_or(|entry| entry.stage == Stage::Retired);
        if retired {
            // Nothing is wanted of it, so whatever it says or floods us with is none of its business.
            let Some(entry) = self.processes.get(&process) else { return };
            self.poller.remove(&entry.socket);
            return entry.child.iter().for_each(Child::kill);
        }
        let Some(server) = self.take_requests_back(process) else { return };
        self.server_failed(server, kind, reason);
    }

    fn take_requests_back(&mut self, process: ProcessId) -> Option<ServerId> {
        let entry = self.processes.get_mut(&process)?;
        let server = entry.server()?;
        let mut asked: Vec<WorkerId> = entry.asked.drain(..).collect();
        if let Purpose::Spawned { request, .. } = entry.purpose {
            asked.push(request.worker);
        }
        if let Some(child) = &entry.child {
            child.kill();
        }
        for worker in asked.into_iter().rev() {
            self.request_again(server, worker);
        }
        self.retire_fork_server(process);
        Some(server)
    }

    /// One more failure in a row to get a worker: try again later, or give up.
    pub(super) fn server_failed(&mut self, server: ServerId, kind: StartFailure, detail: String) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        entry.failures += 1;
        entry.failed_at = self.next_id;
        tracing::warn!(
            module = entry.module.name,
            failures = entry.failures,
            detail,
            "no worker could be had"
        );
        if entry.failures >= START_FAILURES_MAX {
            let detail = format!("{detail} ({START_FAILURES_MAX} failures in a row)");
            return self.give_up(server, &Outcome::StartFailed(StartFailed { kind, detail }));
        }
        let wait = FIRST_RETRY * 2_u32.pow(entry.failures - 1);
        self.retry_later(server, wait);
    }

    /// A worker died before it began its task. Of several that died together one counts: failures in a row
    /// are of workers that were asked for one after the other.
    pub(super) fn worker_never_began(&mut self, worker: WorkerId, server: ServerId, status: ExitStatus) {
        if self.servers.get(&server).is_some_and(|entry| worker > entry.failed_at) {
            let detail = format!("a worker ended before it began: {status:?}");
            self.server_failed(server, StartFailure::Worker, detail);
        }
    }

    /// A worker died while it waited for a task, so nobody is to blame and no task fails. More of them come
    /// ever more slowly, or a worker that cannot live would be forked again and again.
    pub(super) fn idle_worker_lost(&mut self, server: ServerId, status: ExitStatus) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        tracing::warn!(module = entry.module.name, ?status, "a worker ended while it waited for a task");
        let wait = FIRST_RETRY * 2_u32.pow(entry.idle_deaths);
        entry.idle_deaths = (entry.idle_deaths + 1).min(START_FAILURES_MAX);
        self.retry_later(server, wait);
    }

    fn retry_later(&mut self, server: ServerId, wait: Duration) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        let at = Instant::now() + wait;
        entry.retry_at = Some(at);
        self.timers.set(at, Timer::ServerRetry { server });
    }

    /// Everything that waits for this server ends like this. Later tasks try again.
    fn give_up(&mut self, server: ServerId, outcome: &Outcome) {
        let Some(entry) = self.servers.get_mut(&server) else { return };
        entry.failures = 0;
        entry.retry_at = None;
        for request in std::mem::take(&mut entry.pending) {
            self.workers.remove(&request.worker);
            if let Some(pool) = self.pools.get_mut(&request.pool) {
                pool.scheduler.start_failed(server);
            }
        }
        for pool in self.pools.keys().copied().collect::<Vec<_>>() {
            if let Some(pool) = self.pools.get_mut(&pool) {
                pool.scheduler.give_up(server);
            }
            self.fail_waiting(pool, server, outcome);
            self.pump(pool);
        }
    }

    /// An artifact is at hand, or cannot be had.
    pub(super) fn serve_artifact(&mut self, key: ArtifactKey, settled: Result<Arc<Artifact>, StartFailed>) {
        let servers = self.servers.iter_mut().filter(|(_, server)| server.key.artifact == key);
        let servers: Vec<ServerId> = servers.map(|(id, _)| *id).collect();
        for server in servers {
            match &settled {
                Ok(artifact) => {
                    if let Some(entry) = self.servers.get_mut(&server) {
                        entry.artifact = Some(Arc::clone(artifact));
                    }
                    self.serve(server);
                }
                Err(cause) => self.give_up(server, &Outcome::StartFailed(cause.clone())),
            }
        }
    }
}
