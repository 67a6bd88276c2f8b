//! The event: a flag in one word, with the number of times that it was set.
//!
//! Who waits is released by a set even if the flag is cleared again before it looks: the number has changed.

#![forbid(unsafe_code)]

use super::memory::{EVERYBODY, Memory, update32};
use super::{Answer, Blockers, ObjectKind, Operation, Recovery, SyncError, WaitFor, Waits};

/// Bytes of an event.
pub(super) const BYTES: u64 = 4;

const SET: u32 = 1;
/// Somebody sleeps until the next set.
const WAITERS: u32 = 2;
/// One more time that it was set. Wraps around.
const ONCE: u32 = 4;

/// An event at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
}

impl<M: Memory> Event<'_, M> {
    pub(super) fn perform(
        &self,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open | Operation::Leave => Ok(Answer::Done),
            Operation::IsSet => Ok(Answer::Flag(self.memory.load32(self.base) & SET != 0)),
            Operation::Set => self.set(),
            Operation::Clear => {
                update32(self.memory, self.base, |found| (found & SET != 0).then_some(found & !SET))?;
                Ok(Answer::Done)
            }
            Operation::Wait => self.wait(waits),
            _ => Err(operation.wrong_for(ObjectKind::Event)),
        }
    }

    fn set(&self) -> Result<Answer, SyncError> {
        let before = update32(self.memory, self.base, |found| {
            (found & SET == 0).then_some((found & !WAITERS).wrapping_add(ONCE) | SET)
        })?;
        if before & (SET | WAITERS) == WAITERS {
            self.memory.wake(self.base, EVERYBODY);
        }
        Ok(Answer::Done)
    }

    fn wait(&self, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let times = |word: u32| word / ONCE;
        let first = self.memory.load32(self.base);
        let mut found = first;
        while found & SET == 0 && times(found) == times(first) {
            let time = waits.sleep_at_most(WaitFor::Event)?;
            let asleep = found | WAITERS;
            if asleep == found || self.memory.swap32_if(self.base, found, asleep) == found {
                self.memory.sleep(self.base, asleep, time);
            }
            found = self.memory.load32(self.base);
        }
        Ok(Answer::Done)
    }

    /// Nobody holds anything of an event; who slept beside the dead looks again.
    pub(super) fn recover(&self) -> Recovery {
        self.memory.wake(self.base, EVERYBODY);
        Recovery::Done
    }

    pub(super) fn blockers(&self) -> Blockers {
        if self.memory.load32(self.base) & SET == 0 { Blockers::Anybody } else { Blockers::Nobody }
    }
}
