//! Fork servers: started by need, asked for workers, retired by use.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use super::groups::without_group;
use super::init::init_of;
use super::{Dispatcher, WORKER_END, token};
use crate::feature::Feature;
use crate::limits::{FORKS_ASKED_MAX, KEPT_INSTANCES, KEPT_TABLE_ELEMENTS};
use crate::os::child::Child;
use crate::os::socket::PacketSocket;
use crate::outcome::{Outcome, StartFailed, StartFailure};
use crate::policy::{Layer, Layers};
use crate::protocol::fork_server::{FromForkServer, ToForkServer};
use crate::protocol::frame;
use crate::supervisor::artifact_store::{Artifact, ArtifactKey};
use crate::supervisor::call::CallShape;
use crate::supervisor::cgroup::PoolGroup;
use crate::supervisor::event::{PoolId, ProcessId, WorkerId};
use crate::supervisor::fork_client::{Process, Purpose, Server, ServerId, ServerKey, Stage, StartRequest};
use crate::supervisor::line::Line;
use crate::supervisor::pool::StartMethod;
use crate::supervisor::worker_handle::{Stage as WorkerStage, WorkerHandle};

/// What stands around a worker.
struct Walls {
    layers: Layers,
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
            keeps_memory: self.keeps_memory(pool, shape),
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
            successor: None,
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

    /// Whether workers of this pool make one instance after the other in memory that they keep. Where a limit of the task
    /// is above what fits there, it is the limit that counts.
    fn keeps_memory(&self, pool: PoolId, shape: &CallShape) -> bool {
        let is_reused = self.pools.get(&pool).is_some_and(|pool| pool.settings.max_tasks_per_worker > 1);
        let fits = shape.limits.table_elements < KEPT_TABLE_ELEMENTS as u64
            && shape.limits.instances <= KEPT_INSTANCES
            && !shape.module.features.contains(Feature::Memory64);
        is_reused && fits && init_of(shape).is_none()
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
        if let Some(server) = entry.server() {
            self.succeed(server, process);
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

    pub(super) fn back_to_pending(&mut self, server: ServerId, request: StartRequest) {
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
            let is_succeeded = self.is_succeeded(server, process);
            let Some(entry) = self.processes.get_mut(&process) else { return };
            if (is_succeeded || entry.forks >= self.settings.forks_per_server_max) && entry.asked.is_empty() {
                self.retire_fork_server(process);
                return self.serve(server);
            }
            if is_succeeded {
                return;
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
            None => {
                self.hand_over(server);
                self.serve(server);
            }
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
        let walls = Walls { layers: entry.layers, group: entry.group.clone() };
        self.worker_ready(worker, child, walls, Some(process));
        Ok(())
    }

    fn spawned_worker_ready(&mut self, process: ProcessId, request: StartRequest) {
        let Some(mut entry) = self.forget_process(process) else { return };
        if let Some(child) = entry.child.take() {
            let walls = Walls { layers: entry.layers, group: entry.group.take() };
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
