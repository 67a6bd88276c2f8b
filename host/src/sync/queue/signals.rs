//! Waiting for an item, for room or for the end of all work, and waking those who wait.
//!
//! Each of the three has a word that changes, inside the guard, whenever what is waited for may have come;
//! who found nothing inside the guard watches or sleeps on the value that it had then, so nothing is missed.
//!
//! A wake is a system call, so sleepers are counted: inside the guard each registers before it sleeps and
//! takes itself off when it is back. `pending` counts those that were woken and are not back yet, so that the
//! same sleeper is not woken again by every operation until it runs. One that times out takes a pending wake
//! with it, and one that died stays registered: either only costs a wake too many. A rebuilding begins a new
//! epoch, forgets all registrations and wakes everybody.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::super::memory::{EVERYBODY, Memory, spin};
use super::super::{SyncError, Token, WaitFor, Waits, guard};
use super::Queue;
use super::layout::{BEHIND, EMPTY, EPOCH, GUARD, ITEMS, ROOM, Signal};
use super::lists::Unsound;

/// How many to wake, once outside the guard. It only grows: a rebuilding wakes everybody and forgets who
/// sleeps, so what is announced after it in the same section knows of nobody.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wakes {
    pub(super) items: u32,
    pub(super) room: u32,
    pub(super) empty: u32,
}

/// A caller's registration as a sleeper.
#[derive(Clone, Copy, Debug)]
struct Registration {
    epoch: u32,
}

impl<M: Memory> Queue<'_, M> {
    /// Does something inside the guard. If it finds what is derived unsound, that is rebuilt and the section
    /// runs once more.
    pub(super) fn inside<T>(
        &self,
        who: Token,
        what: WaitFor,
        waits: &mut dyn Waits,
        mut section: impl FnMut(&mut Wakes) -> Result<T, Unsound>,
    ) -> Result<T, SyncError> {
        guard::enter(self.memory, self.base + GUARD, who, what, waits)?;
        let mut wakes = Wakes::default();
        let mut result = section(&mut wakes);
        if result.is_err() {
            self.rebuild(&|_| true, &mut wakes);
            result = section(&mut wakes);
        }
        guard::leave(self.memory, self.base + GUARD);
        self.send(wakes);
        result.map_err(|Unsound(why)| SyncError::Damaged(why.to_owned()))
    }

    /// Tries inside the guard until it succeeds, and sleeps between the attempts.
    pub(super) fn wait_until<T>(
        &self,
        who: Token,
        what: WaitFor,
        waits: &mut dyn Waits,
        mut attempt: impl FnMut(&mut Wakes) -> Result<Option<T>, Unsound>,
    ) -> Result<T, SyncError> {
        let signal = match what {
            WaitFor::Item => ITEMS,
            WaitFor::Room => ROOM,
            _ => EMPTY,
        };
        // How often a change may come soon before the caller's time is asked: somebody hostile could change the
        // word for ever.
        const CHANGES_IN_A_ROW: u32 = 8;
        let mut changes = 0;
        let mut asleep = None;
        // Set once the caller has waited for a moment without success and may sleep.
        let mut time: Option<Duration> = None;
        loop {
            let found = self.inside(who, what, waits, |wakes| {
                if let Some(registration) = asleep.take() {
                    self.unregister(signal, registration);
                }
                if let Some(done) = self.attempt(&mut attempt, wakes)? {
                    return Ok(Ok(done));
                }
                let seen = self.word(signal.word);
                asleep = time.is_some().then(|| self.register(signal));
                Ok(Err(seen))
            })?;
            let seen = match found {
                Ok(done) => return Ok(done),
                Err(seen) => seen,
            };
            match time.take() {
                Some(time) => self.memory.sleep(self.base + signal.word, seen, time),
                None if changes < CHANGES_IN_A_ROW && self.changes_soon(signal, seen) => changes += 1,
                None => {
                    time = Some(waits.sleep_at_most(what)?);
                    changes = 0;
                }
            }
        }
    }

    /// One attempt; another one after a rebuilding if what is derived was known to lag behind.
    fn attempt<T>(
        &self,
        attempt: &mut impl FnMut(&mut Wakes) -> Result<Option<T>, Unsound>,
        wakes: &mut Wakes,
    ) -> Result<Option<T>, Unsound> {
        let found = attempt(wakes)?;
        if found.is_some() || self.word(BEHIND) == 0 {
            return Ok(found);
        }
        self.rebuild(&|_| true, wakes);
        attempt(wakes)
    }

    /// Spins for a moment: the other side of a running hand-over takes less.
    fn changes_soon(&self, signal: Signal, seen: u32) -> bool {
        spin(self.memory, || (self.word(signal.word) != seen).then_some(())).is_some()
    }

    fn register(&self, signal: Signal) -> Registration {
        self.add(signal.sleepers, 1);
        Registration { epoch: self.word(EPOCH) }
    }

    fn unregister(&self, signal: Signal, registration: Registration) {
        if registration.epoch == self.word(EPOCH) {
            self.subtract_one(signal.sleepers);
            self.subtract_one(signal.pending);
        }
    }

    /// What one caller waits for has come: raises how many to wake. `is_first`: there was none of it, so that
    /// somebody may be watching the word without being registered.
    pub(super) fn announce_to_one(&self, signal: Signal, is_first: bool, wakes: &mut u32) {
        let pending = self.word(signal.pending);
        let sleeps = self.word(signal.sleepers) > pending;
        if sleeps || is_first {
            self.add(signal.word, 1);
        }
        if sleeps {
            self.set(signal.pending, pending.wrapping_add(1));
        }
        *wakes = (*wakes).max(u32::from(sleeps));
    }

    /// What all callers wait for has come: raises how many to wake.
    pub(super) fn announce_to_all(&self, signal: Signal, wakes: &mut u32) {
        self.add(signal.word, 1);
        let sleepers = self.word(signal.sleepers);
        self.set(signal.pending, sleepers);
        *wakes = (*wakes).max(if sleepers > 0 { EVERYBODY } else { 0 });
    }

    /// Forgets who sleeps, and lets everybody look again.
    pub(super) fn announce_new_epoch(&self, wakes: &mut Wakes) {
        self.add(EPOCH, 1);
        for signal in [ITEMS, ROOM, EMPTY] {
            self.set(signal.sleepers, 0);
            self.set(signal.pending, 0);
            self.add(signal.word, 1);
        }
        *wakes = Wakes { items: EVERYBODY, room: EVERYBODY, empty: EVERYBODY };
    }

    /// Wakes, from outside the guard, so that who is woken finds it free.
    pub(super) fn send(&self, wakes: Wakes) {
        for (signal, count) in [(ITEMS, wakes.items), (ROOM, wakes.room), (EMPTY, wakes.empty)] {
            if count > 0 {
                self.memory.wake(self.base + signal.word, count);
            }
        }
    }
}
