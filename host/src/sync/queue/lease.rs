//! What becomes of a leased item.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::super::{SyncError, Token, WaitFor, Waits};
use super::Queue;
use super::layout::{DEAD_LIST, HELD, ITEMS, Kind, READY, READY_LIST, State, lease_number, slot_of_lease};
use super::signals::Wakes;

impl<M: Memory> Queue<'_, M> {
    /// The leased item is done.
    pub(super) fn acknowledge(&self, who: Token, lease: u64, waits: &mut dyn Waits) -> Result<(), SyncError> {
        self.inside(who, WaitFor::Item, waits, |wakes| {
            let (index, _) = match self.leased(who, lease) {
                Ok(found) => found,
                Err(error) => return Ok(Err(error)),
            };
            let length = self.length(index)?;
            self.set_state(index, State::FREE);
            self.subtract_one(HELD);
            self.release_slot(index, length, wakes);
            self.tell_of_removal(wakes);
            Ok(Ok(()))
        })?
    }

    /// The leased item goes back.
    pub(super) fn give_back(&self, who: Token, lease: u64, waits: &mut dyn Waits) -> Result<(), SyncError> {
        self.inside(who, WaitFor::Item, waits, |wakes| match self.leased(who, lease) {
            Ok((index, state)) => {
                self.put_back(index, state, wakes);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(error)),
        })?
    }

    fn put_back(&self, index: u32, state: State, wakes: &mut Wakes) {
        let after = self.after_lease(state);
        self.set_state(index, after);
        self.subtract_one(HELD);
        if after.kind == Kind::Dead {
            self.insert(DEAD_LIST, index);
            self.tell_of_removal(wakes);
        } else {
            self.insert(READY_LIST, index);
            let ready = self.word(READY);
            self.set(READY, ready.wrapping_add(1));
            self.announce_to_one(ITEMS, ready == 0, &mut wakes.items);
        }
    }

    /// What a leased slot becomes when its lease ends without acknowledgement.
    pub(super) fn after_lease(&self, state: State) -> State {
        let is_last = state.deliveries >= self.spec.deliveries_max.max(1);
        State::unowned(if is_last { Kind::Dead } else { Kind::Ready }, state.deliveries)
    }

    /// The slot of a lease that the caller holds.
    fn leased(&self, who: Token, lease: u64) -> Result<(u32, State), SyncError> {
        let index = slot_of_lease(lease);
        let state = self.state(index).filter(|state| {
            index < self.spec.capacity
                && state.kind == Kind::Leased
                && lease == lease_number(index, *state, self.sequence(index))
        });
        let state = state.ok_or_else(|| SyncError::NotFound("lease".to_owned()))?;
        if state.owner == who.get() { Ok((index, state)) } else { Err(SyncError::NotOwner) }
    }
}
