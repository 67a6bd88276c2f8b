//! How an attempt at a task ended: data, not an error.
//!
//! An [`Outcome`] has two levels, the ending and its reason, and the list is complete: there is no
//! "other". A [`Record`] is an outcome with everything that was measured around it.

#![forbid(unsafe_code)]

mod trap;
mod value;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use crate::exit_code;
use crate::policy::Layers;

pub use trap::{Panic, Trap, TrapKind, WasmFrame};
pub use value::{Encoding, TaskValue};

/// How one attempt ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The task returned this value.
    Succeeded(TaskValue),
    /// The task returned an error: its text.
    Failed(String),
    /// The guest called `exit` with this code, as it asked for it.
    Exited(u32),
    /// The guest trapped.
    Trapped(Box<Trap>),
    /// The guest met one of its limits.
    LimitExceeded(Limit),
    /// The worker was killed by this signal, and not by us.
    Killed(i32),
    /// The task was stopped before its end.
    Cancelled(CancelledBy),
    /// The task waited for something that nobody could bring about any more, and did not handle the error that
    /// its wait ended with: the cycle.
    Deadlock(String),
    /// The task never ran.
    NotRun(NotRun),
    /// The worker, the module or the instance could not be made.
    StartFailed(StartFailed),
    /// The worker broke the protocol: how.
    Protocol(String),
    /// The kernel could not be asked how the worker ended.
    Unknown,
}

/// A limit that was met, with what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Which limit.
    pub kind: LimitKind,
    /// The limit and what was asked for, in one line.
    pub detail: String,
    /// The trap that ended the guest after the limit denied it something.
    pub trap: Option<Box<Trap>>,
}

macro_rules! limit_kinds {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $code:ident;)*) => {
        /// The limits a task can meet.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum LimitKind { $($(#[doc = $doc])* $name,)* }

        impl LimitKind {
            /// What it bounds, in words.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Its exit code.
            #[must_use]
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$name => exit_code::$code,)* }
            }
        }
    };
}

limit_kinds! {
    /// Fuel.
    Fuel = "fuel", FUEL;
    /// Wall-clock time.
    Time = "time-out", TIMED_OUT;
    /// Linear memory.
    Memory = "memory limit", MEMORY_LIMIT;
    /// Table elements.
    Table = "table limit", TABLE_LIMIT;
    /// Instances, tables or memories in number.
    Instances = "instance limit", TABLE_LIMIT;
    /// Captured output.
    Output = "output limit", OUTPUT_LIMIT;
    /// An argument.
    Argument = "argument limit", TOO_LARGE;
    /// A result.
    Result = "result limit", TOO_LARGE;
    /// An item of a queue, or another message.
    Message = "message limit", TOO_LARGE;
    /// Log records and progress reports.
    Log = "log limit", TOO_LARGE;
    /// Handles to host resources.
    Handles = "handle limit", TOO_MANY_HANDLES;
    /// CPU time.
    CpuTime = "CPU-time limit", CPU_TIME_LIMIT;
    /// Memory of a whole pool.
    PoolMemory = "pool memory limit", KERNEL_MEMORY;
}

/// Who stopped a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelledBy {
    /// `terminate`, `kill` or a cancelled handle.
    Caller,
    /// A batch that halted.
    Batch,
    /// A pool or supervisor that was shut down.
    Shutdown,
}

/// Why a task never ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotRun {
    /// Its arguments could not be sent: why.
    Argument(String),
    /// A task it depends on failed.
    DependencyFailed(String),
    /// It kept killing its workers: how often, and how the last one died.
    Quarantined(String),
}

/// Why a worker, module or instance could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartFailed {
    /// What went wrong.
    pub kind: StartFailure,
    /// The cause, in words.
    pub detail: String,
}

macro_rules! start_failures {
    ($($(#[doc = $doc:literal])* $name:ident = $label:literal, $code:ident, $blame:ident;)*) => {
        /// What could not be made.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        pub enum StartFailure { $($(#[doc = $doc])* $name,)* }

        impl StartFailure {
            /// What went wrong, in words.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)* }
            }

            /// Its exit code.
            #[must_use]
            pub fn exit_code(self) -> u8 {
                match self { $(Self::$name => exit_code::$code,)* }
            }

            fn blame(self) -> Blame {
                match self { $(Self::$name => Blame::$blame,)* }
            }
        }
    };
}

start_failures! {
    /// Not a module, or one that the engine refuses.
    InvalidModule = "module cannot run", CANNOT_RUN, Guest;
    /// Imports that do not exist or were not granted.
    MissingImports = "imports missing", CANNOT_RUN, Guest;
    /// No such module, task or export.
    NotFound = "not found", NOT_FOUND, Guest;
    /// Compilation failed or hit its limit.
    Compilation = "compilation failed", COMPILATION_FAILED, Guest;
    /// The instance could not be made.
    Instantiation = "instantiation failed", INSTANTIATION_FAILED, Guest;
    /// A host import failed.
    HostImport = "host import failed", HOST_IMPORT_FAILED, Host;
    /// The worker's own code panicked.
    WorkerPanicked = "worker panicked", WORKER_PANICKED, Host;
    /// Supervisor and worker program are of different versions.
    VersionMismatch = "version mismatch", VERSION_MISMATCH, Host;
    /// A layer of the sandbox is missing.
    Sandbox = "sandbox could not be set up", NOT_SET_UP, Host;
    /// The worker could not be started.
    Worker = "worker could not be started", NOT_SET_UP, Host;
    /// The fork server was lost before the worker was handed over.
    ForkServerLost = "fork server lost", FORK_SERVER_LOST, Unknown;
}

/// Whose doing an ending was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The guest's own code or its module.
    Guest,
    /// The host: this library, its caller, or the machine.
    Host,
    /// It cannot be told.
    Unknown,
}

impl Outcome {
    /// True for a returned value and for `exit(0)`.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded(_) | Self::Exited(0))
    }

    /// The code of the table in [`exit_code`].
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Succeeded(_) => exit_code::SUCCESS,
            Self::Failed(_) => exit_code::FAILED,
            Self::Exited(n) => exit_code::for_guest_exit(*n),
            Self::Trapped(trap) => trap.kind.exit_code(),
            Self::LimitExceeded(limit) => limit.kind.exit_code(),
            Self::Killed(signal) => exit_code::for_signal(*signal),
            Self::Cancelled(CancelledBy::Caller) => exit_code::CANCELLED,
            Self::Cancelled(CancelledBy::Batch) => exit_code::HALTED,
            Self::Cancelled(CancelledBy::Shutdown) => exit_code::SHUT_DOWN,
            Self::Deadlock(_) => exit_code::DEADLOCK,
            Self::NotRun(NotRun::Argument(_)) => exit_code::TOO_LARGE,
            Self::NotRun(NotRun::DependencyFailed(_)) => exit_code::DEPENDENCY_FAILED,
            Self::NotRun(NotRun::Quarantined(_)) => exit_code::QUARANTINED,
            Self::StartFailed(failed) => failed.kind.exit_code(),
            Self::Protocol(_) => exit_code::PROTOCOL,
            Self::Unknown => exit_code::UNKNOWN,
        }
    }

    /// Python's `exitcode`: the exit code, or `-N` for a worker that was killed by signal `N`.
    #[must_use]
    pub fn python_exitcode(&self) -> i32 {
        match self {
            Self::Killed(signal) => -signal,
            other => i32::from(other.exit_code()),
        }
    }

    /// Its name in records: `succeeded`, `limit_exceeded`.
    #[must_use]
    pub fn label(&self) -> &'static str {
        match self {
            Self::Succeeded(_) => "succeeded",
            Self::Failed(_) => "failed",
            Self::Exited(_) => "exited",
            Self::Trapped(_) => "trapped",
            Self::LimitExceeded(_) => "limit_exceeded",
            Self::Killed(_) => "killed",
            Self::Cancelled(_) => "cancelled",
            Self::Deadlock(_) => "deadlock",
            Self::NotRun(_) => "not_run",
            Self::StartFailed(_) => "start_failed",
            Self::Protocol(_) => "protocol",
            Self::Unknown => "unknown",
        }
    }

    /// Whose doing it was.
    #[must_use]
    pub fn blame(&self) -> Blame {
        match self {
            // The kernel ends the largest process; others may have taken as much together.
            Self::LimitExceeded(limit) if limit.kind == LimitKind::PoolMemory => Blame::Unknown,
            Self::Succeeded(_)
            | Self::Failed(_)
            | Self::Exited(_)
            | Self::Trapped(_)
            | Self::LimitExceeded(_)
            | Self::Deadlock(_) => Blame::Guest,
            Self::Cancelled(_) | Self::NotRun(_) => Blame::Host,
            Self::StartFailed(failed) => failed.kind.blame(),
            Self::Killed(_) | Self::Protocol(_) | Self::Unknown => Blame::Unknown,
        }
    }
}

/// One line for a person: what happened, without the task's name.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded(_) => f.write_str("succeeded"),
            Self::Failed(message) => f.write_str(message),
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Trapped(trap) => write!(f, "{trap}"),
            Self::LimitExceeded(limit) => write!(f, "{}: {}", limit.kind.label(), limit.detail),
            Self::Killed(signal) => write!(f, "worker was killed by signal {signal}"),
            Self::Cancelled(CancelledBy::Caller) => f.write_str("cancelled"),
            Self::Cancelled(CancelledBy::Batch) => f.write_str("cancelled: the batch was halted"),
            Self::Cancelled(CancelledBy::Shutdown) => f.write_str("cancelled: the pool was shut down"),
            Self::Deadlock(cycle) => write!(f, "deadlock: {cycle}"),
            Self::NotRun(NotRun::Argument(reason)) => write!(f, "not run: {reason}"),
            Self::NotRun(NotRun::DependencyFailed(name)) => {
                write!(f, "not run: `{name}`, which it depends on, failed")
            }
            Self::NotRun(NotRun::Quarantined(deaths)) => write!(f, "not run: quarantined after {deaths}"),
            Self::StartFailed(failed) => write!(f, "{}: {}", failed.kind.label(), failed.detail),
            Self::Protocol(reason) => write!(f, "worker broke the protocol: {reason}"),
            Self::Unknown => f.write_str("how the worker ended is unknown"),
        }
    }
}

/// One attempt at a task, as it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The task's number, unique within its supervisor.
    pub task: u64,
    /// The task's tag ([`Task::tag`](crate::Task::tag)).
    pub tag: Option<u64>,
    /// The task's name.
    pub name: Arc<str>,
    /// 1 for the first try.
    pub attempt: u32,
    /// How it ended.
    pub outcome: Outcome,
    /// The worker's process id; `None` when the task never reached a worker.
    pub pid: Option<u32>,
    /// The worker's number within its supervisor; no two processes have the same.
    pub worker: Option<u64>,
    /// When this attempt began to wait for a worker.
    pub queued_at: SystemTime,
    /// When the worker acknowledged it; `None` when it never began.
    pub started_at: Option<SystemTime>,
    /// From the worker's acknowledgement to the end.
    pub wall_time: Duration,
    /// User and system time of the worker, by the kernel's word.
    pub cpu_time: Duration,
    /// Peak resident memory of the worker in bytes, by the kernel's word.
    /// `None` for a task whose worker lived on (`max_tasks_per_worker`, chunks).
    pub peak_memory_bytes: Option<u64>,
    /// The sandbox layers that stood around the worker.
    pub layers: Layers,
    /// What the guest wrote to standard output, when it was captured.
    pub stdout: Bytes,
    /// What the guest wrote to standard error, when it was captured.
    pub stderr: Bytes,
    /// The latest progress that the guest told: done, total.
    pub progress: Option<(u64, Option<u64>)>,
    /// What of its shared objects the task still held when it returned, or when it closed its last handle of the object.
    /// All of it was given back. Calls that share an instance (chunks) share what they hold: what is held at the end is
    /// in the record of the last one.
    pub leaks: Vec<Leak>,
    /// Its worker was killed because somebody asked for chaos ([`PoolBuilder::chaos`](crate::PoolBuilder::chaos)).
    pub chaos: bool,
}

/// Something of a shared object that a task did not give back itself, as far as it and the shared memory tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// The object's name.
    pub object: String,
    /// What the object is: `lock`, `queue`.
    pub kind: &'static str,
    /// What was held of it.
    pub what: Held,
}

/// What can be held of a shared object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Held {
    /// A lock, or the lock of a condition.
    Lock,
    /// This many permits.
    Permits(u32),
    /// This many items that were taken on lease, and neither acknowledged nor given back.
    Leases(u32),
}

impl Held {
    /// Its name in records.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Permits(_) => "permits",
            Self::Leases(_) => "leases",
        }
    }

    /// How many of it.
    #[must_use]
    pub fn count(self) -> u32 {
        match self {
            Self::Lock => 1,
            Self::Permits(count) | Self::Leases(count) => count,
        }
    }
}

/// What was held, and that it was given back.
impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { object, kind, what } = self;
        match what {
            Held::Lock => write!(f, "{kind} `{object}` was still held"),
            Held::Permits(1) => write!(f, "a permit of {kind} `{object}` was still held"),
            Held::Permits(count) => write!(f, "{count} permits of {kind} `{object}` were still held"),
            Held::Leases(1) => write!(f, "an item of {kind} `{object}` was still leased"),
            Held::Leases(count) => write!(f, "{count} items of {kind} `{object}` were still leased"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_outcome_has_a_code_of_the_table() {
        let limit = |kind| Outcome::LimitExceeded(Limit { kind, detail: String::new(), trap: None });
        assert_eq!(limit(LimitKind::Time).exit_code(), 221);
        assert_eq!(limit(LimitKind::Output).exit_code(), 224);
        assert_eq!(Outcome::Killed(9).exit_code(), 137);
        assert_eq!(Outcome::Killed(9).python_exitcode(), -9);
        assert_eq!(Outcome::Exited(300).exit_code(), 125);
        assert_eq!(Outcome::Cancelled(CancelledBy::Shutdown).exit_code(), 232);
    }

    #[test]
    fn a_killed_worker_is_nobodys_fault_for_sure() {
        assert_eq!(Outcome::Killed(11).blame(), Blame::Unknown);
        assert_eq!(Outcome::Exited(3).blame(), Blame::Guest);
    }
}
