//! What each kind answers, and what it refuses.

use super::*;

/// Every spec of an object in shared memory that this file's neighbours do not cover, small.
pub(super) const SPECS: [Spec; 9] = [
    Spec::Lock,
    Spec::RLock,
    Spec::Semaphore { permits: 2, bounded: true },
    Spec::Semaphore { permits: 2, bounded: false },
    Spec::Event,
    Spec::Condition,
    Spec::Barrier { parties: 2 },
    Spec::Value { initial: 7, float: false },
    Spec::Array { element: ElementType::I32, length: 4 },
];

#[test]
fn a_lock_is_given_back_only_by_its_holder_and_not_taken_twice() {
    let lock = object(Spec::Lock);
    assert_eq!(at_once(&lock, 1, Operation::Release), Err(SyncError::NotOwner));
    assert_eq!(at_once(&lock, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&lock, 1, Operation::Acquire), Err(SyncError::AlreadyOwned));
    assert_eq!(at_once(&lock, 2, Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(at_once(&lock, 2, Operation::Release), Err(SyncError::NotOwner));
    assert_eq!(lock.blockers(token(2), WaitFor::Lock), Blockers::Owner(token(1)));
    assert_eq!(at_once(&lock, 1, Operation::Release), DONE);
    assert_eq!(lock.blockers(token(2), WaitFor::Lock), Blockers::Nobody);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), ACQUIRED);
}

#[test]
fn the_next_holder_is_told_once_who_died() {
    for spec in [Spec::Lock, Spec::RLock, Spec::Condition] {
        let lock = object(spec);
        assert_eq!(at_once(&lock, 1, Operation::Acquire), ACQUIRED);
        assert_eq!(died(&lock, 2), Recovery::Done);
        assert_eq!(at_once(&lock, 2, Operation::Acquire), Err(SyncError::TimedOut));
        assert_eq!(died(&lock, 1), Recovery::Done);
        let told = Ok(Answer::Acquired { abandoned_by: Some(1001) });
        assert_eq!(at_once(&lock, 2, Operation::Acquire), told);
        assert_eq!(at_once(&lock, 2, Operation::Release), DONE);
        assert_eq!(at_once(&lock, 3, Operation::Acquire), ACQUIRED);
    }
}

#[test]
fn a_lock_held_by_a_token_that_nobody_has_is_recovered() {
    let lock = object(Spec::Lock);
    assert_eq!(at_once(&lock, 5, Operation::Acquire), ACQUIRED);
    assert_eq!(lock.recover(token(1), 9, Departure::Died, &|token| token.get() != 5), Recovery::Done);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), Ok(Answer::Acquired { abandoned_by: Some(9) }));
}

#[test]
fn who_leaves_with_the_lock_has_abandoned_it() {
    let lock = object(Spec::Lock);
    assert_eq!(at_once(&lock, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&lock, 1, Operation::Leave), DONE);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), Ok(Answer::Acquired { abandoned_by: Some(0) }));
}

#[test]
fn an_rlock_nests() {
    let lock = object(Spec::RLock);
    assert_eq!(at_once(&lock, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&lock, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&lock, 1, Operation::Release), DONE);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(at_once(&lock, 1, Operation::Release), DONE);
    assert_eq!(at_once(&lock, 1, Operation::Release), Err(SyncError::NotOwner));
    assert_eq!(at_once(&lock, 2, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), ACQUIRED);
    assert_eq!(died(&lock, 2), Recovery::Done);
    assert!(matches!(at_once(&lock, 1, Operation::Acquire), Ok(Answer::Acquired { abandoned_by: Some(_) })));
    assert_eq!(at_once(&lock, 1, Operation::Release), DONE);
    assert_eq!(at_once(&lock, 2, Operation::Acquire), ACQUIRED);
}

#[test]
fn a_bounded_semaphore_takes_permits_back_only_from_holders() {
    let semaphore = object(Spec::Semaphore { permits: 1, bounded: true });
    assert_eq!(at_once(&semaphore, 1, Operation::Release), Err(SyncError::NotOwner));
    assert_eq!(at_once(&semaphore, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&semaphore, 2, Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(semaphore.blockers(token(2), WaitFor::Permit), Blockers::Anybody);
    assert_eq!(at_once(&semaphore, 1, Operation::Release), DONE);
    assert_eq!(semaphore.blockers(token(2), WaitFor::Permit), Blockers::Nobody);
    assert_eq!(at_once(&semaphore, 2, Operation::Len), Ok(Answer::Count(1)));
}

#[test]
fn a_release_without_a_permit_is_a_signal() {
    let semaphore = object(Spec::Semaphore { permits: 0, bounded: false });
    assert_eq!(at_once(&semaphore, 2, Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(at_once(&semaphore, 1, Operation::Release), DONE);
    assert_eq!(at_once(&semaphore, 2, Operation::Acquire), ACQUIRED);
    // A consumer of signals never gives back; what it took does not come again with its end.
    assert_eq!(at_once(&semaphore, 1, Operation::Release), DONE);
    assert_eq!(at_once(&semaphore, 2, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&semaphore, 1, Operation::Release), DONE);
    assert_eq!(at_once(&semaphore, 2, Operation::Acquire), ACQUIRED);
    assert_eq!(died(&semaphore, 2), Recovery::Done);
    assert_eq!(at_once(&semaphore, 3, Operation::Len), Ok(Answer::Count(1)));
    let full = object(Spec::Semaphore { permits: crate::limits::PERMITS_MAX, bounded: false });
    assert!(matches!(at_once(&full, 1, Operation::Release), Err(SyncError::OutOfRange(_))));
}

#[test]
fn the_permits_of_one_that_died_come_back() {
    let semaphore = object(Spec::Semaphore { permits: 3, bounded: true });
    for who in [1, 1, 2] {
        assert_eq!(at_once(&semaphore, who, Operation::Acquire), ACQUIRED);
    }
    assert_eq!(died(&semaphore, 1), Recovery::Done);
    assert_eq!(at_once(&semaphore, 3, Operation::Len), Ok(Answer::Count(2)));
    assert_eq!(at_once(&semaphore, 2, Operation::Leave), DONE);
    assert_eq!(at_once(&semaphore, 3, Operation::Len), Ok(Answer::Count(3)));
}

#[test]
fn an_event_is_a_flag() {
    let event = object(Spec::Event);
    assert_eq!(at_once(&event, 1, Operation::Wait), Err(SyncError::TimedOut));
    assert_eq!(event.blockers(token(1), WaitFor::Event), Blockers::Anybody);
    assert_eq!(at_once(&event, 1, Operation::Set), DONE);
    assert_eq!(at_once(&event, 1, Operation::IsSet), Ok(Answer::Flag(true)));
    assert_eq!(at_once(&event, 1, Operation::Wait), DONE);
    assert_eq!(event.blockers(token(1), WaitFor::Event), Blockers::Nobody);
    assert_eq!(at_once(&event, 1, Operation::Clear), DONE);
    assert_eq!(at_once(&event, 1, Operation::Wait), Err(SyncError::TimedOut));
}

#[test]
fn a_condition_is_used_with_its_lock_and_times_out_with_it() {
    let condition = object(Spec::Condition);
    assert_eq!(at_once(&condition, 1, Operation::Wait), Err(SyncError::NotOwner));
    assert_eq!(at_once(&condition, 1, Operation::Notify(1)), Err(SyncError::NotOwner));
    assert_eq!(at_once(&condition, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&condition, 1, Operation::Wait), Err(SyncError::TimedOut));
    assert_eq!(at_once(&condition, 1, Operation::Notify(1)), DONE);
    assert_eq!(at_once(&condition, 1, Operation::Release), DONE);
}

#[test]
fn a_barrier_breaks_for_who_does_not_wait_and_is_mended_by_a_reset() {
    let barrier = object(Spec::Barrier { parties: 2 });
    assert_eq!(at_once(&barrier, 1, Operation::Wait), Err(SyncError::TimedOut));
    assert_eq!(at_once(&barrier, 2, Operation::Wait), Err(SyncError::Broken));
    assert_eq!(at_once(&barrier, 2, Operation::IsSet), Ok(Answer::Flag(true)));
    assert_eq!(at_once(&barrier, 2, Operation::Reset), DONE);
    assert_eq!(at_once(&barrier, 2, Operation::IsSet), Ok(Answer::Flag(false)));
    assert_eq!(at_once(&barrier, 2, Operation::Abort), DONE);
    assert_eq!(at_once(&barrier, 1, Operation::Wait), Err(SyncError::Broken));
    let alone = object(Spec::Barrier { parties: 1 });
    assert_eq!(at_once(&alone, 1, Operation::Wait), Ok(Answer::Count(0)));
}

#[test]
fn a_party_that_ends_only_leaves_and_one_that_dies_breaks_the_barrier() {
    let barrier = object(Spec::Barrier { parties: 2 });
    for who in [1, 2] {
        assert_eq!(at_once(&barrier, who, Operation::Open), DONE);
    }
    assert_eq!(barrier.recover(token(1), 1001, Departure::Ended, &|_| true), Recovery::Done);
    assert_eq!(at_once(&barrier, 3, Operation::IsSet), Ok(Answer::Flag(false)));
    assert_eq!(died(&barrier, 3), Recovery::Done);
    assert_eq!(at_once(&barrier, 3, Operation::IsSet), Ok(Answer::Flag(false)));
    assert_eq!(died(&barrier, 2), Recovery::Done);
    assert_eq!(at_once(&barrier, 3, Operation::IsSet), Ok(Answer::Flag(true)));
}

#[test]
fn a_value_is_changed_at_once_and_answers_what_was_before() {
    let integer = object(Spec::Value { initial: 7, float: false });
    assert_eq!(at_once(&integer, 1, Operation::AddInteger(-8)), Ok(Answer::Word(7)));
    assert_eq!(at_once(&integer, 1, Operation::Store(5)), Ok(Answer::Word(u64::MAX)));
    let exchange = |expected| Operation::CompareExchange { expected, new: 9 };
    assert_eq!(at_once(&integer, 1, exchange(4)), Ok(Answer::Word(5)));
    assert_eq!(at_once(&integer, 1, exchange(5)), Ok(Answer::Word(5)));
    assert_eq!(at_once(&integer, 1, Operation::Load), Ok(Answer::Word(9)));
    assert!(matches!(at_once(&integer, 1, Operation::AddFloat(1.0)), Err(SyncError::WrongKind(_))));
    let float = object(Spec::Value { initial: 1.5f64.to_bits(), float: true });
    assert_eq!(at_once(&float, 1, Operation::AddFloat(1.0)), Ok(Answer::Word(1.5f64.to_bits())));
    assert_eq!(at_once(&float, 1, Operation::Load), Ok(Answer::Word(2.5f64.to_bits())));
    assert!(matches!(at_once(&float, 1, Operation::AddInteger(1)), Err(SyncError::WrongKind(_))));
}

#[test]
fn an_array_takes_whole_elements_inside_its_bounds() {
    let array = object(Spec::Array { element: ElementType::I32, length: 3 });
    let write = |start, bytes| at_once(&array, 1, Operation::Write { start, bytes });
    let read = |start, count| at_once(&array, 1, Operation::Read { start, count });
    assert_eq!(write(1, &[1, 2, 3, 4, 5, 6, 7, 8]), DONE);
    assert_eq!(read(0, 3), Ok(Answer::Bytes(vec![0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])));
    assert_eq!(read(3, 0), Ok(Answer::Bytes(Vec::new())));
    assert!(matches!(write(2, &[0; 8]), Err(SyncError::OutOfRange(_))));
    assert!(matches!(write(0, &[0; 3]), Err(SyncError::OutOfRange(_))));
    for (start, count) in [(0, 4), (4, 0), (u64::MAX, 1), (1, u64::MAX)] {
        assert!(matches!(read(start, count), Err(SyncError::OutOfRange(_))), "{start} {count}");
    }
    assert_eq!(at_once(&array, 1, Operation::Len), Ok(Answer::Count(3)));
}

#[test]
fn an_operation_of_another_kind_names_both() {
    for spec in SPECS {
        let object = object(spec);
        let Err(SyncError::WrongKind(message)) = at_once(&object, 1, Operation::TakeDead) else {
            panic!("{spec:?} took it")
        };
        assert!(message.contains("take_dead") && message.contains(spec.kind().label()), "{message}");
        assert_eq!(at_once(&object, 1, Operation::Open), DONE);
        assert_eq!(at_once(&object, 1, Operation::Leave), DONE);
    }
}

#[test]
fn a_spec_over_a_limit_is_refused_with_what_would_be_right() {
    let queue = QueueSpec::default();
    let wrong = [
        Spec::Semaphore { permits: u32::MAX, bounded: true },
        Spec::Barrier { parties: 0 },
        Spec::Barrier { parties: u32::MAX },
        Spec::Array { element: ElementType::F64, length: 0 },
        Spec::Array { element: ElementType::F64, length: u64::MAX },
        Spec::Queue(QueueSpec { capacity: 0, ..queue }),
        Spec::Queue(QueueSpec { item_bytes_max: 0, ..queue }),
        Spec::Pipe(QueueSpec { bytes_max: 1, ..queue }),
        Spec::Queue(QueueSpec { bytes_max: u64::MAX, ..queue }),
        Spec::Queue(QueueSpec { deliveries_max: 0, ..queue }),
    ];
    for spec in wrong {
        let Err(SyncError::OutOfRange(message)) = SharedObject::create(spec) else { panic!("{spec:?}") };
        assert!(message.contains("goes from"), "{message}");
    }
}

#[test]
fn an_object_is_the_same_through_another_mapping() {
    let here = object(Spec::Lock);
    let file = here.file().unwrap().try_clone_to_owned().unwrap();
    let there = SharedObject::open(Spec::Lock, 0, file).unwrap();
    assert_eq!(at_once(&here, 1, Operation::Acquire), ACQUIRED);
    assert_eq!(at_once(&there, 2, Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(at_once(&here.as_end(1), 1, Operation::Release), DONE);
    assert_eq!(at_once(&there, 2, Operation::Acquire), ACQUIRED);
    let file = here.file().unwrap().try_clone_to_owned().unwrap();
    assert!(SharedObject::open(Spec::Condition, 0, file).is_err(), "the memory is too small for it");
}
