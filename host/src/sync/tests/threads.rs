//! Real threads over real shared memory.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use super::*;

/// So many that no thread's share fits one turn on a CPU.
const PASSES: u64 = 40_000;
const THREADS: u32 = 16;

#[test]
fn sixteen_that_contend_for_a_lock_all_make_progress() {
    let lock = object(Spec::Lock);
    let (holders, passes) = (AtomicU32::new(0), AtomicU64::new(0));
    let counts: Vec<AtomicU64> = (0..THREADS).map(|_| AtomicU64::new(0)).collect();
    // It goes on until everybody has had its turn: who starves would make the test hang.
    let enough = || {
        passes.load(Ordering::Relaxed) >= PASSES
            && counts.iter().all(|count| count.load(Ordering::Relaxed) >= 10)
    };
    std::thread::scope(|scope| {
        for (index, count) in counts.iter().enumerate() {
            let (lock, holders, passes, enough) = (&lock, &holders, &passes, &enough);
            scope.spawn(move || {
                let who = token(index as u32 + 1);
                while !enough() {
                    lock.perform(who, Operation::Acquire, &mut Deadline::never()).unwrap();
                    assert_eq!(holders.fetch_add(1, Ordering::Relaxed), 0, "two hold it");
                    passes.fetch_add(1, Ordering::Relaxed);
                    count.fetch_add(1, Ordering::Relaxed);
                    holders.fetch_sub(1, Ordering::Relaxed);
                    lock.perform(who, Operation::Release, &mut Deadline::never()).unwrap();
                }
            });
        }
    });
    let total: u64 = counts.iter().map(|count| count.load(Ordering::Relaxed)).sum();
    assert_eq!(total, passes.load(Ordering::Relaxed));
}

#[test]
fn who_waits_for_a_lock_gets_it_when_the_holder_died() {
    let lock = object(Spec::Lock);
    at_once(&lock, 1, Operation::Acquire).unwrap();
    std::thread::scope(|scope| {
        let next = scope.spawn(|| lock.perform(token(2), Operation::Acquire, &mut Deadline::never()));
        assert_eq!(died(&lock, 1), Recovery::Done);
        assert_eq!(next.join().unwrap(), Ok(Answer::Acquired { abandoned_by: Some(1001) }));
    });
}

#[test]
fn threads_meet_at_a_barrier_and_each_has_its_index() {
    const PARTIES: u32 = 4;
    const MEETINGS: u32 = 50;
    let barrier = object(Spec::Barrier { parties: PARTIES });
    let sums = std::thread::scope(|scope| {
        let meet = |who: u32| {
            let barrier = &barrier;
            scope.spawn(move || {
                let one = |_| match barrier.perform(token(who), Operation::Wait, &mut Deadline::never()) {
                    Ok(Answer::Count(index)) => index,
                    other => panic!("{other:?}"),
                };
                (0..MEETINGS).map(one).sum::<u64>()
            })
        };
        let threads: Vec<_> = (1..=PARTIES).map(meet).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>()
    });
    assert_eq!(sums, u64::from(MEETINGS * (0..PARTIES).sum::<u32>()));
}

#[test]
fn a_condition_hands_every_item_to_one_of_many() {
    const ITEMS: u64 = 300;
    let (condition, items) = (object(Spec::Condition), object(Spec::Value { initial: 0, float: false }));
    let taken = AtomicU64::new(0);
    let does = |who, operation| condition.perform(token(who), operation, &mut Deadline::never()).unwrap();
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for who in 1..=4 {
            let (items, taken, does, ended) = (&items, &taken, &does, &ended);
            scope.spawn(move || {
                does(who, Operation::Acquire);
                loop {
                    if at_once(items, who, Operation::Load) != Ok(Answer::Word(0)) {
                        at_once(items, who, Operation::AddInteger(-1)).unwrap();
                        taken.fetch_add(1, Ordering::Relaxed);
                    } else if ended.load(Ordering::Relaxed) {
                        break;
                    } else {
                        does(who, Operation::Wait);
                    }
                }
                does(who, Operation::Release);
            });
        }
        for item in 1..=ITEMS {
            does(9, Operation::Acquire);
            at_once(&items, 9, Operation::AddInteger(1)).unwrap();
            ended.store(item == ITEMS, Ordering::Relaxed);
            does(9, Operation::Notify(if item == ITEMS { u32::MAX } else { 1 }));
            does(9, Operation::Release);
        }
    });
    assert_eq!(taken.load(Ordering::Relaxed), ITEMS);
}
