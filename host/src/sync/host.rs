//! The host program's side: handles that make shared objects, use them, and grant them to tasks.
//!
//! A handle is a name and a share of the object. Cloning one is cheap, and all clones are the same object. In
//! a task's arguments a handle is its name, and putting it there grants it: `Args::of(&(&queue, 5))` is Python's
//! `args=(queue, 5)`.
//!
//! Who acts is a token. A call that blocks acts for its thread: what a thread took, it gives back. What must
//! outlive a thread's stay, a lease or whatever an async call took, has a token of its own.
//!
//! A time-out is a value, not an error: `None` where a value was expected, `false` where not.

#![forbid(unsafe_code)]

mod array;
mod barrier;
mod builder;
mod codec;
mod condition;
mod dict;
mod event;
mod guard;
mod lease;
mod lock;
mod names;
mod pipe;
mod queue;
mod semaphore;
mod taker;
#[cfg(test)]
mod tests;
mod value;
mod waiting;

use std::sync::Mutex;
use std::time::Duration;

use super::{
    Answer, Deadline, Grant, Granted, Object, Operation, SharedObject, Spec, SyncError, Token, Waits, tokens,
};

pub use array::{Array, Element};
pub use barrier::Barrier;
pub use builder::{PipeBuilder, QueueBuilder};
pub use condition::{Condition, ConditionGuard, OwnedConditionGuard};
pub use dict::Dict;
pub use event::Event;
pub use guard::{Guard, OwnedGuard};
pub use lease::Lease;
pub use lock::{Lock, RLock};
pub use pipe::{Connection, Ends, Pipe, Received};
pub use queue::{DeadLetters, Got, Items, Leases, Queue};
pub use semaphore::{BoundedSemaphore, Semaphore};
pub use value::{Number, Value};

/// What every handle is made of.
#[derive(Clone, Debug)]
struct Base {
    grant: Grant,
}

impl Base {
    /// Makes the object. Without a name it gets one that no other made-up name of this program is.
    fn create(spec: Spec, name: Option<&str>) -> Result<Self, SyncError> {
        let name = names::given_or_made_up(spec.kind(), name)?;
        let object = match spec {
            Spec::Dict => Granted::Dict(Mutex::default()),
            spec => Granted::Memory(SharedObject::create(spec)?),
        };
        Ok(Self { grant: Grant::new(name, object) })
    }

    fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match &*self.grant.object {
            Granted::Memory(object) => object.perform(who, operation, waits),
            Granted::Dict(_) => Err(SyncError::WrongKind("a dict has operations of its own".to_owned())),
        }
    }

    /// Acts for this thread; the operation waits for nobody.
    fn act(&self, operation: Operation<'_>) -> Result<Answer, SyncError> {
        self.perform(tokens::of_this_thread(), operation, &mut Deadline::brief())
    }

    /// Acts for this thread, which waits as long as it takes.
    fn act_and_wait(&self, operation: Operation<'_>) -> Result<Answer, SyncError> {
        self.perform(tokens::of_this_thread(), operation, &mut Deadline::never())
    }

    /// Leaves nothing with `who`, whose token is free after this. If that cannot be, nobody gets the token again.
    fn leave(&self, who: Token, waits: &mut dyn Waits) {
        keep_if_stuck(self.grant.name(), who, self.perform(who, Operation::Leave, waits));
    }

    /// Gives back what a guard that is dropped holds for this thread.
    fn release_dropped(&self, who: Token) {
        let released = self.perform(who, Operation::Release, &mut Deadline::after(DROP_PATIENCE));
        keep_if_stuck(self.grant.name(), who, released);
    }

    /// What there is, as a hint: 0 also when it cannot be known.
    fn len_hint(&self) -> u64 {
        self.act(Operation::Len).as_ref().map_or(0, hint)
    }

    /// Acts for this thread; `None` when the time was over.
    fn act_within(&self, operation: Operation<'_>, time: Duration) -> Result<Option<Answer>, SyncError> {
        let result = self.perform(tokens::of_this_thread(), operation, &mut Deadline::after(time));
        unless_timed_out(result)
    }
}

/// How long a value that is dropped waits for another participant that stays inside the object. An honest one is
/// inside for microseconds; a hostile one must not keep a thread of the host program.
const DROP_PATIENCE: Duration = Duration::from_secs(1);

/// If what `who` holds could not be given back, says so, and has its token never given out again.
fn keep_if_stuck(name: &str, who: Token, given_back: Result<Answer, SyncError>) {
    match given_back {
        // It holds nothing: a recovery was first.
        Ok(_) | Err(SyncError::NotOwner) => {}
        Err(error) => {
            tracing::warn!(object = name, %error, "what the host program holds cannot be given back");
            tokens::retire(who);
        }
    }
}

/// A time-out as a value.
fn unless_timed_out<T>(result: Result<T, SyncError>) -> Result<Option<T>, SyncError> {
    match result {
        Err(SyncError::TimedOut) => Ok(None),
        other => other.map(Some),
    }
}

/// An answer that the operation cannot have. It is not a claim of the shared memory, but of our own code.
fn unexpected(answer: &Answer) -> SyncError {
    SyncError::Damaged(format!("an operation was answered with {answer:?}"))
}

fn count(answer: &Answer) -> Result<u64, SyncError> {
    match answer {
        Answer::Count(count) => Ok(*count),
        other => Err(unexpected(other)),
    }
}

fn hint(answer: &Answer) -> u64 {
    count(answer).unwrap_or(0)
}

fn flag(answer: &Answer) -> Result<bool, SyncError> {
    match answer {
        Answer::Flag(flag) => Ok(*flag),
        other => Err(unexpected(other)),
    }
}

fn abandoned_by(answer: &Answer) -> Result<Option<u64>, SyncError> {
    match answer {
        Answer::Acquired { abandoned_by } => Ok(*abandoned_by),
        other => Err(unexpected(other)),
    }
}

/// What every handle has: a name, a grant, and its way into a task's arguments.
macro_rules! handle {
    ($name:ident $(<$($parameter:ident),+>)?) => {
        impl$(<$($parameter),+>)? $name$(<$($parameter),+>)? {
            /// The name under which a guest opens it.
            #[must_use]
            pub fn name(&self) -> &str {
                self.base.grant.name()
            }

            /// The right to use it, for `Task::grant`.
            #[must_use]
            pub fn grant(&self) -> $crate::sync::Grant {
                self.base.grant.clone()
            }
        }

        impl$(<$($parameter),+>)? From<&$name$(<$($parameter),+>)?> for $crate::sync::Grant {
            fn from(handle: &$name$(<$($parameter),+>)?) -> Self {
                handle.grant()
            }
        }

        /// Its name. Among a task's arguments this grants it to the task.
        impl$(<$($parameter),+>)? serde::Serialize for $name$(<$($parameter),+>)? {
            fn serialize<Z: serde::Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                $crate::sync::grant::note(&self.base.grant);
                serializer.serialize_str(self.name())
            }
        }
    };
}
use handle;
