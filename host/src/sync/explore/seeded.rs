//! Protocols with a known mistake, which the explorer must find: else it would prove nothing about the others.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::{Exploration, Inside, Virtual};
use crate::sync::lock::{self, Lock};
use crate::sync::memory::{EVERYBODY, Memory};
use crate::sync::semaphore::Semaphore;
use crate::sync::{Answer, Operation, Recovery, Token, guard};

/// A memory whose wakes are lost.
struct Mute<'m, 'e>(&'m Virtual<'e>);

impl Memory for Mute<'_, '_> {
    fn load32(&self, at: u64) -> u32 {
        self.0.load32(at)
    }

    fn store32(&self, at: u64, value: u32) {
        self.0.store32(at, value);
    }

    fn swap32_if(&self, at: u64, expected: u32, new: u32) -> u32 {
        self.0.swap32_if(at, expected, new)
    }

    fn swap32(&self, at: u64, value: u32) -> u32 {
        self.0.swap32(at, value)
    }

    fn load64(&self, at: u64) -> u64 {
        self.0.load64(at)
    }

    fn store64(&self, at: u64, value: u64) {
        self.0.store64(at, value);
    }

    fn swap64(&self, at: u64, value: u64) -> u64 {
        self.0.swap64(at, value)
    }

    fn swap64_if(&self, at: u64, expected: u64, new: u64) -> u64 {
        self.0.swap64_if(at, expected, new)
    }

    fn add64(&self, at: u64, value: u64) -> u64 {
        self.0.add64(at, value)
    }

    fn copy_out(&self, at: u64, to: &mut [u8]) {
        self.0.copy_out(at, to);
    }

    fn copy_in(&self, at: u64, from: &[u8]) {
        self.0.copy_in(at, from);
    }

    fn sleep(&self, at: u64, expected: u32, time: Duration) {
        self.0.sleep(at, expected, time);
    }

    fn wake(&self, _: u64, _: u32) -> u32 {
        1
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn looks(&self) -> u32 {
        0
    }
}

#[track_caller]
fn finds(exploration: Exploration<'_>, what: &str) {
    let violation = exploration.run().expect_err("the mistake is there").to_string();
    assert!(violation.starts_with(what), "{violation}");
}

#[test]
fn a_release_that_forgets_to_wake_is_found() {
    let pass = |me: &Virtual<'_>| {
        let lock = Lock { memory: &Mute(me), base: 0, nests: false };
        lock.acquire(me.token(), &mut me.waits()).unwrap();
        lock.release(me.token()).unwrap();
    };
    finds(Exploration::new(lock::BYTES).participant(pass).participant(pass), "somebody sleeps for ever");
}

#[test]
fn a_recovery_that_frees_no_lock_is_found() {
    let pass = |me: &Virtual<'_>| {
        let lock = Lock { memory: me, base: 0, nests: false };
        lock.acquire(me.token(), &mut me.waits()).unwrap();
        lock.release(me.token()).unwrap();
    };
    let both = Exploration::new(lock::BYTES).participant(pass).participant(pass).deaths(1);
    finds(both, "somebody sleeps for ever");
}

#[test]
fn a_recovery_that_wakes_nobody_is_found() {
    let pass = |me: &Virtual<'_>| {
        let lock = Lock { memory: me, base: 0, nests: false };
        lock.acquire(me.token(), &mut me.waits()).unwrap();
        lock.release(me.token()).unwrap();
    };
    let all = Exploration::new(lock::BYTES).participant(pass).participant(pass).deaths(1);
    let all = all.recovery(|memory, gone, task, is_alive| {
        Lock { memory: &Mute(memory), base: 0, nests: false }.recover(gone, task, is_alive)
    });
    finds(all, "somebody sleeps for ever");
}

#[test]
fn a_lock_of_a_load_and_a_store_is_found() {
    let inside = Inside::default();
    let pass = |me: &Virtual<'_>| {
        while me.load32(0) != 0 {
            me.pause();
        }
        me.store32(0, me.token().get());
        inside.enter(me);
        me.load32(0);
        inside.leave(me);
        me.store32(0, 0);
    };
    let both = Exploration::new(8).prepare(|_| inside.reset()).participant(pass).participant(pass);
    finds(both, "two are inside");
}

#[test]
fn a_recovery_that_forgets_a_permit_is_found() {
    fn semaphore<'m, 'e>(memory: &'m Virtual<'e>) -> Semaphore<'m, Virtual<'e>> {
        Semaphore { memory, base: 0, bounded: true }
    }
    let pass = |me: &Virtual<'_>| {
        semaphore(me).perform(me.token(), Operation::Acquire, &mut me.waits()).unwrap();
        semaphore(me).perform(me.token(), Operation::Release, &mut me.waits()).unwrap();
    };
    let forgets = |memory: &Virtual<'_>, gone, _, is_alive: &dyn Fn(Token) -> bool| {
        let recovered = guard::recover(memory, 0, gone, is_alive, |_| Vec::new());
        if recovered == Recovery::Done {
            (0..4).for_each(|word| _ = memory.wake(4 * word, EVERYBODY));
        }
        recovered
    };
    let all = Exploration::new(128)
        .prepare(|memory| semaphore(memory).initialize(2))
        .participant(pass)
        .participant(pass)
        .deaths(1)
        .recovery(forgets)
        .check(|memory| {
            let who = Token::new(99).unwrap();
            let free = semaphore(memory).perform(who, Operation::Len, &mut memory.waits());
            memory.require(free == Ok(Answer::Count(2)), "a permit was lost");
        });
    finds(all, "a permit was lost");
}

#[test]
fn participants_that_never_end_are_found() {
    let spin = |me: &Virtual<'_>| {
        while me.load32(0) == 0 {
            me.pause();
        }
    };
    finds(Exploration::new(8).participant(spin), "it never ends");
}
