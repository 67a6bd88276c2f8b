//! The lock, alone and with nesting.
//!
//! One word says everything: the holder's token, and four flags. Free is zero, so taking a free lock and giving
//! back one that nobody waits for are one compare-and-swap each.
//!
//! Who comes may take a free lock although others sleep for it: that is what makes a contended lock fast, because
//! the holder goes on without a system call while the one that it woke is still on its way. Nobody starves
//! from it. Who has slept in vain a few times sets STARVING; the next release then leaves the lock RESERVED
//! instead of free and wakes one, and only somebody who has slept may take it. A fresh arrival sleeps a slice
//! first and then counts as one of those; a `try` fails as if the lock was held.
//!
//! Whenever the lock is free and somebody sleeps, somebody else is awake who will take it, or give it back and
//! wake the next: a release wakes one; who was woken takes the lock with WAITERS set, because others may sleep
//! still, or sets WAITERS before it sleeps again or gives up. Only a death breaks that chain, and recovery wakes everybody.
//!
//! The death of a holder leaves ABANDONED, a state that only the slow path takes, so telling the next holder
//! costs the fast path nothing.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::memory::{EVERYBODY, Memory, spin};
use super::{Answer, Blockers, ObjectKind, Operation, Recovery, Stop, SyncError, Token, WaitFor, Waits};

/// Bytes of a lock.
pub(super) const BYTES: u64 = 16;

/// How often its holder has taken a lock that nests. Only the holder writes it.
const DEPTH: u64 = 4;
/// The task whose death or end abandoned it. Written before the word says ABANDONED.
const ABANDONED_BY: u64 = 8;

const HOLDER: u32 = Token::MAX;
const ABANDONED: u32 = 1 << 28;
const RESERVED: u32 = 1 << 29;
const STARVING: u32 = 1 << 30;
const WAITERS: u32 = 1 << 31;

/// How long one sleep lasts before the lock counts as contested by others that are faster.
const SLICE: Duration = Duration::from_millis(1);
/// Sleeps in vain before a waiter sets STARVING.
const SLEEPS_IN_VAIN: u32 = 2;
/// Compare-and-swaps on a word that only changes a few times, unless somebody scribbles on it.
const ATTEMPTS: u32 = 1000;

/// The task number of who left without saying which task it is: a thread of the host program.
pub(super) const LEFT: u64 = 0;

/// A lock at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lock<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
    /// Whether its holder may take it again.
    pub(super) nests: bool,
}

impl<M: Memory> Lock<'_, M> {
    pub(super) fn perform(
        &self,
        who: Token,
        operation: Operation<'_>,
        waits: &mut dyn Waits,
    ) -> Result<Answer, SyncError> {
        match operation {
            Operation::Acquire => {
                self.acquire(who, waits).map(|abandoned_by| Answer::Acquired { abandoned_by })
            }
            Operation::Release => self.release(who).map(|()| Answer::Done),
            Operation::Open => Ok(Answer::Done),
            Operation::Abandon { task } => {
                self.abandon(who, task);
                Ok(Answer::Done)
            }
            Operation::Leave => {
                self.abandon(who, LEFT);
                Ok(Answer::Done)
            }
            _ => Err(operation.wrong_for(if self.nests { ObjectKind::RLock } else { ObjectKind::Lock })),
        }
    }

    /// Takes it. `Some` is the task that abandoned it.
    #[inline]
    pub(super) fn acquire(&self, who: Token, waits: &mut dyn Waits) -> Result<Option<u64>, SyncError> {
        let mut abandoned_by = None;
        if self.memory.swap32_if(self.base, 0, who.get()) != 0 {
            if self.nests && self.is_held_by(who) {
                return self.nest();
            }
            abandoned_by = self.acquire_slowly(who, waits)?;
        }
        if self.nests {
            self.memory.store32(self.base + DEPTH, 1);
        }
        Ok(abandoned_by)
    }

    pub(super) fn is_held_by(&self, who: Token) -> bool {
        self.memory.load32(self.base) & HOLDER == who.get()
    }

    fn nest(&self) -> Result<Option<u64>, SyncError> {
        let depth = self.memory.load32(self.base + DEPTH);
        let deeper = depth.checked_add(1).ok_or_else(|| SyncError::TooMany(format!("{depth} levels")))?;
        self.memory.store32(self.base + DEPTH, deeper);
        Ok(None)
    }

    #[cold]
    fn acquire_slowly(&self, who: Token, waits: &mut dyn Waits) -> Result<Option<u64>, SyncError> {
        if self.is_held_by(who) {
            return Err(SyncError::AlreadyOwned);
        }
        let mut sleeps = 0;
        loop {
            if let Some(abandoned_by) = spin(self.memory, || self.take(who, sleeps > 0)) {
                return Ok(abandoned_by);
            }
            match waits.sleep_at_most(WaitFor::Lock) {
                Ok(time) if self.sleep(sleeps, time) => sleeps += 1,
                Ok(_) => {}
                Err(stop) => return self.give_up(who, sleeps > 0, stop),
            }
        }
    }

    /// Takes it if it is free for the caller. The inner `Some` is the task that abandoned it.
    #[expect(clippy::option_option, reason = "taken or not, abandoned or not")]
    fn take(&self, who: Token, slept: bool) -> Option<Option<u64>> {
        let found = self.memory.load32(self.base);
        if found & HOLDER != 0 || found & RESERVED != 0 && !slept {
            return None;
        }
        // Whoever slept must assume that others sleep too.
        let waiters = if slept { WAITERS } else { found & WAITERS };
        if self.memory.swap32_if(self.base, found, who.get() | waiters) != found {
            return None;
        }
        let abandoned = found & ABANDONED != 0;
        Some(abandoned.then(|| self.memory.swap64(self.base + ABANDONED_BY, 0)))
    }

    /// Sleeps once while it is not free for the caller. False if it changed before.
    fn sleep(&self, sleeps: u32, time: Duration) -> bool {
        let found = self.memory.load32(self.base);
        if found & HOLDER == 0 {
            // Who takes a reserved lock sets WAITERS, so this sleep has its wake.
            if found & RESERVED != 0 && sleeps == 0 {
                self.memory.sleep(self.base, found, time.min(SLICE));
                return true;
            }
            return false;
        }
        let starving = sleeps >= SLEEPS_IN_VAIN;
        let wanted = found | WAITERS | if starving { STARVING } else { 0 };
        if wanted != found && self.memory.swap32_if(self.base, found, wanted) != found {
            return false;
        }
        self.memory.sleep(self.base, wanted, if starving { time } else { time.min(SLICE) });
        true
    }

    /// Goes away without the lock, unless it has become free at the last moment.
    fn give_up(&self, who: Token, slept: bool, stop: Stop) -> Result<Option<u64>, SyncError> {
        // Who never slept was never woken in another's place.
        for _ in 0..if slept { ATTEMPTS } else { 0 } {
            let found = self.memory.load32(self.base);
            if found & HOLDER != 0 {
                let wanted = found | WAITERS;
                if wanted == found || self.memory.swap32_if(self.base, found, wanted) == found {
                    break;
                }
            } else if stop == Stop::TimedOut {
                if let Some(abandoned_by) = self.take(who, true) {
                    return Ok(abandoned_by);
                }
            } else if found & RESERVED == 0
                || self.memory.swap32_if(self.base, found, found & !RESERVED) == found
            {
                self.memory.wake(self.base, 1);
                break;
            }
        }
        Err(stop.into())
    }

    /// Gives it back.
    #[inline]
    pub(super) fn release(&self, who: Token) -> Result<(), SyncError> {
        if self.nests && self.is_held_by(who) {
            let depth = self.memory.load32(self.base + DEPTH);
            if depth > 1 {
                self.memory.store32(self.base + DEPTH, depth - 1);
                return Ok(());
            }
        }
        if self.memory.swap32_if(self.base, who.get(), 0) == who.get() {
            return Ok(());
        }
        self.release_slowly(who)
    }

    #[cold]
    fn release_slowly(&self, who: Token) -> Result<(), SyncError> {
        for _ in 0..ATTEMPTS {
            let found = self.memory.load32(self.base);
            if found & HOLDER != who.get() {
                return Err(SyncError::NotOwner);
            }
            let reserve = found & STARVING != 0;
            let free = if reserve { RESERVED } else { 0 };
            if self.memory.swap32_if(self.base, found, free) != found {
                continue;
            }
            let woken = if found & (WAITERS | STARVING) == 0 { 0 } else { self.memory.wake(self.base, 1) };
            // Whoever starved is gone, or not asleep yet. Reserved for nobody, it would refuse every `try`.
            if reserve && woken == 0 && self.memory.swap32_if(self.base, RESERVED, 0) == RESERVED {
                self.memory.wake(self.base, 1);
            }
            return Ok(());
        }
        Err(SyncError::Damaged("the lock's word never stands still".to_owned()))
    }

    /// Gives it back for `who`, if it holds it, and has the next holder told.
    pub(super) fn abandon(&self, who: Token, task: u64) {
        if self.is_held_by(who) {
            self.recover(who, task, &|_| true);
        }
    }

    /// Whether `gone`, or nobody who is alive, holds it.
    pub(super) fn is_held_by_the_dead(&self, gone: Token, is_alive: &dyn Fn(Token) -> bool) -> bool {
        let holder = self.memory.load32(self.base) & HOLDER;
        holder != 0 && Token::new(holder).is_none_or(|holder| holder == gone || !is_alive(holder))
    }

    pub(super) fn recover(&self, gone: Token, task: u64, is_alive: &dyn Fn(Token) -> bool) -> Recovery {
        let mut recovered = Recovery::Busy;
        for _ in 0..ATTEMPTS {
            let found = self.memory.load32(self.base);
            let mended = match Token::new(found & HOLDER) {
                Some(holder) if holder != gone && is_alive(holder) => found,
                Some(_) => {
                    self.memory.store64(self.base + ABANDONED_BY, task);
                    ABANDONED
                }
                None => found & ABANDONED,
            };
            if mended == found || self.memory.swap32_if(self.base, found, mended) == found {
                recovered = Recovery::Done;
                break;
            }
        }
        // Everybody is awake then, so no flag is missed.
        self.memory.wake(self.base, EVERYBODY);
        recovered
    }

    pub(super) fn blockers(&self, who: Token) -> Blockers {
        match Token::new(self.memory.load32(self.base) & HOLDER) {
            Some(holder) if holder != who => Blockers::Owner(holder),
            _ => Blockers::Nobody,
        }
    }
}
