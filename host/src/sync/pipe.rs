//! Two ends that send to each other.
//!
//! Each direction is a queue: an end puts into its own and takes from the other's. An end has one holder at a
//! time. When the holder leaves or dies, both directions are closed: the other end receives what is left and
//! then the end, and what it sends would reach nobody. Who opens an end after that can still receive what is left for it.
//! An end that nobody has opened yet is no reason to end anything.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::queue::{self, Queue};
use super::{Answer, Blockers, Departure, Operation, QueueSpec, Recovery, SyncError, Token, WaitFor, Waits};

/// The holders' words lie before the queues, on a page of their own.
const HEADER: u64 = 4096;

/// Bytes of a pipe.
pub(super) fn bytes(spec: &QueueSpec) -> u64 {
    HEADER + 2 * queue::bytes(spec)
}

/// A pipe that begins its memory, seen from one end.
pub(super) struct Pipe<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) spec: &'m QueueSpec,
    /// 0 or 1.
    pub(super) end: u8,
}

impl<M: Memory> Pipe<'_, M> {
    /// Makes memory that is all zero a pipe that nobody has opened.
    pub(super) fn initialize(&self) {
        self.direction(0).initialize();
        self.direction(1).initialize();
    }

    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => self.open(who).map(|()| Answer::Done),
            Operation::Leave => self.leave(who, waits).map(|()| Answer::Done),
            Operation::Put(_) | Operation::Close => self.sends().perform(who, operation, waits),
            Operation::Get { lease: false } | Operation::Len => {
                self.receives().perform(who, operation, waits)
            }
            _ => Err(SyncError::WrongKind("a pipe has no such operation".to_owned())),
        }
    }

    /// Gives back what `gone` held. Never waits.
    pub(super) fn recover(&self, gone: Token, how: Departure, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        // A pipe whose end has returned is as closed as one whose end has died.
        let _ = how;
        let ends = [0, 1].map(|end| self.memory.load32(holder(end)) == gone.get());
        let close = ends.contains(&true);
        let directions = [0, 1].map(|end| self.direction(end).recover_from(gone, close, is_alive));
        if directions.contains(&Recovery::Busy) {
            // The holder's word still tells the next attempt that there is something to close.
            return Recovery::Busy;
        }
        for end in 0..2 {
            self.memory.swap32_if(holder(end), gone.get(), 0);
        }
        Recovery::Done
    }

    /// Who could end this wait. Reads without the guard, so it may be old at once.
    pub(super) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        let queue = if what == WaitFor::Room { self.sends() } else { self.receives() };
        queue.blockers(who, what)
    }

    fn open(&self, who: Token) -> Result<(), SyncError> {
        let found = self.memory.swap32_if(holder(self.end), 0, who.get());
        if found == 0 || found == who.get() { Ok(()) } else { Err(SyncError::AlreadyOwned) }
    }

    /// Without effect for one that does not hold the end, such as one to whom `open` was refused.
    fn leave(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        if self.memory.load32(holder(self.end)) != who.get() {
            return Ok(());
        }
        for queue in [self.sends(), self.receives()] {
            queue.close(who, waits)?;
            queue.leave(who, waits)?;
        }
        self.memory.swap32_if(holder(self.end), who.get(), 0);
        Ok(())
    }

    fn sends(&self) -> Queue<'_, M> {
        self.direction(self.end & 1)
    }

    fn receives(&self) -> Queue<'_, M> {
        self.direction(1 - (self.end & 1))
    }

    /// The queue into which this end puts.
    fn direction(&self, end: u8) -> Queue<'_, M> {
        let base = HEADER + u64::from(end) * queue::bytes(self.spec);
        Queue { memory: self.memory, base, spec: self.spec }
    }
}

/// The word with the token of an end's holder, 0 when it has none.
fn holder(end: u8) -> u64 {
    64 * u64::from(end & 1)
}
