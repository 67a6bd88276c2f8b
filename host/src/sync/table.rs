//! A table of participants with one number each, inside an object that has a guard.
//!
//! An entry is two words: the token, zero if it is free, and the number. Only who is inside the guard adds and
//! removes entries; the store of the token commits either. How far the table is used is a word beside it, which is
//! at most too large: it is written before an entry behind it is.

#![forbid(unsafe_code)]

use super::memory::Memory;
use super::{SyncError, Token};
use crate::limits::HOLDERS_MAX;

/// Bytes of a table.
pub(super) const BYTES: u64 = 8 + HOLDERS_MAX as u64 * ENTRY_BYTES;
const ENTRY_BYTES: u64 = 8;

/// A table at this place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Table<'m, M: Memory> {
    pub(super) memory: &'m M,
    pub(super) base: u64,
}

impl<M: Memory> Table<'_, M> {
    fn at(&self, entry: u32) -> u64 {
        self.base + 8 + u64::from(entry) * ENTRY_BYTES
    }

    /// Where the entry's number is: a word to sleep on.
    pub(super) fn number_at(&self, entry: u32) -> u64 {
        self.at(entry) + 4
    }

    pub(super) fn number(&self, entry: u32) -> u32 {
        self.memory.load32(self.number_at(entry))
    }

    pub(super) fn set_number(&self, entry: u32, number: u32) {
        self.memory.store32(self.number_at(entry), number);
    }

    fn used(&self) -> u32 {
        self.memory.load32(self.base).min(HOLDERS_MAX)
    }

    /// Each entry that is not free, with its owner: `None` if the token cannot be one.
    pub(super) fn entries(&self) -> impl Iterator<Item = (u32, Option<Token>)> {
        (0..self.used()).filter_map(|entry| {
            let owner = self.memory.load32(self.at(entry));
            (owner != 0).then(|| (entry, Token::new(owner)))
        })
    }

    pub(super) fn find(&self, who: Token) -> Option<u32> {
        self.entries().find(|(_, owner)| *owner == Some(who)).map(|(entry, _)| entry)
    }

    /// An entry of `who` with this number.
    pub(super) fn add(&self, who: Token, number: u32) -> Result<u32, SyncError> {
        let used = self.used();
        let free = (0..used).find(|&entry| self.memory.load32(self.at(entry)) == 0).unwrap_or(used);
        if free == HOLDERS_MAX {
            return Err(SyncError::TooMany(format!("{HOLDERS_MAX} participants")));
        }
        if free == used {
            self.memory.store32(self.base, used + 1);
        }
        self.set_number(free, number);
        self.memory.store32(self.at(free), who.get());
        Ok(free)
    }

    pub(super) fn remove(&self, entry: u32) {
        self.memory.store32(self.at(entry), 0);
    }

    /// The entries of `gone`, and of nobody who is alive.
    pub(super) fn dead(&self, gone: Token, is_alive: &dyn Fn(Token) -> bool) -> Vec<u32> {
        let is_dead = |owner: Option<Token>| owner.is_none_or(|owner| owner == gone || !is_alive(owner));
        self.entries().filter(|(_, owner)| is_dead(*owner)).map(|(entry, _)| entry).collect()
    }

    /// Every word of it that somebody may sleep on.
    pub(super) fn words(&self) -> Vec<u64> {
        (0..self.used()).map(|entry| self.number_at(entry)).collect()
    }
}
