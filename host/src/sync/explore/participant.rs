//! The memory as one participant sees it: each call is a step of its own.

#![forbid(unsafe_code)]

use std::panic::resume_unwind;
use std::time::Duration;

use super::engine::{Engine, Locked, STEPS_MAX, State, Status, Step, Unwound};
use crate::sync::memory::Memory;
use crate::sync::{Stop, Token, WaitFor, Waits};

/// The memory as one participant sees it.
#[derive(Debug)]
pub(in crate::sync) struct Virtual<'e> {
    engine: &'e Engine,
    /// `None` for who prepares and checks.
    actor: Option<usize>,
}

impl<'e> Virtual<'e> {
    pub(super) fn of(engine: &'e Engine, actor: usize) -> Self {
        Self { engine, actor: Some(actor) }
    }

    pub(super) fn controller(engine: &'e Engine) -> Self {
        Self { engine, actor: None }
    }

    /// Who it is.
    pub(in crate::sync) fn token(&self) -> Token {
        Engine::token(self.actor.expect("only participants ask"))
    }

    /// The task that it is.
    pub(in crate::sync) fn task(&self) -> u64 {
        100 + u64::from(self.token().get())
    }

    /// Whether the participant with this token died.
    pub(in crate::sync) fn is_dead(&self, token: Token) -> bool {
        let status = self.engine.state().actors[token.get() as usize - 1].status;
        matches!(status, Status::Dead | Status::Recovered)
    }

    /// How many died.
    pub(in crate::sync) fn deaths(&self) -> u32 {
        self.engine.deaths - self.engine.state().deaths
    }

    /// Waits without a time-out.
    pub(in crate::sync) fn waits(&self) -> Script<'_> {
        Script { me: self, sleeps: None, stop: Stop::TimedOut }
    }

    /// Sleeps this often, each time until it is woken or not, and then stops for this reason.
    pub(in crate::sync) fn waits_at_most(&self, sleeps: u32, stop: Stop) -> Script<'_> {
        Script { me: self, sleeps: Some(sleeps), stop }
    }

    /// What must be so.
    #[track_caller]
    pub(in crate::sync) fn require(&self, so: bool, otherwise: &str) {
        if !so {
            let what = format!("{otherwise} ({})", std::panic::Location::caller());
            self.engine.violate(&mut self.engine.state(), &what);
            resume_unwind(Box::new(Unwound { passed: false }));
        }
    }

    /// Waits for its turn to take a step.
    fn turn(&self, actor: usize) -> Locked<'e> {
        let mut state = self.engine.state();
        self.engine.choose(&mut state, Some(actor));
        self.resume(state, actor)
    }

    /// Waits until it is chosen, or unwinds if it died.
    fn resume(&self, state: Locked<'e>, actor: usize) -> Locked<'e> {
        if state.turn == Some(actor) {
            return state;
        }
        let dead = state.actors[actor].status == Status::Dead;
        self.engine.pass(state);
        let turn = if dead { None } else { self.engine.await_turn(actor) };
        turn.unwrap_or_else(|| resume_unwind(Box::new(Unwound { passed: true })))
    }

    fn step<T: Copy + Into<u64>>(
        &self,
        what: &'static str,
        at: u64,
        change: impl FnOnce(&mut State) -> T,
    ) -> T {
        let Some(actor) = self.actor else { return change(&mut self.engine.state()) };
        let mut state = self.turn(actor);
        state.chosen = false;
        self.note(&mut state, actor, what, at);
        let changes = state.changes;
        let value = change(&mut state);
        state.actors[actor].mortal |= state.changes != changes;
        state.steps.last_mut().expect("it was noted").value = value.into();
        state.remember(actor, what, at, value.into());
        value
    }

    fn note(&self, state: &mut State, actor: usize, what: &'static str, at: u64) {
        if state.steps.len() >= STEPS_MAX {
            self.engine.violate(state, "it never ends");
            resume_unwind(Box::new(Unwound { passed: false }));
        }
        state.steps.push(Step { actor, what, at, value: 0 });
        for (other, their) in state.actors.iter_mut().enumerate() {
            if other != actor && their.status == Status::Spins {
                their.status = Status::Ready;
            }
        }
    }

    /// Goes to sleep, or spins, until it is chosen again.
    fn block(&self, mut state: Locked<'e>, actor: usize, status: Status) {
        state.actors[actor].status = status;
        self.engine.choose(&mut state, Some(actor));
        drop(self.resume(state, actor));
    }
}

fn word<const BYTES: usize>(state: &mut State, at: u64) -> Option<&mut [u8; BYTES]> {
    let at = usize::try_from(at).ok().filter(|at| at.is_multiple_of(BYTES))?;
    state.memory.get_mut(at..)?.first_chunk_mut()
}

fn change32(at: u64, new: impl FnOnce(u32) -> u32) -> impl FnOnce(&mut State) -> u32 {
    move |state| {
        let Some(word) = word::<4>(state, at) else { return 0 };
        let found = u32::from_ne_bytes(*word);
        let new = new(found);
        *word = new.to_ne_bytes();
        state.changes += u64::from(new != found);
        found
    }
}

fn change64(at: u64, new: impl FnOnce(u64) -> u64) -> impl FnOnce(&mut State) -> u64 {
    move |state| {
        let Some(word) = word::<8>(state, at) else { return 0 };
        let found = u64::from_ne_bytes(*word);
        let new = new(found);
        *word = new.to_ne_bytes();
        state.changes += u64::from(new != found);
        found
    }
}

impl Memory for Virtual<'_> {
    fn load32(&self, at: u64) -> u32 {
        self.step("load", at, change32(at, |found| found))
    }

    fn store32(&self, at: u64, value: u32) {
        self.step("store", at, |state| {
            change32(at, |_| value)(state);
            value
        });
    }

    fn swap32_if(&self, at: u64, expected: u32, new: u32) -> u32 {
        self.step("swap if", at, change32(at, |found| if found == expected { new } else { found }))
    }

    fn swap32(&self, at: u64, value: u32) -> u32 {
        self.step("swap", at, change32(at, |_| value))
    }

    fn load64(&self, at: u64) -> u64 {
        self.step("load", at, change64(at, |found| found))
    }

    fn store64(&self, at: u64, value: u64) {
        self.step("store", at, |state| {
            change64(at, |_| value)(state);
            value
        });
    }

    fn swap64(&self, at: u64, value: u64) -> u64 {
        self.step("swap", at, change64(at, |_| value))
    }

    fn swap64_if(&self, at: u64, expected: u64, new: u64) -> u64 {
        self.step("swap if", at, change64(at, |found| if found == expected { new } else { found }))
    }

    fn add64(&self, at: u64, value: u64) -> u64 {
        self.step("add", at, change64(at, |found| found.wrapping_add(value)))
    }

    /// In two steps, so that another comes between its halves.
    fn copy_out(&self, at: u64, to: &mut [u8]) {
        let half = to.len() / 2;
        let (first, second) = to.split_at_mut(half);
        for (at, piece) in [(at, first), (at + half as u64, second)] {
            self.step("copy out", at, |state| {
                match state.memory.get(at as usize..at as usize + piece.len()) {
                    Some(found) => piece.copy_from_slice(found),
                    None => piece.fill(0),
                }
                piece.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)))
            });
        }
    }

    fn copy_in(&self, at: u64, from: &[u8]) {
        let half = from.len() / 2;
        let (first, second) = from.split_at(half);
        for (at, piece) in [(at, first), (at + half as u64, second)] {
            self.step("copy in", at, |state| {
                if let Some(place) = state.memory.get_mut(at as usize..at as usize + piece.len()) {
                    place.copy_from_slice(piece);
                    state.changes += 1;
                }
                0u32
            });
        }
    }

    fn sleep(&self, at: u64, expected: u32, _: Duration) {
        let found = self.step("look to sleep", at, |state| {
            let found = change32(at, |found| found)(state);
            if let (Some(actor), true) = (self.actor, found == expected) {
                state.sleepers.push(actor);
                state.changes += 1;
                state.actors[actor].status = Status::Asleep(at);
            }
            found
        });
        if let (Some(actor), true) = (self.actor, found == expected) {
            self.block(self.engine.state(), actor, Status::Asleep(at));
        }
    }

    fn wake(&self, at: u64, count: u32) -> u32 {
        self.step("wake", at, |state| {
            let asleep = state.sleepers.iter().copied();
            let asleep = asleep.filter(|&sleeper| state.actors[sleeper].status == Status::Asleep(at));
            let woken: Vec<_> = asleep.take(count as usize).collect();
            for &actor in &woken {
                Engine::rouse(state, actor);
            }
            state.changes += 1;
            u32::try_from(woken.len()).unwrap()
        })
    }

    fn pause(&self) {
        if let Some(actor) = self.actor {
            self.block(self.engine.state(), actor, Status::Spins);
        }
    }

    /// Looking again without being woken shows nothing that a time-out does not.
    fn looks(&self) -> u32 {
        0
    }
}

/// How a participant waits: without end, or for a number of sleeps.
#[derive(Debug)]
pub(in crate::sync) struct Script<'v> {
    me: &'v Virtual<'v>,
    sleeps: Option<u32>,
    stop: Stop,
}

impl Waits for Script<'_> {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        if let Some(actor) = self.me.actor {
            self.me.engine.state().actors[actor].timed = self.sleeps.is_some();
        }
        match &mut self.sleeps {
            Some(0) => return Err(self.stop.clone()),
            Some(left) => *left -= 1,
            None => {}
        }
        Ok(Duration::from_secs(1))
    }
}
