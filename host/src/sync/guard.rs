//! The guard of an object: a short lock around a change of several words.
//!
//! Its word holds the token of whoever is inside, so a holder that died is known by name. Inside, one store
//! commits the operation and everything else can be derived again; so whoever breaks a dead holder's guard
//! rebuilds what is derived and goes on.
//!
//! Nobody sleeps on a guard without looking again after a while: a wake that was lost with the death of who was
//! woken costs that while, not the object.
//!
//! The word may be forged. One that names a task which is alive costs no more than the task may keep it, but the
//! host program does not end: its threads count themselves where nobody else can write, and its token in a word
//! means nothing while none of them is inside.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::memory::{EVERYBODY, Memory, spin};
use super::{Recovery, Stop, Token, WaitFor, Waits, tokens};

/// Somebody sleeps, or slept.
const CONTENDED: u32 = 1 << 31;
const TOKEN_BITS: u32 = CONTENDED - 1;
/// The holder may be off its CPU for this long before the caller's own time-out is asked.
const PATIENCE: Duration = Duration::from_millis(2);
/// Attempts at a word that only changes a few times, unless somebody hostile changes it for ever.
const ATTEMPTS: u32 = 1000;

/// Who repairs an object: no participant has this token.
const REPAIRER: u32 = Token::MAX;

/// Goes inside. `what` is told to `waits`, should it take long.
pub(super) fn enter(
    memory: &impl Memory,
    at: u64,
    who: Token,
    what: WaitFor,
    waits: &mut dyn Waits,
) -> Result<(), Stop> {
    let own = who.get();
    let entered = || (memory.load32(at) == 0 && take(memory, at, own)).then_some(());
    if spin(memory, entered).is_some() {
        return Ok(());
    }
    let mut patient = true;
    let mut in_vain = 0;
    // Whoever slept must assume that others sleep too.
    while !take(memory, at, own | CONTENDED) {
        let found = memory.load32(at);
        let changed =
            found == 0 || found & CONTENDED == 0 && memory.swap32_if(at, found, found | CONTENDED) != found;
        if changed && in_vain < ATTEMPTS {
            in_vain += 1;
            continue;
        }
        in_vain = 0;
        let time = if patient { PATIENCE } else { waits.sleep_at_most(what)?.min(10 * PATIENCE) };
        patient = false;
        memory.sleep(at, found | CONTENDED, time);
    }
    Ok(())
}

/// Takes a guard that is free. Counted before that: who reads the token in the word finds the count as well.
fn take(memory: &impl Memory, at: u64, word: u32) -> bool {
    memory.coming();
    let taken = memory.swap32_if(at, 0, word) == 0;
    if !taken {
        memory.went();
    }
    taken
}

/// Goes outside.
pub(super) fn leave(memory: &impl Memory, at: u64) {
    let found = memory.swap32(at, 0);
    memory.went();
    if found & CONTENDED != 0 {
        memory.wake(at, 1);
    }
}

/// Who is inside.
pub(super) fn holder(memory: &impl Memory, at: u64) -> Option<Token> {
    Token::new(memory.load32(at) & TOKEN_BITS)
}

/// How the repairer found the guard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seized {
    /// Free: nothing is half done. The caller is inside.
    Whole,
    /// Held by a dead participant: something may be half done. The caller is inside.
    Torn,
    /// Held by somebody who is alive.
    Busy,
}

/// Goes inside to repair, without waiting.
pub(super) fn seize(memory: &impl Memory, at: u64, is_alive: &dyn Fn(Token) -> bool) -> Seized {
    let found = memory.load32(at);
    let is_participant = |holder: &Token| holder.get() != REPAIRER && is_alive(*holder);
    let holder = Token::new(found & TOKEN_BITS).filter(is_participant);
    if holder.is_some_and(|holder| memory.may_be_inside() || !tokens::is_of_the_host(holder)) {
        return Seized::Busy;
    }
    // Contended in any case: who sleeps under a dead holder is woken when the repairer leaves.
    if memory.swap32_if(at, found, REPAIRER | CONTENDED) != found {
        return Seized::Busy;
    }
    // A thread of the host program may have left and come again between the two looks.
    if holder.is_some() && memory.may_be_inside() {
        memory.swap32_if(at, REPAIRER | CONTENDED, found | CONTENDED);
        return Seized::Busy;
    }
    memory.coming();
    if found & TOKEN_BITS == 0 { Seized::Whole } else { Seized::Torn }
}

/// Repairs an object: calls `repair` inside its guard. What it returns are words that somebody may sleep on;
/// everybody who does is woken, also those that wait for the guard.
///
/// `gone` counts as dead whatever `is_alive` says: its token is given back only after this.
pub(super) fn recover(
    memory: &impl Memory,
    at: u64,
    gone: Token,
    is_alive: &dyn Fn(Token) -> bool,
    repair: impl FnOnce(Seized) -> Vec<u64>,
) -> Recovery {
    let seized = seize(memory, at, &|token| token != gone && is_alive(token));
    if seized == Seized::Busy {
        return Recovery::Busy;
    }
    let words = repair(seized);
    leave(memory, at);
    for word in words.into_iter().chain([at]) {
        memory.wake(word, EVERYBODY);
    }
    Recovery::Done
}
