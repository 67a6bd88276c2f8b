//! The explorer: runs participants of a protocol in every order, with deaths, within bounds.
//!
//! A participant is a closure over a [`Virtual`] memory. Each call on the memory is a step, and before each step
//! another participant may go on, or this one may die: it never takes another step, and from then on the
//! supervisor, as one more participant, may run the object's recovery for it, step by step. The
//! explorer goes depth-first through all these choices. Two bounds keep them few: how often a participant that could go on
//! is preempted, and how many die. What it finds within the bounds is all there is to find; memory is
//! sequentially consistent, so a missing barrier is not among it.
//!
//! A sleep does not end by itself, unless the participant's [`Virtual::waits_at_most`] gives it a time-out. So a lost
//! wake-up shows as participants that sleep for ever, which is a violation; so are a failed
//! [`Virtual::require`], a panic, a run without end, and a failed check at its end. A violation tells its steps.
//!
//! To explore a protocol:
//!
//! ```ignore
//! Exploration::new(bytes)
//!     .prepare(|memory| initialize(memory))
//!     .participant(|me| protocol(me).perform(me.token(), operation, &mut me.waits()).unwrap())
//!     .participant(…)
//!     .recovery(|memory, gone, task, is_alive| protocol(memory).recover(gone, task, is_alive))
//!     .check(|memory| memory.require(…, "…"))
//!     .preemptions(2)
//!     .deaths(1)
//!     .sound(1000); // Or `.run()`, which gives the violation.
//! ```
//!
//! `EXPLORE_DEEPER=1` in the environment allows one preemption more everywhere, which takes minutes.
//!
//! Closures must do the same each time: no clock, no random numbers. What they note outside the memory, say in
//! a `Mutex`, `prepare` must reset.

#![forbid(unsafe_code)]

mod engine;
mod locks;
mod objects;
mod participant;
mod seeded;

use std::sync::Mutex;

use rustix::thread::CpuSet;

pub(super) use self::engine::Violation;
use self::engine::{Engine, Explored, SUPERVISOR_TURNS};
pub(super) use self::participant::Virtual;
use super::{Recovery, Token};

type Part<'s> = Box<dyn Fn(&Virtual<'_>) + Sync + 's>;
type Recover<'s> = Box<dyn Fn(&Virtual<'_>, Token, u64, &dyn Fn(Token) -> bool) -> Recovery + Sync + 's>;

/// What is explored, within which bounds.
pub(super) struct Exploration<'s> {
    bytes: u64,
    preemptions: u32,
    deaths: u32,
    prepare: Part<'s>,
    participants: Vec<Part<'s>>,
    /// Those that do not die.
    survivors: Vec<usize>,
    recovery: Recover<'s>,
    check: Part<'s>,
}

impl<'s> Exploration<'s> {
    /// Over this much memory, all zero. Two preemptions, no deaths.
    pub(super) fn new(bytes: u64) -> Self {
        Self {
            bytes,
            preemptions: 2,
            deaths: 0,
            prepare: Box::new(|_| {}),
            participants: Vec::new(),
            survivors: Vec::new(),
            recovery: Box::new(|_, _, _, _| Recovery::Done),
            check: Box::new(|_| {}),
        }
    }

    /// Before each execution, in one step.
    pub(super) fn prepare(mut self, prepare: impl Fn(&Virtual<'_>) + Sync + 's) -> Self {
        self.prepare = Box::new(prepare);
        self
    }

    pub(super) fn participant(mut self, participant: impl Fn(&Virtual<'_>) + Sync + 's) -> Self {
        self.participants.push(Box::new(participant));
        self
    }

    /// One that does not die, because the others could rightly wait for it for ever.
    pub(super) fn survivor(mut self, participant: impl Fn(&Virtual<'_>) + Sync + 's) -> Self {
        self.survivors.push(self.participants.len());
        self.participant(participant)
    }

    /// What the supervisor does for one that died, until it is `Done`.
    pub(super) fn recovery(
        mut self,
        recovery: impl Fn(&Virtual<'_>, Token, u64, &dyn Fn(Token) -> bool) -> Recovery + Sync + 's,
    ) -> Self {
        self.recovery = Box::new(recovery);
        self
    }

    /// After each execution, in one step.
    pub(super) fn check(mut self, check: impl Fn(&Virtual<'_>) + Sync + 's) -> Self {
        self.check = Box::new(check);
        self
    }

    pub(super) fn preemptions(mut self, preemptions: u32) -> Self {
        self.preemptions = preemptions;
        self
    }

    pub(super) fn deaths(mut self, deaths: u32) -> Self {
        self.deaths = deaths;
        self
    }

    /// Explores all, which must be at least this many executions.
    #[track_caller]
    pub(super) fn sound(self, executions_min: u64) {
        match self.run() {
            Ok(executions) => {
                assert!(executions >= executions_min, "there were only {executions} executions")
            }
            Err(violation) => panic!("{violation}"),
        }
    }

    /// Explores until all is explored or something is violated. How many executions there were.
    pub(super) fn run(self) -> Result<u64, Violation> {
        // Only one of its threads runs at a time, and a turn is passed on much faster within one CPU.
        let run = || {
            let mut here = CpuSet::new();
            here.set(rustix::thread::sched_getcpu());
            let _ = rustix::thread::sched_setaffinity(None, &here);
            self.run_here()
        };
        std::thread::scope(|scope| scope.spawn(run).join())
            .unwrap_or_else(|thrown| std::panic::resume_unwind(thrown))
    }

    fn run_here(&self) -> Result<u64, Violation> {
        let deeper = std::env::var("EXPLORE_DEEPER").ok().and_then(|more| more.parse().ok()).unwrap_or(0);
        let preemptions = self.preemptions + deeper;
        let engine = Engine::new(self.bytes, self.participants.len(), preemptions, self.deaths);
        let engine = &engine;
        let controller = Virtual::controller(engine);
        std::thread::scope(|scope| {
            for (index, participant) in self.participants.iter().enumerate() {
                scope.spawn(move || engine.act(index, participant));
            }
            let supervisor = self.participants.len();
            let supervise = |me: &Virtual<'_>| self.supervise(engine, me);
            scope.spawn(move || engine.act(supervisor, &supervise));
            let explored = self.explore(engine, &controller);
            engine.shut_down();
            explored
        })
    }

    fn explore(&self, engine: &Engine, controller: &Virtual<'_>) -> Result<u64, Violation> {
        let mut executions = 0;
        loop {
            engine.begin(&self.survivors);
            // A `require` of the controller's notes the violation, like everybody's.
            let prepared = engine::unwound(|| (self.prepare)(controller));
            if prepared {
                engine.execute();
                engine::unwound(|| (self.check)(controller));
            }
            executions += 1;
            match engine.end() {
                Explored::Violated(violation) => return Err(violation),
                Explored::Everything => return Ok(executions),
                Explored::More => {}
            }
        }
    }

    fn supervise(&self, engine: &Engine, me: &Virtual<'_>) {
        let mut turns = 0;
        while let Some((token, task)) = engine.unrecovered() {
            let is_alive = |token| engine.is_alive(token);
            match (self.recovery)(me, token, task, &is_alive) {
                Recovery::Done => engine.recovered(token),
                Recovery::Busy => {
                    turns += 1;
                    me.require(turns < SUPERVISOR_TURNS, "a recovery stays busy");
                    super::memory::Memory::pause(me);
                }
            }
        }
    }
}

/// Who is inside something that only one may be inside. What is noted outlives who noted it, as it does in life.
#[derive(Debug, Default)]
pub(super) struct Inside(Mutex<Option<Token>>);

impl Inside {
    /// Whoever is inside already must be dead.
    pub(super) fn enter(&self, me: &Virtual<'_>) {
        let before = self.0.lock().unwrap().replace(me.token());
        me.require(before.is_none_or(|before| me.is_dead(before)), "two are inside");
    }

    pub(super) fn leave(&self, me: &Virtual<'_>) {
        let before = self.0.lock().unwrap().take();
        me.require(before == Some(me.token()), "another came inside");
    }

    pub(super) fn reset(&self) {
        *self.0.lock().unwrap() = None;
    }
}
