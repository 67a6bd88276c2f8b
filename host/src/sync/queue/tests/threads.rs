//! Real threads over a real memory file.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::scope;
use std::time::Duration;

use super::super::super::memory::SharedMemory;
use super::super::super::{Answer, Deadline, Departure, Operation, QueueSpec, Recovery, SyncError, WaitFor};
use super::super::layout::ITEMS;
use super::super::{Queue, bytes};
use super::EVERYBODY_ALIVE;
use super::kit::{bytes_of, item, spec, token};

type Shared<'m> = Queue<'m, SharedMemory>;

fn memory(spec: &QueueSpec) -> SharedMemory {
    let memory = SharedMemory::create(bytes(spec)).unwrap();
    Queue { memory: &memory, base: 0, spec }.initialize();
    memory
}

fn put(queue: &Shared<'_>, who: u32, item: &[u8]) -> Result<Answer, SyncError> {
    queue.perform(token(who), Operation::Put(item), &mut Deadline::never())
}

fn get(queue: &Shared<'_>, who: u32) -> Result<Answer, SyncError> {
    queue.perform(token(who), Operation::Get { lease: false }, &mut Deadline::never())
}

/// An item that names its producer and number, of a length that goes every way.
fn numbered(producer: u8, number: u32) -> Vec<u8> {
    let lengths = [8, 33, 8, 8, 1500, 8, 5000, 8];
    let mut item = item(producer ^ number as u8, lengths[number as usize % lengths.len()]);
    item[0] = producer;
    item[1..5].copy_from_slice(&number.to_le_bytes());
    item
}

/// Two producers and two consumers, and what each consumer got. `lease`: by leases.
fn exchange(capacity: u32, items: u32, lease: bool) -> Vec<Vec<Vec<u8>>> {
    let spec = spec(capacity, 8192, 64 * 4096);
    let memory = memory(&spec);
    let queue = || Queue { memory: &memory, base: 0, spec: &spec };
    let mut got = Vec::new();
    scope(|threads| {
        let consume = |who| {
            let mut got = Vec::new();
            let take = Operation::Get { lease };
            while let Answer::Item(item) = queue().perform(token(who), take, &mut Deadline::never()).unwrap()
            {
                if lease {
                    let done = Operation::Acknowledge { lease: item.lease };
                    queue().perform(token(who), done, &mut Deadline::never()).unwrap();
                }
                got.push(item.bytes);
            }
            got
        };
        let produce = |who: u8| {
            for number in 0..items {
                put(&queue(), who.into(), &numbered(who, number)).unwrap();
            }
        };
        let consumers = [3, 4].map(|who| threads.spawn(move || consume(who)));
        let producers = [1, 2].map(|who| threads.spawn(move || produce(who)));
        producers.into_iter().for_each(|producer| producer.join().unwrap());
        queue().perform(token(1), Operation::Close, &mut Deadline::never()).unwrap();
        got.extend(consumers.map(|consumer| consumer.join().unwrap()));
    });
    queue().verify();
    got
}

fn each_exactly_once_and_in_order(got: Vec<Vec<Vec<u8>>>, items: u32) {
    let mut counts = [0, 0];
    for of_one in &got {
        let mut last = [None, None];
        for bytes in of_one {
            let (producer, number) = (bytes[0], u32::from_le_bytes(bytes[1..5].try_into().unwrap()));
            assert!(*bytes == numbered(producer, number), "it is whole");
            let at = usize::from(producer) - 1;
            assert!(last[at] < Some(number), "one producer's items come in order");
            last[at] = Some(number);
            counts[at] += 1;
        }
    }
    let mut all: Vec<_> = got.into_iter().flatten().collect();
    all.sort_unstable();
    all.dedup();
    assert_eq!((counts, all.len()), ([items, items], 2 * items as usize));
}

#[test]
fn each_item_comes_out_exactly_once_and_each_producers_in_order() {
    each_exactly_once_and_in_order(exchange(64, 50_000, false), 50_000);
    // So small that everybody waits all the time.
    each_exactly_once_and_in_order(exchange(1, 3_000, false), 3_000);
}

#[test]
fn leased_items_come_out_exactly_once_when_each_is_acknowledged() {
    each_exactly_once_and_in_order(exchange(8, 5_000, true), 5_000);
}

#[test]
fn two_that_hand_one_item_to_and_fro_keep_step() {
    let spec = spec(1, 64, 4096);
    let (there, back) = (memory(&spec), memory(&spec));
    let queue = |memory| Queue { memory, base: 0, spec: &spec };
    scope(|threads| {
        threads.spawn(|| {
            for number in 0..5_000_u32 {
                let got = bytes_of(get(&queue(&there), 2));
                assert_eq!(got, number.to_le_bytes());
                put(&queue(&back), 2, &got).unwrap();
            }
        });
        for number in 0..5_000_u32 {
            put(&queue(&there), 1, &number.to_le_bytes()).unwrap();
            assert_eq!(bytes_of(get(&queue(&back), 1)), number.to_le_bytes());
        }
    });
}

/// Tells when a caller is about to sleep.
struct Told<'a>(&'a AtomicBool, Deadline);

impl super::super::Waits for Told<'_> {
    fn sleep_at_most(&mut self, what: WaitFor) -> Result<Duration, super::super::super::Stop> {
        self.0.store(true, Ordering::Release);
        self.1.sleep_at_most(what)
    }
}

#[test]
fn who_waits_is_ended_by_close_and_by_what_a_dead_holder_gives_back() {
    let spec = spec(1, 64, 4096);
    let memory = memory(&spec);
    let queue = || Queue { memory: &memory, base: 0, spec: &spec };
    let wait_until_asleep = |asleep: &AtomicBool| {
        while !asleep.load(Ordering::Acquire) {
            std::thread::yield_now();
        }
    };
    let asleep = AtomicBool::new(false);
    scope(|threads| {
        put(&queue(), 1, &[1]).unwrap();
        let blocked = threads
            .spawn(|| queue().perform(token(2), Operation::Put(&[2]), &mut Told(&asleep, Deadline::never())));
        wait_until_asleep(&asleep);
        queue().perform(token(1), Operation::Close, &mut Deadline::never()).unwrap();
        assert_eq!(blocked.join().unwrap(), Err(SyncError::Closed));
    });
    let lease = Operation::Get { lease: true };
    queue().perform(token(3), lease, &mut Deadline::never()).unwrap();
    asleep.store(false, Ordering::Release);
    scope(|threads| {
        let waits = threads.spawn(|| {
            queue().perform(token(4), Operation::Get { lease: false }, &mut Told(&asleep, Deadline::never()))
        });
        wait_until_asleep(&asleep);
        assert_eq!(queue().recover(token(3), Departure::Died, EVERYBODY_ALIVE), Recovery::Done);
        assert_eq!(bytes_of(waits.join().unwrap()), [1]);
    });
    assert_eq!(get(&queue(), 4), Ok(Answer::End));
}

#[test]
fn a_time_out_leaves_the_queue_as_it_was() {
    let spec = spec(1, 64, 4096);
    let memory = memory(&spec);
    let queue = Queue { memory: &memory, base: 0, spec: &spec };
    let soon = || Deadline::after(Duration::from_millis(5));
    let get = Operation::Get { lease: false };
    assert_eq!(queue.perform(token(1), get, &mut soon()), Err(SyncError::TimedOut));
    put(&queue, 1, &[1]).unwrap();
    assert_eq!(queue.perform(token(1), Operation::Put(&[2]), &mut soon()), Err(SyncError::TimedOut));
    assert_eq!(queue.perform(token(1), Operation::WaitEmpty, &mut soon()), Err(SyncError::TimedOut));
    queue.verify();
    assert_eq!(queue.word(ITEMS.sleepers), 0);
    assert_eq!(bytes_of(super::kit::get(&queue, 2)), [1]);
    queue.verify();
}

#[test]
fn who_waits_for_the_end_of_all_work_waits_for_the_last_acknowledgement() {
    let spec = spec(4, 64, 4096);
    let memory = memory(&spec);
    let queue = || Queue { memory: &memory, base: 0, spec: &spec };
    for number in 0..4 {
        put(&queue(), 1, &[number]).unwrap();
    }
    let (done, start) = (AtomicBool::new(false), Barrier::new(2));
    scope(|threads| {
        threads.spawn(|| {
            start.wait();
            queue().perform(token(1), Operation::WaitEmpty, &mut Deadline::never()).unwrap();
            assert!(done.load(Ordering::Acquire));
        });
        start.wait();
        for number in 0..4 {
            let lease = Operation::Get { lease: true };
            let Ok(Answer::Item(item)) = queue().perform(token(2), lease, &mut Deadline::never()) else {
                panic!()
            };
            done.store(number == 3, Ordering::Release);
            let acknowledge = Operation::Acknowledge { lease: item.lease };
            queue().perform(token(2), acknowledge, &mut Deadline::never()).unwrap();
        }
    });
}
