//! A death at every access of every operation, and at every access of a repair.

use super::super::super::{Answer, Departure, Operation, Recovery, SyncError};
use super::super::Queue;
use super::super::layout::Kind;
use super::LENGTHS;
use super::kit::{Now, Seen, TestMemory, bytes_of, get, item, lease, put, spec, token};

/// Who dies, and who lives.
const MORTAL: u32 = 7;
const OTHER: u32 = 2;

/// What an operation of the mortal works on: two items, the second is leased by the other.
fn scene(length: usize) -> TestMemory {
    let memory = TestMemory::new(&spec(5, 9000, 14 * 4096));
    let queue = memory.queue();
    // Some blocks and slots were used before, and came back in another order.
    for _ in 0..3 {
        put(&queue, OTHER, &item(9, 5000)).unwrap();
    }
    for _ in 0..3 {
        get(&queue, OTHER).unwrap();
    }
    put(&queue, OTHER, &item(1, length)).unwrap();
    lease(&queue, OTHER).unwrap();
    put(&queue, OTHER, &item(2, length)).unwrap();
    put(&queue, OTHER, &item(3, length)).unwrap();
    memory
}

fn ready(number: u8, length: usize, deliveries: u32) -> Seen {
    Seen { kind: Kind::Ready, owner: 0, deliveries, bytes: item(number, length) }
}

/// What the recovery leaves, without the other's lease, which nothing may touch.
fn after_recovery(queue: &Queue<'_, TestMemory>, length: usize) -> Vec<Seen> {
    let alive = |who| who != token(MORTAL);
    assert_eq!(queue.recover(token(MORTAL), Departure::Died, &alive), Recovery::Done);
    queue.verify();
    let mut seen = queue.seen();
    let others = Seen { kind: Kind::Leased, owner: OTHER, deliveries: 1, bytes: item(1, length) };
    assert_eq!(seen.remove(0), others);
    seen
}

/// Lets the mortal do this with a death at each access in turn, and checks what is left. `prepare` is not
/// interrupted.
fn at_every_access<P>(
    prepare: impl Fn(&Queue<'_, TestMemory>) -> P,
    work: impl Fn(&Queue<'_, TestMemory>, &P) -> Result<Answer, SyncError>,
    check: impl Fn(usize, bool, Vec<Seen>),
) {
    for length in LENGTHS {
        let mut at = 0;
        loop {
            let memory = scene(length);
            let queue = memory.queue();
            let prepared = prepare(&queue);
            let done = memory.dying_at(at, || work(&queue, &prepared).unwrap());
            check(length, done.is_some(), after_recovery(&queue, length));
            // Whoever lives can go on.
            put(&queue, OTHER, &item(5, 100)).unwrap();
            while get(&queue, OTHER).is_ok() {}
            queue.verify();
            if done.is_some() {
                break;
            }
            at += 1;
        }
        assert!(at > 10, "it has accesses at which to die");
    }
}

#[test]
fn a_producer_that_dies_put_all_or_nothing() {
    for length in LENGTHS {
        let put_all = |queue: &Queue<'_, TestMemory>, _: &()| put(queue, MORTAL, &item(4, length));
        at_every_access(
            |_| (),
            put_all,
            |others, done, seen| {
                let before = vec![ready(2, others, 0), ready(3, others, 0)];
                let after = [before.clone(), vec![ready(4, length, 0)]].concat();
                assert!(seen == after || !done && seen == before, "{seen:?}");
            },
        );
    }
}

#[test]
fn a_consumer_that_dies_took_the_item_or_did_not() {
    at_every_access(
        |_| (),
        |queue, ()| get(queue, MORTAL),
        |length, done, seen| {
            let before = [ready(2, length, 0), ready(3, length, 0)];
            assert!(seen == before[1..] || !done && seen == before, "{seen:?}");
        },
    );
}

#[test]
fn what_a_dead_consumer_leased_goes_back_to_its_place() {
    let leased = |queue: &Queue<'_, TestMemory>, (): &()| {
        queue.perform(token(MORTAL), Operation::Get { lease: true }, &mut Now)
    };
    at_every_access(
        |_| (),
        leased,
        |length, done, seen| {
            let delivered = [ready(2, length, 1), ready(3, length, 0)];
            let before = [ready(2, length, 0), ready(3, length, 0)];
            assert!(seen == delivered || !done && seen == before, "{seen:?}");
        },
    );
}

#[test]
fn a_death_while_acknowledging_keeps_or_removes_the_item() {
    let acknowledge = |queue: &Queue<'_, TestMemory>, lease: &u64| {
        queue.perform(token(MORTAL), Operation::Acknowledge { lease: *lease }, &mut Now)
    };
    at_every_access(
        |queue| lease(queue, MORTAL).unwrap().lease,
        acknowledge,
        |length, done, seen| {
            let back = [ready(2, length, 1), ready(3, length, 0)];
            assert!(seen == back[1..] || !done && seen == back, "{seen:?}");
        },
    );
}

#[test]
fn a_death_while_giving_back_gives_back_once() {
    let give_back = |queue: &Queue<'_, TestMemory>, lease: &u64| {
        queue.perform(token(MORTAL), Operation::GiveBack { lease: *lease }, &mut Now)
    };
    at_every_access(
        |queue| lease(queue, MORTAL).unwrap().lease,
        give_back,
        |length, _, seen| {
            assert_eq!(seen, [ready(2, length, 1), ready(3, length, 0)]);
        },
    );
}

#[test]
fn a_death_with_the_last_delivery_makes_a_dead_letter_that_a_death_does_not_lose() {
    let last_lease = |queue: &Queue<'_, TestMemory>| {
        let first = lease(queue, OTHER).unwrap().lease;
        queue.perform(token(OTHER), Operation::GiveBack { lease: first }, &mut Now).unwrap();
        lease(queue, MORTAL).unwrap().lease
    };
    let dead = |length| Seen { kind: Kind::Dead, ..ready(2, length, 2) };
    let give_back = |queue: &Queue<'_, TestMemory>, lease: &u64| {
        queue.perform(token(MORTAL), Operation::GiveBack { lease: *lease }, &mut Now)
    };
    at_every_access(last_lease, give_back, |length, _, seen| {
        assert_eq!(seen, [dead(length), ready(3, length, 0)]);
    });
    let make_dead = |queue: &Queue<'_, TestMemory>| {
        let lease = last_lease(queue);
        give_back(queue, &lease).unwrap();
    };
    let take_dead =
        |queue: &Queue<'_, TestMemory>, (): &()| queue.perform(token(MORTAL), Operation::TakeDead, &mut Now);
    at_every_access(make_dead, take_dead, |length, done, seen| {
        let before = [dead(length), ready(3, length, 0)];
        assert!(seen == before[1..] || !done && seen == before, "{seen:?}");
    });
}

#[test]
fn a_death_while_closing_or_leaving_loses_nothing() {
    for operation in [Operation::Close, Operation::Leave] {
        for length in LENGTHS {
            for at in 0.. {
                let memory = scene(length);
                let queue = memory.queue();
                lease(&queue, MORTAL).unwrap();
                let done = memory.dying_at(at, || queue.perform(token(MORTAL), operation, &mut Now).unwrap());
                let seen = after_recovery(&queue, length);
                assert_eq!(seen, [ready(2, length, 1), ready(3, length, 0)]);
                assert_eq!(bytes_of(get(&queue, 4)), item(2, length));
                if done.is_some() {
                    break;
                }
            }
        }
    }
}

#[test]
fn several_deaths_one_after_the_other_are_repaired_together() {
    let mut in_copies = 0;
    for (first, second) in
        (0..110).step_by(3).flat_map(|first| (0..110).step_by(4).map(move |at| (first, at)))
    {
        let memory = scene(9000);
        let queue = memory.queue();
        memory.dying_at(first, || put(&queue, 5, &item(4, 9000)));
        memory.dying_at(second, || get(&queue, 6));
        memory.dying_at(20, || put(&queue, MORTAL, &item(4, 33)));
        in_copies += i32::from(queue.seen().iter().any(|seen| seen.kind == Kind::Writing));
        let alive = |who| who == token(OTHER);
        assert_eq!(queue.recover(token(MORTAL), Departure::Died, &alive), Recovery::Done);
        queue.verify();
        assert!(queue.seen().iter().all(|seen| matches!(seen.kind, Kind::Ready | Kind::Leased)));
    }
    assert!(in_copies > 0, "some died in their copies");
}
