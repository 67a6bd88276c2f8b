//! The blocks of large items: which are free, and the copying in and out.
//!
//! An item's blocks are a chain of as many blocks as its length needs; what the last one's link says means
//! nothing. A released chain becomes the head of the free list, so the next item of that size lies in the
//! same pages, which are still in the caches.

#![forbid(unsafe_code)]

use super::super::memory::Memory;
use super::Queue;
use super::layout::{
    BEHIND, BLOCK, BLOCKS_USED, FIRST_BLOCK, FREE_BLOCK, FREE_BLOCKS, INLINE, LAST_BLOCK, PAYLOAD, blocks,
};
use super::lists::Unsound;

/// Blocks at the head of the free list, for one item.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chain {
    /// Links.
    pub(super) first: u32,
    pub(super) last: u32,
    count: u32,
    /// What the free list begins with when these are taken off.
    rest: u32,
}

impl<M: Memory> Queue<'_, M> {
    /// The block that a link names.
    pub(super) fn block(&self, link: u32) -> Result<u32, Unsound> {
        if link == 0 || link > blocks(self.spec) {
            return Err(Unsound("a chain of blocks leads out of it"));
        }
        Ok(link - 1)
    }

    /// How many blocks are to be had.
    pub(super) fn blocks_free(&self) -> u32 {
        let fresh = blocks(self.spec).saturating_sub(self.word(BLOCKS_USED));
        self.word(FREE_BLOCKS).saturating_add(fresh)
    }

    /// That many free blocks, or `None` when there are too few. They stay in the free list until
    /// `claim_blocks`.
    pub(super) fn free_blocks(&self, count: u32) -> Result<Option<Chain>, Unsound> {
        if count == 0 {
            return Ok(Some(Chain { first: 0, last: 0, count: 0, rest: self.word(FREE_BLOCK) }));
        }
        if self.blocks_free() < count {
            return Ok(None);
        }
        self.add_fresh_blocks(count.saturating_sub(self.word(FREE_BLOCKS)));
        let first = self.word(FREE_BLOCK);
        let mut last = first;
        for _ in 1..count {
            last = self.block_next(self.block(last)?);
        }
        let rest = self.block_next(self.block(last)?);
        Ok(Some(Chain { first, last, count, rest }))
    }

    /// Puts blocks that were never used before the free list, in the order of their places.
    fn add_fresh_blocks(&self, count: u32) {
        if count == 0 {
            return;
        }
        let used = self.word(BLOCKS_USED);
        let end = used.saturating_add(count);
        if end > blocks(self.spec) {
            // Another word than `blocks_free` saw. The walk over the list tells.
            return;
        }
        self.set(BLOCKS_USED, end);
        for block in used..end - 1 {
            self.set_block_next(block, block + 2);
        }
        self.set_block_next(end - 1, self.word(FREE_BLOCK));
        self.set(FREE_BLOCK, used + 1);
        self.add(FREE_BLOCKS, count);
    }

    /// Takes the blocks that `free_blocks` gave off the free list.
    pub(super) fn claim_blocks(&self, chain: Chain) {
        if chain.count > 0 {
            self.set(FREE_BLOCK, chain.rest);
            self.set(FREE_BLOCKS, self.word(FREE_BLOCKS).saturating_sub(chain.count));
        }
    }

    /// Puts a slot's blocks before the free list.
    pub(super) fn release_blocks(&self, index: u32, count: u32) {
        if count == 0 {
            return;
        }
        let first = self.slot_word(index, FIRST_BLOCK);
        let last = self.block(self.slot_word(index, LAST_BLOCK));
        match (self.block(first), last) {
            (Ok(_), Ok(last)) => {
                self.set_block_next(last, self.word(FREE_BLOCK));
                self.set(FREE_BLOCK, first);
                self.add(FREE_BLOCKS, count);
            }
            _ => self.set(BEHIND, 1),
        }
    }

    /// Copies an item's bytes out. The length is within the limit of one item.
    pub(super) fn copy_out(&self, index: u32, length: u32) -> Result<Vec<u8>, Unsound> {
        let mut bytes = vec![0; length as usize];
        if u64::from(length) <= INLINE {
            self.memory.copy_out(self.place(index, PAYLOAD), &mut bytes);
            return Ok(bytes);
        }
        let mut rest = &mut bytes[..];
        let mut link = self.slot_word(index, FIRST_BLOCK);
        while !rest.is_empty() {
            let run = self.run(link, rest.len())?;
            let (now, later) = rest.split_at_mut(run.bytes);
            self.memory.copy_out(run.at, now);
            (rest, link) = (later, run.next);
        }
        Ok(bytes)
    }

    /// Copies an item's bytes into its slot, or into its blocks from this one on.
    pub(super) fn copy_in(&self, index: u32, first: u32, bytes: &[u8]) -> Result<(), Unsound> {
        if bytes.len() as u64 <= INLINE {
            self.memory.copy_in(self.place(index, PAYLOAD), bytes);
            return Ok(());
        }
        let mut rest = bytes;
        let mut link = first;
        while !rest.is_empty() {
            let run = self.run(link, rest.len())?;
            let (now, later) = rest.split_at(run.bytes);
            self.memory.copy_in(run.at, now);
            (rest, link) = (later, run.next);
        }
        Ok(())
    }

    /// As many bytes of a chain as lie end to end, at most this many.
    fn run(&self, link: u32, bytes_max: usize) -> Result<Run, Unsound> {
        let start = self.block(link)?;
        let mut block = start;
        let mut bytes = BLOCK as usize;
        let mut next = self.block_next(block);
        while bytes < bytes_max && next == block + 2 {
            block = self.block(next)?;
            bytes += BLOCK as usize;
            next = self.block_next(block);
        }
        Ok(Run { at: self.block_place(start), bytes: bytes.min(bytes_max), next })
    }
}

struct Run {
    at: u64,
    bytes: usize,
    /// The link to what follows.
    next: u32,
}
