//! Barriers.

#![forbid(unsafe_code)]

use super::room::Room;
use crate::sync::SyncError;
use crate::sync::handle::Patience;

#[derive(Debug)]
pub(super) struct Barrier {
    parties: u32,
    state: Room<State>,
}

#[derive(Debug, Default)]
struct State {
    waiting: u32,
    /// How often all have met.
    rounds: u64,
    /// How often those who waited were sent away: by a break or a reset.
    sent_away: u64,
    broken: bool,
}

impl State {
    fn send_away(&mut self, broken: bool) {
        self.waiting = 0;
        self.sent_away += 1;
        self.broken = broken;
    }
}

impl Barrier {
    pub(super) fn new(parties: u32) -> Self {
        Self { parties, state: Room::new(State::default()) }
    }

    pub(super) fn meet(&self, patience: Patience) -> Result<Option<u32>, SyncError> {
        let (place, round, sent_away) = self.state.change(|state| {
            if state.broken {
                return Err(SyncError::Broken);
            }
            let before = (state.waiting, state.rounds, state.sent_away);
            state.waiting += 1;
            if state.waiting >= self.parties {
                state.waiting = 0;
                state.rounds += 1;
            }
            Ok(before)
        })?;
        let met = self.state.wait(patience, |state| {
            if state.rounds != round {
                Some(Ok(place))
            } else if state.sent_away != sent_away {
                Some(Err(SyncError::Broken))
            } else {
                None
            }
        });
        match met {
            Some(met) => met.map(Some),
            None => {
                self.abort();
                Ok(None)
            }
        }
    }

    pub(super) fn reset(&self) {
        self.state.change(|state| state.send_away(false));
    }

    pub(super) fn abort(&self) {
        self.state.change(|state| state.send_away(true));
    }

    pub(super) fn is_broken(&self) -> bool {
        self.state.change(|state| state.broken)
    }

    pub(super) fn waiting(&self) -> u64 {
        self.state.change(|state| state.waiting).into()
    }
}
