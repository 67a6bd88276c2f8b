//! Barriers.

#![forbid(unsafe_code)]

use std::future::Future;
use std::time::Duration;

use super::waiting::{self, OwnToken};
use super::{Base, DROP_PATIENCE, count, flag, handle, unless_timed_out};
use crate::sync::{Deadline, Operation, Spec, SyncError, Token, Waits, tokens};

/// A meeting point of a number of parties. Python's `Barrier`.
///
/// When as many wait as there are parties, all of them go on, each with another index from 0. Then the barrier
/// can be used again.
///
/// - **Death:** a task that opened the barrier and dies breaks it at once, whether it waited or not, and so
///   does one that stops waiting. Everybody who waits, or comes later, gets [`SyncError::Broken`] until
///   [`reset`](Self::reset).
/// - A thread of the host program is a party while it waits.
///
/// ```
/// use wasmpool::sync::Barrier;
///
/// let start = Barrier::new(2)?;
/// let mut indexes = std::thread::scope(|scope| {
///     let other = scope.spawn(|| start.wait());
///     [start.wait().unwrap(), other.join().unwrap().unwrap()]
/// });
/// indexes.sort_unstable();
/// assert_eq!(indexes, [0, 1]);
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Barrier {
    base: Base,
    parties: u32,
}

handle!(Barrier);

impl Barrier {
    /// A whole, empty barrier with a made-up name.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`] for a number of parties that cannot be, [`SyncError::Unavailable`] when there
    /// is no memory or descriptor for it.
    pub fn new(parties: u32) -> Result<Self, SyncError> {
        Base::create(Spec::Barrier { parties }, None).map(|base| Self { base, parties })
    }

    /// A whole, empty barrier with this name.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new), and [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str, parties: u32) -> Result<Self, SyncError> {
        Base::create(Spec::Barrier { parties }, Some(name)).map(|base| Self { base, parties })
    }

    /// Waits for the other parties; the index of this one.
    ///
    /// # Errors
    ///
    /// [`SyncError::Broken`].
    pub fn wait(&self) -> Result<u32, SyncError> {
        meet(&self.base, tokens::of_this_thread(), &mut Deadline::never())
    }

    /// Waits for at most this long; `None` when the time was over, which breaks the barrier.
    ///
    /// # Errors
    ///
    /// [`SyncError::Broken`].
    pub fn wait_timeout(&self, time: Duration) -> Result<Option<u32>, SyncError> {
        unless_timed_out(meet(&self.base, tokens::of_this_thread(), &mut Deadline::after(time)))
    }

    /// Waits without blocking the thread. Needs a tokio runtime, and one thread of its blocking pool.
    ///
    /// Dropping the future while it waits breaks the barrier, as a time-out does.
    ///
    /// # Errors
    ///
    /// [`SyncError::Broken`].
    pub fn wait_async(&self) -> impl Future<Output = Result<u32, SyncError>> + Send + use<> {
        let base = self.base.clone();
        // To try first without waiting would break the barrier.
        waiting::wait_elsewhere(move |waits| {
            let who = OwnToken::take();
            meet(&base, who.get(), waits)
        })
    }

    /// Makes it whole and empty again. Whoever waits gets [`SyncError::Broken`].
    ///
    /// # Errors
    ///
    /// [`SyncError::Damaged`] when another participant broke the object's memory; also of the calls below.
    pub fn reset(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Reset).map(drop)
    }

    /// Breaks it.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset).
    pub fn abort(&self) -> Result<(), SyncError> {
        self.base.act(Operation::Abort).map(drop)
    }

    /// Whether it is broken.
    ///
    /// # Errors
    ///
    /// As [`reset`](Self::reset).
    pub fn is_broken(&self) -> Result<bool, SyncError> {
        flag(&self.base.act(Operation::IsSet)?)
    }

    /// How many wait: a hint, it may be old when it arrives.
    #[must_use]
    pub fn n_waiting(&self) -> u64 {
        self.base.len_hint()
    }

    /// How many must wait for all to go on.
    #[must_use]
    pub fn parties(&self) -> u32 {
        self.parties
    }
}

/// One meeting, from registering as a party to leaving.
fn meet(base: &Base, who: Token, waits: &mut dyn Waits) -> Result<u32, SyncError> {
    base.perform(who, Operation::Open, waits)?;
    let met = base.perform(who, Operation::Wait, waits).and_then(|answer| count(&answer));
    base.leave(who, &mut Deadline::after(DROP_PATIENCE));
    // There are as many indexes as parties.
    met.map(|index| u32::try_from(index).unwrap_or(u32::MAX))
}
