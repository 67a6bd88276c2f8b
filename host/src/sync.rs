//! Queues, locks and the rest of multiprocessing's synchronisation, in shared memory.
//!
//! Each object is a memory file of fixed size, mapped by the supervisor and by each worker that was granted it. What is
//! in it is untrusted for everybody: another participant may be hostile or may have died between any two
//! stores. So every index and length that is read there is checked, one word commits each operation,
//! everything else can be derived again, and recovery after a death is a function of the memory alone.
//!
//! Callers see one narrow trait, [`Object`]: an operation in, an answer out. A backend over several machines
//! would be a second implementation of it.

mod dict;
mod error;
mod grant;
mod guard;
mod memory;
mod object;
mod operation;
mod pipe;
mod queue;
mod shared;
mod spec;
pub(crate) mod tokens;
mod wait;

pub use error::SyncError;
pub use grant::Grant;
pub(crate) use grant::Granted;
pub(crate) use object::{Object, Token};
pub(crate) use operation::{Answer, DictAnswer, DictOperation, Item, Operation};
pub(crate) use shared::{Blockers, Departure, Recovery, SharedObject};
pub use spec::{ElementType, ObjectKind};
pub(crate) use spec::{QueueSpec, Spec};
pub(crate) use wait::{Deadline, Stop, WaitFor, Waits};
