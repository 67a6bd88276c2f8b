//! A memory for tests, and short names.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use super::super::super::memory::Memory;
use super::super::super::wait::Stop;
use super::super::super::{Answer, Item, Operation, QueueSpec, SyncError, Token, WaitFor, Waits};
use super::super::layout::{
    BEHIND, BLOCKS_USED, DEAD_HELD, DEAD_LIST, FIRST_BLOCK, FREE_BLOCK, FREE_BLOCKS, FREE_SLOT, HELD, Kind,
    LENGTH, List, NEXT, READY, READY_LIST, State, WRITING, blocks_for,
};
use super::super::{Queue, bytes};

/// Waits for nothing.
pub(in crate::sync) struct Now;

impl Waits for Now {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        Err(Stop::TimedOut)
    }
}

pub(in crate::sync) fn token(number: u32) -> Token {
    Token::new(number).unwrap()
}

pub(in crate::sync) fn spec(capacity: u32, item_bytes_max: u32, bytes_max: u64) -> QueueSpec {
    QueueSpec { capacity, item_bytes_max, bytes_max, deliveries_max: 2 }
}

/// Bytes that tell a mixture of two items, or a shifted one.
pub(in crate::sync) fn item(number: u8, length: usize) -> Vec<u8> {
    (0..length).map(|at| number ^ (at % 251) as u8).collect()
}

pub(in crate::sync) fn put<M: Memory>(
    queue: &Queue<'_, M>,
    who: u32,
    item: &[u8],
) -> Result<Answer, SyncError> {
    queue.perform(token(who), Operation::Put(item), &mut Now)
}

pub(in crate::sync) fn get<M: Memory>(queue: &Queue<'_, M>, who: u32) -> Result<Answer, SyncError> {
    queue.perform(token(who), Operation::Get { lease: false }, &mut Now)
}

pub(in crate::sync) fn lease<M: Memory>(queue: &Queue<'_, M>, who: u32) -> Result<Item, SyncError> {
    match queue.perform(token(who), Operation::Get { lease: true }, &mut Now)? {
        Answer::Item(item) => Ok(item),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
pub(in crate::sync) fn bytes_of(answer: Result<Answer, SyncError>) -> Vec<u8> {
    match answer {
        Ok(Answer::Item(item)) => item.bytes,
        other => panic!("{other:?}"),
    }
}

/// The unwinding of a participant that dies.
struct Death;

/// Memory for one thread, in which the participant can die at a given access.
pub(in crate::sync) struct TestMemory {
    bytes: RefCell<Vec<u8>>,
    spec: QueueSpec,
    /// Accesses until the next one is the last.
    left: Cell<Option<u64>>,
    /// A word that is another one at each access.
    restless: Cell<Option<u64>>,
    stores: Cell<u64>,
    wakes: Cell<u64>,
}

impl TestMemory {
    pub(in crate::sync) fn new(spec: &QueueSpec) -> Self {
        let memory = Self::zeroed(spec, bytes(spec));
        memory.queue().initialize();
        memory
    }

    pub(in crate::sync) fn zeroed(spec: &QueueSpec, bytes: u64) -> Self {
        let bytes = RefCell::new(vec![0; bytes as usize]);
        let (left, restless) = (Cell::new(None), Cell::new(None));
        Self { bytes, spec: *spec, left, restless, stores: Cell::new(0), wakes: Cell::new(0) }
    }

    pub(in crate::sync) fn queue(&self) -> Queue<'_, Self> {
        Queue { memory: self, base: 0, spec: &self.spec }
    }

    /// Does this with death before access `at`. `None`: it died.
    pub(in crate::sync) fn dying_at<T>(&self, at: u64, work: impl FnOnce() -> T) -> Option<T> {
        self.left.set(Some(at));
        let done = catch_unwind(AssertUnwindSafe(work));
        self.left.set(None);
        match done {
            Ok(done) => Some(done),
            Err(death) if death.is::<Death>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Somebody hostile changes this word all the time.
    pub(in crate::sync) fn never_stands_still(&self, at: u64) {
        self.restless.set(Some(at));
    }

    pub(in crate::sync) fn count_of_stores(&self) -> u64 {
        self.stores.get()
    }

    pub(in crate::sync) fn count_of_wakes(&self) -> u64 {
        self.wakes.get()
    }

    fn step(&self) {
        if let Some(left) = self.left.get() {
            if left == 0 {
                resume_unwind(Box::new(Death));
            }
            self.left.set(Some(left - 1));
        }
    }

    /// Reads and changes a word of this many bytes.
    fn change<const SIZE: usize>(&self, at: u64, change: impl FnOnce(u64) -> Option<u64>) -> u64 {
        self.step();
        assert_eq!(at % SIZE as u64, 0, "a word is aligned");
        let mut bytes = self.bytes.borrow_mut();
        let Some(place) = bytes.get_mut(at as usize..).and_then(|rest| rest.get_mut(..SIZE)) else {
            return 0;
        };
        let mut word = [0; 8];
        word[..SIZE].copy_from_slice(place);
        if self.restless.get() == Some(at) {
            word[1] = word[1].wrapping_add(1).max(1);
            place.copy_from_slice(&word[..SIZE]);
        }
        let old = u64::from_le_bytes(word);
        if let Some(new) = change(old) {
            place.copy_from_slice(&new.to_le_bytes()[..SIZE]);
            self.stores.set(self.stores.get() + 1);
        }
        old
    }

    fn change32(&self, at: u64, new: impl FnOnce(u32) -> u32) -> u32 {
        self.change::<4>(at, |old| Some(new(old as u32).into())) as u32
    }

    fn change64(&self, at: u64, new: impl FnOnce(u64) -> u64) -> u64 {
        self.change::<8>(at, |old| Some(new(old)))
    }
}

impl Memory for TestMemory {
    fn load32(&self, at: u64) -> u32 {
        self.change::<4>(at, |_| None) as u32
    }
    fn store32(&self, at: u64, value: u32) {
        self.change32(at, |_| value);
    }
    fn swap32_if(&self, at: u64, expected: u32, new: u32) -> u32 {
        self.change32(at, |old| if old == expected { new } else { old })
    }
    fn swap32(&self, at: u64, value: u32) -> u32 {
        self.change32(at, |_| value)
    }
    fn load64(&self, at: u64) -> u64 {
        self.change::<8>(at, |_| None)
    }
    fn store64(&self, at: u64, value: u64) {
        self.change64(at, |_| value);
    }
    fn swap64(&self, at: u64, value: u64) -> u64 {
        self.change64(at, |_| value)
    }
    fn swap64_if(&self, at: u64, expected: u64, new: u64) -> u64 {
        self.change64(at, |old| if old == expected { new } else { old })
    }
    fn add64(&self, at: u64, value: u64) -> u64 {
        self.change64(at, |old| old.wrapping_add(value))
    }
    fn copy_out(&self, at: u64, to: &mut [u8]) {
        self.step();
        match self.bytes.borrow().get(at as usize..at as usize + to.len()) {
            Some(from) => to.copy_from_slice(from),
            None => to.fill(0),
        }
    }
    /// In two steps: a death may leave half of it.
    fn copy_in(&self, at: u64, from: &[u8]) {
        self.stores.set(self.stores.get() + 1);
        let halves = from.split_at(from.len() / 2);
        for (at, half) in [(at as usize, halves.0), (at as usize + halves.0.len(), halves.1)] {
            self.step();
            if let Some(to) = self.bytes.borrow_mut().get_mut(at..at + half.len()) {
                to.copy_from_slice(half);
            }
        }
    }
    fn sleep(&self, _: u64, _: u32, _: Duration) {
        self.step();
    }
    fn wake(&self, _: u64, _: u32) -> u32 {
        self.step();
        self.wakes.set(self.wakes.get() + 1);
        0
    }
}

/// One item as the slots have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::sync::queue) struct Seen {
    pub(in crate::sync::queue) kind: Kind,
    pub(in crate::sync::queue) owner: u32,
    pub(in crate::sync::queue) deliveries: u32,
    pub(in crate::sync::queue) bytes: Vec<u8>,
}

impl<M: Memory> Queue<'_, M> {
    /// Every slot in use, in order of sequence, by the slots alone.
    pub(in crate::sync::queue) fn seen(&self) -> Vec<Seen> {
        let mut found = Vec::new();
        for index in 0..self.spec.capacity {
            let State { kind, owner, deliveries } = self.state(index).expect("a kind");
            if kind != Kind::Free {
                let bytes = match kind {
                    Kind::Writing => Vec::new(),
                    _ => self.copy_out(index, self.length(index).unwrap()).unwrap(),
                };
                found.push((self.sequence(index), Seen { kind, owner, deliveries, bytes }));
            }
        }
        found.sort_by_key(|(sequence, _)| *sequence);
        found.into_iter().map(|(_, seen)| seen).collect()
    }

    /// Everything that is derived fits the slots.
    #[track_caller]
    pub(in crate::sync::queue) fn verify(&self) {
        let seen = self.seen();
        let count = |kinds: &[Kind]| seen.iter().filter(|seen| kinds.contains(&seen.kind)).count() as u32;
        assert_eq!(self.word(BEHIND), 0);
        assert_eq!(self.word(READY), count(&[Kind::Ready]));
        assert_eq!(self.word(WRITING), count(&[Kind::Writing]));
        assert_eq!(self.word(HELD), count(&[Kind::Leased, Kind::Taking]));
        assert_eq!(self.word(DEAD_HELD), count(&[Kind::TakingDead]));
        assert_eq!(self.listed(READY_LIST), count(&[Kind::Ready]));
        assert_eq!(self.listed(DEAD_LIST), count(&[Kind::Dead]));
        let mut free = 0;
        let mut link = self.word(FREE_SLOT);
        while link != 0 {
            assert_eq!(self.state(link - 1), Some(State::FREE));
            free += 1;
            link = self.slot_word(link - 1, NEXT);
        }
        assert_eq!(free, self.slots_used() - seen.len() as u32, "no slot is lost");
        self.verify_blocks();
    }

    fn listed(&self, list: List) -> u32 {
        let mut before = (0, 0);
        let mut count = 0;
        let mut link = self.word(list.first);
        while link != 0 {
            let place = (self.sequence(link - 1), link);
            assert!(before < place, "in order");
            before = place;
            count += 1;
            link = self.slot_word(link - 1, NEXT);
        }
        assert_eq!(self.word(list.last), before.1);
        count
    }

    fn verify_blocks(&self) {
        let mut owned = vec![0; self.word(BLOCKS_USED) as usize];
        let mut walk = |first: u32, count: u32| {
            let mut link = first;
            for _ in 0..count {
                owned[link as usize - 1] += 1;
                link = self.block_next(link - 1);
            }
            link
        };
        assert_eq!(walk(self.word(FREE_BLOCK), self.word(FREE_BLOCKS)), 0, "the list is as long as told");
        for index in 0..self.spec.capacity {
            if self.state(index) != Some(State::FREE) {
                let count = blocks_for(u64::from(self.slot_word(index, LENGTH)));
                walk(self.slot_word(index, FIRST_BLOCK), count);
            }
        }
        assert!(owned.iter().all(|owners| *owners == 1), "each block is in one place: {owned:?}");
    }
}
