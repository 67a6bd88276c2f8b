//! Semaphore, event, condition and barrier, explored.

#![forbid(unsafe_code)]

use std::sync::Mutex;

use super::{Exploration, Virtual};
use crate::sync::barrier::Barrier;
use crate::sync::condition::Condition;
use crate::sync::event::Event;
use crate::sync::memory::Memory;
use crate::sync::semaphore::Semaphore;
use crate::sync::{Answer, Departure, Operation, Stop, SyncError, Token};

/// Room for the tables of a few participants; what is outside reads as free and is never needed.
const BYTES: u64 = 128;
/// A word of the participants' own, after the object.
const READY: u64 = BYTES;

fn semaphore<'m, 'e>(memory: &'m Virtual<'e>) -> Semaphore<'m, Virtual<'e>> {
    Semaphore { memory, base: 0, bounded: false }
}

fn event<'m, 'e>(memory: &'m Virtual<'e>) -> Event<'m, Virtual<'e>> {
    Event { memory, base: 0 }
}

fn condition<'m, 'e>(memory: &'m Virtual<'e>) -> Condition<'m, Virtual<'e>> {
    Condition { memory, base: 0 }
}

fn barrier<'m, 'e>(memory: &'m Virtual<'e>, parties: u32) -> Barrier<'m, Virtual<'e>> {
    Barrier { memory, base: 0, parties }
}

/// A token for whoever checks.
fn nobody() -> Token {
    Token::new(99).unwrap()
}

/// Participants that hold one of `permits` for a moment.
struct Permits {
    permits: u32,
    inside: Mutex<Vec<Token>>,
}

impl Permits {
    fn new(permits: u32) -> Self {
        Self { permits, inside: Mutex::default() }
    }

    fn explore(&self) -> Exploration<'_> {
        Exploration::new(BYTES)
            .prepare(|memory| {
                self.inside.lock().unwrap().clear();
                semaphore(memory).initialize(self.permits);
            })
            .recovery(|memory, gone, _, is_alive| semaphore(memory).recover(gone, is_alive))
            .check(|memory| {
                let free = semaphore(memory).perform(nobody(), Operation::Len, &mut memory.waits());
                memory.require(free == Ok(Answer::Count(self.permits.into())), "a permit was lost or won");
            })
    }

    fn hold(&self, me: &Virtual<'_>) {
        let inside = {
            let mut inside = self.inside.lock().unwrap();
            inside.retain(|token| !me.is_dead(*token));
            inside.push(me.token());
            inside.len()
        };
        me.require(inside <= self.permits as usize, "more hold a permit than there are");
        me.load64(1000);
        self.inside.lock().unwrap().retain(|token| *token != me.token());
        semaphore(me).perform(me.token(), Operation::Release, &mut me.waits()).unwrap();
    }

    fn pass(&self, me: &Virtual<'_>) {
        semaphore(me).perform(me.token(), Operation::Acquire, &mut me.waits()).unwrap();
        self.hold(me);
    }
}

#[test]
fn permits_are_conserved() {
    for permits in [1, 2] {
        let notes = Permits::new(permits);
        let pass = |me: &Virtual<'_>| notes.pass(me);
        notes.explore().participant(pass).participant(pass).preemptions(1).deaths(1).sound(200);
        notes.explore().participant(pass).participant(pass).participant(pass).preemptions(1).sound(200);
    }
}

#[test]
fn a_waiter_for_a_permit_that_gives_up_loses_nobodys_wake() {
    for stop in [Stop::TimedOut, Stop::Cancelled] {
        let notes = Permits::new(1);
        let pass = |me: &Virtual<'_>| notes.pass(me);
        let try_it = |me: &Virtual<'_>| {
            let mut waits = me.waits_at_most(1, stop.clone());
            match semaphore(me).perform(me.token(), Operation::Acquire, &mut waits) {
                Ok(_) => notes.hold(me),
                Err(error) => me.require(error == SyncError::from(stop.clone()), "another error"),
            }
        };
        notes.explore().participant(pass).participant(try_it).participant(pass).preemptions(1).sound(200);
    }
}

#[test]
fn who_is_stopped_before_it_could_look_for_a_permit_wakes_the_next() {
    let does = |me: &Virtual<'_>, operation| semaphore(me).perform(me.token(), operation, &mut me.waits());
    let stopped = |me: &Virtual<'_>| {
        let mut waits = me.waits_at_most(1, Stop::Cancelled);
        if semaphore(me).perform(me.token(), Operation::Acquire, &mut waits).is_ok() {
            does(me, Operation::Release).unwrap();
        }
    };
    Exploration::new(BYTES)
        .participant(stopped)
        .participant(|me| _ = does(me, Operation::Acquire).unwrap())
        .participant(|me| {
            does(me, Operation::Release).unwrap();
            // Inside the guard again, from where it wakes nobody.
            does(me, Operation::Leave).unwrap();
        })
        .sound(200);
}

#[test]
fn a_signal_reaches_who_waits_for_it() {
    let signal = |me: &Virtual<'_>| {
        semaphore(me).perform(me.token(), Operation::Release, &mut me.waits()).unwrap();
    };
    let take = |me: &Virtual<'_>| {
        semaphore(me).perform(me.token(), Operation::Acquire, &mut me.waits()).unwrap();
    };
    let twice = |me: &Virtual<'_>| (0..2).for_each(|_| signal(me));
    Exploration::new(BYTES).participant(take).participant(take).participant(twice).sound(300);
}

#[test]
fn a_set_event_lets_everybody_go_on() {
    let set = |me: &Virtual<'_>| {
        event(me).perform(Operation::Set, &mut me.waits()).unwrap();
    };
    let wait = |me: &Virtual<'_>| {
        event(me).perform(Operation::Wait, &mut me.waits()).unwrap();
    };
    let exploration = Exploration::new(BYTES).recovery(|memory, _, _, _| event(memory).recover());
    exploration
        .participant(wait)
        .participant(wait)
        .participant(set)
        .survivor(set)
        .preemptions(1)
        .deaths(1)
        .sound(300);
}

#[test]
fn who_slept_when_the_event_was_set_goes_on_though_it_was_cleared() {
    let pulse = |me: &Virtual<'_>| {
        while me.load32(0) == 0 {
            me.pause();
        }
        event(me).perform(Operation::Set, &mut me.waits()).unwrap();
        event(me).perform(Operation::Clear, &mut me.waits()).unwrap();
    };
    let wait = |me: &Virtual<'_>| {
        event(me).perform(Operation::Wait, &mut me.waits()).unwrap();
    };
    Exploration::new(BYTES).participant(wait).participant(pulse).preemptions(3).sound(20);
}

/// Takes the condition's lock, waits until the word is set, and lets the next one do so.
fn await_ready(me: &Virtual<'_>, sleeps: Option<u32>) {
    let (condition, who) = (condition(me), me.token());
    condition.perform(who, Operation::Acquire, &mut me.waits()).unwrap();
    while me.load32(READY) == 0 {
        let mut waits = sleeps.map_or(me.waits(), |sleeps| me.waits_at_most(sleeps, Stop::TimedOut));
        match condition.perform(who, Operation::Wait, &mut waits) {
            Ok(_) => {}
            Err(error) => {
                me.require(error == SyncError::TimedOut, "another error");
                break;
            }
        }
    }
    condition.perform(who, Operation::Notify(1), &mut me.waits()).unwrap();
    condition.perform(who, Operation::Release, &mut me.waits()).unwrap();
}

fn make_ready(me: &Virtual<'_>) {
    let (condition, who) = (condition(me), me.token());
    condition.perform(who, Operation::Acquire, &mut me.waits()).unwrap();
    me.store32(READY, 1);
    condition.perform(who, Operation::Notify(1), &mut me.waits()).unwrap();
    condition.perform(who, Operation::Release, &mut me.waits()).unwrap();
}

fn of_condition<'s>() -> Exploration<'s> {
    let recover = |memory: &Virtual<'_>, gone, task, is_alive: &dyn Fn(Token) -> bool| {
        condition(memory).recover(gone, task, is_alive)
    };
    Exploration::new(BYTES + 8).recovery(recover)
}

#[test]
fn a_notification_reaches_one_that_waits() {
    let wait = |me: &Virtual<'_>| await_ready(me, None);
    of_condition().participant(wait).survivor(make_ready).deaths(1).sound(200);
    of_condition().participant(wait).participant(wait).participant(make_ready).preemptions(1).sound(200);
}

#[test]
fn a_notification_of_one_that_dies_reaches_another() {
    let wait = |me: &Virtual<'_>| await_ready(me, None);
    let both = of_condition().participant(wait).participant(wait).survivor(make_ready);
    both.preemptions(0).deaths(1).sound(200);
}

#[test]
fn a_waiter_whose_time_is_over_takes_nobodys_notification() {
    let wait = |me: &Virtual<'_>| await_ready(me, None);
    let try_it = |me: &Virtual<'_>| await_ready(me, Some(1));
    of_condition().participant(try_it).participant(wait).participant(make_ready).preemptions(1).sound(200);
}

/// The parties of a barrier, and what each `wait` gave them.
struct Meeting {
    parties: u32,
    indexes: Mutex<Vec<u64>>,
    broken: Mutex<u32>,
}

impl Meeting {
    fn new(parties: u32) -> Self {
        Self { parties, indexes: Mutex::default(), broken: Mutex::default() }
    }

    fn explore(&self) -> Exploration<'_> {
        Exploration::new(BYTES)
            .prepare(|memory| {
                self.indexes.lock().unwrap().clear();
                *self.broken.lock().unwrap() = 0;
                for party in 1..=self.parties {
                    let token = Token::new(party).unwrap();
                    let barrier = barrier(memory, self.parties);
                    barrier.perform(token, Operation::Open, &mut memory.waits()).unwrap();
                }
            })
            .recovery(|memory, gone, _, is_alive| {
                barrier(memory, self.parties).recover(gone, Departure::Died, is_alive)
            })
    }

    fn meet(&self, me: &Virtual<'_>, sleeps: Option<u32>) -> Result<(), SyncError> {
        let mut waits = sleeps.map_or(me.waits(), |sleeps| me.waits_at_most(sleeps, Stop::TimedOut));
        match barrier(me, self.parties).perform(me.token(), Operation::Wait, &mut waits)? {
            Answer::Count(index) => self.indexes.lock().unwrap().push(index),
            _ => me.require(false, "no index"),
        }
        Ok(())
    }

    /// Each generation that was met has each index once, as far as its parties lived to tell.
    fn require_whole(&self, memory: &Virtual<'_>, meetings: u32) {
        let mut indexes = self.indexes.lock().unwrap().clone();
        indexes.sort_unstable();
        let each = (0..u64::from(self.parties)).flat_map(|index| (0..meetings).map(move |_| index));
        memory.require(indexes == each.collect::<Vec<_>>(), "an index is missing or twice there");
    }
}

#[test]
fn a_barrier_lets_its_parties_go_on_together_again_and_again() {
    for (parties, preemptions) in [(2, 3), (3, 1)] {
        let notes = Meeting::new(parties);
        let twice = |me: &Virtual<'_>| {
            for _ in 0..2 {
                me.require(notes.meet(me, None).is_ok(), "it broke");
            }
        };
        let all = (0..parties).fold(notes.explore(), |explored, _| explored.participant(twice));
        all.preemptions(preemptions).check(|memory| notes.require_whole(memory, 2)).sound(50);
    }
}

#[test]
fn a_party_that_dies_breaks_the_barrier_for_who_waits() {
    /// Where the phase is, and what it is after one generation that broke.
    const PHASE: (u64, u32) = (4, 4 | 1);
    let notes = Meeting::new(2);
    let meet = |me: &Virtual<'_>| match notes.meet(me, None) {
        Ok(()) => {}
        Err(error) => {
            me.require(error == SyncError::Broken && me.deaths() == 1, "it broke for nothing");
            *notes.broken.lock().unwrap() += 1;
        }
    };
    let check = |memory: &Virtual<'_>| {
        if memory.deaths() == 0 {
            notes.require_whole(memory, 1);
        }
        // Once all had come, nobody may hear anything else.
        let had_met = memory.load32(PHASE.0) != PHASE.1;
        memory.require(*notes.broken.lock().unwrap() == 0 || !had_met, "it broke after all had come");
    };
    notes.explore().participant(meet).participant(meet).deaths(1).check(check).sound(100);
}

#[test]
fn a_party_whose_time_is_over_breaks_the_barrier_for_who_waits() {
    let notes = Meeting::new(2);
    let meet = |me: &Virtual<'_>| match notes.meet(me, None) {
        Ok(()) => {}
        Err(error) => {
            me.require(error == SyncError::Broken, "another error");
            *notes.broken.lock().unwrap() += 1;
        }
    };
    let try_it = |me: &Virtual<'_>| match notes.meet(me, Some(1)) {
        Ok(()) => {}
        Err(error) => {
            me.require(error == SyncError::TimedOut, "another error");
            *notes.broken.lock().unwrap() += 1;
        }
    };
    let both = notes.explore().participant(meet).participant(try_it);
    let check = |memory: &Virtual<'_>| match *notes.broken.lock().unwrap() {
        0 => notes.require_whole(memory, 1),
        broken => memory.require(broken == 2, "it broke for one only"),
    };
    both.preemptions(3).check(check).sound(50);
}
