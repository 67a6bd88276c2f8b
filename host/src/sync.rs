//! Queues, locks and the rest of multiprocessing's synchronisation, in shared memory.
//!
//! Each object is a memory file of fixed size, mapped by the supervisor and by each worker that was granted it. What is
//! in it is untrusted for everybody: another participant may be hostile or may have died between any two
//! stores. So every index and length that is read there is checked, one word commits each operation,
//! everything else can be derived again, and recovery after a death is a function of the memory alone.
//!
//! Callers see one narrow trait, [`Object`]: an operation in, an answer out. A backend over several machines
//! would be a second implementation of it.

mod array;
mod barrier;
mod condition;
mod dict;
mod error;
mod event;
mod grant;
mod guard;
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
pub use grant::Grant;
pub(crate) use grant::Granted;
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
