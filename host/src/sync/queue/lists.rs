//! The lists of ready, dead and free slots. All of it is derived from the slots, and only touched inside the
//! guard.
//!
//! What runs before an operation's commit may find the lists unsound and say so; what runs after it may not
//! fail any more, and marks the lists as behind instead.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::Queue;
use super::layout::{
    BEHIND, CLOSED, EMPTY, FREE_SLOT, HELD, ITEMS, Kind, LENGTH, List, NEXT, READY, ROOM, ROOM_FOR_BLOCKS,
    SLOTS_USED, State, WRITING, blocks_for,
};
use super::signals::Wakes;

/// What is derived does not fit what it is derived from, or a slot is nonsense. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unsound(pub(super) &'static str);

impl<M: Memory> Queue<'_, M> {
    /// The slot that a link names.
    fn linked(&self, link: u32) -> Result<Option<u32>, Unsound> {
        if link > self.spec.capacity {
            Err(Unsound("a list leads out of it"))
        } else {
            Ok(link.checked_sub(1))
        }
    }

    /// The first slot of a list, with its state.
    pub(super) fn first(&self, list: List, kind: Kind) -> Result<Option<(u32, State)>, Unsound> {
        let Some(index) = self.linked(self.word(list.first))? else { return Ok(None) };
        let state = self.state(index).filter(|state| state.kind == kind);
        state.map(|state| Some((index, state))).ok_or(Unsound("a list has a slot of another kind"))
    }

    /// The length of an item, checked against what a caller may be asked to hold.
    pub(super) fn length(&self, index: u32) -> Result<u32, Unsound> {
        let length = self.slot_word(index, LENGTH);
        if length > self.spec.item_bytes_max { Err(Unsound("an item is too long")) } else { Ok(length) }
    }

    /// Takes the first slot, which is this one, off its list.
    pub(super) fn drop_first(&self, list: List, index: u32) {
        let next = self.slot_word(index, NEXT);
        self.set(list.first, next);
        if next == 0 {
            self.set(list.last, 0);
        }
    }

    /// Adds a slot whose sequence number is the highest.
    pub(super) fn append(&self, list: List, index: u32) {
        let last = self.linked(self.word(list.last));
        self.set_slot_word(index, NEXT, 0);
        match last {
            Ok(Some(last)) => self.set_slot_word(last, NEXT, index + 1),
            Ok(None) => self.set(list.first, index + 1),
            Err(_) => self.set(BEHIND, 1),
        }
        self.set(list.last, index + 1);
    }

    /// Adds a slot at its place by sequence number. What comes back is older than almost all that is there,
    /// so the way is short.
    pub(super) fn insert(&self, list: List, index: u32) {
        let sequence = self.sequence(index);
        let mut before = None;
        let mut link = self.word(list.first);
        for _ in 0..=self.spec.capacity {
            match self.linked(link) {
                Ok(Some(here)) if self.sequence(here) < sequence => {
                    before = Some(here);
                    link = self.slot_word(here, NEXT);
                }
                Ok(_) => {
                    self.set_slot_word(index, NEXT, link);
                    match before {
                        Some(before) => self.set_slot_word(before, NEXT, index + 1),
                        None => self.set(list.first, index + 1),
                    }
                    if link == 0 {
                        self.set(list.last, index + 1);
                    }
                    return;
                }
                Err(_) => break,
            }
        }
        self.set(BEHIND, 1);
    }

    /// A free slot, if there is one. It stays in its list until `claim_slot`.
    pub(super) fn free_slot(&self) -> Result<Option<u32>, Unsound> {
        if let Some(index) = self.linked(self.word(FREE_SLOT))? {
            let free = self.state(index) == Some(State::FREE);
            return if free { Ok(Some(index)) } else { Err(Unsound("a slot in use is in the free list")) };
        }
        let used = self.word(SLOTS_USED);
        if used >= self.spec.capacity {
            return Ok(None);
        }
        // Raised before the slot is used: whoever rebuilds looks at all slots below it.
        self.set(SLOTS_USED, used + 1);
        self.set_slot_word(used, NEXT, 0);
        self.set_state(used, State::FREE);
        self.set(FREE_SLOT, used + 1);
        Ok(Some(used))
    }

    /// Takes the slot that `free_slot` gave off its list.
    pub(super) fn claim_slot(&self, index: u32) {
        let next = self.slot_word(index, NEXT);
        self.set(FREE_SLOT, next);
    }

    /// Whether a slot can be had.
    pub(super) fn has_free_slot(&self) -> bool {
        self.word(FREE_SLOT) != 0 || self.word(SLOTS_USED) < self.spec.capacity
    }

    /// Gives a slot that is free by its state, and its blocks, to the free lists, and tells who waits for
    /// room.
    pub(super) fn release_slot(&self, index: u32, length: u32, wakes: &mut Wakes) {
        let was_full = !self.has_free_slot();
        let blocks = blocks_for(u64::from(length));
        self.release_blocks(index, blocks);
        let next = self.word(FREE_SLOT);
        self.set_slot_word(index, NEXT, next);
        self.set(FREE_SLOT, index + 1);
        if self.word(ROOM_FOR_BLOCKS) != 0 {
            // Who is woken may need more than there is while another needs less: let all look.
            self.set(ROOM_FOR_BLOCKS, 0);
            self.announce_to_all(ROOM, &mut wakes.room);
        } else {
            self.announce_to_one(ROOM, was_full || blocks > 0, &mut wakes.room);
        }
    }

    /// After an item has left for good: tells who waits for the end of all work.
    pub(super) fn tell_of_removal(&self, wakes: &mut Wakes) {
        if self.word(CLOSED) != 0 {
            self.announce_to_all(ITEMS, &mut wakes.items);
        }
        if self.word(EMPTY.sleepers) != 0 && self.is_empty() {
            self.announce_to_all(EMPTY, &mut wakes.empty);
        }
    }

    /// No item that can be taken, none on its way in or out, none leased.
    pub(super) fn is_empty(&self) -> bool {
        self.word(READY) == 0 && self.word(WRITING) == 0 && self.word(HELD) == 0
    }
}
