//! Locks, nesting locks, and conditions, which are locks with waiters.

#![forbid(unsafe_code)]

use std::collections::VecDeque;

use super::room::Room;
use crate::context;
use crate::sync::SyncError;
use crate::sync::handle::{Patience, Taken, Woken};

#[derive(Debug)]
pub(super) struct Lock(Room<State>);

#[derive(Debug, Default)]
struct State {
    nests: bool,
    holder: Option<Holder>,
    /// Who died or ended with it, until the next holder is told.
    abandoned_by: Option<u64>,
    /// Tickets of those who wait for a notification, the oldest first.
    waiting: VecDeque<u64>,
    tickets: u64,
}

#[derive(Debug, Clone, Copy)]
struct Holder {
    who: u64,
    /// The number of its task, to be told if it dies.
    task: u64,
    depth: u32,
}

impl State {
    /// Takes the lock, if that can be decided.
    fn take(&mut self, who: u64, task: u64) -> Option<Result<Taken, SyncError>> {
        match &mut self.holder {
            None => {
                self.holder = Some(Holder { who, task, depth: 1 });
                Some(Ok(Taken { abandoned_by: self.abandoned_by.take() }))
            }
            Some(holder) if holder.who != who => None,
            Some(_) if !self.nests => Some(Err(SyncError::AlreadyOwned)),
            Some(holder) => {
                holder.depth += 1;
                Some(Ok(Taken { abandoned_by: None }))
            }
        }
    }

    fn check_holder(&self, who: u64) -> Result<(), SyncError> {
        match self.holder {
            Some(holder) if holder.who == who => Ok(()),
            _ => Err(SyncError::NotOwner),
        }
    }
}

impl Lock {
    pub(super) fn new(nests: bool) -> Self {
        Self(Room::new(State { nests, ..State::default() }))
    }

    pub(super) fn acquire(&self, who: u64, patience: Patience) -> Result<Option<Taken>, SyncError> {
        let task = context::id();
        self.0.wait(patience, |state| state.take(who, task)).transpose()
    }

    pub(super) fn release(&self, who: u64) -> Result<(), SyncError> {
        self.0.change(|state| {
            state.check_holder(who)?;
            state.holder = state.holder.and_then(|mut holder| {
                holder.depth -= 1;
                (holder.depth > 0).then_some(holder)
            });
            Ok(())
        })
    }

    pub(super) fn leave(&self, gone: u64) {
        self.0.change(|state| {
            if let Some(holder) = state.holder.take_if(|holder| holder.who == gone) {
                state.abandoned_by = Some(holder.task);
            }
        });
    }

    pub(super) fn wait_notified(&self, who: u64, patience: Patience) -> Result<Woken, SyncError> {
        let (ticket, task) = self.0.change(|state| {
            state.check_holder(who)?;
            let holder = state.holder.take().ok_or(SyncError::NotOwner)?;
            state.tickets += 1;
            state.waiting.push_back(state.tickets);
            Ok::<_, SyncError>((state.tickets, holder.task))
        })?;
        self.0.wait(patience, |state| (!state.waiting.contains(&ticket)).then_some(()));
        // A notification that came between the end of the time and this look is not lost.
        let in_time = self.0.change(|state| {
            let before = state.waiting.len();
            state.waiting.retain(|waiting| *waiting != ticket);
            state.waiting.len() == before
        });
        let taken = self.0.wait(None, |state| state.take(who, task)).unwrap_or(Err(SyncError::Cancelled))?;
        Ok(Woken { in_time, abandoned_by: taken.abandoned_by })
    }

    pub(super) fn notify(&self, who: u64, count: u32) -> Result<(), SyncError> {
        self.0.change(|state| {
            state.check_holder(who)?;
            let count = state.waiting.len().min(usize::try_from(count).unwrap_or(usize::MAX));
            state.waiting.drain(..count);
            Ok(())
        })
    }
}
