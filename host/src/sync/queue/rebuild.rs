//! Deriving again, from the slots alone, everything that is derived.
//!
//! It is done inside the guard: by the supervisor after a death, by a participant that leaves, and by any
//! participant that finds a list unsound. Each slot is first decided by one store, then all lists are written
//! anew, so it may be cut off anywhere and done again. It reads each word once and goes by what it read:
//! somebody who scribbles meanwhile spoils the queue, but not the one who repairs it.
//!
//! A slot is dropped if its state is none, its length is over the limit, or its chain leaves the arena or
//! meets a block that was met before, in a chain that was kept or not: so each block is walked once. Blocks and slots that others are copying to or from right
//! now are left as they are.

#![forbid(unsafe_code)]

use super::super::guard::{self, Seized};
use super::super::memory::{EVERYBODY, Memory};
use super::super::{Departure, Recovery, Token};
use super::Queue;
use super::layout::{
    BEHIND, BLOCKS_USED, CLOSED, DEAD_HELD, DEAD_LIST, FIRST_BLOCK, FREE_BLOCK, FREE_BLOCKS, FREE_SLOT,
    GUARD, HELD, Kind, LAST_BLOCK, List, NEXT, NEXT_SEQUENCE, READY, READY_LIST, ROOM_FOR_BLOCKS, SLOTS_USED,
    State, WRITING, blocks, blocks_for,
};
use super::signals::Wakes;

/// What the slots add up to.
struct Sums {
    /// Sequence numbers with their slots.
    ready: Vec<(u64, u32)>,
    dead: Vec<(u64, u32)>,
    /// The link to the first free slot.
    free: u32,
    writing: u32,
    held: u32,
    dead_held: u32,
    /// The blocks that items have.
    taken: Blocks,
    /// The blocks that were met in a chain, also in one that made no sense.
    met: Blocks,
    blocks_used: u32,
}

/// One bit for each block that was ever used.
struct Blocks(Vec<u64>);

impl Blocks {
    fn none_of(count: u32) -> Self {
        Self(vec![0; (count as usize).div_ceil(64)])
    }

    fn has(&self, block: u32) -> bool {
        self.0[block as usize / 64] >> (block % 64) & 1 == 1
    }

    fn add(&mut self, block: u32) {
        self.0[block as usize / 64] |= 1 << (block % 64);
    }
}

impl<M: Memory> Queue<'_, M> {
    /// Gives back what `gone` held, repairs what it left half done, and wakes everybody. Also what others
    /// hold that are not alive. `close`: the end of a pipe is gone with it.
    pub(in super::super) fn recover_from(
        &self,
        gone: Token,
        how: Departure,
        close: bool,
        is_alive: &dyn Fn(Token) -> bool,
    ) -> Recovery {
        let keeps = |token| token != gone && is_alive(token);
        let seized = guard::seize(self.memory, self.base + GUARD, &keeps);
        if seized == Seized::Busy {
            return Recovery::Busy;
        }
        if close {
            self.set(CLOSED, 1);
        }
        let mut wakes = Wakes::default();
        // One that returned left nothing half done. One that did not may have been hostile and broken
        // anything: the counts are not asked then.
        if seized == Seized::Torn || how == Departure::Died || self.anything_held() {
            self.rebuild(&keeps, &mut wakes);
        } else {
            // It may have been woken in somebody else's place.
            self.announce_new_epoch(&mut wakes);
        }
        guard::leave(self.memory, self.base + GUARD);
        self.send(wakes);
        // Who was woken for the guard may have died of it.
        self.memory.wake(self.base + GUARD, EVERYBODY);
        Recovery::Done
    }

    /// Whether any slot may be somebody's. Exact when the guard is whole: the counts change inside it.
    pub(super) fn anything_held(&self) -> bool {
        [WRITING, HELD, DEAD_HELD, BEHIND].iter().any(|count| self.word(*count) != 0)
    }

    /// The items that `who` has on lease.
    pub(in super::super) fn leased_by(&self, who: Token) -> u32 {
        if self.word(HELD) == 0 {
            return 0;
        }
        let is_leased = |state: State| state.kind == Kind::Leased && state.owner == who.get();
        let leased = (0..self.slots_used()).filter(|index| self.state(*index).is_some_and(is_leased));
        u32::try_from(leased.count()).unwrap_or(u32::MAX)
    }

    /// Derives everything again. What belongs to tokens that `keeps` denies is given back first.
    pub(super) fn rebuild(&self, keeps: &dyn Fn(Token) -> bool, wakes: &mut Wakes) {
        // Cleared first: what is marked from outside the guard meanwhile stays marked.
        self.set(BEHIND, 0);
        let blocks_used = self.word(BLOCKS_USED).min(blocks(self.spec));
        let mut sums = Sums {
            ready: Vec::new(),
            dead: Vec::new(),
            free: 0,
            writing: 0,
            held: 0,
            dead_held: 0,
            taken: Blocks::none_of(blocks_used),
            met: Blocks::none_of(blocks_used),
            blocks_used,
        };
        let slots_used = self.slots_used();
        for index in (0..slots_used).rev() {
            self.decide(index, keeps, &mut sums);
        }
        let newest = sums.ready.iter().chain(&sums.dead).map(|(sequence, _)| *sequence).max();
        let next =
            self.memory.load64(self.base + NEXT_SEQUENCE).max(newest.map_or(1, |last| last.wrapping_add(1)));
        self.memory.store64(self.base + NEXT_SEQUENCE, next);
        self.set(SLOTS_USED, slots_used);
        self.set(FREE_SLOT, sums.free);
        self.write_list(READY_LIST, &mut sums.ready);
        self.write_list(DEAD_LIST, &mut sums.dead);
        self.write_free_blocks(&sums);
        self.set(READY, sums.ready.len() as u32);
        self.set(WRITING, sums.writing);
        self.set(HELD, sums.held);
        self.set(DEAD_HELD, sums.dead_held);
        self.set(ROOM_FOR_BLOCKS, 0);
        self.announce_new_epoch(wakes);
    }

    /// Decides one slot, and adds it to the sums.
    fn decide(&self, index: u32, keeps: &dyn Fn(Token) -> bool, sums: &mut Sums) {
        let found = self.state(index);
        let mut state = found.map_or(State::FREE, |found| self.settled(found, keeps));
        if state != State::FREE && !self.takes_its_blocks(index, sums) {
            state = State::FREE;
        }
        if found != Some(state) {
            self.set_state(index, state);
        }
        let place = (self.sequence(index), index);
        match state.kind {
            Kind::Ready => sums.ready.push(place),
            Kind::Dead => sums.dead.push(place),
            Kind::Writing => sums.writing += 1,
            Kind::Taking | Kind::Leased => sums.held += 1,
            Kind::TakingDead => sums.dead_held += 1,
            Kind::Free | Kind::Spent => {
                self.set_slot_word(index, NEXT, sums.free);
                sums.free = index + 1;
            }
        }
    }

    /// What a slot is after those whom `keeps` denies have gone.
    fn settled(&self, found: State, keeps: &dyn Fn(Token) -> bool) -> State {
        let kept = Token::new(found.owner).is_some_and(keeps);
        match found.kind {
            Kind::Free | Kind::Spent => State::FREE,
            Kind::Ready | Kind::Dead => State::unowned(found.kind, found.deliveries),
            Kind::Writing | Kind::Taking | Kind::Leased | Kind::TakingDead if kept => found,
            Kind::Writing => State::FREE,
            Kind::Taking => State::unowned(Kind::Ready, found.deliveries),
            Kind::Leased => self.after_lease(found),
            Kind::TakingDead => State::unowned(Kind::Dead, found.deliveries),
        }
    }

    /// Whether a slot's length and chain make sense; its blocks are taken then.
    fn takes_its_blocks(&self, index: u32, sums: &mut Sums) -> bool {
        let Ok(length) = self.length(index) else { return false };
        let count = blocks_for(u64::from(length));
        if count > sums.blocks_used {
            return false;
        }
        let first = self.slot_word(index, FIRST_BLOCK);
        let mut chain = Vec::new();
        let mut link = first;
        for _ in 0..count {
            let is_new = |block: &u32| *block < sums.blocks_used && !sums.met.has(*block);
            let Some(block) = self.block(link).ok().filter(is_new) else { return false };
            sums.met.add(block);
            chain.push(block);
            link = self.block_next(block);
        }
        chain.iter().for_each(|block| sums.taken.add(*block));
        if let Some(last) = chain.last() {
            self.set_slot_word(index, LAST_BLOCK, last + 1);
        }
        true
    }

    fn write_list(&self, list: List, places: &mut [(u64, u32)]) {
        places.sort_unstable();
        let mut next = 0;
        self.set(list.last, places.last().map_or(0, |(_, index)| index + 1));
        for (_, index) in places.iter().rev() {
            self.set_slot_word(*index, NEXT, next);
            next = index + 1;
        }
        self.set(list.first, next);
    }

    fn write_free_blocks(&self, sums: &Sums) {
        let mut next = 0;
        let mut count = 0;
        for block in (0..sums.blocks_used).rev().filter(|block| !sums.taken.has(*block)) {
            self.set_block_next(block, next);
            next = block + 1;
            count += 1;
        }
        self.set(BLOCKS_USED, sums.blocks_used);
        self.set(FREE_BLOCK, next);
        self.set(FREE_BLOCKS, count);
    }
}
