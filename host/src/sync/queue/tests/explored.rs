//! Small scenes of a queue in every order of steps, with deaths.

use std::sync::Mutex;

use super::super::super::explore::{Exploration, Virtual};
use super::super::super::{Answer, Departure, Operation, QueueSpec, Stop, SyncError, Token};
use super::super::{Queue, bytes};
use super::kit::spec;

/// An item that is copied without the guard.
const LARGE: usize = 1100;

/// What participants took, for the scene that is running.
#[derive(Default)]
struct Taken(Mutex<Vec<(Token, u8)>>);

/// A queue and what became of its items.
struct Scene {
    spec: QueueSpec,
    /// Bytes of each item: its number, again and again.
    length: usize,
    /// Items that are there from the beginning.
    filled: u8,
    taken: Taken,
}

impl Scene {
    fn new(capacity: u32, length: usize) -> Self {
        let blocks = if length > 32 { 4096 * u64::from(capacity) } else { 0 };
        let spec = QueueSpec { deliveries_max: 9, ..spec(capacity, 4000, blocks) };
        Self { spec, length, filled: 0, taken: Taken::default() }
    }

    fn queue<'m, 'e>(&'m self, memory: &'m Virtual<'e>) -> Queue<'m, Virtual<'e>> {
        Queue { memory, base: 0, spec: &self.spec }
    }

    fn explore(&self) -> Exploration<'_> {
        // Not more than is used: what is outside reads as zero, and each step looks at all of it.
        let unused =
            if self.length > 32 { 4096 - self.length.next_multiple_of(8) as u64 } else { 4096 - 512 };
        Exploration::new(bytes(&self.spec) - unused)
            .prepare(|memory| {
                self.taken.0.lock().unwrap().clear();
                self.queue(memory).initialize();
                for number in 0..self.filled {
                    let item = vec![number; self.length];
                    let filler = Token::new(99).unwrap();
                    self.queue(memory).perform(filler, Operation::Put(&item), &mut memory.waits()).unwrap();
                }
            })
            .recovery(|memory, gone, _, is_alive| self.queue(memory).recover(gone, Departure::Died, is_alive))
    }

    fn perform(&self, me: &Virtual<'_>, operation: Operation<'_>) -> Result<Answer, SyncError> {
        self.queue(me).perform(me.token(), operation, &mut me.waits())
    }

    fn put(&self, me: &Virtual<'_>, number: u8) {
        let done = self.perform(me, Operation::Put(&vec![number; self.length]));
        me.require(done == Ok(Answer::Done), "a put failed");
    }

    /// Notes a whole item.
    fn note(&self, me: &Virtual<'_>, bytes: &[u8]) {
        let whole = bytes.len() == self.length && bytes.iter().all(|byte| *byte == bytes[0]);
        me.require(whole, "an item is not whole");
        self.taken.0.lock().unwrap().push((me.token(), bytes[0]));
    }

    /// Takes an item; false at the end.
    fn get(&self, me: &Virtual<'_>) -> bool {
        match self.perform(me, Operation::Get { lease: false }) {
            Ok(Answer::Item(item)) => self.note(me, &item.bytes),
            other => {
                me.require(other == Ok(Answer::End), "a get failed");
                return false;
            }
        }
        true
    }

    /// Works on leases until the end, and notes what it has acknowledged.
    fn work(&self, me: &Virtual<'_>) {
        while let Ok(Answer::Item(item)) = self.perform(me, Operation::Get { lease: true }) {
            self.note(me, &item.bytes);
            let done = self.perform(me, Operation::Acknowledge { lease: item.lease });
            me.require(done == Ok(Answer::Done), "a lease was lost");
        }
    }

    fn numbers(&self) -> Vec<u8> {
        self.taken.0.lock().unwrap().iter().map(|(_, number)| *number).collect()
    }
}

#[test]
fn one_that_puts_and_one_that_takes_keep_step_in_every_order() {
    for (length, executions) in [(1, 3000), (LARGE, 3000)] {
        let scene = Scene::new(1, length);
        let produce = |me: &Virtual<'_>| (0..3).for_each(|number| scene.put(me, number));
        let consume = |me: &Virtual<'_>| (0..3).for_each(|_| me.require(scene.get(me), "the end came"));
        let all = |memory: &Virtual<'_>| memory.require(scene.numbers() == [0, 1, 2], "another order");
        scene.explore().participant(produce).participant(consume).check(all).sound(executions);
    }
}

#[test]
fn everybody_who_waits_for_an_item_is_woken() {
    let scene = Scene::new(2, 1);
    let produce = |me: &Virtual<'_>| {
        scene.put(me, 0);
        scene.put(me, 1);
        scene.perform(me, Operation::Close).unwrap();
    };
    let consume = |me: &Virtual<'_>| while scene.get(me) {};
    let all = |memory: &Virtual<'_>| {
        let mut numbers = scene.numbers();
        numbers.sort_unstable();
        memory.require(numbers == [0, 1], "not each item once");
    };
    let explore = || scene.explore().participant(produce).participant(consume).participant(consume);
    explore().preemptions(1).check(all).sound(1000);
}

#[test]
fn a_consumer_that_gives_up_loses_nobodys_wake() {
    let scene = Scene::new(2, 1);
    let give_up = |me: &Virtual<'_>| {
        let mut waits = me.waits_at_most(1, Stop::TimedOut);
        let operation = Operation::Get { lease: false };
        match scene.queue(me).perform(me.token(), operation, &mut waits) {
            Ok(Answer::Item(item)) => scene.note(me, &item.bytes),
            other => me.require(other == Err(SyncError::TimedOut), "another error"),
        }
    };
    let consume = |me: &Virtual<'_>| me.require(scene.get(me), "the end came");
    let produce = |me: &Virtual<'_>| (0..2).for_each(|number| scene.put(me, number));
    let explore = || scene.explore().participant(give_up).participant(consume).participant(produce);
    explore().preemptions(1).sound(1000);
}

#[test]
fn whoever_waits_for_room_gets_it_though_a_producer_dies() {
    for length in [1, LARGE] {
        let scene = Scene { filled: 1, ..Scene::new(1, length) };
        let produce = |me: &Virtual<'_>| scene.put(me, 7);
        // One of the two producers lives.
        let consume = |me: &Virtual<'_>| {
            (0..2).for_each(|_| me.require(scene.get(me), "the end came"));
        };
        let check = |memory: &Virtual<'_>| memory.require(scene.numbers() == [0, 7], "other items");
        let explore = || scene.explore().survivor(consume).participant(produce).participant(produce);
        explore().deaths(1).preemptions(0).check(check).sound(300);
    }
}

#[test]
fn whoever_waits_for_blocks_gets_them() {
    let mut scene = Scene { filled: 1, ..Scene::new(3, LARGE) };
    scene.spec.bytes_max = 4096;
    let produce = |me: &Virtual<'_>| scene.put(me, 7);
    let consume = |me: &Virtual<'_>| (0..3).for_each(|_| me.require(scene.get(me), "the end came"));
    let explore = || scene.explore().participant(consume).participant(produce).participant(produce);
    explore().preemptions(0).sound(5);
}

#[test]
fn work_that_a_dead_consumer_left_is_done_by_another_before_the_end() {
    for length in [1, LARGE] {
        let scene = Scene { filled: 2, ..Scene::new(2, length) };
        let work = |me: &Virtual<'_>| scene.work(me);
        let close = |me: &Virtual<'_>| drop(scene.perform(me, Operation::Close));
        let check = |memory: &Virtual<'_>| {
            let numbers = scene.numbers();
            memory.require(numbers.contains(&0) && numbers.contains(&1), "an item was never delivered");
            // Twice only what the dead had not acknowledged: one item at most.
            memory.require(numbers.len() as u32 <= 2 + memory.deaths(), "an item was delivered too often");
            let empty = scene.queue(memory).is_empty();
            memory.require(empty, "an item is left");
        };
        let explore = || scene.explore().survivor(close).participant(work).participant(work);
        explore().preemptions(u32::from(length == 1)).check(check).sound(5);
        explore().deaths(1).preemptions(0).check(check).sound(300);
    }
}

#[test]
fn who_waits_for_the_end_of_all_work_is_woken_though_a_worker_dies() {
    let scene = Scene { filled: 1, ..Scene::new(1, 1) };
    let wait = |me: &Virtual<'_>| {
        scene.perform(me, Operation::WaitEmpty).unwrap();
        me.require(scene.queue(me).is_empty(), "there is work");
    };
    // Works until the end.
    let work = |me: &Virtual<'_>| scene.work(me);
    let close = |me: &Virtual<'_>| drop(scene.perform(me, Operation::Close));
    let explore = || scene.explore().survivor(close).survivor(wait).participant(work).survivor(work);
    explore().deaths(1).preemptions(0).sound(300);
}

#[test]
fn nothing_becomes_visible_after_the_end() {
    let scene = Scene::new(1, LARGE);
    let was_put = Mutex::new(false);
    let produce = |me: &Virtual<'_>| {
        *was_put.lock().unwrap() = false;
        let done = scene.perform(me, Operation::Put(&[5; LARGE]));
        me.require(matches!(done, Ok(Answer::Done) | Err(SyncError::Closed)), "another error");
        *was_put.lock().unwrap() = done.is_ok();
    };
    let end = |me: &Virtual<'_>| {
        scene.perform(me, Operation::Close).unwrap();
        while scene.get(me) {}
    };
    let check = |memory: &Virtual<'_>| {
        let taken = scene.numbers().len();
        memory.require(taken == usize::from(*was_put.lock().unwrap()), "it was put, and nobody got it");
        memory.require(scene.queue(memory).is_empty(), "an item is left");
    };
    scene.explore().participant(produce).participant(end).check(check).sound(100);
}
