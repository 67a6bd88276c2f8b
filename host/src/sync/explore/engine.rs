//! One execution after the other, each along the choices of the last but for the last choice that had another option.
//!
//! Each participant has a thread, and exactly one thread has the turn. It keeps it while its participant is chosen
//! again, so that most steps cost no switch. A participant that dies unwinds its thread.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::participant::Virtual;
use crate::sync::Token;

/// Steps after which an execution counts as endless.
pub(super) const STEPS_MAX: usize = 20_000;
/// Answers of a recovery that it is busy, after which it counts as stuck.
pub(super) const SUPERVISOR_TURNS: u32 = 1000;
/// The last steps that a violation tells.
const STEPS_TOLD: usize = 120;

/// What is thrown through a participant that is to stop where it is.
pub(super) struct Unwound {
    /// Somebody else has the turn already.
    pub(super) passed: bool,
}

/// What a thread waits for.
#[derive(Debug, Default)]
struct Signal {
    given: Mutex<bool>,
    changed: Condvar,
}

impl Signal {
    fn give(&self) {
        *self.given.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_one();
    }

    fn take(&self) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        while !*given {
            given = self.changed.wait(given).unwrap_or_else(PoisonError::into_inner);
        }
        *given = false;
    }
}

/// Runs it; false if it was unwound.
pub(super) fn unwound(run: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(run)).is_ok()
}

/// What went wrong, and how it came to that.
#[derive(Debug)]
pub(in crate::sync) struct Violation {
    what: String,
    steps: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; the last steps were:", self.what)?;
        self.steps.iter().try_for_each(|step| write!(f, "\n  {step}"))
    }
}

/// How an execution ended.
pub(super) enum Explored {
    More,
    Everything,
    Violated(Violation),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Status {
    Ready,
    /// Spins: goes on when somebody else has done something.
    Spins,
    Asleep(u64),
    Finished,
    Dead,
    Recovered,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Run(usize),
    TimeOut(usize),
    Kill(usize),
}

#[derive(Debug)]
struct Choice {
    chosen: usize,
    options: usize,
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) actor: usize,
    pub(super) what: &'static str,
    pub(super) at: u64,
    pub(super) value: u64,
}

#[derive(Debug)]
pub(super) struct Actor {
    pub(super) status: Status,
    /// Its sleep may end by a time-out.
    pub(super) timed: bool,
    survives: bool,
    /// It has done something that others can see since its death was last an option.
    pub(super) mortal: bool,
    /// All that it has seen, as a hash. What it does next depends on nothing else.
    history: u64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) memory: Vec<u8>,
    pub(super) actors: Vec<Actor>,
    /// In the order in which they fell asleep.
    pub(super) sleepers: Vec<usize>,
    pub(super) turn: Option<usize>,
    /// Who has the turn was chosen just now, for the step that comes.
    pub(super) chosen: bool,
    choices: Vec<Choice>,
    depth: usize,
    /// Hashes of the states at choices. What can come after one of them is explored once.
    known: HashSet<u64>,
    /// This execution came to a known state; it goes on without choices.
    ends_known: bool,
    preemptions: u32,
    pub(super) deaths: u32,
    pub(super) steps: Vec<Step>,
    /// How many of the steps others can see.
    pub(super) changes: u64,
    violation: Option<String>,
    over: bool,
    shut_down: bool,
}

impl State {
    /// Of all that decides what can happen next.
    fn hash(&self, me: Option<usize>) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.memory, &self.sleepers, me, self.chosen, self.preemptions, self.deaths).hash(&mut hasher);
        for actor in &self.actors {
            (actor.status, actor.timed, actor.mortal, actor.history).hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn remember(&mut self, actor: usize, what: &'static str, at: u64, value: u64) {
        let mut hasher = DefaultHasher::new();
        (self.actors[actor].history, what, at, value).hash(&mut hasher);
        self.actors[actor].history = hasher.finish();
    }
}

/// What all participants share.
#[derive(Debug)]
pub(super) struct Engine {
    state: Mutex<State>,
    /// For each participant, for the supervisor, and for who explores.
    signals: Vec<Signal>,
    bytes: usize,
    supervisor: usize,
    preemptions: u32,
    pub(super) deaths: u32,
}

pub(super) type Locked<'e> = MutexGuard<'e, State>;

impl Engine {
    pub(super) fn new(bytes: u64, participants: usize, preemptions: u32, deaths: u32) -> Self {
        let state = State {
            memory: Vec::new(),
            actors: Vec::new(),
            sleepers: Vec::new(),
            turn: None,
            chosen: false,
            choices: Vec::new(),
            depth: 0,
            known: HashSet::new(),
            ends_known: false,
            preemptions,
            deaths,
            steps: Vec::new(),
            changes: 0,
            violation: None,
            over: false,
            shut_down: false,
        };
        Self {
            state: Mutex::new(state),
            signals: (0..participants + 2).map(|_| Signal::default()).collect(),
            bytes: usize::try_from(bytes).unwrap(),
            supervisor: participants,
            preemptions,
            deaths,
        }
    }

    pub(super) fn state(&self) -> Locked<'_> {
        // Participants unwind with the lock held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, survivors: &[usize]) {
        let state = &mut *self.state();
        state.memory = vec![0; self.bytes];
        state.actors = (0..=self.supervisor)
            .map(|_| Actor { status: Status::Ready, timed: false, survives: false, mortal: true, history: 0 })
            .collect();
        state.actors[self.supervisor].status = Status::Finished;
        for &survivor in survivors {
            state.actors[survivor].survives = true;
        }
        state.sleepers.clear();
        state.depth = 0;
        state.ends_known = false;
        (state.preemptions, state.deaths) = (self.preemptions, self.deaths);
        state.steps.clear();
        state.over = false;
    }

    /// Runs all participants to their ends.
    pub(super) fn execute(&self) {
        let mut state = self.state();
        self.choose(&mut state, None);
        self.pass(state);
        self.signals[self.supervisor + 1].take();
    }

    /// Lets go on who has the turn, or who explores when it is over. Without the lock, or they would meet at it.
    pub(super) fn pass(&self, state: Locked<'_>) {
        let next = state.turn.unwrap_or(self.supervisor + 1);
        drop(state);
        self.signals[next].give();
    }

    /// Goes back to the last choice that has another option.
    pub(super) fn end(&self) -> Explored {
        let state = &mut *self.state();
        if let Some(what) = state.violation.take() {
            let from = state.steps.len().saturating_sub(STEPS_TOLD);
            let steps = state.steps[from..]
                .iter()
                .map(|step| format!("{}: {} at {}: {:#x}", step.actor, step.what, step.at, step.value));
            return Explored::Violated(Violation { what, steps: steps.collect() });
        }
        state.choices.truncate(state.depth);

        while let Some(last) = state.choices.last_mut() {
            if last.chosen + 1 < last.options {
                last.chosen += 1;
                return Explored::More;
            }
            state.choices.pop();
        }
        Explored::Everything
    }

    pub(super) fn shut_down(&self) {
        self.state().shut_down = true;
        for signal in &self.signals {
            signal.give();
        }
    }

    /// The thread of one participant, for all executions.
    pub(super) fn act(&self, actor: usize, body: &dyn Fn(&Virtual<'_>)) {
        let me = Virtual::of(self, actor);
        while let Some(state) = self.await_turn(actor) {
            drop(state);
            let ended = catch_unwind(AssertUnwindSafe(|| body(&me)));
            let mut state = self.state();
            match ended.map_err(|thrown| thrown.downcast::<Unwound>()) {
                Err(Ok(unwound)) if unwound.passed => continue,
                Err(Ok(_)) => {}
                Err(Err(thrown)) => {
                    let message = thrown.downcast_ref::<String>().map(String::as_str);
                    let message = message.or_else(|| thrown.downcast_ref::<&str>().copied());
                    self.violate(&mut state, message.unwrap_or("a panic"));
                }
                Ok(()) => {
                    state.actors[actor].status = Status::Finished;
                    self.choose(&mut state, Some(actor));
                }
            }
            self.pass(state);
        }
    }

    /// Waits for the turn; `None` at the end of the exploration.
    pub(super) fn await_turn(&self, actor: usize) -> Option<Locked<'_>> {
        // Whoever was unwound at the end has taken its last signal already.
        if !self.state().shut_down {
            self.signals[actor].take();
        }
        let state = self.state();
        (!state.shut_down).then_some(state)
    }

    /// The first one is what would go on without a choice; each other costs a preemption or a death.
    fn options(state: &State, me: Option<usize>) -> Vec<Way> {
        let status = |actor: usize| state.actors[actor].status;
        let others = (0..state.actors.len()).filter(|&actor| Some(actor) != me);
        let mut options = Vec::new();
        let goes_on = me.filter(|&me| status(me) == Status::Ready);
        options.extend(goes_on.map(Way::Run));
        let may_switch = goes_on.is_none() || state.preemptions > 0 && !state.chosen;
        if may_switch {
            options.extend(others.filter(|&other| status(other) == Status::Ready).map(Way::Run));
            let ready = !options.is_empty();
            let sleepers = state.sleepers.iter().filter(|&&sleeper| state.actors[sleeper].timed);
            if !ready || state.preemptions > 0 {
                options.extend(sleepers.copied().map(Way::TimeOut));
            }
        }
        let mortal = me.filter(|&me| {
            me + 1 < state.actors.len() && state.actors[me].mortal && !state.actors[me].survives
        });
        let mortal = mortal.filter(|&me| matches!(status(me), Status::Ready | Status::Asleep(_)));
        options.extend(mortal.filter(|_| state.deaths > 0).map(Way::Kill));
        options
    }

    /// Decides who has the turn. `me` has had it.
    pub(super) fn choose(&self, state: &mut State, me: Option<usize>) {
        let mut options = Self::options(state, me);
        if !options.iter().any(|option| !matches!(option, Way::Kill(_))) {
            // Nobody else can do anything, so who spins looks again.
            for actor in &mut state.actors {
                if actor.status == Status::Spins {
                    actor.status = Status::Ready;
                }
            }
            options = Self::options(state, me);
        }
        if options.is_empty() {
            let asleep = state.actors.iter().any(|actor| matches!(actor.status, Status::Asleep(_)));
            if asleep {
                state.violation.get_or_insert("somebody sleeps for ever".to_owned());
            }
            return self.finish(state);
        }
        let option = options[Self::pick(state, me, options.len())];
        if let Some(me) = me {
            state.actors[me].mortal = false;
        }
        let free = me.is_none_or(|me| state.actors[me].status != Status::Ready) || options[0] == option;
        match option {
            Way::Run(actor) => {
                state.preemptions -= u32::from(!free);
                self.give_turn(state, actor);
            }
            Way::TimeOut(actor) => {
                let somebody_ready = options.iter().any(|option| matches!(option, Way::Run(_)));
                state.preemptions -= u32::from(somebody_ready);
                state.steps.push(Step { actor, what: "time-out", at: 0, value: 0 });
                state.remember(actor, "time-out", 0, 0);
                Self::rouse(state, actor);
                self.give_turn(state, actor);
            }
            Way::Kill(actor) => {
                state.steps.push(Step { actor, what: "death", at: 0, value: 0 });
                state.deaths -= 1;
                state.sleepers.retain(|&sleeper| sleeper != actor);
                state.actors[actor].status = Status::Dead;
                state.actors[self.supervisor].status = Status::Ready;
                state.chosen = false;
                self.choose(state, Some(actor));
            }
        }
    }

    /// The option of this choice in this execution.
    fn pick(state: &mut State, me: Option<usize>, options: usize) -> usize {
        if options == 1 || state.ends_known {
            return 0;
        }
        if state.depth == state.choices.len() {
            let hash = state.hash(me);
            if !state.known.insert(hash) {
                state.ends_known = true;
                return 0;
            }
            state.choices.push(Choice { chosen: 0, options });
        }
        let choice = &state.choices[state.depth];
        if choice.options != options {
            state.violation.get_or_insert("the participants do not do the same each time".to_owned());
        }
        state.depth += 1;
        choice.chosen.min(options - 1)
    }

    fn give_turn(&self, state: &mut State, actor: usize) {
        state.chosen = state.turn != Some(actor);
        state.turn = Some(actor);
    }

    pub(super) fn rouse(state: &mut State, actor: usize) {
        state.sleepers.retain(|&sleeper| sleeper != actor);
        state.actors[actor].status = Status::Ready;
        // It may die before it does anything with it.
        state.actors[actor].mortal = true;
    }

    pub(super) fn violate(&self, state: &mut State, what: &str) {
        state.violation.get_or_insert(what.to_owned());
        self.finish(state);
    }

    fn finish(&self, state: &mut State) {
        state.turn = None;
        state.over = true;
    }

    pub(super) fn token(actor: usize) -> Token {
        Token::new(u32::try_from(actor).unwrap() + 1).unwrap()
    }

    /// Somebody who died and was not recovered, with its task.
    pub(super) fn unrecovered(&self) -> Option<(Token, u64)> {
        let state = self.state();
        let dead = state.actors.iter().position(|actor| actor.status == Status::Dead)?;
        Some((Self::token(dead), Virtual::of(self, dead).task()))
    }

    pub(super) fn recovered(&self, token: Token) {
        self.state().actors[token.get() as usize - 1].status = Status::Recovered;
    }

    /// A token is in use until its owner was recovered.
    pub(super) fn is_alive(&self, token: Token) -> bool {
        let actor = token.get() as usize - 1;
        actor < self.supervisor && self.state().actors[actor].status != Status::Recovered
    }
}
