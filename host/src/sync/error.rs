//! Why an operation on a shared object did not happen.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

/// Why an operation on a queue, a lock or the like did not happen. The object is as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[non_exhaustive]
pub enum SyncError {
    /// The time was over; for a `try_` call: it would have had to wait.
    #[error("timed out")]
    TimedOut,
    /// The queue or the other end of the pipe is closed.
    #[error("it is closed")]
    Closed,
    /// The name was not granted: what would grant it.
    #[error("access denied: {0}")]
    AccessDenied(String),
    /// The caller does not hold what it wants to give back.
    #[error("the caller does not hold it")]
    NotOwner,
    /// The caller holds the lock already.
    #[error("the caller holds it already")]
    AlreadyOwned,
    /// The barrier is broken: a party died, timed out or called `abort`.
    #[error("the barrier is broken")]
    Broken,
    /// An item, value or range is over its limit, in bytes.
    #[error("{bytes} bytes are over the limit of {limit}")]
    TooLarge {
        /// What was asked for.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// An index outside the array, or a count that the object cannot have.
    #[error("out of range: {0}")]
    OutOfRange(String),
    /// The object is of another kind.
    #[error("wrong kind: {0}")]
    WrongKind(String),
    /// As many handles, holders, nested tasks or entries as there may be: of what, and how many.
    #[error("too many: {0}")]
    TooMany(String),
    /// There is no such handle, lease or task.
    #[error("there is no such {0}")]
    NotFound(String),
    /// Nobody that could end the wait is able to act: the cycle.
    #[error("deadlock: {0}")]
    Deadlock(String),
    /// The waiting attempt was asked to stop.
    #[error("the task is being stopped")]
    Cancelled,
    /// The memory of the object makes no sense: a participant broke it.
    #[error("the shared object is damaged: {0}")]
    Damaged(String),
    /// The object cannot be had on this machine now.
    #[error("{0}")]
    Unavailable(String),
    /// An item cannot be read as the type that it is taken as, or cannot be written as JSON.
    #[error("{0}")]
    Unreadable(String),
}
