//! What supervisor and worker say to each other.
//!
//! What comes from a worker is a claim: hostile code may have written it.

#![forbid(unsafe_code)]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::outcome::{Encoding, Held, LimitKind, StartFailure, Trap};
use crate::sync::{DictAnswer, DictOperation, Spec, SyncError, WaitFor};

/// From the supervisor to a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// Run this. Descriptors, in order: the inputs' memory file if `inputs` is one, then standard input
    /// if `stdin` says so, then one for each grant that lives in shared memory.
    Start(Box<Start>),
    /// The caller asked the running attempt with this task number to stop.
    Cancel { task: u64 },
    /// The answer to the request of this number. A body in memory is the frame's descriptor.
    Reply { request: u64, reply: Reply },
    /// The wait of this number is to end with this error: the cycle it is part of.
    Deadlock { wait: u64, cycle: String },
}

/// A shared object that a task may use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct GrantedObject {
    pub(crate) name: String,
    pub(crate) spec: Spec,
    /// Which end of a pipe, 0 or 1.
    pub(crate) end: u8,
}

/// What a running task asks the supervisor for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// An operation on a granted dictionary, by its index among the grants.
    Dict { grant: u32, operation: DictOperation },
    /// Run this task of the same module in the same pool. A body in memory is the frame's descriptor.
    Submit { export: String, args: Body },
    /// Tell when this submitted task has ended.
    Join { task: u64 },
    /// Stop this submitted task. There is no reply.
    Cancel { task: u64 },
}

/// What the supervisor answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Reply {
    Dict(Result<DictAnswer, SyncError>),
    /// The task's number, or why it was not taken.
    Submitted(Result<u64, String>),
    /// Its result as it is, or how else it ended.
    Joined(Result<Body, JoinFailure>),
}

/// How a submitted task ended otherwise than with a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum JoinFailure {
    Ended { exit_code: u8, message: String },
    NotFound,
}

/// What a worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum WaitOn {
    /// A granted object, by its index among the grants.
    Object { grant: u32, what: WaitFor },
    /// A submitted task.
    Task { task: u64 },
}

/// One assignment: a task, or the calls of one chunk, all in one fresh instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Start {
    /// The number of the first call's task; call `i` of a chunk is told apart by its index.
    pub(crate) task: u64,
    pub(crate) attempt: u32,
    pub(crate) name: String,
    pub(crate) worker_name: String,
    pub(crate) entry: Entry,
    /// Runs in the fresh instance before the first call.
    pub(crate) initializer: Option<Initializer>,
    /// The calls' inputs, one after the other.
    pub(crate) inputs: Inputs,
    pub(crate) limits: WorkerLimits,
    /// WASI command-line arguments, the program's own name first.
    pub(crate) argv: Vec<String>,
    /// WASI environment.
    pub(crate) env: Vec<(String, String)>,
    /// Whether a descriptor for standard input comes with the frame; without it, it is empty.
    pub(crate) stdin: bool,
    /// Who this attempt is in shared memory.
    pub(crate) token: u32,
    /// The shared objects that it may use.
    pub(crate) grants: Vec<GrantedObject>,
    /// The lowest level of guest log records that the host wants.
    pub(crate) log_level: Option<LogLevel>,
    /// True for the last assignment of this worker: it ends after it.
    pub(crate) last: bool,
    /// Whether the last descriptor is a lane, through which the worker says everything from here on that fits.
    pub(crate) lane: bool,
    /// Nobody waits for the acknowledgement.
    pub(crate) quiet: bool,
    /// The guest may go through the calls by itself.
    pub(crate) goes_through: bool,
    /// Its number, if it was given ahead of need: it must be taken in the lane before anything of it is done.
    pub(crate) ahead: Option<u32>,
    /// What random numbers are made from, and a sign that clocks are to be fixed; without it, both are the kernel's.
    pub(crate) deterministic: Option<u64>,
}

/// What of the module is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Entry {
    /// The module's own entry, `_start` or `wasi:cli/run`. It has one call with an empty input.
    Command,
    /// A function of the shape of `#[task]`; the input is passed as it is.
    Task { export: String, result: Encoding },
    /// Any other export: the input is a JSON array, converted by the export's types.
    Export { name: String },
    /// A call in WAVE syntax (components) or with numbers (core modules): `add(1, 2)`.
    Invoke { expression: String },
}

/// A pool's initializer: an SDK task that is called before the first call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Initializer {
    pub(crate) export: String,
    /// Its arguments as SDK tasks take them.
    pub(crate) args: Vec<u8>,
}

/// The inputs of the calls of one assignment, laid end to end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Inputs {
    /// The length of each call's input in bytes.
    pub(crate) lengths: Vec<u64>,
    pub(crate) body: Body,
}

/// A run of bytes: in the frame, or in a sealed memory file beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Body {
    Inline(#[serde(with = "bytes_field")] Vec<u8>),
    /// The memory file is the frame's next descriptor and holds this many bytes.
    Memory {
        length: u64,
    },
}

/// The limits that the worker enforces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerLimits {
    pub(crate) fuel: Option<u64>,
    /// Of the whole assignment; the supervisor's timer is the precise one.
    pub(crate) cpu_time: Option<Duration>,
    pub(crate) memory_bytes: u64,
    pub(crate) table_elements: u64,
    pub(crate) instances: u32,
    pub(crate) result_bytes: u64,
}

/// The level of a guest's log record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

/// A standard stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stream {
    Stdout,
    Stderr,
}

/// From a worker to the supervisor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// The start frame was read; sent before the first instruction of the guest.
    Started { task: u64 },
    /// Call `index` ended. A value and an error that the task returned let the next call of the chunk go
    /// on in the same instance; every other claim ends the assignment. A body in memory is the frame's
    /// descriptor. `took`: wall-clock time since the call before it, which tells calls apart that are heard of together.
    Finished { task: u64, index: u32, claim: Claim, took: Duration },
    /// The guest wrote to a standard stream.
    Output {
        stream: Stream,
        #[serde(with = "bytes_field")]
        bytes: Vec<u8>,
    },
    /// The guest logged.
    Log { level: LogLevel, target: String, message: String },
    /// The guest told its progress.
    Progress { done: u64, total: Option<u64> },
    /// The guest asks for something. Numbers grow with each request of the worker.
    Request { request: u64, ask: Ask },
    /// The guest has waited for a while. Numbers grow with each wait of the worker. `timed`: the wait ends by
    /// itself one day.
    WaitBegan { wait: u64, on: WaitOn, timed: bool },
    /// That wait is over.
    WaitEnded { wait: u64 },
    /// There is something in the lane.
    Wake,
    /// The guest gave up its last handle of the object with this grant, while it still held something of it.
    Left { grant: u32, held: Held },
}

/// How a call ended, by the worker's word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Claim {
    /// It returned. A body in memory is the frame's descriptor.
    Returned { encoding: Encoding, body: Body },
    /// It returned an error.
    Failed { message: String },
    /// It called `exit`.
    Exited { code: u32 },
    /// It trapped. `denied` names a limit that denied it something before.
    Trapped { trap: Box<Trap>, denied: Option<(LimitKind, String)> },
    /// It met a limit that ends it at once: fuel, a too large result.
    LimitExceeded { kind: LimitKind, detail: String },
    /// The epoch ended it, because the supervisor asked for it.
    Interrupted { backtrace: Vec<crate::outcome::WasmFrame> },
    /// It could not be called.
    NotStarted { kind: StartFailure, detail: String },
}

/// Byte vectors as one run instead of a sequence of numbers.
mod bytes_field {
    use serde::de::{Deserializer, Error, Visitor};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Run;
        impl<'de> Visitor<'de> for Run {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a run of bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
                Ok(bytes.to_vec())
            }
        }
        deserializer.deserialize_bytes(Run)
    }
}
