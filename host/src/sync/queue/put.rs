//! Putting an item.
//!
//! A small item goes in inside the guard. For a large one a slot and blocks are reserved inside the guard,
//! the bytes are copied without it, and a second visit makes the item visible: it gets its sequence number
//! then, so the order is that of completion.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::super::{SyncError, Token, WaitFor, Waits};
use super::layout::{
    BEHIND, BLOCK, CLOSED, FIRST_BLOCK, INLINE, ITEMS, Kind, LAST_BLOCK, LENGTH, NEXT_SEQUENCE, READY,
    READY_LIST, ROOM_FOR_BLOCKS, SEQUENCE, State, WRITING, blocks, blocks_for,
};
use super::lists::Unsound;
use super::signals::Wakes;
use super::{COPIED_INSIDE_MAX, Queue};

/// How an attempt to put ended that need not wait any more.
enum Put {
    Done,
    Closed,
    /// The bytes are still to be copied.
    Reserved {
        index: u32,
        first: u32,
    },
}

impl<M: Memory> Queue<'_, M> {
    /// Puts an item, and waits for room. Over the limit of one item, or larger than all blocks together:
    /// nothing is touched.
    pub(super) fn put(&self, who: Token, item: &[u8], waits: &mut dyn Waits) -> Result<(), SyncError> {
        let length = self.check_length(item)?;
        match self.wait_until(who, WaitFor::Room, waits, |wakes| self.try_put(who, item, length, wakes))? {
            Put::Done => Ok(()),
            Put::Closed => Err(SyncError::Closed),
            Put::Reserved { index, first } => self.fill(who, index, first, item, waits),
        }
    }

    fn check_length(&self, item: &[u8]) -> Result<u32, SyncError> {
        let bytes = item.len() as u64;
        let arena = (u64::from(blocks(self.spec)) * BLOCK).max(INLINE);
        let limit = u64::from(self.spec.item_bytes_max).min(arena);
        u32::try_from(bytes).ok().filter(|_| bytes <= limit).ok_or(SyncError::TooLarge { bytes, limit })
    }

    fn try_put(
        &self,
        who: Token,
        item: &[u8],
        length: u32,
        wakes: &mut Wakes,
    ) -> Result<Option<Put>, Unsound> {
        if self.word(CLOSED) != 0 {
            return Ok(Some(Put::Closed));
        }
        let Some(index) = self.free_slot()? else { return Ok(None) };
        let Some(chain) = self.free_blocks(blocks_for(u64::from(length)))? else {
            self.set(ROOM_FOR_BLOCKS, 1);
            return Ok(None);
        };
        self.set_slot_word(index, LENGTH, length);
        self.set_slot_word(index, FIRST_BLOCK, chain.first);
        self.set_slot_word(index, LAST_BLOCK, chain.last);
        if length > COPIED_INSIDE_MAX {
            self.set_state(index, State::owned(Kind::Writing, who, 0));
            self.claim_slot(index);
            self.claim_blocks(chain);
            self.add(WRITING, 1);
            return Ok(Some(Put::Reserved { index, first: chain.first }));
        }
        self.copy_in(index, chain.first, item)?;
        let sequence = self.next_sequence(index);
        self.set_state(index, State::unowned(Kind::Ready, 0));
        self.claim_slot(index);
        self.claim_blocks(chain);
        self.show(index, sequence, wakes);
        Ok(Some(Put::Done))
    }

    /// Copies a large item in and makes it visible.
    fn fill(
        &self,
        who: Token,
        index: u32,
        first: u32,
        item: &[u8],
        waits: &mut dyn Waits,
    ) -> Result<(), SyncError> {
        let own = State::owned(Kind::Writing, who, 0);
        if let Err(Unsound(why)) = self.copy_in(index, first, item) {
            self.discard(index, own, who);
            return Err(SyncError::Damaged(why.to_owned()));
        }
        let shown = self.inside(who, WaitFor::Room, waits, |wakes| {
            if self.state(index) != Some(own) {
                return Ok(Err(SyncError::Damaged("a slot changed under its owner".to_owned())));
            }
            self.subtract_one(WRITING);
            if self.word(CLOSED) != 0 {
                self.set_state(index, State::FREE);
                self.release_slot(index, item.len() as u32, wakes);
                self.tell_of_removal(wakes);
                return Ok(Err(SyncError::Closed));
            }
            let sequence = self.next_sequence(index);
            self.set_state(index, State::unowned(Kind::Ready, 0));
            self.show(index, sequence, wakes);
            Ok(Ok(()))
        });
        shown.unwrap_or_else(|stop| {
            // The guard was not free in time: the item was never there.
            self.discard(index, own, who);
            Err(stop)
        })
    }

    /// Gives the slot its place in the order; the place is taken when the item is shown.
    fn next_sequence(&self, index: u32) -> u64 {
        let sequence = self.memory.load64(self.base + NEXT_SEQUENCE);
        self.memory.store64(self.place(index, SEQUENCE), sequence);
        sequence
    }

    fn show(&self, index: u32, sequence: u64, wakes: &mut Wakes) {
        self.memory.store64(self.base + NEXT_SEQUENCE, sequence.wrapping_add(1));
        self.append(READY_LIST, index);
        let ready = self.word(READY);
        self.set(READY, ready.wrapping_add(1));
        self.announce_to_one(ITEMS, ready == 0, &mut wakes.items);
    }

    /// Gives up a slot of the caller's without the guard. Whoever is inside next and finds nothing to do
    /// frees it.
    pub(super) fn discard(&self, index: u32, own: State, who: Token) {
        if self.state(index) == Some(own) {
            self.set_state(index, State::owned(Kind::Spent, who, 0));
            self.set(BEHIND, 1);
        }
    }
}
