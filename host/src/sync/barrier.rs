//! The barrier: a number of parties that go on together.
//!
//! The table says who is a party and, of each, whether it waits and since which generation. A generation ends with one
//! store: of the word that says which generation it is, whether the last one ended by all parties having come, and
//! whether the barrier is broken. Who waited is then told by its own entry, which it sleeps on; after a
//! death inside the guard the telling is finished by the repairer.
//!
//! A party that dies, is stopped or loses patience breaks the barrier for all, because they would wait for ever. One
//! that ends without waiting only leaves.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::table::{self, Table};
use super::wait::Untimed;
use super::{
    Answer, Blockers, Departure, ObjectKind, Operation, Recovery, Stop, SyncError, Token, WaitFor, Waits,
    guard,
};

/// Bytes of a barrier.
pub(super) const BYTES: u64 = TABLE + table::BYTES;

const GUARD: u64 = 0;
const PHASE: u64 = 4;
const TABLE: u64 = 8;

/// In the phase: nobody can wait before a reset.
const IS_BROKEN: u32 = 1;
/// In the phase: the last generation ended because all had come.
const HAD_MET: u32 = 2;

/// The lowest bits of an entry's number. Above them is the generation in which it came, as in the phase.
const STATE: u32 = 3;
const IDLE: u32 = 0;
const WAITS: u32 = 1;
const MET: u32 = 2;
const BROKE: u32 = 3;

fn generation(word: u32) -> u32 {
    word & !STATE
}

/// What a change inside the guard gives, and whose entries it has told something.
type Changed<T> = Result<(T, Vec<u32>), SyncError>;

/// A barrier at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Barrier<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
    pub(super) parties: u32,
}

impl<'m, M: Memory> Barrier<'m, M> {
    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => {
                self.inside(who, waits, || self.entry_of(who).map(|_| (Answer::Done, Vec::new())))
            }
            Operation::Leave => self.inside(who, waits, || {
                Ok((Answer::Done, self.remove(self.table().find(who), Departure::Ended)))
            }),
            Operation::Wait => self.wait(who, waits),
            Operation::IsSet => Ok(Answer::Flag(self.phase() & IS_BROKEN != 0)),
            Operation::Len => Ok(Answer::Count(u64::from(self.waiting()))),
            Operation::Reset => self.inside(who, waits, || Ok((Answer::Done, self.end(0)))),
            Operation::Abort => self.inside(who, waits, || Ok((Answer::Done, self.end(IS_BROKEN)))),
            _ => Err(operation.wrong_for(ObjectKind::Barrier)),
        }
    }

    fn table(&self) -> Table<'m, M> {
        Table { memory: self.memory, base: self.base + TABLE }
    }

    fn phase(&self) -> u32 {
        self.memory.load32(self.base + PHASE)
    }

    /// How many wait in this generation.
    fn waiting(&self) -> u32 {
        let (table, waits) = (self.table(), generation(self.phase()) | WAITS);
        // At most as many as the table has entries.
        table.entries().filter(|(entry, _)| table.number(*entry) == waits).count() as u32
    }

    /// Does something inside the guard, and wakes the owners of the entries that it gives.
    fn inside<T>(
        &self,
        who: Token,
        waits: &mut dyn Waits,
        change: impl FnOnce() -> Changed<T>,
    ) -> Result<T, SyncError> {
        guard::enter(self.memory, self.base + GUARD, who, WaitFor::Parties, waits)?;
        let changed = change();
        guard::leave(self.memory, self.base + GUARD);
        let (answer, told) = changed?;
        for entry in told {
            // One entry has one owner.
            self.memory.wake(self.table().number_at(entry), 1);
        }
        Ok(answer)
    }

    fn entry_of(&self, who: Token) -> Result<u32, SyncError> {
        match self.table().find(who) {
            Some(entry) => Ok(entry),
            None => self.table().add(who, IDLE),
        }
    }

    /// Ends the generation; whose entries were told.
    fn end(&self, flags: u32) -> Vec<u32> {
        let next = generation(self.phase()).wrapping_add(STATE + 1);
        self.memory.store32(self.base + PHASE, next | flags);
        self.tell()
    }

    /// Tells everybody who waited in a generation that is over how it ended.
    fn tell(&self) -> Vec<u32> {
        let (table, phase) = (self.table(), self.phase());
        let ended = if phase & HAD_MET != 0 { MET } else { BROKE };
        let waited = |number: u32| number & STATE == WAITS && generation(number) != generation(phase);
        let waited: Vec<_> = table.entries().filter(|(entry, _)| waited(table.number(*entry))).collect();
        for (entry, _) in &waited {
            table.set_number(*entry, generation(table.number(*entry)) | ended);
        }
        waited.into_iter().map(|(entry, _)| entry).collect()
    }

    /// Takes a party out. Breaks the barrier if it waited, or died.
    fn remove(&self, entry: Option<u32>, how: Departure) -> Vec<u32> {
        let Some(entry) = entry else { return Vec::new() };
        let waited = self.table().number(entry) == generation(self.phase()) | WAITS;
        let breaks = self.phase() & IS_BROKEN == 0 && (waited || how == Departure::Died);
        self.table().remove(entry);
        if breaks { self.end(IS_BROKEN) } else { Vec::new() }
    }

    fn wait(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let (entry, index, asleep) = self.inside(who, waits, || self.come(who))?;
        let mut stopped = Ok(());
        // The last one does not wait: its entry says idle already.
        while asleep != IDLE && self.table().number(entry) == asleep {
            match waits.sleep_at_most(WaitFor::Parties) {
                Ok(time) => self.memory.sleep(self.table().number_at(entry), asleep, time),
                Err(stop) => {
                    stopped = self.give_up(who, entry, asleep, stop, waits);
                    break;
                }
            }
        }
        let ended = self.table().number(entry) & STATE;
        if asleep != IDLE && stopped.is_ok() {
            self.table().set_number(entry, IDLE);
        }
        stopped?;
        if asleep == IDLE || ended == MET {
            Ok(Answer::Count(u64::from(index)))
        } else {
            Err(SyncError::Broken)
        }
    }

    /// Comes to the barrier: the caller's entry, its index, and the number it sleeps on, idle if it is the last.
    fn come(&self, who: Token) -> Changed<(u32, u32, u32)> {
        let entry = self.entry_of(who)?;
        self.table().set_number(entry, IDLE);
        let phase = self.phase();
        if phase & IS_BROKEN != 0 {
            return Err(SyncError::Broken);
        }
        let index = self.waiting().min(self.parties - 1);
        if index == self.parties - 1 {
            return Ok(((entry, index, IDLE), self.end(HAD_MET)));
        }
        let asleep = generation(phase) | WAITS;
        self.table().set_number(entry, asleep);
        Ok(((entry, index, asleep), Vec::new()))
    }

    /// Breaks the barrier for all, unless the generation has ended meanwhile.
    fn give_up(
        &self,
        who: Token,
        entry: u32,
        asleep: u32,
        stop: Stop,
        waits: &mut dyn Waits,
    ) -> Result<(), SyncError> {
        // Who cannot enter because it is being stopped leaves its entry waiting, and its end breaks the barrier.
        self.inside(who, &mut Untimed(waits), || {
            if self.table().number(entry) != asleep {
                return Ok((true, Vec::new()));
            }
            self.table().set_number(entry, IDLE);
            Ok((false, self.end(IS_BROKEN)))
        })
        .and_then(|had_ended| if had_ended { Ok(()) } else { Err(stop.into()) })
    }

    pub(super) fn recover(&self, gone: Token, how: Departure, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        guard::recover(self.memory, self.base + GUARD, gone, is_alive, |_| {
            self.tell();
            for entry in self.table().dead(gone, is_alive) {
                self.remove(Some(entry), how);
            }
            self.table().words()
        })
    }

    pub(super) fn blockers(&self, who: Token) -> Blockers {
        let waits = generation(self.phase()) | WAITS;
        let still = self.table().find(who).is_some_and(|entry| self.table().number(entry) == waits);
        if still { Blockers::Anybody } else { Blockers::Nobody }
    }
}
