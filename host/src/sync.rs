//! Queues, locks and the rest of multiprocessing's synchronisation, in shared memory.
//!
//! Each object is a memory file of fixed size, mapped by the supervisor and by each worker that was granted it. What is
//! in it is untrusted for everybody: another participant may be hostile or may have died between any two
//! stores. So every index and length that is read there is checked, one word commits each operation,
//! everything else can be derived again, and recovery after a death is a function of the memory alone.
//!
//! Callers see one narrow trait, [`Object`]: an operation in, an answer out. A backend over several machines
//! would be a second implementation of it.
//!
//! A host program makes objects, uses them, and grants them to tasks by passing them as arguments. With this
//! plugin task
//!
//! ```ignore
//! #[task]
//! fn square_all(numbers: Queue<i64>, squares: Queue<i64>) -> Result<(), SyncError> { /* ... */ }
//! ```
//!
//! the program is Python's, with the queues among the arguments:
//!
//! ```no_run
//! use wasmpool::{Args, Module, Process, Task, sync::Queue};
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let module = Module::load("squares.wasm").await?;
//! let (numbers, squares) = (Queue::<i64>::bounded(100)?, Queue::<i64>::bounded(100)?);
//! let task = Task::new(&module.task("square_all")?).args(Args::of(&(&numbers, &squares))?);
//! let process = Process::new(task).start()?;
//! for number in 1..=5 {
//!     numbers.put_async(number).await?;
//! }
//! numbers.close()?;
//! for _ in 1..=5 {
//!     println!("{:?}", squares.get_async().await?);
//! }
//! process.join().await;
//! # Ok(())
//! # }
//! ```

mod array;
mod barrier;
mod condition;
mod dict;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
mod fuzz;
mod grant;
mod guard;
mod host;
mod lane;
mod lock;
mod memory;
mod object;
mod operation;
mod pipe;
mod queue;
mod recovery;
mod semaphore;
mod shared;
mod spec;
mod table;
pub(crate) mod tokens;
mod value;
mod wait;

pub use error::SyncError;
#[cfg(fuzzing)]
#[doc(hidden)]
pub use fuzz::fuzz_recovery;
pub use grant::Grant;
pub(crate) use grant::{GrantError, Granted, collect, merge};
pub use host::{
    Array, Barrier, BoundedSemaphore, Condition, ConditionGuard, Connection, DeadLetters, Dict, Element,
    Ends, Event, Got, Guard, Items, Lease, Leases, Lock, Number, OwnedConditionGuard, OwnedGuard, Pipe,
    PipeBuilder, Queue, QueueBuilder, RLock, Received, Semaphore, Value,
};
pub(crate) use lane::{LaneReceiver, LaneSender, Next};
pub(crate) use object::{Object, Token};
pub(crate) use operation::{Answer, DictAnswer, DictOperation, Item, Operation};
pub(crate) use recovery::{Blockers, Departure, Recovery};
pub(crate) use shared::SharedObject;
pub use spec::{ElementType, ObjectKind};
pub(crate) use spec::{QueueSpec, Spec};
pub(crate) use wait::{Deadline, Stop, WaitFor, Waits};

#[cfg(test)]
mod explore;
#[cfg(test)]
mod tests;
