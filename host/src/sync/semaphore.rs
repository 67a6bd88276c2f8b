//! The semaphore: permits, and who holds how many of them.
//!
//! What is true is how many permits there are and the table of what each participant holds; how many are free
//! is what is left, kept in a word and counted again after a death. A permit is taken and given back by the
//! one store that changes the holder's entry.
//!
//! A release by somebody who holds none is a signal, unless the semaphore is bounded: it gives back a permit that
//! another holds, or adds one when nobody holds any. So a consumer that takes signals and never gives back does not
//! pile up permits that its end would bring again.
//!
//! Who finds no permit sleeps on the number of changes, so that no change between its look and its sleep is missed. A
//! release wakes one if somebody may sleep. Whoever was woken looks for a permit; if it has to stop before it could
//! look, it wakes the next. Who comes may overtake who waits, without bound.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::table::{self, Table};
use super::{Answer, Blockers, ObjectKind, Operation, Recovery, SyncError, Token, WaitFor, Waits, guard};
use crate::limits::PERMITS_MAX;

/// Bytes of a semaphore.
pub(super) const BYTES: u64 = TABLE + table::BYTES;

const GUARD: u64 = 0;
/// Permits that exist, free or held.
const TOTAL: u64 = 4;
/// Permits that nobody holds. Derived.
const FREE: u64 = 8;
/// Counts releases and recoveries. A waiter sleeps on it.
const CHANGES: u64 = 12;
/// Zero, or the number of changes at which somebody went to sleep, made odd.
const SLEEPERS: u64 = 16;
const TABLE: u64 = 24;

/// The step of `CHANGES`, which leaves its lowest bit for `SLEEPERS`.
const CHANGE: u32 = 2;

/// A semaphore at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Semaphore<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
    pub(super) bounded: bool,
}

impl<'m, M: Memory> Semaphore<'m, M> {
    pub(super) fn initialize(&self, permits: u32) {
        self.memory.store32(self.base + TOTAL, permits);
        self.memory.store32(self.base + FREE, permits);
    }

    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => Ok(Answer::Done),
            Operation::Acquire => self.acquire(who, waits),
            Operation::Release => self.release(who, waits),
            Operation::Leave => self.leave(who, waits),
            Operation::Len => Ok(Answer::Count(u64::from(self.free()))),
            _ => Err(operation.wrong_for(ObjectKind::Semaphore)),
        }
    }

    fn table(&self) -> Table<'m, M> {
        Table { memory: self.memory, base: self.base + TABLE }
    }

    fn free(&self) -> u32 {
        self.memory.load32(self.base + FREE)
    }

    fn enter(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        Ok(guard::enter(self.memory, self.base + GUARD, who, WaitFor::Permit, waits)?)
    }

    fn outside<T>(&self, result: T) -> T {
        guard::leave(self.memory, self.base + GUARD);
        result
    }

    fn acquire(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let mut slept = false;
        loop {
            if let Err(stop) = self.enter(who, waits) {
                if slept {
                    self.memory.wake(self.base + CHANGES, 1);
                }
                return Err(stop);
            }
            if self.free() > 0 {
                return self.outside(self.take(who));
            }
            let changes = self.memory.load32(self.base + CHANGES);
            self.memory.store32(self.base + SLEEPERS, changes | 1);
            self.outside(());
            let time = waits.sleep_at_most(WaitFor::Permit)?;
            self.memory.sleep(self.base + CHANGES, changes, time);
            slept = true;
        }
    }

    fn take(&self, who: Token) -> Result<Answer, SyncError> {
        let table = self.table();
        match table.find(who) {
            Some(entry) => table.set_number(entry, table.number(entry).saturating_add(1)),
            None => _ = table.add(who, 1)?,
        }
        self.memory.store32(self.base + FREE, self.free().saturating_sub(1));
        Ok(Answer::Acquired { abandoned_by: None })
    }

    fn release(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        self.enter(who, waits)?;
        let table = self.table();
        match table.find(who) {
            Some(entry) if table.number(entry) > 1 => table.set_number(entry, table.number(entry) - 1),
            Some(entry) => table.remove(entry),
            None if self.bounded => return self.outside(Err(SyncError::NotOwner)),
            None => self.signal()?,
        }
        self.outside_with_permits(1);
        Ok(Answer::Done)
    }

    /// A release by somebody who holds none, inside the guard. Leaves it when it fails.
    fn signal(&self) -> Result<(), SyncError> {
        let table = self.table();
        match table.entries().min_by_key(|(_, owner)| *owner) {
            Some((entry, _)) if table.number(entry) > 1 => table.set_number(entry, table.number(entry) - 1),
            Some((entry, _)) => table.remove(entry),
            None => {
                let total = self.memory.load32(self.base + TOTAL);
                if total >= PERMITS_MAX {
                    return self
                        .outside(Err(SyncError::OutOfRange(format!("more than {PERMITS_MAX} permits"))));
                }
                self.memory.store32(self.base + TOTAL, total + 1);
            }
        }
        Ok(())
    }

    /// Gives back everything that `who` holds.
    fn leave(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        self.enter(who, waits)?;
        let Some(entry) = self.table().find(who) else { return self.outside(Ok(Answer::Done)) };
        let held = self.table().number(entry);
        self.table().remove(entry);
        self.outside_with_permits(held);
        Ok(Answer::Done)
    }

    /// Leaves the guard with this many more free permits, and wakes as many.
    fn outside_with_permits(&self, count: u32) {
        let (free, changes) = (self.free(), self.memory.load32(self.base + CHANGES));
        self.memory.store32(self.base + FREE, free.saturating_add(count));
        self.memory.store32(self.base + CHANGES, changes.wrapping_add(CHANGE));
        let sleepers = self.memory.load32(self.base + SLEEPERS);
        self.outside(());
        if sleepers != 0 && self.memory.wake(self.base + CHANGES, count) == 0 {
            // Nobody slept. Who goes to sleep from here on writes another number.
            self.memory.swap32_if(self.base + SLEEPERS, sleepers, 0);
        }
    }

    pub(super) fn recover(&self, gone: Token, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        guard::recover(self.memory, self.base + GUARD, gone, is_alive, |_| {
            let table = self.table();
            for entry in table.dead(gone, is_alive) {
                table.remove(entry);
            }
            let held = |sum: u32, (entry, _)| sum.saturating_add(table.number(entry));
            let held = table.entries().fold(0, held);
            let total = self.memory.load32(self.base + TOTAL).min(PERMITS_MAX);
            self.memory.store32(self.base + TOTAL, total);
            self.memory.store32(self.base + FREE, total.saturating_sub(held));
            let changes = self.memory.load32(self.base + CHANGES);
            self.memory.store32(self.base + CHANGES, (changes & !1).wrapping_add(CHANGE));
            vec![self.base + CHANGES]
        })
    }

    /// The permits that `who` holds.
    pub(super) fn held_by(&self, who: Token) -> u32 {
        self.table().find(who).map_or(0, |entry| self.table().number(entry))
    }

    pub(super) fn blockers(&self) -> Blockers {
        if self.free() > 0 { Blockers::Nobody } else { Blockers::Anybody }
    }
}
