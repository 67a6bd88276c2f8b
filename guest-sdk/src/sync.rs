//! Queues, locks and the rest of multiprocessing's synchronisation, between tasks and with the host program.
//!
//! Each object lives in memory that the tasks share, so most calls cost no more than a call to the host. A task can
//! use what it was granted, by name: it takes it as an argument, or opens it.
//!
//! ```
//! use wasmpool_guest::sync::{Lock, Queue, SyncError, Value};
//! use wasmpool_guest::task;
//!
//! /// Adds up what it finds, to the end of the queue.
//! #[task]
//! fn consume(jobs: Queue<i64>, sum: Value<i64>) -> Result<u64, SyncError> {
//!     let mut count = 0;
//!     for job in &jobs {
//!         sum.add(job?);
//!         count += 1;
//!     }
//!     Ok(count)
//! }
//!
//! // A test of it has stand-ins, which live in the test's own process.
//! let (jobs, sum) = (Queue::stand_in(8), Value::stand_in(0));
//! for job in [1, 2, 3] {
//!     jobs.put(job)?;
//! }
//! jobs.close()?;
//! assert_eq!(consume(jobs, sum.clone()), Ok(3));
//! assert_eq!(sum.get(), 6);
//! # Ok::<(), SyncError>(())
//! ```
//!
//! # What a call answers
//!
//! | call | waits | a time-out, or what would have to wait |
//! |---|---|---|
//! | `get`, `acquire`, `wait`, ... | without limit | cannot be |
//! | `get_timeout`, `acquire_timeout`, `wait_timeout`, ... | as long as it is told, at least | a value |
//! | `try_get`, `try_acquire`, ... | never | a value |
//!
//! That value is `None` where a guard or a number is expected, `false` where nothing is, and [`Got::TimedOut`]
//! where an item is, because an item has a third way out: the [end](Got::End). An `Err` is never about time: nothing
//! happened, and [`SyncError`] says why. A wait that could never end is an error too, [`SyncError::Deadlock`],
//! and one of a task that is being stopped is [`SyncError::Cancelled`].
//!
//! # When a task ends or dies
//!
//! What a task holds is given back when it ends, however it ends: it returned, panicked, trapped, was killed,
//! cancelled, or ran out of time. A lock goes to the next task, which is told
//! ([`Guard::abandoned_by`]), because what the lock protects may be half changed; permits of a semaphore come back;
//! a barrier breaks; leased items go back to their place in the queue. Each type says what that means for it.
//!
//! # Who takes part
//!
//! A participant is one attempt at a task, or a thread of the host program. All handles of a task to one object are
//! the same participant, so taking a [`Lock`] twice is an error, also through two handles.
//!
//! # Under `cargo test`
//!
//! Natively each type has `stand_in`, with the same rules in one process: each *thread* is a participant there, clones go
//! to other threads, and a thread that panics does what a task that died does. Stand-ins find no deadlocks and limit
//! nothing but what they were told. [`testing::Host::grant`](../testing/struct.Host.html#method.grant) lets a task open
//! one by name.

#![forbid(unsafe_code)]

mod argument;
mod array;
mod barrier;
mod condition;
mod connection;
mod dict;
mod error;
mod event;
mod guard;
mod handle;
mod item;
mod kind;
mod lease;
mod lock;
mod queue;
mod rlock;
mod semaphore;
mod value;

#[cfg(target_arch = "wasm32")]
pub(crate) mod guest;
#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(target_arch = "wasm32")]
pub(crate) use guest::Handle;
#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{Handle, room as native_room};

pub use array::{Array, Element};
pub use barrier::Barrier;
pub use condition::{Condition, ConditionGuard};
pub use connection::{Connection, Received};
pub use dict::Dict;
pub use error::SyncError;
pub use event::Event;
pub use guard::Guard;
pub use handle::Got;
pub use item::Item;
pub(crate) use item::{decoded, encoded, to_bytes};
pub(crate) use kind::Kind;
pub use lease::{Lease, Leases};
pub use lock::Lock;
pub use queue::{DeadLetters, Items, Queue};
pub use rlock::RLock;
pub use semaphore::Semaphore;
pub use value::{Number, Value};
