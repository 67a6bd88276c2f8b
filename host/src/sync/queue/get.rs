//! Taking an item, for good or as a lease, and taking a dead letter.
//!
//! A small item is copied out inside the guard, before the store that takes it. A large one is marked as
//! being taken by its caller, or as leased, and copied without the guard. Who dies while it copies has not
//! taken the item: it goes back to its place, and that attempt is no delivery. A lease counts as a delivery
//! from its beginning.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::super::{Answer, Item, SyncError, Token, WaitFor, Waits};
use super::layout::{
    BEHIND, CLOSED, DEAD_HELD, DEAD_LIST, HELD, Kind, List, READY, READY_LIST, State, lease_number,
};
use super::lists::Unsound;
use super::signals::Wakes;
use super::{COPIED_INSIDE_MAX, Holders, Queue};

/// What an attempt to take found.
enum Found {
    End,
    Item(Item),
    /// Taken, but the bytes are still to be copied out.
    Outside(Outside),
}

struct Outside {
    index: u32,
    length: u32,
    /// The slot as the caller holds it.
    own: State,
    lease: u64,
    deliveries: u32,
}

impl<M: Memory> Queue<'_, M> {
    /// Takes the oldest item, and waits for one. The end comes when the queue is closed, nothing is ready,
    /// and nobody else holds an item that may come back: what the caller itself leased does not keep it
    /// waiting.
    pub(super) fn get(&self, who: Token, lease: bool, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let found = self.wait_until(who, WaitFor::Item, waits, |wakes| {
            if let Some((index, state)) = self.first(READY_LIST, Kind::Ready)? {
                return self.take(who, index, state, lease, wakes).map(Some);
            }
            if self.word(READY) != 0 {
                return Err(Unsound("the list of items is too short"));
            }
            let ended = self.word(CLOSED) != 0 && matches!(self.holders(Some(who)), Holders::Nobody);
            Ok(ended.then_some(Found::End))
        })?;
        self.deliver(who, found, WaitFor::Item, waits)
    }

    /// Takes the oldest dead letter. Does not wait.
    pub(super) fn take_dead(&self, who: Token, waits: &mut dyn Waits) -> Result<Answer, SyncError> {
        let found =
            self.inside(who, WaitFor::Item, waits, |wakes| match self.first(DEAD_LIST, Kind::Dead)? {
                Some((index, state)) => self.take(who, index, state, false, wakes),
                None => Ok(Found::End),
            })?;
        self.deliver(who, found, WaitFor::Item, waits)
    }

    /// Takes the first slot of its list.
    fn take(
        &self,
        who: Token,
        index: u32,
        state: State,
        lease: bool,
        wakes: &mut Wakes,
    ) -> Result<Found, Unsound> {
        let is_dead = state.kind == Kind::Dead;
        let length = self.length(index)?;
        let inside = length <= COPIED_INSIDE_MAX;
        let bytes = if inside { Some(self.copy_out(index, length)?) } else { None };
        // A dead letter was delivered as often as its state says, an item is delivered once more.
        let deliveries = state.deliveries.saturating_add(u32::from(!is_dead));
        let own = match (lease, inside, is_dead) {
            (true, _, _) => State::owned(Kind::Leased, who, deliveries),
            (false, true, _) => State::FREE,
            (false, false, false) => State::owned(Kind::Taking, who, state.deliveries),
            (false, false, true) => State::owned(Kind::TakingDead, who, state.deliveries),
        };
        self.set_state(index, own);
        self.unlist(index, is_dead);
        if own == State::FREE {
            self.release_slot(index, length, wakes);
            self.tell_of_removal(wakes);
        } else {
            self.add(if is_dead { DEAD_HELD } else { HELD }, 1);
        }
        let lease = if lease { lease_number(index, own, self.sequence(index)) } else { 0 };
        Ok(match bytes {
            Some(bytes) => Found::Item(Item { bytes, lease, deliveries }),
            None => Found::Outside(Outside { index, length, own, lease, deliveries }),
        })
    }

    fn unlist(&self, index: u32, is_dead: bool) {
        let list: List = if is_dead { DEAD_LIST } else { READY_LIST };
        self.drop_first(list, index);
        if !is_dead {
            self.subtract_one(READY);
        }
    }

    /// Copies out what was not copied inside the guard.
    fn deliver(
        &self,
        who: Token,
        found: Found,
        what: WaitFor,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        let outside = match found {
            Found::End => return Ok(Answer::End),
            Found::Item(item) => return Ok(Answer::Item(item)),
            Found::Outside(outside) => outside,
        };
        let Outside { index, length, own, lease, deliveries } = outside;
        let bytes = self.copy_out(index, length).map_err(|Unsound(why)| {
            self.discard(index, own, who);
            SyncError::Damaged(why.to_owned())
        })?;
        if own.kind != Kind::Leased {
            self.spend(who, index, length, own, what, waits);
        }
        Ok(Answer::Item(Item { bytes, lease, deliveries }))
    }

    /// Frees a slot whose item is out. The first store makes it the caller's for good; the rest may also be
    /// done by whoever rebuilds, so it does not matter if the guard is not free in time.
    fn spend(&self, who: Token, index: u32, length: u32, own: State, what: WaitFor, waits: &mut dyn Waits) {
        let spent = State::owned(Kind::Spent, who, 0);
        self.set_state(index, spent);
        let freed = self.inside(who, what, waits, |wakes| {
            if self.state(index) == Some(spent) {
                self.set_state(index, State::FREE);
                self.subtract_one(if own.kind == Kind::TakingDead { DEAD_HELD } else { HELD });
                self.release_slot(index, length, wakes);
                self.tell_of_removal(wakes);
            }
            Ok(())
        });
        if freed.is_err() {
            self.set(BEHIND, 1);
        }
    }
}
