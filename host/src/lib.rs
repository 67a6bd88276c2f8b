//! Multiprocessing for code you do not trust.
//!
//! Tasks are functions compiled to WebAssembly. Each runs in an operating-system process of its own,
//! with a fresh instance, within limits, and its end is told exactly: a value, an error, a trap, a limit,
//! a signal. The words are those of Python's `multiprocessing`.
//!
//! ```no_run
//! use wasmpool::{Module, Pool};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let squares = Module::load("squares.wasm").await?;
//! let pool = Pool::builder().workers(4).build()?;
//! let values: Vec<i64> = pool.map(&squares.task("square")?, 1..=5).await?;
//! assert_eq!(values, [1, 4, 9, 16, 25]);
//! # Ok(())
//! # }
//! ```
//!
//! A program that uses this library calls [`init`] as the first line of `main`. Programs without an
//! async runtime find the same things in [`blocking`].
//!
//! A program that starts many short tasks should be linked with `-z max-page-size=0x200000`, by a line of its build script:
//! `println!("cargo:rustc-link-arg-bins=-Wl,-z,max-page-size=0x200000")`. Its code can then be in huge pages, which takes a fifth
//! of the CPU time off a task in a process of its own.

#[cfg(feature = "cli")]
pub mod batch;
pub mod blocking;
pub mod exit_code;
pub mod feature;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod limits;
pub mod module_info;
pub mod outcome;
pub mod policy;
#[cfg(feature = "cli")]
pub mod report;
pub mod retry;

pub mod chaos;
mod cpu;
mod directory;
mod environment;
mod init;
mod net;
mod os;
mod protocol;
mod shared_bytes;
mod supervisor;
pub mod sync;
mod task;
#[cfg(feature = "worker")]
mod worker;

pub use chaos::{Chaos, NoChaos};
pub use cpu::cpu_count;
pub use directory::{GrantError as DirGrantError, GrantedDir, GrantedFile};
pub use environment::EnvironmentError;
pub use feature::{Feature, Features};
pub use init::init;
pub use limits::Limits;
pub use net::{GrantError as NetGrantError, GrantedNet};
pub use outcome::{Leak, Outcome, Record};
pub use policy::{DirAccess, NetAccess, Policy, SandboxMode};
pub use retry::{Backoff, OutcomeClass, OutcomeClasses, RetryPolicy};
pub use shared_bytes::SharedBytes;
pub use supervisor::pool::{
    Closed, MapHandle, Order, Pool, PoolBuilder, Records, StartMethod, TaskFailed, TrySubmitError, Values,
};
pub use supervisor::process::{Process, RunningProcess, Scope, join_all, scope};
pub use supervisor::{
    AttemptEvent, ChildInfo, Finished, LoadError, Module, ModuleSource, Output, OutputChunk, OutputReader,
    OutputSink, StandardStream, Supervisor, SupervisorBuilder, SupervisorError, Target, TargetError, Task,
    TaskDescription, TaskError, TaskHandle, memory_bytes, output_channel,
};
pub use task::{Args, ArgsError, Stdin};

/// The engine's version, as it stands in the lock file; part of every artifact's name.
pub(crate) const ENGINE_VERSION: &str = "wasmtime 48.0.8";

/// The README's snippets compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
