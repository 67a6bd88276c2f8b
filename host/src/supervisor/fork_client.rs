//! The supervisor's view of exec'ed processes: fork servers, spawned workers, compile workers.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::directory::GrantedDir;
use crate::os::child::Child;
use crate::os::socket::PacketSocket;
use crate::outcome::StartFailed;
use crate::policy::{DirRule, Layers, NetRule, Policy};
use crate::protocol::fork_server::{EngineSettings, Init};
use crate::supervisor::artifact_store::{Artifact, ArtifactKey};
use crate::supervisor::cgroup::PoolGroup;
use crate::supervisor::event::{ModuleSourceBytes, PoolId, ProcessId, WorkerId};
use crate::supervisor::pool::StartMethod;

/// Names what workers are forked from: one artifact under one policy, with one engine.
pub(super) type ServerId = u64;

/// What tells servers apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct ServerKey {
    pub(super) artifact: ArtifactKey,
    pub(super) engine: EngineSettings,
    pub(super) policy: Policy,
    pub(super) dirs: Vec<DirRule>,
    pub(super) nets: Vec<NetRule>,
    pub(super) start_method: StartMethod,
    /// Within which bounds its module is initialised, where that is done once for all workers.
    pub(super) init: Option<Init>,
    /// Its workers make one instance after the other, in memory that they keep.
    pub(super) keeps_memory: bool,
    /// The pool whose cgroup its processes are in; `None`: they are in none, and serve every such pool.
    pub(super) enclosed: Option<PoolId>,
}

/// A request for a worker that the server cannot answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct StartRequest {
    pub(super) pool: PoolId,
    pub(super) worker: WorkerId,
}

/// One server, whether its process lives or not.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) key: ServerKey,
    pub(super) module: Arc<ModuleSourceBytes>,
    pub(super) kind: crate::module_info::ModuleKind,
    /// The granted directories, opened, as the key lists them.
    pub(super) dirs: Vec<GrantedDir>,
    pub(super) artifact: Option<Arc<Artifact>>,
    /// The cgroup its processes are in; or why there is none, where there must be one.
    pub(super) group: Result<Option<Arc<PoolGroup>>, String>,
    /// The fork server that answers requests, once there is one.
    pub(super) process: Option<ProcessId>,
    /// One that was started to take its place, with the program's code in huge pages. Tried once.
    pub(super) successor: Option<ProcessId>,
    /// What waits for the artifact, the process, or the next try.
    pub(super) pending: VecDeque<StartRequest>,
    /// Failures in a row to get a worker.
    pub(super) failures: u32,
    /// The newest number when the last failure was counted: what is older was there before it.
    pub(super) failed_at: u64,
    /// Workers that died while they waited for a task, since the last one began a task.
    pub(super) idle_deaths: u32,
    /// No try before this was over.
    pub(super) retry_at: Option<Instant>,
    pub(super) last_used: u64,
}

/// What an exec'ed process is for.
#[derive(Debug)]
pub(super) enum Purpose {
    ForkServer {
        server: ServerId,
    },
    /// A worker that was started by itself.
    Spawned {
        server: ServerId,
        request: StartRequest,
    },
    Compile {
        key: ArtifactKey,
        output: std::fs::File,
        verdict: Option<Result<(), StartFailed>>,
        /// It was killed for its wall-clock time.
        timed_out: bool,
    },
    Doctor,
}

/// Where an exec'ed process is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The spawn thread has it.
    Spawning,
    /// It was told what to load.
    Loading,
    /// It runs what its module has to run once.
    Initializing,
    /// It forks.
    Ready,
    /// It is not asked any more.
    Retired,
}

impl Stage {
    pub(super) fn is_loading(self) -> bool {
        matches!(self, Self::Loading | Self::Initializing)
    }
}

/// An exec'ed process.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) purpose: Purpose,
    pub(super) stage: Stage,
    pub(super) child: Option<Child>,
    pub(super) socket: PacketSocket,
    /// Forks that were asked for and not answered.
    pub(super) asked: VecDeque<WorkerId>,
    /// Workers of it that live: its process group is ended after them.
    pub(super) alive: usize,
    pub(super) forks: u64,
    /// It was handed the program's code in huge pages.
    pub(super) huge_code: bool,
    pub(super) layers: Layers,
    /// The cgroup that it was told to join.
    pub(super) group: Option<Arc<PoolGroup>>,
    /// Grows with each answer, so that an old deadline means nothing.
    pub(super) phase: u64,
}

impl Process {
    pub(super) fn new(purpose: Purpose, socket: PacketSocket) -> Self {
        Self {
            purpose,
            stage: Stage::Spawning,
            child: None,
            socket,
            asked: VecDeque::new(),
            alive: 0,
            forks: 0,
            huge_code: false,
            layers: Layers::default(),
            group: None,
            phase: 0,
        }
    }

    pub(super) fn server(&self) -> Option<ServerId> {
        match self.purpose {
            Purpose::ForkServer { server } | Purpose::Spawned { server, .. } => Some(server),
            Purpose::Compile { .. } | Purpose::Doctor => None,
        }
    }
}

impl Drop for Process {
    /// Ends it, and with a fork server everything that it forked and did not hand over.
    fn drop(&mut self) {
        if let Some(child) = &self.child
            && matches!(self.purpose, Purpose::ForkServer { .. })
        {
            // Before the leader is reaped, so that its number still names this group.
            crate::os::child::end_group(child.pid());
        }
    }
}
