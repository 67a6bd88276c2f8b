//! The rules of every type, on the stand-ins. Where a thread has to wait for another, a stand-in says that it does.

#![forbid(unsafe_code)]

use std::panic;
use std::thread;
use std::time::Duration;

use crate::Bytes;
use crate::sync::{
    Array, Barrier, Condition, Connection, Dict, Event, Got, Lock, Queue, RLock, Semaphore, SyncError, Value,
};
use crate::testing::Host;

/// Longer than any of these tests may take.
const LONG: Duration = Duration::from_secs(60);
/// As short as a wait can be.
const SHORT: Duration = Duration::from_millis(1);

/// Runs `action` as another participant.
fn elsewhere<R: Send>(action: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(action).join().unwrap())
}

/// Runs `action` as a participant that then dies, as the task of this number.
fn dying(task: u64, action: impl FnOnce() + Send) {
    let died = thread::scope(|scope| {
        let died = || Host::new().id(task).run(|| drop(panic::catch_unwind(panic::AssertUnwindSafe(action))));
        scope.spawn(died).join()
    });
    assert!(died.is_ok());
}

#[test]
fn a_lock_has_one_holder_who_takes_it_once_and_gives_it_back_once() {
    let lock = Lock::stand_in();
    let held = lock.acquire().unwrap();
    assert_eq!(lock.try_acquire().unwrap_err(), SyncError::AlreadyOwned);
    assert_eq!(lock.clone().acquire().unwrap_err(), SyncError::AlreadyOwned, "another handle");
    elsewhere(|| {
        assert!(lock.try_acquire().unwrap().is_none());
        assert!(lock.acquire_timeout(SHORT).unwrap().is_none());
        assert_eq!(lock.release(), Err(SyncError::NotOwner));
    });
    assert_eq!(held.release(), Ok(()));
    assert_eq!(lock.release(), Err(SyncError::NotOwner));
    assert!(elsewhere(|| lock.try_acquire().unwrap().is_some()));
}

#[test]
fn a_lock_excludes() {
    let (lock, value) = (Lock::stand_in(), Value::stand_in(0));
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    lock.with(|| value.set(value.get() + 1)).unwrap();
                }
            });
        }
    });
    assert_eq!(value.get(), 2000);
}

#[test]
fn a_lock_that_a_thread_ends_with_goes_to_the_next_who_is_told_once() {
    let lock = Lock::stand_in();
    dying(7, || lock.acquire().unwrap().keep());
    let held = lock.acquire_timeout(LONG).unwrap().unwrap();
    assert_eq!(held.abandoned_by(), Some(7));
    drop(held);
    assert_eq!(lock.acquire().unwrap().abandoned_by(), None);
}

#[test]
fn a_panic_with_the_lock_abandons_it_before_the_thread_ends() {
    let lock = Lock::stand_in();
    let caught = panic::catch_unwind(|| {
        let _held = lock.acquire().unwrap();
        panic!("in the middle")
    });
    assert!(caught.is_err());
    assert_eq!(lock.acquire().unwrap().abandoned_by(), Some(1));
}

#[test]
fn an_rlock_nests_and_is_free_when_given_back_as_often() {
    let lock = RLock::stand_in();
    let (first, second) = (lock.acquire().unwrap(), lock.acquire().unwrap());
    drop(first);
    assert!(elsewhere(|| lock.try_acquire().unwrap().is_none()));
    drop(second);
    assert!(elsewhere(|| lock.try_acquire().unwrap().is_some()));
    assert_eq!(lock.release(), Err(SyncError::NotOwner));
    dying(9, || {
        lock.acquire().unwrap().keep();
        lock.acquire().unwrap().keep();
    });
    assert_eq!(lock.acquire().unwrap().abandoned_by(), Some(9), "however often it was held");
}

#[test]
fn only_a_holder_gives_back_to_a_bounded_semaphore() {
    let semaphore = Semaphore::stand_in_bounded(2);
    let held = semaphore.acquire().unwrap();
    assert_eq!(elsewhere(|| semaphore.release()), Err(SyncError::NotOwner));
    let second = semaphore.try_acquire().unwrap();
    assert!(second.is_some() && semaphore.try_acquire().unwrap().is_none());
    drop((held, second));
    assert_eq!(semaphore.free_hint(), 2);
    assert_eq!(semaphore.release(), Err(SyncError::NotOwner));
}

#[test]
fn permits_of_the_dead_come_back_and_signals_stay() {
    let semaphore = Semaphore::stand_in(2);
    dying(1, || {
        semaphore.acquire().unwrap().keep();
        semaphore.acquire().unwrap().keep();
        semaphore.release().unwrap();
    });
    assert_eq!(semaphore.free_hint(), 2);
    dying(2, || semaphore.release().unwrap());
    assert_eq!(semaphore.free_hint(), 3);
}

#[test]
fn an_event_is_waited_for_and_cleared() {
    let event = Event::stand_in();
    assert_eq!((event.is_set(), event.wait_timeout(SHORT)), (Ok(false), Ok(false)));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| event.wait_timeout(LONG));
        event.set().unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
    assert_eq!((event.wait(), event.is_set()), (Ok(()), Ok(true)));
    event.clear().unwrap();
    assert_eq!(event.is_set(), Ok(false));
}

#[test]
fn who_waits_for_an_event_sees_it_also_when_it_is_cleared_at_once() {
    let event = Event::stand_in();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| event.wait_timeout(LONG));
        while !waiting.is_finished() {
            event.set().unwrap();
            event.clear().unwrap();
        }
        assert_eq!(waiting.join().unwrap(), Ok(true));
    });
}

#[test]
fn a_condition_wakes_as_many_as_it_is_told() {
    let (condition, waiting, woken) = (Condition::stand_in(), Value::stand_in(0), Value::stand_in(0));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let held = condition.lock().unwrap();
                waiting.add(1);
                assert_eq!(held.wait_timeout(LONG), Ok(true));
                woken.add(1);
                held.notify(1).unwrap();
            });
        }
        while waiting.get() < 3 {
            thread::yield_now();
        }
        // All wait by now, because each counted with the lock held. One is woken here, who wakes the next.
        condition.lock().unwrap().notify(1).unwrap();
    });
    assert_eq!(woken.get(), 3);
}

#[test]
fn a_wait_that_times_out_has_the_lock_again() {
    let condition = Condition::stand_in();
    let held = condition.lock().unwrap();
    assert_eq!(held.wait_timeout(SHORT), Ok(false));
    assert!(elsewhere(|| condition.try_lock().unwrap().is_none()));
    assert_eq!(held.wait_for_timeout(SHORT, || false), Ok(false));
    assert_eq!(held.wait_for(|| true), Ok(()), "not waited for");
    drop(held);
    assert!(elsewhere(|| condition.try_lock().unwrap().is_some()));
}

#[test]
fn a_condition_tells_who_abandoned_its_lock_also_after_a_wait() {
    let condition = Condition::stand_in();
    let held = condition.lock().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            dying(5, || {
                let held = condition.lock().unwrap();
                held.notify_all().unwrap();
                panic!("with the lock")
            });
        });
        assert_eq!(held.wait_timeout(LONG), Ok(true));
    });
    assert_eq!(held.abandoned_by(), Some(5));
}

#[test]
fn a_barrier_gives_each_party_its_place_round_after_round() {
    let barrier = Barrier::stand_in(3);
    for _ in 0..10 {
        let mut places = thread::scope(|scope| {
            let parties = [(); 3].map(|()| scope.spawn(|| barrier.wait().unwrap()));
            parties.map(|party| party.join().unwrap())
        });
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    }
}

#[test]
fn a_party_that_does_not_come_in_time_breaks_the_barrier() {
    let barrier = Barrier::stand_in(2);
    assert_eq!(barrier.wait_timeout(SHORT), Ok(None));
    assert_eq!(barrier.is_broken(), Ok(true));
    assert_eq!(barrier.wait(), Err(SyncError::Broken));
    barrier.reset().unwrap();
    assert_eq!((barrier.is_broken(), barrier.n_waiting()), (Ok(false), 0));
}

#[test]
fn a_party_that_dies_or_aborts_or_resets_sends_away_who_waits() {
    type Leave = fn(Barrier);
    let ways: [(&str, Leave); 3] = [
        ("dies", |_party| panic!("before it came")),
        ("aborts", |party| party.abort().unwrap()),
        ("resets", |party| party.reset().unwrap()),
    ];
    for (how, leave) in ways {
        let barrier = Barrier::stand_in(2);
        thread::scope(|scope| {
            let waiting = scope.spawn(|| barrier.wait());
            while barrier.n_waiting() == 0 {
                thread::yield_now();
            }
            let party = barrier.clone();
            dying(1, move || leave(party));
            assert_eq!(waiting.join().unwrap(), Err(SyncError::Broken), "one that {how}");
        });
        assert_eq!(barrier.is_broken(), Ok(how != "resets"));
    }
}

#[test]
fn values_are_changed_in_one_step() {
    let (integer, float) = (Value::stand_in(i64::MAX), Value::stand_in(0.5));
    assert_eq!((integer.add(1), integer.get()), (i64::MAX, i64::MIN), "wraps around");
    assert_eq!((integer.swap(7), integer.compare_exchange(7, -1), integer.get()), (i64::MIN, Ok(7), -1));
    assert_eq!((integer.compare_exchange(7, 8), integer.get()), (Err(-1), -1));
    assert_eq!((float.add(0.25), float.get()), (0.5, 0.75));
    float.set(-0.0);
    assert!(float.compare_exchange(0.0, 1.0).is_err(), "the bits are compared");
}

#[test]
fn arrays_are_read_and_written_inside_their_bounds() {
    let array = Array::stand_in(&[1.5, 2.5, 3.5]);
    assert_eq!((array.len(), array.read(1..), array.read(..=1)), (3, Ok(vec![2.5, 3.5]), Ok(vec![1.5, 2.5])));
    assert_eq!(array.read(3..), Ok(vec![]));
    array.write(1, &[-1.0, -2.0]).unwrap();
    let out_of_range = |error| matches!(error, SyncError::OutOfRange(_));
    assert!(out_of_range(array.write(2, &[0.0, 0.0]).unwrap_err()));
    assert!(out_of_range(array.read(2..5).unwrap_err()));
    assert!(out_of_range(array.read(u64::MAX..).unwrap_err()));
    assert!(out_of_range(array.get(u64::MAX / 8).unwrap_err()));
    assert_eq!(array.read(..).unwrap(), [1.5, -1.0, -2.0], "as it was");
    #[expect(clippy::reversed_empty_ranges, reason = "that is what is refused")]
    let reversed = array.read(2..1);
    assert!(out_of_range(reversed.unwrap_err()));
}

#[test]
fn an_array_of_elements_of_another_size_is_of_the_wrong_kind() {
    let array = Array::stand_in(&[1_i64, 2]);
    let host = Host::new().grant("row", &array);
    let opened = |open: fn() -> Option<SyncError>| host.clone().run(open).returned();
    assert!(matches!(opened(|| Array::<i32>::open("row").err()), Some(SyncError::WrongKind(_))));
    assert_eq!(opened(|| Array::<i64>::open("row").err()), None);
}

#[test]
fn a_queue_is_first_in_first_out_and_bounded() {
    let queue = Queue::<u64>::stand_in(2);
    assert_eq!((queue.try_put(1), queue.try_put(2), queue.try_put(3)), (Ok(true), Ok(true), Ok(false)));
    assert_eq!((queue.put_timeout(3, SHORT), queue.len_hint()), (Ok(false), 2));
    assert_eq!((queue.get(), queue.get()), (Ok(Some(1)), Ok(Some(2))));
    assert_eq!((queue.try_get(), queue.get_timeout(SHORT)), (Ok(Got::TimedOut), Ok(Got::TimedOut)));
    queue.close().unwrap();
    assert_eq!(
        (queue.try_get(), queue.get(), queue.put(1)),
        (Ok(Got::End), Ok(None), Err(SyncError::Closed))
    );
}

#[test]
fn closing_wakes_who_waits_on_either_side() {
    let (empty, full) = (Queue::<u64>::stand_in(1), Queue::<u64>::stand_in(1));
    full.put(1).unwrap();
    thread::scope(|scope| {
        let getting = scope.spawn(|| empty.get());
        let putting = scope.spawn(|| full.put(2));
        empty.close().unwrap();
        full.close().unwrap();
        assert_eq!((getting.join().unwrap(), putting.join().unwrap()), (Ok(None), Err(SyncError::Closed)));
    });
    assert_eq!((full.get(), full.get()), (Ok(Some(1)), Ok(None)), "what was in it is still delivered");
}

#[test]
fn a_lease_that_is_dropped_goes_back_to_its_place() {
    let queue = Queue::<u64>::stand_in(3);
    (1..=3).for_each(|item| queue.put(item).unwrap());
    let first = queue.lease().unwrap().unwrap();
    assert_eq!(
        (*first, first.deliveries(), queue.try_put(4)),
        (1, 1, Ok(false)),
        "it counts as in the queue"
    );
    drop(first);
    let again = queue.lease().unwrap().unwrap();
    assert_eq!((*again, again.deliveries()), (1, 2));
    again.nack().unwrap();
    assert_eq!(queue.lease().unwrap().unwrap().into_item(), Ok(1));
    assert_eq!(queue.get(), Ok(Some(2)));
}

#[test]
fn leases_of_the_dead_go_back_and_the_end_waits_for_them() {
    let queue = Queue::<u64>::stand_in(3);
    queue.put(1).unwrap();
    queue.close().unwrap();
    let (leased, die) = (Event::stand_in(), Event::stand_in());
    thread::scope(|scope| {
        scope.spawn(|| {
            dying(1, || {
                let _lease = queue.lease().unwrap().unwrap();
                leased.set().unwrap();
                die.wait().unwrap();
                panic!("with the lease")
            });
        });
        leased.wait().unwrap();
        assert_eq!(queue.try_get(), Ok(Got::TimedOut), "not the end yet");
        assert_eq!(queue.wait_empty_timeout(SHORT), Ok(false));
        die.set().unwrap();
        assert_eq!(queue.get(), Ok(Some(1)));
    });
    assert_eq!((queue.get(), queue.wait_empty()), (Ok(None), Ok(())));
}

#[test]
fn what_is_delivered_too_often_is_a_dead_letter() {
    let queue = Queue::<u64>::stand_in(1);
    queue.put(13).unwrap();
    queue.close().unwrap();
    let deliveries: Vec<u32> = queue.leases().map(|lease| lease.unwrap().deliveries()).collect();
    assert_eq!(deliveries, [1, 2, 3, 4, 5]);
    assert_eq!(queue.dead_letters().collect::<Vec<_>>(), [Ok(13)]);
    assert_eq!(queue.dead_letters().next(), None);
}

#[test]
fn an_item_of_another_type_is_an_error_and_the_next_one_comes() {
    let words = Queue::<String>::stand_in(8);
    let host = Host::new().grant("q", &words);
    for word in ["1", "two", "3"] {
        words.put(word.to_owned()).unwrap();
    }
    words.close().unwrap();
    let items = host.clone().run(|| {
        let raw = Queue::<Bytes>::open("q").unwrap();
        let unreadable = matches!(Queue::<u64>::open("q").unwrap().lease(), Err(SyncError::Unreadable(_)));
        (unreadable, raw.iter().map(Result::unwrap).collect::<Vec<_>>())
    });
    let raw = ["\"1\"", "\"two\"", "\"3\""].map(Bytes::from);
    assert_eq!(items.returned(), (true, raw.to_vec()), "a lease of what cannot be read is given back");

    let mixed = Queue::<Bytes>::stand_in(8);
    ["1", "two", "3"].iter().for_each(|item| mixed.put(Bytes::from(*item)).unwrap());
    mixed.close().unwrap();
    let numbers = Host::new()
        .grant("q", &mixed)
        .run(|| Queue::<u64>::open("q").unwrap().iter().map(Result::ok).collect::<Vec<_>>());
    assert_eq!(numbers.returned(), [Some(1), None, Some(3)]);
}

#[test]
fn an_item_over_the_limit_is_refused_and_the_queue_usable() {
    let queue = Queue::<Bytes>::stand_in(1);
    let error = queue.put(Bytes::from(vec![0; (1 << 20) + 1])).unwrap_err();
    assert_eq!(error, SyncError::TooLarge("1048577 bytes are over the limit of 1048576".to_owned()));
    assert_eq!(queue.put(Bytes::from(vec![0; 1 << 20])), Ok(()));
}

#[test]
fn a_pipe_carries_both_ways_and_ends_with_its_other_end() {
    let (parent, child) = Connection::<u64, String>::stand_in_pair(2);
    parent.send(7).unwrap();
    child.send("seven".to_owned()).unwrap();
    assert_eq!((child.recv(), parent.try_recv()), (Ok(Some(7)), Ok(Got::Item("seven".to_owned()))));
    assert_eq!((parent.try_recv(), child.recv_timeout(SHORT)), (Ok(Got::TimedOut), Ok(Got::TimedOut)));

    child.send("last".to_owned()).unwrap();
    drop(child.clone());
    assert_eq!(parent.try_send(8), Ok(true), "one of two handles is left");
    drop(child);
    assert_eq!(parent.send(9), Err(SyncError::Closed));
    assert_eq!(parent.iter().collect::<Vec<_>>(), [Ok("last".to_owned())]);
}

#[test]
fn a_dict_swaps_only_what_is_as_expected() {
    let dict = Dict::<u64>::stand_in();
    assert_eq!((dict.insert("a", 1), dict.insert("a", 2), dict.get("b")), (Ok(None), Ok(Some(1)), Ok(None)));
    assert_eq!(dict.compare_and_swap("a", Some(&1), Some(&3)), Ok(false));
    assert_eq!(dict.compare_and_swap("a", Some(&2), None), Ok(true));
    assert_eq!(dict.compare_and_swap("b", None, Some(&4)), Ok(true));
    assert_eq!((dict.keys(), dict.len()), (Ok(vec!["b".to_owned()]), 1));
    assert_eq!((dict.remove("b"), dict.remove("b")), (Ok(Some(4)), Ok(None)));
    dict.insert("c", 5).unwrap();
    dict.clear().unwrap();
    assert!(dict.is_empty());
}

#[test]
fn what_was_not_granted_or_is_of_another_kind_is_refused_by_name() {
    let host = Host::new().grant("jobs", &Queue::<u64>::stand_in(1));
    let error = host.clone().run(|| Lock::open("jobs").unwrap_err().to_string()).returned();
    assert_eq!(error, "wrong kind: `jobs` is of kind queue, not lock");
    let error = host.run(|| Queue::<u64>::open("job").unwrap_err().to_string()).returned();
    let expected = "access denied: `job` was not granted; in a test, `testing::Host::grant` does it";
    assert_eq!(error, expected);
}
