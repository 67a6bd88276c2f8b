//! A bounded queue, first in, first out, for many producers and consumers.
//!
//! The slots are the truth: one word of each says whether it is free, being written, ready, being taken,
//! leased or a dead letter, whose it is, and how often it was delivered; one store to that word commits each
//! operation. The lists of ready and free slots, the list of free blocks and all counts are derived, change
//! only inside the guard, and are rebuilt from the slots when a participant died inside it. Items of up to 32
//! bytes lie in their slot, larger ones in a chain of 4 KiB blocks.
//!
//! What holds:
//!
//! - **Order.** Items come out in the order in which their puts completed. An item that comes back from a
//!   lease or from a death takes its old place, before younger ones. Who waits longest is not served first:
//!   callers that wait compete.
//! - **Whole or not at all.** An item is visible when its put is complete. A producer that dies in it leaves
//!   nothing behind.
//! - **How often.** A plain get delivers at most once: the item is gone with its taker, but one that died
//!   while it still copied has not taken it. A lease delivers at least once and at most `deliveries_max`
//!   times; then the item is a dead letter, which is kept, in order, until it is taken, and takes up room
//!   until then.
//! - **The end.** After `close` every put fails, also one that waits or still copies. Gets deliver what is
//!   there, and wait as long as somebody else holds an item that may come back; then comes the end.
//! - **Stops.** A time-out or another stop of a wait leaves the queue as it was.
//!
//! A word lies in memory only as long as nobody scribbles on it. Every link and length that is read is
//! checked against the spec, every loop over a list is bounded by the spec, and who finds a list unsound
//! rebuilds it.

#![forbid(unsafe_code)]

mod blocks;
mod get;
mod layout;
mod lease;
mod lists;
mod put;
mod rebuild;
mod signals;
#[cfg(test)]
pub(super) mod tests;

use self::layout::{
    CLOSED, HELD, ITEMS, Kind, NEXT_SEQUENCE, READY, ROOM, ROOM_FOR_BLOCKS, WRITING, blocks_for,
};
use super::memory::Memory;
use super::{Answer, Blockers, Departure, Operation, QueueSpec, Recovery, SyncError, Token, WaitFor, Waits};

/// Items up to this length are copied inside the guard: a second visit would take longer.
const COPIED_INSIDE_MAX: u32 = 1024;

/// Bytes of a queue, a multiple of a page.
pub(super) fn bytes(spec: &QueueSpec) -> u64 {
    layout::bytes(spec)
}

/// A queue at a place of some memory.
pub(super) struct Queue<'m, M: Memory> {
    pub(super) memory: &'m M,
    /// A multiple of 64.
    pub(super) base: u64,
    pub(super) spec: &'m QueueSpec,
}

/// Who holds items that may come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holders {
    Nobody,
    One(Token),
    Several,
}

impl<M: Memory> Queue<'_, M> {
    /// Makes memory that is all zero an empty queue. All zero is one but for the numbering.
    pub(super) fn initialize(&self) {
        self.memory.store64(self.base + NEXT_SEQUENCE, 1);
    }

    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open => Ok(Answer::Done),
            Operation::Leave => self.leave(who, waits).map(|()| Answer::Done),
            Operation::Put(item) => self.put(who, item, waits).map(|()| Answer::Done),
            Operation::Get { lease } => self.get(who, lease, waits),
            Operation::Acknowledge { lease } => self.acknowledge(who, lease, waits).map(|()| Answer::Done),
            Operation::GiveBack { lease } => self.give_back(who, lease, waits).map(|()| Answer::Done),
            Operation::Close => self.close(who, waits).map(|()| Answer::Done),
            Operation::WaitEmpty => self.wait_empty(who, waits).map(|()| Answer::Done),
            Operation::TakeDead => self.take_dead(who, waits),
            Operation::Len => Ok(Answer::Count(u64::from(self.word(READY).min(self.spec.capacity)))),
            _ => Err(SyncError::WrongKind("a queue has no such operation".to_owned())),
        }
    }

    /// Gives back what `gone` held, repairs, and wakes everybody. Never waits.
    pub(super) fn recover(&self, gone: Token, how: Departure, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        self.recover_from(gone, how, false, is_alive)
    }

    /// Who could end this wait. Reads without the guard, so it may be old at once.
    pub(super) fn blockers(&self, who: Token, what: WaitFor) -> Blockers {
        let is_there = match what {
            WaitFor::Item if self.word(READY) > 0 => true,
            WaitFor::Item if self.word(CLOSED) != 0 => return self.blockers_of_the_end(Some(who)),
            WaitFor::Item => false,
            WaitFor::Room => self.word(CLOSED) != 0 || self.has_free_slot() && self.has_free_blocks(),
            WaitFor::Empty if self.is_empty() => true,
            // The caller's own leases are among those that it waits for.
            WaitFor::Empty if self.word(READY) == 0 && self.word(WRITING) == 0 => {
                return self.blockers_of_the_end(None);
            }
            _ => false,
        };
        if is_there { Blockers::Nobody } else { Blockers::Anybody }
    }

    fn blockers_of_the_end(&self, but: Option<Token>) -> Blockers {
        match self.holders(but) {
            Holders::Nobody => Blockers::Nobody,
            Holders::One(token) => Blockers::Owner(token),
            Holders::Several => Blockers::Anybody,
        }
    }

    /// As far as those who wait need blocks: the length of their items is not known here.
    fn has_free_blocks(&self) -> bool {
        self.word(ROOM_FOR_BLOCKS) == 0
            || self.blocks_free() >= blocks_for(u64::from(self.spec.item_bytes_max))
    }

    /// Nothing more is put.
    pub(super) fn close(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        self.inside(who, WaitFor::Room, waits, |wakes| {
            self.set(CLOSED, 1);
            self.announce_to_all(ITEMS, &mut wakes.items);
            self.announce_to_all(ROOM, &mut wakes.room);
            Ok(())
        })
    }

    fn wait_empty(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        self.wait_until(who, WaitFor::Empty, waits, |_| Ok(self.is_empty().then_some(())))
    }

    /// Gives back what the caller holds.
    pub(super) fn leave(&self, who: Token, waits: &mut dyn Waits) -> Result<(), SyncError> {
        self.inside(who, WaitFor::Item, waits, |wakes| {
            if self.anything_held() {
                self.rebuild(&|token| token != who, wakes);
            }
            Ok(())
        })
    }

    /// Who holds items that may come back, without this one.
    fn holders(&self, but: Option<Token>) -> Holders {
        let mut holders = Holders::Nobody;
        if self.word(HELD) == 0 {
            return holders;
        }
        for index in 0..self.slots_used() {
            let state = self.state(index).filter(|state| matches!(state.kind, Kind::Leased | Kind::Taking));
            let owner = state.and_then(|state| Token::new(state.owner)).filter(|owner| Some(*owner) != but);
            holders = match (holders, owner) {
                (holders, None) => holders,
                (Holders::Nobody, Some(owner)) => Holders::One(owner),
                (Holders::One(first), Some(owner)) if first == owner => Holders::One(first),
                _ => return Holders::Several,
            };
        }
        holders
    }
}
