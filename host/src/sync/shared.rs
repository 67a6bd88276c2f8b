//! An object in a memory file.
//!
//! The spec alone says how the memory is laid out; nothing that is read there decides a size.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Mutex, TryLockError};

use super::array::{self, Array};
use super::barrier::{self, Barrier};
use super::condition::{self, Condition};
use super::event::{self, Event};
use super::lock::{self, Lock};
use super::memory::SharedMemory;
use super::pipe::{self, Pipe};
use super::queue::{self, Queue};
use super::semaphore::{self, Semaphore};
use super::value::{self, Value};
use super::{
    Answer, Blockers, Departure, Object, Operation, Recovery, Spec, SyncError, Token, WaitFor, Waits,
};
use crate::outcome::Held;

/// An object in a memory file, mapped.
#[derive(Debug)]
pub(crate) struct SharedObject {
    spec: Spec,
    /// Of a pipe.
    end: u8,
    /// `None` for a dictionary.
    mapped: Option<Arc<Mapped>>,
}

#[derive(Debug)]
struct Mapped {
    memory: SharedMemory,
    /// Held while somebody recovers the object: all supervisors of this program are the same participant in
    /// its guard.
    recovering: Mutex<()>,
}

/// The protocol of an object over its memory.
macro_rules! protocol {
    (Lock, $memory:expr) => { Lock { memory: $memory, base: 0, nests: false } };
    (RLock, $memory:expr) => { Lock { memory: $memory, base: 0, nests: true } };
    (Event, $memory:expr) => { Event { memory: $memory, base: 0 } };
    (Condition, $memory:expr) => { Condition { memory: $memory, base: 0 } };
    (Pipe, $memory:expr, $spec:expr, $end:expr) => { Pipe { memory: $memory, spec: $spec, end: $end } };
    ($kind:ident, $memory:expr, $($field:ident),+) => { $kind { memory: $memory, base: 0, $($field),+ } };
}

/// The bytes of an object's memory; zero for one that has none.
fn bytes(spec: &Spec) -> u64 {
    match spec {
        Spec::Lock | Spec::RLock => lock::BYTES,
        Spec::Semaphore { .. } => semaphore::BYTES,
        Spec::Event => event::BYTES,
        Spec::Condition => condition::BYTES,
        Spec::Barrier { .. } => barrier::BYTES,
        Spec::Value { .. } => value::BYTES,
        Spec::Array { element, length } => array::bytes(*element, *length),
        Spec::Queue(spec) => queue::bytes(spec),
        Spec::Pipe(spec) => pipe::bytes(spec),
        Spec::Dict => 0,
    }
}

impl SharedObject {
    /// A new object in a memory file of fixed size. Checks the spec against the limits.
    pub(crate) fn create(spec: Spec) -> Result<Self, SyncError> {
        spec.check()?;
        let mapped = match bytes(&spec) {
            0 => None,
            length => Some(SharedMemory::create(length).map_err(|error| {
                SyncError::Unavailable(format!("there is no shared memory of {length} bytes: {error}"))
            })?),
        };
        let object = Self::of(spec, 0, mapped);
        object.initialize();
        Ok(object)
    }

    /// Maps an object that another process made. `end` is the end of a pipe, 0 or 1.
    pub(crate) fn open(spec: Spec, end: u8, file: OwnedFd) -> io::Result<Self> {
        spec.check().map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let memory = SharedMemory::open(file, bytes(&spec))?;
        Ok(Self::of(spec, end, Some(memory)))
    }

    fn of(spec: Spec, end: u8, memory: Option<SharedMemory>) -> Self {
        let mapped = memory.map(|memory| Arc::new(Mapped { memory, recovering: Mutex::new(()) }));
        Self { spec, end, mapped }
    }

    /// The same object, seen from this end of a pipe. The mapping is shared.
    pub(crate) fn as_end(&self, end: u8) -> Self {
        Self { spec: self.spec, end, mapped: self.mapped.clone() }
    }

    /// The memory file, to be handed to a worker. `None` for a dictionary.
    pub(crate) fn file(&self) -> Option<BorrowedFd<'_>> {
        self.mapped.as_ref().map(|mapped| mapped.memory.as_fd())
    }

    /// What of a new object is not zero.
    fn initialize(&self) {
        let Some(mapped) = &self.mapped else { return };
        let memory = &mapped.memory;
        match self.spec {
            Spec::Semaphore { permits, bounded } => protocol!(Semaphore, memory, bounded).initialize(permits),
            Spec::Value { initial, float } => protocol!(Value, memory, float).initialize(initial),
            Spec::Queue(ref spec) => protocol!(Queue, memory, spec).initialize(),
            Spec::Pipe(ref spec) => protocol!(Pipe, memory, spec, 0).initialize(),
            _ => {}
        }
    }

    /// Gives back everything that `gone` held, repairs what it left half done, and wakes whoever can go on.
    /// Never waits. `is_alive` tells whether a token is in use; `gone` counts as dead in any case.
    pub(crate) fn recover(
        &self,
        gone: Token,
        task: u64,
        how: Departure,
        is_alive: &dyn Fn(Token) -> bool,
    ) -> Recovery {
        let Some(mapped) = &self.mapped else { return Recovery::Done };
        let _alone = match mapped.recovering.try_lock() {
            Ok(alone) => alone,
            // A recovery that panicked left the memory to be recovered, like any other death.
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Recovery::Busy,
        };
        let memory = &mapped.memory;
        match self.spec {
            Spec::Lock => protocol!(Lock, memory).recover(gone, task, is_alive),
            Spec::RLock => protocol!(RLock, memory).recover(gone, task, is_alive),
            Spec::Semaphore { bounded, .. } => protocol!(Semaphore, memory, bounded).recover(gone, is_alive),
            Spec::Event => protocol!(Event, memory).recover(),
            Spec::Condition => protocol!(Condition, memory).recover(gone, task, is_alive),
            Spec::Barrier { parties } => protocol!(Barrier, memory, parties).recover(gone, how, is_alive),
            Spec::Array { element, length } => {
                protocol!(Array, memory, element, length).recover(gone, is_alive)
            }
            Spec::Queue(ref spec) => protocol!(Queue, memory, spec).recover(gone, how, is_alive),
            Spec::Pipe(ref spec) => protocol!(Pipe, memory, spec, self.end).recover(gone, how, is_alive),
            Spec::Value { .. } | Spec::Dict => Recovery::Done,
        }
    }

    /// Who could end the wait of `who`. Never waits; reads once, so it may be old at once.
    pub(crate) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        let Some(mapped) = &self.mapped else { return Blockers::Nobody };
        let memory = &mapped.memory;
        match self.spec {
            Spec::Lock => protocol!(Lock, memory).blockers(who),
            Spec::RLock => protocol!(RLock, memory).blockers(who),
            Spec::Semaphore { bounded, .. } => protocol!(Semaphore, memory, bounded).blockers(),
            Spec::Event => protocol!(Event, memory).blockers(),
            Spec::Condition => protocol!(Condition, memory).blockers(who, what),
            Spec::Barrier { parties } => protocol!(Barrier, memory, parties).blockers(who),
            Spec::Array { element, length } => protocol!(Array, memory, element, length).blockers(who),
            Spec::Queue(ref spec) => protocol!(Queue, memory, spec).blockers(who, what),
            Spec::Pipe(ref spec) => protocol!(Pipe, memory, spec, self.end).blockers(who, what),
            Spec::Value { .. } | Spec::Dict => Blockers::Nobody,
        }
    }
}

impl Object for SharedObject {
    fn spec(&self) -> &Spec {
        &self.spec
    }

    fn held_by(&self, who: Token) -> Option<Held> {
        let memory = &self.mapped.as_ref()?.memory;
        let lock = |holds: bool| holds.then_some(Held::Lock);
        match self.spec {
            Spec::Lock => lock(protocol!(Lock, memory).is_held_by(who)),
            Spec::RLock => lock(protocol!(RLock, memory).is_held_by(who)),
            Spec::Condition => lock(protocol!(Condition, memory).is_held_by(who)),
            Spec::Semaphore { bounded, .. } => Some(protocol!(Semaphore, memory, bounded).held_by(who))
                .filter(|count| *count > 0)
                .map(Held::Permits),
            Spec::Queue(ref spec) => Some(protocol!(Queue, memory, spec).leased_by(who))
                .filter(|count| *count > 0)
                .map(Held::Leases),
            Spec::Array { .. } | Spec::Event | Spec::Barrier { .. } | Spec::Value { .. } => None,
            Spec::Pipe(_) | Spec::Dict => None,
        }
    }

    fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        let Some(mapped) = &self.mapped else {
            return Err(SyncError::Unavailable(format!(
                "a {} is not in shared memory",
                self.spec.kind().label()
            )));
        };
        let memory = &mapped.memory;
        match self.spec {
            Spec::Lock => protocol!(Lock, memory).perform(who, operation, waits),
            Spec::RLock => protocol!(RLock, memory).perform(who, operation, waits),
            Spec::Semaphore { bounded, .. } => {
                protocol!(Semaphore, memory, bounded).perform(who, operation, waits)
            }
            Spec::Event => protocol!(Event, memory).perform(operation, waits),
            Spec::Condition => protocol!(Condition, memory).perform(who, operation, waits),
            Spec::Barrier { parties } => protocol!(Barrier, memory, parties).perform(who, operation, waits),
            Spec::Value { float, .. } => protocol!(Value, memory, float).perform(operation),
            Spec::Array { element, length } => {
                protocol!(Array, memory, element, length).perform(who, operation, waits)
            }
            Spec::Queue(ref spec) => protocol!(Queue, memory, spec).perform(who, operation, waits),
            Spec::Pipe(ref spec) => protocol!(Pipe, memory, spec, self.end).perform(who, operation, waits),
            Spec::Dict => {
                Err(SyncError::Unavailable(format!("a {} is not in shared memory", self.spec.kind().label())))
            }
        }
    }
}
