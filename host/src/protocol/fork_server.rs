//! What supervisor and fork server say to each other.

#![forbid(unsafe_code)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::feature::Features;
use crate::module_info::ModuleKind;
use crate::outcome::StartFailure;
use crate::policy::{DirRule, Layer, NetRule, Policy};
use crate::protocol::worker::Claim;

/// From the supervisor to a fork server, or to a worker that is started by itself (`spawn`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ToForkServer {
    /// Go into the pool's cgroup, by the doors that are its descriptors; before anything else. When that fails and it
    /// is `required`, the answer to the next frame says so.
    Join { required: bool },
    /// Use this copy of the program's code and constants instead of the program's file: it is the descriptor. What tells
    /// the program from others is that of the file it was made of. Before `Load`; a copy of no use is no failure.
    Code { program: [u64; 7] },
    /// What to load. Its descriptors: the sealed artifact file, then one for each granted directory.
    Load(Load),
    /// Fork one worker. The descriptor is the worker's end of its task socket.
    Fork { worker: u64 },
}

/// What to load and under which policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Load {
    pub(crate) kind: ModuleKind,
    pub(crate) engine: EngineSettings,
    pub(crate) policy: Policy,
    /// The granted directories; workers find them by their position.
    pub(crate) dirs: Vec<DirRule>,
    /// The granted addresses.
    pub(crate) nets: Vec<NetRule>,
    /// Where the artifact's bytes are in the file.
    pub(crate) offset: u64,
    pub(crate) length: u64,
    /// Within which bounds to initialise the module, where there is something to run; `None`: each worker does it.
    pub(crate) init: Option<Init>,
    /// Workers make one instance after the other, in memory that they keep.
    pub(crate) keeps_memory: bool,
}

/// What a module is initialised with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Init {
    /// Wall-clock time.
    pub(crate) timeout: Duration,
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u64,
    pub(crate) instances: u32,
    /// As for a task.
    pub(crate) deterministic: Option<u64>,
}

/// Settings that an artifact is compiled for and an engine is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct EngineSettings {
    /// Whether the code counts fuel.
    pub(crate) fuel: bool,
    /// What the module may use besides what every module may.
    pub(crate) features: Features,
    /// Bytes of WebAssembly stack; not part of the artifact.
    pub(crate) stack_bytes: u32,
}

/// From a fork server to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FromForkServer {
    /// The sandbox stands and the artifact is loaded and linked.
    Ready { layers: Vec<Layer> },
    /// It could not be: the fork server ends after this.
    LoadFailed { kind: StartFailure, detail: String },
    /// The module is being initialised, which may take its time.
    Initializing,
    /// It failed: the fork server ends after this.
    InitFailed { claim: Claim, said: Said },
    /// It succeeded; `Ready` follows.
    Initialized { said: Said },
    /// A worker was forked. The descriptor is its pidfd.
    Forked { worker: u64 },
    /// It could not be.
    ForkFailed { worker: u64, errno: i32 },
}

/// The beginning of what a module wrote to its standard streams while it was initialised.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
}

/// From a process of the role `doctor`, which ends after it: each layer, and why it cannot be entered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Probed {
    pub(crate) layers: Vec<(Layer, Option<String>)>,
}
