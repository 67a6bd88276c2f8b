//! The array: bytes or numbers, read and written in runs.
//!
//! A guard makes each read and each write whole, however long it is, for everybody who is alive. A writer that dies inside
//! leaves what it had copied so far: each byte is the old or the new one. No copy is made in pieces with the
//! guard open between them; who waits outside has its time-out, and recovery asks again.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::{
    Answer, Blockers, ElementType, ObjectKind, Operation, Recovery, SyncError, Token, WaitFor, Waits, guard,
};

/// The guard, in a cache line of its own.
const DATA: u64 = 64;

/// Bytes of an array.
pub(super) fn bytes(element: ElementType, length: u64) -> u64 {
    length.saturating_mul(element.bytes()).saturating_add(DATA)
}

/// An array at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
    pub(super) element: ElementType,
    pub(super) length: u64,
}

impl<M: Memory> Array<'_, M> {
    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open | Operation::Leave => Ok(Answer::Done),
            Operation::Len => Ok(Answer::Count(self.length)),
            Operation::Read { start, count } => self.read(who, start, count, waits),
            Operation::Write { start, bytes } => self.write(who, start, bytes, waits),
            _ => Err(operation.wrong_for(ObjectKind::Array)),
        }
    }

    /// Where these elements are, and how many bytes.
    fn place(&self, start: u64, count: u64) -> Result<(u64, u64), SyncError> {
        let inside = start.checked_add(count).is_some_and(|end| end <= self.length);
        if !inside {
            return Err(SyncError::OutOfRange(format!(
                "{count} elements from {start} on of an array of {}",
                self.length
            )));
        }
        Ok((self.base + DATA + start * self.element.bytes(), count * self.element.bytes()))
    }

    fn read(&self, who: Token, start: u64, count: u64, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let (at, bytes) = self.place(start, count)?;
        let mut copy = Vec::new();
        let fits = usize::try_from(bytes).is_ok_and(|bytes| copy.try_reserve_exact(bytes).is_ok());
        if !fits {
            return Err(SyncError::Unavailable(format!("there is no memory for {bytes} bytes")));
        }
        copy.resize(bytes as usize, 0);
        guard::enter(self.memory, self.base, who, WaitFor::Lock, waits)?;
        self.memory.copy_out(at, &mut copy);
        guard::leave(self.memory, self.base);
        Ok(Answer::Bytes(copy))
    }

    fn write(
        &self,
        who: Token,
        start: u64,
        bytes: &[u8],
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        let (length, element) = (bytes.len() as u64, self.element.bytes());
        if !length.is_multiple_of(element) {
            return Err(SyncError::OutOfRange(format!(
                "{length} bytes are no whole elements of {element} bytes"
            )));
        }
        let (at, _) = self.place(start, length / element)?;
        guard::enter(self.memory, self.base, who, WaitFor::Lock, waits)?;
        self.memory.copy_in(at, bytes);
        guard::leave(self.memory, self.base);
        Ok(Answer::Done)
    }

    pub(super) fn recover(&self, gone: Token, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        guard::recover(self.memory, self.base, gone, is_alive, |_| Vec::new())
    }

    pub(super) fn blockers(&self, who: Token) -> Blockers {
        match guard::holder(self.memory, self.base) {
            Some(holder) if holder != who => Blockers::Owner(holder),
            _ => Blockers::Nobody,
        }
    }
}
