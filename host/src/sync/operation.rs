//! What can be asked of a shared object, and what it answers.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use super::{ObjectKind, SyncError};

/// One operation. Which kinds take which is in the comments; every other is [`SyncError::WrongKind`].
///
/// [`SyncError::WrongKind`]: super::SyncError::WrongKind
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Operation<'a> {
    /// The caller begins to use the object: a barrier counts it as a party, a pipe as the holder of its end.
    /// Every kind; answers `Done`.
    Open,
    /// The caller does not use it any more. Gives back what it holds, as `Ended`. Every kind; `Done`.
    Leave,
    /// Gives a lock back that the caller holds, if it does, and has the next holder told that this task left it.
    /// Lock, `RLock`, condition: `Done`.
    Abandon { task: u64 },
    /// Lock, `RLock`, condition, semaphore. Waits. `Acquired`.
    Acquire,
    /// The same. `Done`.
    Release,
    /// Event: `Done`.
    Set,
    /// Event: `Done`.
    Clear,
    /// Event: `Flag`. Barrier: whether it is broken.
    IsSet,
    /// Event: waits until set, `Done`. Condition: gives its lock back, waits for a notification, takes the
    /// lock again, `Acquired`; timed out is an error with the lock held again. Barrier: waits for the other
    /// parties, `Count` is the caller's index.
    Wait,
    /// Condition: wakes as many as this. `Done`.
    Notify(u32),
    /// Barrier: an empty, whole barrier again; who waits gets `Broken`. `Done`.
    Reset,
    /// Barrier: breaks it. `Done`.
    Abort,
    /// Queue: items that can be taken. Pipe: items to be received. Barrier: parties that wait. Semaphore: free
    /// permits. Array: elements. `Count`. A hint: it may be old when it arrives.
    Len,
    /// Value: `Word`.
    Load,
    /// Value: `Word`, the one before.
    Store(u64),
    /// Integer value: wraps around; `Word`, the one before.
    AddInteger(i64),
    /// Float value: `Word`, the bits of the one before.
    AddFloat(f64),
    /// Value: `Word`, the one before; it was exchanged if that is `expected`.
    CompareExchange { expected: u64, new: u64 },
    /// Array: these elements' bytes. `Bytes`.
    Read { start: u64, count: u64 },
    /// Array: whole elements from this one on. `Done`.
    Write { start: u64, bytes: &'a [u8] },
    /// Queue, pipe. Waits for room. `Done`.
    Put(&'a [u8]),
    /// Queue, pipe. Waits for an item: `Item`, or `End` when it is closed and empty. Leased (queues only): the
    /// item stays the queue's until it is acknowledged.
    Get { lease: bool },
    /// Queue: the leased item is done. `Done`.
    Acknowledge { lease: u64 },
    /// Queue: the leased item goes back to its place, or to the dead letters when it was delivered as often as
    /// it may be. `Done`.
    GiveBack { lease: u64 },
    /// Queue: nothing more is put. Pipe: this end sends nothing more. `Done`.
    Close,
    /// Queue: waits until there is no item and no lease. `Done`.
    WaitEmpty,
    /// Queue: takes the oldest dead letter: `Item`, or `End` when there is none. Does not wait.
    TakeDead,
}

impl Operation<'_> {
    /// Its name in messages.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Leave => "leave",
            Self::Abandon { .. } => "abandon",
            Self::Acquire => "acquire",
            Self::Release => "release",
            Self::Set => "set",
            Self::Clear => "clear",
            Self::IsSet => "is_set",
            Self::Wait => "wait",
            Self::Notify(_) => "notify",
            Self::Reset => "reset",
            Self::Abort => "abort",
            Self::Len => "len",
            Self::Load => "load",
            Self::Store(_) => "store",
            Self::AddInteger(_) => "add_integer",
            Self::AddFloat(_) => "add_float",
            Self::CompareExchange { .. } => "compare_exchange",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Put(_) => "put",
            Self::Get { .. } => "get",
            Self::Acknowledge { .. } => "acknowledge",
            Self::GiveBack { .. } => "give_back",
            Self::Close => "close",
            Self::WaitEmpty => "wait_empty",
            Self::TakeDead => "take_dead",
        }
    }

    /// The error for an object of a kind that does not take it.
    pub(crate) fn wrong_for(&self, kind: ObjectKind) -> SyncError {
        SyncError::WrongKind(format!("{} is not for objects of kind {}", self.label(), kind.label()))
    }
}

/// What an operation answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Answer {
    Done,
    /// It is the caller's. `abandoned_by` is the task whose death or end released it, told once.
    Acquired {
        abandoned_by: Option<u64>,
    },
    Flag(bool),
    Count(u64),
    Word(u64),
    Bytes(Vec<u8>),
    Item(Item),
    End,
}

/// An item taken from a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) bytes: Vec<u8>,
    /// Names the lease; 0 when it was taken for good.
    pub(crate) lease: u64,
    /// 1 for the first delivery.
    pub(crate) deliveries: u32,
}

/// An operation on a dictionary, which lives in the supervisor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DictOperation {
    /// `Value`.
    Get { key: String },
    /// `Value`, the one before.
    Set { key: String, value: Vec<u8> },
    /// `Value`, the one before.
    Remove { key: String },
    /// Sets (or removes) it if it has this value (or none): `Flag`.
    CompareAndSwap { key: String, expected: Option<Vec<u8>>, new: Option<Vec<u8>> },
    /// Keys in order after this one, as many as fit a frame: `Keys`.
    Keys { after: Option<String> },
    /// `Count`.
    Len,
    /// `Count`, how many there were.
    Clear,
}

/// What a dictionary answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum DictAnswer {
    Value(Option<Vec<u8>>),
    Flag(bool),
    Count(u64),
    Keys { keys: Vec<String>, more: bool },
}
