//! Where everything of a queue lies, and how its words are read.
//!
//! ```text
//! header | slots[capacity], 64 bytes each | next[blocks], 4 bytes each | blocks, 4 KiB each
//! ```
//!
//! Slots and blocks are named in memory by *links*: the index plus one, 0 for none.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::super::{QueueSpec, Token};
use super::Queue;

/// Bytes of one block.
pub(super) const BLOCK: u64 = 4096;
/// Bytes of a payload that lies in its slot.
pub(super) const INLINE: u64 = 32;
/// Bytes of one slot.
const SLOT: u64 = 64;

// The header. Each group has a cache line of its own: who spins on the guard or on a signal does not slow
// down who works on the words beside it.

pub(super) const GUARD: u64 = 0;

/// Nothing more is put. Truth, not derived.
pub(super) const CLOSED: u64 = 64;
pub(super) const FREE_SLOT: u64 = 68;
const READY_FIRST: u64 = 72;
const READY_LAST: u64 = 76;
const DEAD_FIRST: u64 = 80;
const DEAD_LAST: u64 = 84;
pub(super) const FREE_BLOCK: u64 = 88;
/// How many blocks the list of free ones has.
pub(super) const FREE_BLOCKS: u64 = 92;
/// Slots below this were used before; the pages of the others have never been touched.
pub(super) const SLOTS_USED: u64 = 96;
/// The same for blocks.
pub(super) const BLOCKS_USED: u64 = 100;
/// Slots that are [`Kind::Ready`].
pub(super) const READY: u64 = 104;
/// Slots that are [`Kind::Writing`].
pub(super) const WRITING: u64 = 108;
/// Slots that are [`Kind::Leased`] or [`Kind::Taking`].
pub(super) const HELD: u64 = 112;
/// Grows with each rebuilding; registrations of sleepers from before are void.
pub(super) const EPOCH: u64 = 116;
pub(super) const NEXT_SEQUENCE: u64 = 120;

/// Three words on which callers sleep, and what is known of the sleepers.
pub(super) const ITEMS: Signal = Signal { word: 128, sleepers: 320, pending: 324 };
pub(super) const ROOM: Signal = Signal { word: 192, sleepers: 328, pending: 332 };
pub(super) const EMPTY: Signal = Signal { word: 256, sleepers: 336, pending: 340 };
/// Somebody waits for blocks, not only for a slot.
pub(super) const ROOM_FOR_BLOCKS: u64 = 344;
/// Slots that are [`Kind::TakingDead`].
pub(super) const DEAD_HELD: u64 = 348;
/// What is derived lags behind the slots: to be rebuilt before anybody waits. Set also from outside the
/// guard.
pub(super) const BEHIND: u64 = 352;

const HEADER: u64 = 384;

// A slot.

const STATE: u64 = 0;
pub(super) const SEQUENCE: u64 = 8;
pub(super) const LENGTH: u64 = 16;
pub(super) const FIRST_BLOCK: u64 = 20;
pub(super) const LAST_BLOCK: u64 = 24;
pub(super) const NEXT: u64 = 28;
pub(super) const PAYLOAD: u64 = 32;

/// A word on which callers sleep. It changes whenever what they wait for may have come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Signal {
    pub(super) word: u64,
    /// How many are registered as sleeping.
    pub(super) sleepers: u64,
    /// How many of those were woken and have not been back inside since.
    pub(super) pending: u64,
}

/// A list of slots in order of their sequence numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct List {
    pub(super) first: u64,
    pub(super) last: u64,
}

pub(super) const READY_LIST: List = List { first: READY_FIRST, last: READY_LAST };
pub(super) const DEAD_LIST: List = List { first: DEAD_FIRST, last: DEAD_LAST };

/// What a slot is. The number is what stands in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free = 0,
    /// Its owner copies an item in.
    Writing = 1,
    /// An item that can be taken.
    Ready = 2,
    /// Its owner takes the item for good and copies it out.
    Taking = 3,
    Leased = 4,
    /// A dead letter.
    Dead = 5,
    /// Its owner takes the dead letter and copies it out.
    TakingDead = 6,
    /// Its owner needs it no more; it is in no list yet.
    Spent = 7,
}

/// The word that says all of a slot's fate, so that one store commits each operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) kind: Kind,
    /// A token's number, 0 for nobody.
    pub(super) owner: u32,
    /// How often the item was leased, the present lease included.
    pub(super) deliveries: u32,
}

impl State {
    pub(super) const FREE: Self = Self { kind: Kind::Free, owner: 0, deliveries: 0 };

    pub(super) fn unowned(kind: Kind, deliveries: u32) -> Self {
        Self { kind, owner: 0, deliveries }
    }

    pub(super) fn owned(kind: Kind, owner: Token, deliveries: u32) -> Self {
        Self { kind, owner: owner.get(), deliveries }
    }

    pub(super) fn to_word(self) -> u64 {
        u64::from(self.deliveries) << 32 | u64::from(self.owner) << 4 | self.kind as u64
    }

    /// `None` for a word that no participant writes.
    pub(super) fn from_word(word: u64) -> Option<Self> {
        let kind = match word & 15 {
            0 => Kind::Free,
            1 => Kind::Writing,
            2 => Kind::Ready,
            3 => Kind::Taking,
            4 => Kind::Leased,
            5 => Kind::Dead,
            6 => Kind::TakingDead,
            7 => Kind::Spent,
            _ => return None,
        };
        let owner = (word >> 4) as u32 & Token::MAX;
        Some(Self { kind, owner, deliveries: (word >> 32) as u32 })
    }
}

/// A lease by its number: slot, delivery and sequence number, so that a number from an earlier delivery or of
/// another item names nothing. Never 0.
pub(super) fn lease_number(index: u32, state: State, sequence: u64) -> u64 {
    const SLOT_BITS: u32 = 20;
    const DELIVERY_BITS: u32 = 8;
    let delivery = u64::from(state.deliveries) & ((1 << DELIVERY_BITS) - 1);
    1 << 63
        | (sequence << (SLOT_BITS + DELIVERY_BITS)) & !(1 << 63)
        | delivery << SLOT_BITS
        | u64::from(index)
}

/// The slot that a lease's number names.
pub(super) fn slot_of_lease(lease: u64) -> u32 {
    lease as u32 & ((1 << 20) - 1)
}

/// Blocks of an item of this length.
pub(super) fn blocks_for(length: u64) -> u32 {
    // A length fits 32 bits, so its blocks do.
    if length <= INLINE { 0 } else { length.div_ceil(BLOCK) as u32 }
}

/// Blocks of the arena.
pub(super) fn blocks(spec: &QueueSpec) -> u32 {
    u32::try_from(spec.bytes_max.div_ceil(BLOCK)).unwrap_or(u32::MAX - 1).min(u32::MAX - 1)
}

fn next_table(spec: &QueueSpec) -> u64 {
    HEADER + SLOT * u64::from(spec.capacity)
}

fn arena(spec: &QueueSpec) -> u64 {
    (next_table(spec) + 4 * u64::from(blocks(spec))).next_multiple_of(BLOCK)
}

/// Bytes of a queue, a multiple of the block's.
pub(super) fn bytes(spec: &QueueSpec) -> u64 {
    arena(spec) + BLOCK * u64::from(blocks(spec))
}

impl<M: Memory> Queue<'_, M> {
    /// A word of the header.
    pub(super) fn word(&self, field: u64) -> u32 {
        self.memory.load32(self.base + field)
    }

    pub(super) fn set(&self, field: u64, value: u32) {
        self.memory.store32(self.base + field, value);
    }

    pub(super) fn add(&self, field: u64, addend: u32) {
        self.set(field, self.word(field).wrapping_add(addend));
    }

    /// Never below zero: a count from the memory may be anything.
    pub(super) fn subtract_one(&self, field: u64) {
        self.set(field, self.word(field).saturating_sub(1));
    }

    /// The place of a slot's field.
    pub(super) fn place(&self, index: u32, field: u64) -> u64 {
        self.base + HEADER + SLOT * u64::from(index) + field
    }

    pub(super) fn slot_word(&self, index: u32, field: u64) -> u32 {
        self.memory.load32(self.place(index, field))
    }

    pub(super) fn set_slot_word(&self, index: u32, field: u64, value: u32) {
        self.memory.store32(self.place(index, field), value);
    }

    pub(super) fn sequence(&self, index: u32) -> u64 {
        self.memory.load64(self.place(index, SEQUENCE))
    }

    pub(super) fn state(&self, index: u32) -> Option<State> {
        State::from_word(self.memory.load64(self.place(index, STATE)))
    }

    /// The commit of every operation.
    pub(super) fn set_state(&self, index: u32, state: State) {
        self.memory.store64(self.place(index, STATE), state.to_word());
    }

    /// The link after this block.
    pub(super) fn block_next(&self, block: u32) -> u32 {
        self.memory.load32(self.base + next_table(self.spec) + 4 * u64::from(block))
    }

    pub(super) fn set_block_next(&self, block: u32, link: u32) {
        self.memory.store32(self.base + next_table(self.spec) + 4 * u64::from(block), link);
    }

    /// Where a block's bytes begin.
    pub(super) fn block_place(&self, block: u32) -> u64 {
        self.base + arena(self.spec) + BLOCK * u64::from(block)
    }

    /// Slots that may hold something, whatever the memory says.
    pub(super) fn slots_used(&self) -> u32 {
        self.word(SLOTS_USED).min(self.spec.capacity)
    }
}
