//! The queue on a memory in which a participant can die at each access.

mod deaths;
mod explored;
pub(in crate::sync) mod kit;
mod model;
mod scribble;
mod threads;

use self::kit::{Now, TestMemory, bytes_of, get, item, lease, put, spec, token};
use super::super::{Answer, Blockers, Departure, Operation, QueueSpec, Recovery, SyncError, WaitFor};
use super::layout::{FIRST_BLOCK, FREE_SLOT, GUARD, ITEMS, Kind, LENGTH, SLOTS_USED, State};

const EVERYBODY_ALIVE: &dyn Fn(super::Token) -> bool = &|_| true;

/// One of each way in which an item may lie: in its slot, in one block, in several, and one that is copied
/// without the guard though it is in one block.
const LENGTHS: [usize; 6] = [0, 8, 33, 1500, 4096, 9000];

#[test]
fn items_come_out_whole_and_in_order() {
    let memory = TestMemory::new(&spec(8, 10_000, 1 << 16));
    let queue = memory.queue();
    for round in 0..20_u8 {
        for length in LENGTHS {
            put(&queue, 1, &item(round, length)).unwrap();
        }
        assert_eq!(queue.perform(token(1), Operation::Len, &mut Now), Ok(Answer::Count(6)));
        queue.verify();
        for length in LENGTHS {
            assert_eq!(bytes_of(get(&queue, 2)), item(round, length));
        }
        queue.verify();
    }
    assert_eq!(get(&queue, 2), Err(SyncError::TimedOut));
}

#[test]
fn a_full_queue_takes_nothing_and_an_item_over_the_limit_touches_nothing() {
    let memory = TestMemory::new(&spec(2, 10_000, 3 * 4096));
    let queue = memory.queue();
    let over = |bytes| SyncError::TooLarge { bytes, limit: 10_000 };
    assert_eq!(put(&queue, 1, &[0; 10_001]), Err(over(10_001)));
    assert_eq!(memory.count_of_stores(), 1, "only what makes it a queue");
    put(&queue, 1, &[1; 9000]).unwrap();
    assert_eq!(put(&queue, 1, &[2; 33]), Err(SyncError::TimedOut), "all blocks are used");
    put(&queue, 1, &[3; 32]).unwrap();
    assert_eq!(put(&queue, 1, &[]), Err(SyncError::TimedOut), "all slots are used");
    queue.verify();
    assert_eq!(bytes_of(get(&queue, 2)), vec![1; 9000]);
    put(&queue, 1, &[2; 33]).unwrap();
    queue.verify();

    let memory = TestMemory::new(&spec(2, 10_000, 2 * 4096));
    let small = SyncError::TooLarge { bytes: 9000, limit: 8192 };
    assert_eq!(put(&memory.queue(), 1, &[1; 9000]), Err(small), "no wait could make room for it");
}

#[test]
fn a_lease_is_acknowledged_or_goes_back_to_its_place() {
    let memory = TestMemory::new(&spec(8, 10_000, 1 << 16));
    let queue = memory.queue();
    for length in LENGTHS {
        put(&queue, 1, &item(7, length)).unwrap();
    }
    let first = lease(&queue, 2).unwrap();
    let second = lease(&queue, 3).unwrap();
    assert_eq!((first.bytes.len(), second.bytes.len()), (0, 8));
    let of = |lease| Operation::Acknowledge { lease };
    assert_eq!(queue.perform(token(3), of(first.lease), &mut Now), Err(SyncError::NotOwner));
    for forged in [0, 1, first.lease + 1, first.lease ^ 1 << 40, u64::MAX] {
        let found = queue.perform(token(2), of(forged), &mut Now);
        assert_eq!(found, Err(SyncError::NotFound("lease".into())), "{forged:x}");
    }
    let back = |lease| Operation::GiveBack { lease };
    queue.perform(token(3), back(second.lease), &mut Now).unwrap();
    queue.perform(token(2), back(first.lease), &mut Now).unwrap();
    queue.verify();
    let again = lease(&queue, 3).unwrap();
    assert_eq!((again.bytes.len(), again.deliveries), (0, 2));
    let stale = queue.perform(token(2), of(first.lease), &mut Now);
    assert_eq!(stale, Err(SyncError::NotFound("lease".into())));
    queue.perform(token(3), of(again.lease), &mut Now).unwrap();
    for length in &LENGTHS[1..] {
        assert_eq!(bytes_of(get(&queue, 2)), item(7, *length));
    }
    queue.verify();
}

#[test]
fn an_item_that_was_delivered_too_often_is_a_dead_letter() {
    for length in LENGTHS {
        let memory = TestMemory::new(&QueueSpec { deliveries_max: 3, ..spec(1, 10_000, 1 << 16) });
        let queue = memory.queue();
        put(&queue, 1, &item(1, length)).unwrap();
        for delivery in 1..=3 {
            let leased = lease(&queue, 2).unwrap();
            assert_eq!((leased.bytes, leased.deliveries), (item(1, length), delivery));
            if delivery == 2 {
                assert_eq!(queue.recover(token(2), Departure::Died, EVERYBODY_ALIVE), Recovery::Done);
            } else {
                queue.perform(token(2), Operation::GiveBack { lease: leased.lease }, &mut Now).unwrap();
            }
        }
        assert_eq!(get(&queue, 2), Err(SyncError::TimedOut));
        assert_eq!(put(&queue, 1, &[]), Err(SyncError::TimedOut), "it takes up room");
        queue.perform(token(2), Operation::WaitEmpty, &mut Now).unwrap();
        queue.verify();
        let Ok(Answer::Item(dead)) = queue.perform(token(2), Operation::TakeDead, &mut Now) else { panic!() };
        assert_eq!((dead.bytes, dead.lease, dead.deliveries), (item(1, length), 0, 3));
        assert_eq!(queue.perform(token(2), Operation::TakeDead, &mut Now), Ok(Answer::End));
        put(&queue, 1, &[]).unwrap();
        queue.verify();
    }
}

#[test]
fn the_end_comes_after_everything_that_may_come_back() {
    let memory = TestMemory::new(&spec(8, 100, 1 << 16));
    let queue = memory.queue();
    put(&queue, 1, &[1]).unwrap();
    put(&queue, 1, &[2]).unwrap();
    let held = lease(&queue, 2).unwrap();
    queue.perform(token(1), Operation::Close, &mut Now).unwrap();
    assert_eq!(put(&queue, 1, &[3]), Err(SyncError::Closed));
    assert_eq!(bytes_of(get(&queue, 3)), [2]);
    assert_eq!(get(&queue, 3), Err(SyncError::TimedOut), "another one's lease may come back");
    assert_eq!(get(&queue, 2), Ok(Answer::End), "its own does not by itself");
    queue.perform(token(2), Operation::GiveBack { lease: held.lease }, &mut Now).unwrap();
    assert_eq!(bytes_of(get(&queue, 3)), [1]);
    assert_eq!(get(&queue, 3), Ok(Answer::End));
}

#[test]
fn what_a_wait_is_for_names_who_could_end_it() {
    let memory = TestMemory::new(&spec(2, 100, 1 << 16));
    let queue = memory.queue();
    let blockers = |who, what| queue.blockers(token(who), what);
    assert_eq!(blockers(1, WaitFor::Item), Blockers::Anybody);
    assert_eq!(blockers(1, WaitFor::Room), Blockers::Nobody);
    assert_eq!(blockers(1, WaitFor::Empty), Blockers::Nobody);
    put(&queue, 1, &[1]).unwrap();
    put(&queue, 1, &[2]).unwrap();
    assert_eq!(blockers(1, WaitFor::Item), Blockers::Nobody);
    assert_eq!(blockers(1, WaitFor::Room), Blockers::Anybody);
    assert_eq!(blockers(1, WaitFor::Empty), Blockers::Anybody);
    lease(&queue, 2).unwrap();
    get(&queue, 3).unwrap();
    assert_eq!(blockers(1, WaitFor::Empty), Blockers::Owner(token(2)));
    assert_eq!(blockers(2, WaitFor::Empty), Blockers::Owner(token(2)), "it waits for itself");
    queue.perform(token(1), Operation::Close, &mut Now).unwrap();
    assert_eq!(blockers(1, WaitFor::Item), Blockers::Owner(token(2)));
    assert_eq!(blockers(2, WaitFor::Item), Blockers::Nobody);
}

#[test]
fn a_participant_that_leaves_gives_its_leases_back() {
    let memory = TestMemory::new(&spec(4, 9000, 1 << 16));
    let queue = memory.queue();
    for length in [8, 9000] {
        put(&queue, 1, &item(1, length)).unwrap();
        lease(&queue, 2).unwrap();
    }
    queue.perform(token(3), Operation::Leave, &mut Now).unwrap();
    assert_eq!(get(&queue, 1), Err(SyncError::TimedOut), "only its own");
    queue.perform(token(2), Operation::Leave, &mut Now).unwrap();
    queue.verify();
    assert_eq!(bytes_of(get(&queue, 1)), item(1, 8));
    assert_eq!(bytes_of(get(&queue, 1)), item(1, 9000));
}

#[test]
fn a_list_that_somebody_broke_is_rebuilt_from_the_slots() {
    for field in (64..super::layout::DEAD_HELD + 8).step_by(4) {
        let memory = TestMemory::new(&spec(4, 9000, 1 << 16));
        let queue = memory.queue();
        put(&queue, 1, &item(1, 9000)).unwrap();
        queue.set(field, 0x7fff_fff0);
        // Whatever it does, it comes back, and a recovery makes a sound queue of it.
        let _ = put(&queue, 1, &item(2, 5000));
        let _ = get(&queue, 2);
        assert_eq!(queue.recover(token(2), Departure::Died, EVERYBODY_ALIVE), Recovery::Done);
    }
}

#[test]
fn two_items_that_claim_one_block_do_not_both_stay() {
    let memory = TestMemory::new(&spec(4, 9000, 1 << 16));
    let queue = memory.queue();
    for number in 1..=2 {
        put(&queue, 1, &item(number, 40)).unwrap();
    }
    queue.set_slot_word(1, FIRST_BLOCK, queue.slot_word(0, FIRST_BLOCK));
    assert_eq!(queue.recover(token(2), Departure::Died, EVERYBODY_ALIVE), Recovery::Done);
    queue.verify();
    assert_eq!(queue.seen().len(), 1);
}

#[test]
fn a_rebuilding_walks_each_block_once_however_many_slots_claim_it() {
    const MANY: u32 = 200;
    let memory = TestMemory::new(&spec(MANY, MANY * 4096, u64::from(MANY) * 4096));
    let queue = memory.queue();
    put(&queue, 1, &vec![1; MANY as usize * 4096]).unwrap();
    // The last link of the chain that all slots claim leads nowhere.
    queue.set_block_next(MANY - 2, 0);
    queue.set(SLOTS_USED, MANY);
    for index in 0..MANY {
        queue.set_slot_word(index, LENGTH, MANY * 4096);
        queue.set_slot_word(index, FIRST_BLOCK, 1);
        queue.set_state(index, State::unowned(Kind::Ready, 0));
    }
    let accesses = u64::from(MANY) * 20;
    let recover = || queue.recover(token(2), Departure::Died, EVERYBODY_ALIVE);
    assert_eq!(memory.dying_at(accesses, recover), Some(Recovery::Done));
    queue.verify();
    assert!(queue.seen().is_empty());
}

#[test]
fn who_sleeps_is_woken_once_and_nobody_is_not_woken_at_all() {
    let memory = TestMemory::new(&spec(8, 100, 1 << 16));
    let queue = memory.queue();
    put(&queue, 1, &[1]).unwrap();
    get(&queue, 2).unwrap();
    assert_eq!(memory.count_of_wakes(), 0);
    // Two sleep, and have not run again by the time of the puts.
    queue.set(ITEMS.sleepers, 2);
    for wakes in [1, 2, 2, 2] {
        put(&queue, 1, &[1]).unwrap();
        assert_eq!(memory.count_of_wakes(), wakes);
    }
}

#[test]
fn who_sleeps_when_a_list_is_rebuilt_is_woken_whatever_comes_after_that() {
    let memory = TestMemory::new(&spec(2, 100, 1 << 16));
    let queue = memory.queue();
    queue.set(ITEMS.sleepers, 1);
    queue.set(FREE_SLOT, 0x7fff_fff0);
    put(&queue, 1, &[1]).unwrap();
    assert_eq!(memory.count_of_wakes(), 3, "for items, for room and for the end");
    queue.verify();
}

#[test]
fn a_word_that_never_stands_still_does_not_outlast_a_time_out() {
    for at in [ITEMS.word, GUARD] {
        let memory = TestMemory::new(&spec(2, 100, 1 << 16));
        memory.never_stands_still(at);
        let got = memory.dying_at(100_000, || get(&memory.queue(), 1));
        assert_eq!(got, Some(Err(SyncError::TimedOut)), "{at}");
    }
}

#[test]
fn other_kinds_operations_are_refused() {
    let memory = TestMemory::new(&spec(4, 9000, 1 << 16));
    let found = memory.queue().perform(token(1), Operation::Acquire, &mut Now);
    assert!(matches!(found, Err(SyncError::WrongKind(_))));
}

#[test]
fn a_state_is_read_as_it_was_written() {
    for word in 0..8_u64 {
        let state = State::from_word(word | 77 << 4 | 9 << 32).unwrap();
        assert_eq!((state.owner, state.deliveries, state.to_word()), (77, 9, word | 77 << 4 | 9 << 32));
    }
    assert_eq!(State::from_word(8), None);
}
