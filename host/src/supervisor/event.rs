//! Everything that can happen to the dispatcher, in one closed list.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::feature::Features;
use crate::limits::Limits;
use crate::os::child::Child;
use crate::os::memory_file::SealedFile;
use crate::outcome::{CancelledBy, StartFailed};
use crate::policy::Layer;
use crate::protocol::fork_server::EngineSettings;
use crate::supervisor::artifact_store::{Artifact, ArtifactKey};
use crate::supervisor::call::Assignment;
use crate::supervisor::pool::PoolSettings;

/// Where the layers go that were tried, each with the reason why it cannot be had.
pub(super) type DoctorReply = oneshot::Sender<Result<Vec<(Layer, Option<String>)>, StartFailed>>;

/// Names a pool within its supervisor.
pub(super) type PoolId = u64;
/// Names a worker, from the request to fork it to its end.
pub(super) type WorkerId = u64;
/// Names an exec'ed process: fork server, compile worker, spawned worker.
pub(super) type ProcessId = u64;

/// What the dispatcher is told.
#[derive(Debug)]
pub(super) enum Event {
    /// By the library's users.
    Command(Command),
    /// A program was started, or could not be.
    Spawned { process: ProcessId, result: std::io::Result<Child> },
    /// The artifact store looked: found, or not there.
    Looked { key: ArtifactKey, found: Option<Arc<Artifact>> },
    /// A worker's socket can be read.
    WorkerReadable(WorkerId),
    /// A worker ended.
    WorkerEnded(WorkerId),
    /// An exec'ed process's control socket can be read.
    ProcessReadable(ProcessId),
    /// An exec'ed process ended.
    ProcessEnded(ProcessId),
    /// The time for something is over.
    Elapsed(super::timers::Timer),
}

/// How a running task is to be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Tell the guest; after the grace period interrupt it; then kill it.
    Terminate,
    /// Interrupt the guest; then kill it.
    Interrupt,
    /// Kill it.
    Kill,
}

/// What the library's users ask for.
#[derive(Debug)]
pub(super) enum Command {
    /// Have the module's artifact at hand.
    Load { module: Arc<ModuleSourceBytes>, reply: oneshot::Sender<Result<Arc<Artifact>, StartFailed>> },
    /// A new pool.
    OpenPool { pool: PoolId, settings: PoolSettings },
    /// Calls for a pool, in one instance.
    Submit { pool: PoolId, assignment: Box<Assignment> },
    /// Stop one task.
    Stop { task: u64, how: Stop, by: CancelledBy },
    /// Nothing more is submitted to this pool.
    Close { pool: PoolId },
    /// Take what waits out of the queue, ending it as `by`.
    DropWaiting { pool: PoolId, by: CancelledBy },
    /// Stop everything in the pool, ending it as `by`.
    StopAll { pool: PoolId, how: Stop, by: CancelledBy },
    /// Tell when nothing of the pool waits or runs.
    Join { pool: PoolId, reply: oneshot::Sender<()> },
    /// Another number of workers.
    Resize { pool: PoolId, workers: usize },
    /// The observer of this pool made room.
    ObserverRoom { pool: PoolId },
    /// An output reader made room.
    OutputRoom,
    /// The processes that are alive.
    Children { reply: oneshot::Sender<Vec<ChildInfo>> },
    /// Which layers this machine can give.
    Doctor { reply: DoctorReply },
    /// End everything and the loop.
    Shutdown { how: Stop },
}

/// A module's bytes, sealed, with what names them.
#[derive(Debug)]
pub(crate) struct ModuleSourceBytes {
    pub(super) name: String,
    pub(super) digest: super::artifact_store::Digest,
    /// What it may use besides what every module may.
    pub(super) features: Features,
    pub(super) file: SealedFile,
}

impl ModuleSourceBytes {
    /// What its engine is made with.
    pub(super) fn engine_settings(&self, limits: &Limits) -> EngineSettings {
        let (fuel, stack_bytes) = (limits.fuel.is_some(), limits.stack_bytes);
        EngineSettings { fuel, features: self.features, stack_bytes }
    }

    /// Names its artifact, with or without fuel.
    pub(super) fn artifact_key(&self, fuel: bool) -> ArtifactKey {
        ArtifactKey { module: self.digest, fuel, features: self.features }
    }
}

/// A live worker that runs a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildInfo {
    /// The task's or process's name.
    pub name: String,
    /// The worker's process id.
    pub pid: u32,
}

/// What the supervisor starts its children from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProgramSettings {
    pub(super) program: PathBuf,
    pub(super) fault: Option<String>,
}
