//! The lock's and the guard's protocols, explored.

#![forbid(unsafe_code)]

use std::sync::Mutex;

use super::{Exploration, Inside, Virtual};
use crate::sync::lock::{self, Lock};
use crate::sync::memory::Memory;
use crate::sync::{Answer, array::Array};
use crate::sync::{ElementType, Operation, Stop, SyncError, Token};

const HOLDER: u32 = Token::MAX;
const ABANDONED: u32 = 1 << 28;
const STARVING: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

fn lock<'m, 'e>(memory: &'m Virtual<'e>) -> Lock<'m, Virtual<'e>> {
    Lock { memory, base: 0, nests: false }
}

fn rlock<'m, 'e>(memory: &'m Virtual<'e>) -> Lock<'m, Virtual<'e>> {
    Lock { memory, base: 0, nests: true }
}

/// What the participants of a lock note.
#[derive(Debug, Default)]
struct Notes {
    inside: Inside,
    /// The tasks that somebody was told of.
    told: Mutex<Vec<u64>>,
    /// Who was inside when it died, by where it got to.
    went_in: Mutex<Vec<Token>>,
}

impl Notes {
    fn reset(&self) {
        self.inside.reset();
        self.told.lock().unwrap().clear();
        self.went_in.lock().unwrap().clear();
    }

    /// Takes and gives back the lock once.
    fn pass(&self, me: &Virtual<'_>) {
        let abandoned_by = lock(me).acquire(me.token(), &mut me.waits()).unwrap();
        self.hold(me, abandoned_by);
    }

    /// Is inside, and gives the lock back.
    fn hold(&self, me: &Virtual<'_>, abandoned_by: Option<u64>) {
        self.told.lock().unwrap().extend(abandoned_by);
        self.inside.enter(me);
        self.went_in.lock().unwrap().push(me.token());
        // A step inside, at which it may be preempted or die.
        me.load64(1000);
        self.went_in.lock().unwrap().retain(|token| *token != me.token());
        self.inside.leave(me);
        lock(me).release(me.token()).unwrap();
    }

    /// Free in the end, and who died inside was told of once, or will be.
    fn check(&self, memory: &Virtual<'_>) {
        let word = memory.load32(0);
        memory.require(word & HOLDER == 0, "somebody holds it in the end");
        let told = self.told.lock().unwrap();
        let untold = (word & ABANDONED != 0).then(|| memory.load64(8));
        let all: Vec<u64> = told.iter().copied().chain(untold).collect();
        let dead = |task: &u64| memory.is_dead(Token::new((*task - 100) as u32).unwrap());
        memory.require(all.iter().all(dead), "somebody was told of one who lives");
        memory.require(all.len() <= memory.deaths() as usize, "a death was told twice");
        let inside = self.went_in.lock().unwrap();
        let known = |token: &Token| all.contains(&(100 + u64::from(token.get())));
        // The next to take it may have died before it told: then only its own death is known.
        let holds = inside.iter().all(known) || memory.deaths() > 1;
        memory.require(holds, "a death inside was told to nobody");
    }
}

/// A lock with these participants.
fn of_lock<'s>(notes: &'s Notes) -> Exploration<'s> {
    Exploration::new(lock::BYTES)
        .prepare(|_| notes.reset())
        .recovery(|memory, gone, task, is_alive| lock(memory).recover(gone, task, is_alive))
        .check(|memory| notes.check(memory))
}

#[test]
fn two_that_take_a_lock_twice_each_and_one_dies() {
    let notes = Notes::default();
    let twice = |me: &Virtual<'_>| (0..2).for_each(|_| notes.pass(me));
    of_lock(&notes).participant(twice).participant(twice).preemptions(3).deaths(1).sound(1000);
}

#[test]
fn three_that_take_a_lock_and_one_dies() {
    let notes = Notes::default();
    let pass = |me: &Virtual<'_>| notes.pass(me);
    of_lock(&notes)
        .participant(pass)
        .participant(pass)
        .participant(pass)
        .preemptions(1)
        .deaths(1)
        .sound(1000);
}

#[test]
fn two_of_three_that_take_a_lock_die() {
    let notes = Notes::default();
    let pass = |me: &Virtual<'_>| notes.pass(me);
    let lock = of_lock(&notes).participant(pass).participant(pass).participant(pass);
    lock.preemptions(0).deaths(2).sound(300);
}

/// The first holds it, with these flags, and takes it again at once.
fn held<'s>(notes: &'s Notes, flags: u32) -> Exploration<'s> {
    of_lock(notes)
        .prepare(move |memory| {
            notes.reset();
            memory.store32(0, 1 | flags);
        })
        .participant(|me| {
            notes.hold(me, None);
            notes.pass(me);
        })
}

#[test]
fn a_lock_is_reserved_for_who_starves() {
    let notes = Notes::default();
    let pass = |me: &Virtual<'_>| notes.pass(me);
    held(&notes, WAITERS | STARVING).participant(pass).preemptions(2).deaths(1).sound(500);
    held(&notes, WAITERS | STARVING).participant(pass).participant(pass).preemptions(0).deaths(1).sound(100);
}

#[test]
fn who_gives_up_loses_nobodys_wake() {
    for stop in [Stop::TimedOut, Stop::Cancelled] {
        for sleeps in [0, 1, 3] {
            let notes = Notes::default();
            let try_it = |me: &Virtual<'_>| match lock(me)
                .acquire(me.token(), &mut me.waits_at_most(sleeps, stop.clone()))
            {
                Ok(abandoned_by) => notes.hold(me, abandoned_by),
                Err(error) => me.require(error == SyncError::from(stop.clone()), "another error"),
            };
            let pass = |me: &Virtual<'_>| notes.pass(me);
            for flags in [0, WAITERS | STARVING] {
                let all = || held(&notes, flags).participant(try_it).participant(pass);
                all().preemptions(1).sound(20);
                all().preemptions(0).deaths(1).sound(20);
            }
        }
    }
}

#[test]
fn a_lock_that_nests_is_free_after_as_many_releases() {
    let inside = Inside::default();
    let nested = |me: &Virtual<'_>| {
        let lock = rlock(me);
        lock.acquire(me.token(), &mut me.waits()).unwrap();
        inside.enter(me);
        lock.acquire(me.token(), &mut me.waits()).unwrap();
        lock.release(me.token()).unwrap();
        inside.leave(me);
        lock.release(me.token()).unwrap();
        me.require(lock.release(me.token()) == Err(SyncError::NotOwner), "released once too often");
    };
    let exploration = Exploration::new(lock::BYTES)
        .prepare(|_| inside.reset())
        .participant(nested)
        .participant(nested)
        .recovery(|memory, gone, task, is_alive| rlock(memory).recover(gone, task, is_alive))
        .check(|memory| memory.require(memory.load32(0) & HOLDER == 0, "somebody holds it in the end"));
    exploration.deaths(1).sound(500);
}

fn array<'m, 'e>(memory: &'m Virtual<'e>) -> Array<'m, Virtual<'e>> {
    Array { memory, base: 0, element: ElementType::U8, length: 8 }
}

#[test]
fn nobody_sees_half_a_write_of_one_who_lives() {
    let write = |byte: u8| {
        move |me: &Virtual<'_>| {
            let bytes = [byte; 8];
            let write = Operation::Write { start: 0, bytes: &bytes };
            array(me).perform(me.token(), write, &mut me.waits()).unwrap();
        }
    };
    let read = |me: &Virtual<'_>| {
        let read = Operation::Read { start: 0, count: 8 };
        let answer = array(me).perform(me.token(), read, &mut me.waits()).unwrap();
        let Answer::Bytes(bytes) = answer else { panic!("no bytes") };
        let whole = bytes.iter().all(|byte| *byte == bytes[0]);
        me.require(whole || me.deaths() > 0, "half a write");
    };
    let of = |deaths| {
        Exploration::new(128)
            .participant(write(1))
            .participant(write(2))
            .participant(read)
            .recovery(|memory, gone, _, is_alive| array(memory).recover(gone, is_alive))
            .check(|memory| memory.require(memory.load32(0) == 0, "the guard is held in the end"))
            .deaths(deaths)
    };
    of(0).preemptions(2).sound(500);
    of(1).preemptions(1).sound(500);
}
