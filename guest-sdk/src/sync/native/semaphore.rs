//! Semaphores.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::room::Room;
use crate::sync::SyncError;
use crate::sync::handle::{Patience, Taken};

#[derive(Debug)]
pub(super) struct Semaphore {
    bounded: bool,
    state: Room<State>,
}

#[derive(Debug)]
struct State {
    free: u64,
    /// How many permits each participant holds.
    held: BTreeMap<u64, u64>,
}

impl Semaphore {
    pub(super) fn new(permits: u32, bounded: bool) -> Self {
        Self { bounded, state: Room::new(State { free: permits.into(), held: BTreeMap::new() }) }
    }

    pub(super) fn acquire(&self, who: u64, patience: Patience) -> Option<Taken> {
        self.state.wait(patience, |state| {
            state.free = state.free.checked_sub(1)?;
            *state.held.entry(who).or_default() += 1;
            Some(Taken { abandoned_by: None })
        })
    }

    pub(super) fn release(&self, who: u64) -> Result<(), SyncError> {
        self.state.change(|state| {
            match state.held.get_mut(&who).filter(|held| **held > 0) {
                Some(held) => *held -= 1,
                None if self.bounded => return Err(SyncError::NotOwner),
                None => {}
            }
            state.free += 1;
            Ok(())
        })
    }

    pub(super) fn leave(&self, gone: u64) {
        self.state.change(|state| state.free += state.held.remove(&gone).unwrap_or(0));
    }

    pub(super) fn free(&self) -> u64 {
        self.state.change(|state| state.free)
    }
}
