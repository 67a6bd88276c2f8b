//! The condition: a lock, and a table of who waits for a notification.
//!
//! A waiter registers while it holds the lock, so whoever takes the lock after it and notifies, finds it. Each waiter sleeps
//! on its own entry: a notification wakes those that have waited longest, and nobody else.
//! A guard protects the table, not the lock, because recovery must not wait for a lock that a live
//! participant holds.
//!
//! A notification that went to somebody who dies or is stopped before it could act on it is not lost: then, and when
//! a holder of the lock dies, everybody who waits is notified. So a wait can end without what it waited for being true:
//! callers look again, in a loop.

#![forbid(unsafe_code)]

use super::lock::{self, Lock};
use super::memory::Memory;
use super::table::{self, Table};
use super::wait::Untimed;
use super::{Answer, Blockers, ObjectKind, Operation, Recovery, SyncError, Token, WaitFor, Waits, guard};

/// Bytes of a condition.
pub(super) const BYTES: u64 = TABLE + table::BYTES;

const LOCK: u64 = 0;
const GUARD: u64 = lock::BYTES;
/// The ticket of the next waiter. Tickets tell who has waited longest.
const NEXT: u64 = GUARD + 4;
const TABLE: u64 = GUARD + 8;

/// In an entry's number: it was notified. The other bits are its ticket.
const NOTIFIED: u32 = 1 << 31;
const TICKET: u32 = NOTIFIED - 1;

/// A condition at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Condition<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
}

impl<'m, M: Memory> Condition<'m, M> {
    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => Ok(Answer::Done),
            Operation::Leave => self.leave(who, waits),
            Operation::Acquire | Operation::Release | Operation::Abandon { .. } => {
                self.lock().perform(who, operation, waits)
            }
            Operation::Wait => self.wait(who, waits),
            Operation::Notify(count) => self.notify(who, count, waits),
            _ => Err(operation.wrong_for(ObjectKind::Condition)),
        }
    }

    fn lock(&self) -> Lock<'m, M> {
        Lock { memory: self.memory, base: self.base + LOCK, nests: false }
    }

    fn table(&self) -> Table<'m, M> {
        Table { memory: self.memory, base: self.base + TABLE }
    }

    fn enter(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        Ok(guard::enter(self.memory, self.base + GUARD, who, WaitFor::Lock, waits)?)
    }

    fn outside<T>(&self, result: T) -> T {
        guard::leave(self.memory, self.base + GUARD);
        result
    }

    fn wait(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        if !self.lock().is_held_by(who) {
            return Err(SyncError::NotOwner);
        }
        let (entry, asleep) = self.register(who, waits)?;
        let released = self.lock().release(who);
        let stop = released.and_then(|()| self.sleep(entry, asleep, waits)).err();
        let mut waits = Untimed(waits);
        let locked = self.lock().acquire(who, &mut waits);
        let notified = self.unregister(who, entry, asleep, locked.is_err(), &mut waits);
        let abandoned_by = locked?;
        match stop {
            Some(stop) if !notified => Err(stop),
            _ => Ok(Answer::Acquired { abandoned_by }),
        }
    }

    /// Enters the caller into the table. Its entry, and the number that it sleeps on.
    fn register(&self, who: Token, waits: &mut dyn Waits) -> Result<(u32, u32), SyncError> {
        self.enter(who, waits)?;
        let next = self.memory.load32(self.base + NEXT);
        self.memory.store32(self.base + NEXT, next.wrapping_add(1));
        let asleep = next & TICKET;
        let table = self.table();
        // An entry of its own is one that a stopped wait had to leave behind.
        if let Some(entry) = table.find(who) {
            table.remove(entry);
        }
        self.outside(table.add(who, asleep).map(|entry| (entry, asleep)))
    }

    fn sleep(&self, entry: u32, asleep: u32, waits: &mut dyn Waits) -> Result<(), SyncError> {
        while self.table().number(entry) == asleep {
            let time = waits.sleep_at_most(WaitFor::Notify)?;
            self.memory.sleep(self.table().number_at(entry), asleep, time);
        }
        Ok(())
    }

    /// Takes the caller out of the table; whether it was notified. If it cannot act on that, another is.
    fn unregister(
        &self,
        who: Token,
        entry: u32,
        asleep: u32,
        passes_on: bool,
        waits: &mut dyn Waits,
    ) -> bool {
        // Left behind, it is taken out when the caller waits again or ends.
        if self.enter(who, waits).is_err() {
            return self.table().number(entry) != asleep;
        }
        let notified = self.table().number(entry) != asleep;
        if self.table().find(who) == Some(entry) {
            self.table().remove(entry);
        }
        let next = if notified && passes_on { self.mark(1) } else { Vec::new() };
        self.outside(());
        self.wake(&next);
        notified
    }

    fn notify(&self, who: Token, count: u32, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        if !self.lock().is_held_by(who) {
            return Err(SyncError::NotOwner);
        }
        self.enter(who, waits)?;
        let marked = self.mark(count);
        self.outside(());
        self.wake(&marked);
        Ok(Answer::Done)
    }

    /// Marks this many of those that have waited longest as notified.
    fn mark(&self, count: u32) -> Vec<u32> {
        let (table, next) = (self.table(), self.memory.load32(self.base + NEXT));
        let waiting = table.entries().map(|(entry, _)| (entry, table.number(entry)));
        let mut waiting: Vec<_> = waiting.filter(|(_, number)| number & NOTIFIED == 0).collect();
        waiting.sort_by_key(|(_, ticket)| std::cmp::Reverse(next.wrapping_sub(*ticket) & TICKET));
        waiting.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        for (entry, ticket) in &waiting {
            table.set_number(*entry, ticket | NOTIFIED);
        }
        waiting.into_iter().map(|(entry, _)| entry).collect()
    }

    fn wake(&self, entries: &[u32]) {
        for entry in entries {
            // One entry has one owner.
            self.memory.wake(self.table().number_at(*entry), 1);
        }
    }

    fn leave(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        self.enter(who, waits)?;
        if let Some(entry) = self.table().find(who) {
            self.table().remove(entry);
        }
        self.outside(());
        self.lock().abandon(who, lock::LEFT);
        Ok(Answer::Done)
    }

    pub(super) fn recover(&self, gone: Token, task: u64, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        let table = self.table();
        let recovered = guard::recover(self.memory, self.base + GUARD, gone, is_alive, |seized| {
            let mut disturbed =
                seized == guard::Seized::Torn || self.lock().is_held_by_the_dead(gone, is_alive);
            for entry in table.dead(gone, is_alive) {
                disturbed |= table.number(entry) & NOTIFIED != 0;
                table.remove(entry);
            }
            if disturbed {
                self.mark(u32::MAX);
            }
            table.words()
        });
        match recovered {
            Recovery::Done => self.lock().recover(gone, task, is_alive),
            Recovery::Busy => Recovery::Busy,
        }
    }

    pub(super) fn is_held_by(&self, who: Token) -> bool {
        self.lock().is_held_by(who)
    }

    pub(super) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        if what == WaitFor::Lock {
            return self.lock().blockers(who);
        }
        let table = self.table();
        let waits = table.find(who).is_some_and(|entry| table.number(entry) & NOTIFIED == 0);
        if waits { Blockers::Anybody } else { Blockers::Nobody }
    }
}
