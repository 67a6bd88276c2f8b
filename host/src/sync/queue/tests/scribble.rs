//! Nonsense in the memory: nothing may panic, hang, or allocate by its say-so.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use proptest::prelude::*;

use super::super::super::memory::{Memory, SharedMemory};
use super::super::super::{Answer, Deadline, Departure, Operation, QueueSpec, SyncError, WaitFor};
use super::super::layout::{CLOSED, GUARD};
use super::super::{Queue, bytes};
use super::kit::{bytes_of, get, item, put, spec, token};

/// Every load gives something else, often something that looks right.
struct Nonsense {
    random: Cell<u64>,
    accesses: Cell<u64>,
}

impl Nonsense {
    fn next(&self) -> u64 {
        self.accesses.set(self.accesses.get() + 1);
        let mut random = self.random.get();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        self.random.set(random);
        match random >> 60 {
            0..6 => 0,
            6..12 => random >> 20 & 7,
            12 => random & 7 | (random >> 8 & 15) << 4,
            13 => u64::MAX,
            _ => random,
        }
    }
}

impl Memory for Nonsense {
    fn load32(&self, _: u64) -> u32 {
        self.next() as u32
    }
    fn store32(&self, _: u64, _: u32) {}
    fn swap32_if(&self, _: u64, _: u32, _: u32) -> u32 {
        self.next() as u32
    }
    fn swap32(&self, _: u64, _: u32) -> u32 {
        self.next() as u32
    }
    fn load64(&self, _: u64) -> u64 {
        self.next()
    }
    fn store64(&self, _: u64, _: u64) {}
    fn swap64(&self, _: u64, _: u64) -> u64 {
        self.next()
    }
    fn swap64_if(&self, _: u64, _: u64, _: u64) -> u64 {
        self.next()
    }
    fn add64(&self, _: u64, _: u64) -> u64 {
        self.next()
    }
    fn copy_out(&self, _: u64, to: &mut [u8]) {
        assert!(to.len() <= ITEM_BYTES_MAX as usize, "no length is believed");
        to.fill(self.next() as u8);
    }
    fn copy_in(&self, _: u64, _: &[u8]) {}
    fn sleep(&self, _: u64, _: u32, _: Duration) {}
    fn wake(&self, _: u64, _: u32) -> u32 {
        self.next() as u32
    }
}

const ITEM_BYTES_MAX: u32 = 20_000;

fn a_spec() -> QueueSpec {
    spec(6, ITEM_BYTES_MAX, 16 * 4096)
}

/// Everything that can be done, one after the other.
fn do_all<M: Memory>(queue: &Queue<'_, M>, who: u32) {
    // A lease that names slot 2 in some delivery.
    let lease = 1 << 63 | 1 << 20 | 2;
    let items = [item(1, 5), item(2, 900), item(3, 17_000)];
    let mut operations = vec![Operation::Get { lease: false }, Operation::Get { lease: true }];
    operations.extend(items.iter().map(|item| Operation::Put(item)));
    operations.extend([Operation::Acknowledge { lease }, Operation::GiveBack { lease }, Operation::TakeDead]);
    operations.extend([Operation::Len, Operation::WaitEmpty, Operation::Leave, Operation::Close]);
    for operation in operations {
        let answer = queue.perform(token(who), operation, &mut Deadline::after(Duration::ZERO));
        if let Ok(Answer::Item(item)) = answer {
            assert!(item.bytes.len() <= ITEM_BYTES_MAX as usize);
        }
        for what in [WaitFor::Item, WaitFor::Room, WaitFor::Empty] {
            queue.blockers(token(who), what);
        }
    }
    queue.recover(token(who), Departure::Died, &|who| who.get() % 2 == 0);
}

proptest! {
    #[test]
    fn nonsense_from_every_load_does_no_harm(seed in 1_u64..) {
        let memory = Nonsense { random: Cell::new(seed), accesses: Cell::new(0) };
        let spec = a_spec();
        do_all(&Queue { memory: &memory, base: 0, spec: &spec }, 2);
        prop_assert!(memory.accesses.get() < 1_000_000, "{} accesses", memory.accesses.get());
    }
}

#[test]
fn somebody_who_scribbles_harms_only_the_queue() {
    let spec = a_spec();
    let memory = SharedMemory::create(bytes(&spec)).unwrap();
    let queue = || Queue { memory: &memory, base: 0, spec: &spec };
    queue().initialize();
    let over = AtomicBool::new(false);
    scope(|threads| {
        threads.spawn(|| {
            let random = Nonsense { random: Cell::new(77), accesses: Cell::new(0) };
            // Header, slots and the blocks' table.
            let words = (384 + 6 * 64 + 16 * 4) / 4;
            while !over.load(Ordering::Relaxed) {
                let at = random.next() % words * 4;
                memory.store32(at, random.next() as u32);
            }
        });
        for _ in 0..300 {
            do_all(&queue(), 2);
        }
        over.store(true, Ordering::Relaxed);
    });
    // Without the scribbler it is a queue again, after one recovery. That it is closed is no derived word.
    queue().set(GUARD, 0);
    queue().set(CLOSED, 0);
    queue().recover(token(2), Departure::Died, &|_| false);
    while get(&queue(), 1) != Err(SyncError::TimedOut) {}
    while queue().perform(token(1), Operation::TakeDead, &mut Deadline::never()) != Ok(Answer::End) {}
    for round in 0..20 {
        for length in [5, 900, 17_000] {
            put(&queue(), 1, &item(round, length)).unwrap();
        }
        for length in [5, 900, 17_000] {
            assert_eq!(bytes_of(get(&queue(), 1)), item(round, length));
        }
    }
}
