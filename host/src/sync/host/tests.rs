//! What the handles promise, among threads of one program.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bytes::Bytes;

use super::*;
use crate::sync::guard::{self, Seized};
use crate::sync::memory::{Memory as _, SharedMemory};
use crate::sync::{Departure, Recovery, WaitFor};

/// Long enough that nothing here ever reaches it.
const LONG: Duration = Duration::from_secs(60);
/// Passes wherever a test shows that nothing comes.
const SHORT: Duration = Duration::from_millis(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

/// Polls once, after which the future waits on a thread of its own, and drops it.
fn begin_and_drop<F: Future>(future: F) {
    let mut future = pin!(future);
    let polled = future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(polled, Poll::Pending), "it did not have to wait");
}

/// What another thread finds.
fn elsewhere<R: Send>(look: impl FnOnce() -> R + Send) -> R {
    thread::scope(|scope| scope.spawn(look).join().unwrap())
}

#[test]
fn a_lock_is_one_threads_until_its_guard_is_dropped() {
    let lock = Lock::new().unwrap();
    let is_free = || lock.try_acquire().unwrap().is_some();
    let guard = lock.acquire().unwrap();
    assert_eq!(guard.abandoned_by(), None);
    assert_eq!(lock.try_acquire().map(drop), Err(SyncError::AlreadyOwned));
    assert!(!elsewhere(is_free));
    assert!(elsewhere(|| lock.acquire_timeout(SHORT).unwrap().is_none()));
    thread::scope(|scope| {
        let waits = scope.spawn(|| lock.acquire_timeout(LONG).unwrap().is_some());
        guard.release().unwrap();
        assert!(waits.join().unwrap());
    });
    assert_eq!(lock.with(|| elsewhere(is_free)), Ok(false));
    assert!(elsewhere(is_free));
}

#[test]
fn an_rlock_is_given_back_as_often_as_it_was_taken() {
    let lock = RLock::new().unwrap();
    let is_free = || lock.try_acquire().unwrap().is_some();
    let outer = lock.acquire().unwrap();
    let inner = lock.try_acquire().unwrap();
    assert!(inner.is_some() && !elsewhere(is_free));
    drop(inner);
    assert!(!elsewhere(is_free));
    drop(outer);
    assert!(elsewhere(is_free));
}

#[test]
fn an_async_guard_belongs_to_no_thread() {
    let (runtime, lock) = (runtime(), Lock::new().unwrap());
    let guard = runtime.block_on(lock.acquire_async()).unwrap();
    assert!(lock.try_acquire().unwrap().is_none(), "this thread does not own it");
    elsewhere(move || drop(guard));
    assert!(lock.try_acquire().unwrap().is_some());
}

#[test]
fn a_dropped_wait_for_a_lock_leaves_it_to_others() {
    let (runtime, lock) = (runtime(), Lock::new().unwrap());
    let _in_runtime = runtime.enter();
    let guard = lock.acquire().unwrap();
    begin_and_drop(lock.acquire_async());
    drop(guard);
    assert!(lock.acquire_timeout(LONG).unwrap().is_some());
}

#[test]
fn permits_come_back_with_their_guards_and_signals_add_some() {
    let semaphore = Semaphore::new(1).unwrap();
    let guard = semaphore.acquire().unwrap();
    assert!(semaphore.try_acquire().unwrap().is_none());
    assert_eq!(semaphore.free_hint(), 0);
    elsewhere(|| semaphore.release().unwrap());
    semaphore.acquire().unwrap().keep();
    drop(guard);
    assert_eq!(semaphore.free_hint(), 1, "one was kept");
    let bounded = BoundedSemaphore::new(2).unwrap();
    let runtime = runtime();
    let guards = [1, 2].map(|_| runtime.block_on(bounded.acquire_async()).unwrap());
    assert!(bounded.acquire_timeout(SHORT).unwrap().is_none());
    drop(guards);
    assert_eq!(bounded.free_hint(), 2);
}

#[test]
fn an_event_stays_set_until_it_is_cleared() {
    let (event, runtime) = (Event::new().unwrap(), runtime());
    assert_eq!(event.wait_timeout(SHORT), Ok(false));
    thread::scope(|scope| {
        let waits = scope.spawn(|| event.wait_timeout(LONG));
        event.set().unwrap();
        assert_eq!(waits.join().unwrap(), Ok(true));
    });
    assert_eq!((runtime.block_on(event.wait_async()), event.is_set()), (Ok(()), Ok(true)));
    event.clear().unwrap();
    assert_eq!(event.is_set(), Ok(false));
}

#[test]
fn a_condition_is_waited_for_with_its_lock_given_back() {
    let (condition, value) = (Condition::new().unwrap(), Value::<i64>::new(0).unwrap());
    let held = condition.lock().unwrap();
    assert_eq!(held.wait_for_timeout(SHORT, || false), Ok(false));
    assert!(elsewhere(|| condition.try_lock().unwrap().is_none()), "the lock is held again");
    thread::scope(|scope| {
        scope.spawn(|| {
            let held = condition.lock().unwrap();
            value.set(1);
            held.notify_all().unwrap();
        });
        held.wait_for(|| value.get() == 1).unwrap();
    });
    drop(held);
    assert!(elsewhere(|| condition.try_lock().unwrap().is_some()));
}

#[test]
fn a_condition_is_waited_for_by_async_code() {
    let (condition, value) = (Condition::new().unwrap(), Value::<i64>::new(0).unwrap());
    let runtime = runtime();
    let mut held = runtime.block_on(condition.lock_async()).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            let held = condition.lock().unwrap();
            value.set(1);
            held.notify(1).unwrap();
        });
        while value.get() == 0 {
            held = runtime.block_on(held.wait_async()).unwrap();
        }
        drop(held);
    });
    let held = runtime.block_on(condition.lock_async()).unwrap();
    {
        let _in_runtime = runtime.enter();
        begin_and_drop(held.wait_async());
    }
    assert!(condition.lock_timeout(LONG).unwrap().is_some());
}

#[test]
fn a_barrier_that_somebody_leaves_is_broken_until_it_is_reset() {
    let (barrier, runtime) = (Barrier::new(2).unwrap(), runtime());
    assert_eq!(barrier.wait_timeout(SHORT), Ok(None));
    assert_eq!((barrier.is_broken(), barrier.wait()), (Ok(true), Err(SyncError::Broken)));
    barrier.reset().unwrap();
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        let mut indexes = [runtime.block_on(barrier.wait_async()).unwrap(), other.join().unwrap().unwrap()];
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1]);
    });
    assert_eq!((barrier.is_broken(), barrier.n_waiting(), barrier.parties()), (Ok(false), 0, 2));
    thread::scope(|scope| {
        let other = scope.spawn(|| barrier.wait());
        let _in_runtime = runtime.enter();
        barrier.abort().unwrap();
        assert_eq!(other.join().unwrap(), Err(SyncError::Broken));
    });
}

#[test]
fn values_and_arrays_hold_every_number() {
    let value = Value::new(-1.5).unwrap();
    assert_eq!((value.add(2.0), value.get()), (-1.5, 0.5));
    assert_eq!(value.compare_exchange(0.5, f64::MAX), Ok(0.5));
    assert_eq!(value.compare_exchange(0.5, 1.0), Err(f64::MAX));
    let value = Value::new(i64::MAX).unwrap();
    assert_eq!((value.add(1), value.swap(7), value.get()), (i64::MAX, i64::MIN, 7));

    let (bytes, floats) = (Array::<u8>::new(3).unwrap(), Array::<f64>::new(2).unwrap());
    bytes.write(0, b"abc").unwrap();
    assert_eq!(bytes.read(1..).unwrap(), b"bc");
    assert_eq!(bytes.read(..=0).unwrap(), b"a");
    floats.set(1, f64::MIN).unwrap();
    assert_eq!((floats.get(0), floats.get(1), floats.len()), (Ok(0.0), Ok(f64::MIN), 2));
    assert!(matches!(bytes.write(2, b"de"), Err(SyncError::OutOfRange(_))));
    assert!(matches!(bytes.read(1..u64::MAX), Err(SyncError::OutOfRange(_))));
    assert_eq!(bytes.read(..).unwrap(), b"abc");
}

#[test]
fn a_queues_time_outs_are_values_and_its_end_is_the_end() {
    let queue = Queue::<u32>::bounded(2).unwrap();
    assert_eq!(queue.get_timeout(SHORT), Ok(Got::TimedOut));
    assert_eq!(
        (queue.try_put(1), queue.try_put(2), queue.put_timeout(3, SHORT)),
        (Ok(true), Ok(true), Ok(false))
    );
    assert_eq!(queue.len_hint(), 2);
    queue.close().unwrap();
    assert_eq!(queue.put(3), Err(SyncError::Closed));
    assert_eq!(queue.iter().collect::<Result<Vec<_>, _>>(), Ok(vec![1, 2]));
    assert_eq!((queue.try_get(), queue.get()), (Ok(Got::End), Ok(None)));
}

#[test]
fn a_lease_goes_back_to_its_place_and_ends_as_a_dead_letter() {
    let queue = Queue::builder().deliveries_max(2).build::<String>().unwrap();
    for item in ["a", "b"] {
        queue.put(item.to_owned()).unwrap();
    }
    drop(queue.lease().unwrap());
    let again = queue.lease().unwrap().unwrap();
    assert_eq!((again.as_str(), again.deliveries()), ("a", 2));
    again.nack().unwrap();
    let other = queue.lease().unwrap().unwrap();
    assert_eq!(queue.wait_empty_timeout(SHORT), Ok(false));
    // Another thread may end what this one began.
    assert_eq!(elsewhere(move || other.into_item()).as_deref(), Ok("b"));
    assert_eq!(queue.dead_letters().collect::<Result<Vec<_>, _>>(), Ok(vec!["a".to_owned()]));
    queue.wait_empty().unwrap();
}

#[test]
fn an_item_of_another_type_is_an_error_and_becomes_a_dead_letter() {
    let base = Queue::builder().deliveries_max(2).build::<String>().unwrap();
    let numbers = Queue::<u8>::new(base.base.clone(), codec::Codec::json());
    base.put("x".to_owned()).unwrap();
    for _ in 0..2 {
        assert!(matches!(numbers.lease(), Err(SyncError::Unreadable(_))));
    }
    assert!(matches!(numbers.try_lease(), Ok(Got::TimedOut)));
    assert_eq!(base.dead_letters().next(), Some(Ok("x".to_owned())));
    let maps = Queue::<BTreeMap<Vec<u8>, u8>>::bounded(1).unwrap();
    assert!(matches!(maps.put(BTreeMap::from([(vec![1], 1)])), Err(SyncError::Unreadable(_))));
}

#[test]
fn async_calls_pass_items_and_lose_none_when_they_are_dropped() {
    let (queue, runtime) = (Queue::<u32>::bounded(1).unwrap(), runtime());
    runtime.block_on(queue.put_async(1)).unwrap();
    {
        let _in_runtime = runtime.enter();
        begin_and_drop(queue.put_async(2));
    }
    assert_eq!(runtime.block_on(queue.get_async()), Ok(Some(1)));
    // The dropped put came too late, or it put the whole item.
    let late = queue.get_timeout(2 * SHORT).unwrap();
    assert!(matches!(late, Got::TimedOut | Got::Item(2)), "{late:?}");
    for number in 10..20 {
        begin_and_drop(queue.get_async());
        queue.put(number).unwrap();
        assert_eq!(queue.get_timeout(LONG), Ok(Got::Item(number)));
    }
    thread::scope(|scope| {
        scope.spawn(|| queue.put(30));
        let lease = runtime.block_on(queue.lease_async()).unwrap().unwrap();
        assert_eq!(*lease, 30);
        lease.ack().unwrap();
    });
    queue.close().unwrap();
    assert_eq!(runtime.block_on(queue.get_async()), Ok(None));
    runtime.block_on(queue.wait_empty_async()).unwrap();
}

#[test]
fn dropped_waits_do_not_use_up_the_deliveries_of_an_item() {
    let queue = Queue::<u32>::bounded(1).unwrap();
    for number in 0..20 {
        for _ in 0..20 {
            begin_and_drop(queue.get_async());
        }
        queue.put(number).unwrap();
        let lease = queue.lease().unwrap().unwrap();
        assert!(*lease == number && lease.deliveries() <= 2, "{lease:?}");
        lease.ack().unwrap();
    }
}

#[test]
fn many_async_callers_get_every_item_once() {
    let (queue, runtime) = (Queue::<u32>::bounded(3).unwrap(), runtime());
    let taken = thread::scope(|scope| {
        scope.spawn(|| {
            (0..200).for_each(|number| queue.put(number).unwrap());
            queue.close().unwrap();
        });
        let takers = (0..8).map(|_| async {
            let mut own = Vec::new();
            while let Some(number) = queue.get_async().await.unwrap() {
                own.push(number);
            }
            own
        });
        runtime.block_on(futures_util::future::join_all(takers))
    });
    let mut taken = taken.concat();
    taken.sort_unstable();
    assert_eq!(taken, (0..200).collect::<Vec<_>>());
}

#[test]
fn a_runtime_ends_although_somebody_waited() {
    let (queue, runtime) = (Queue::<u32>::bounded(1).unwrap(), runtime());
    let waiting = queue.clone();
    runtime.spawn(async move { waiting.get_async().await });
    runtime.block_on(tokio::task::yield_now());
    drop(runtime);
    assert_eq!(queue.try_put(1), Ok(true));
}

#[test]
fn an_end_of_a_pipe_belongs_to_whoever_uses_it_first() {
    let (left, right) = Pipe::builder().name("talk").build::<u32, String>().unwrap();
    assert_eq!((left.name(), right.name()), ("talk.0", "talk.1"));
    left.send(7).unwrap();
    assert_eq!(right.recv(), Ok(Some(7)));
    let (other, _) = Connection::<u32, String>::pair(&left.base, codec::Codec::json(), codec::Codec::json());
    assert_eq!(other.send(8), Err(SyncError::AlreadyOwned));
    drop(other);
    assert_eq!(right.try_recv(), Ok(Got::TimedOut), "it took nothing with it");
    let runtime = runtime();
    runtime.block_on(right.send_async("hello".to_owned())).unwrap();
    assert_eq!(runtime.block_on(left.recv_async()).unwrap().as_deref(), Some("hello"));
    left.close().unwrap();
    assert_eq!((right.recv(), left.send(9)), (Ok(None), Err(SyncError::Closed)));
}

#[test]
fn an_end_that_nobody_can_have_any_more_is_closed() {
    let (left, right) = Pipe::connect_raw().unwrap();
    left.send(Bytes::from_static(b"a")).unwrap();
    let granted = right.grant();
    drop(right);
    assert_eq!(left.recv_timeout(SHORT), Ok(Got::TimedOut), "a task may still come");
    drop(granted);
    assert_eq!(left.recv(), Ok(None));
    assert_eq!(left.send(Bytes::new()), Err(SyncError::Closed));
}

#[test]
fn a_future_that_waits_keeps_the_pipe_in_use() {
    let (left, right) = Pipe::connect_raw().unwrap();
    let Base { grant } = left.base.clone();
    let object = std::sync::Arc::downgrade(&grant.object);
    let sends = left.send_async(Bytes::from_static(b"a"));
    drop((left, right, grant));
    assert_eq!(object.strong_count(), 1, "the host program may still act");
    drop(sends);
    assert_eq!(object.strong_count(), 0);
}

/// A task that is alive goes inside the object and stays there.
fn occupy(grant: &Grant, guard: u64) {
    write(grant, guard, tokens::take());
}

/// Somebody writes a token into the object's memory.
fn write(grant: &Grant, at: u64, token: Token) {
    let Granted::Memory(object) = &*grant.object else { panic!("it is in memory") };
    let file = object.file().unwrap().try_clone_to_owned().unwrap();
    let length = std::fs::File::from(file.try_clone().unwrap()).metadata().unwrap().len();
    SharedMemory::open(file, length).unwrap().store32(at, token.get());
}

#[test]
fn what_is_dropped_is_not_kept_by_somebody_who_stays_inside() {
    let (queue, semaphore) = (Queue::<u32>::bounded(1).unwrap(), Semaphore::new(2).unwrap());
    let (left, right) = Pipe::connect_raw().unwrap();
    queue.put(1).unwrap();
    left.send(Bytes::new()).unwrap();
    let lease = queue.lease().unwrap().unwrap();
    let permit = runtime().block_on(semaphore.acquire_async()).unwrap();
    occupy(&queue.grant(), 0);
    occupy(&semaphore.grant(), 0);
    occupy(&left.grant(), 4096);
    let (dropped, drops) = std::sync::mpsc::channel();
    let all: [Box<dyn std::any::Any + Send>; 3] =
        [Box::new(lease), Box::new(permit), Box::new((left, right))];
    for kept in all {
        let dropped = dropped.clone();
        thread::spawn(move || {
            drop(kept);
            dropped.send(()).unwrap();
        });
    }
    for _ in 0..3 {
        drops.recv_timeout(LONG).unwrap();
    }
}

#[test]
fn what_waits_for_nobody_is_told_of_somebody_who_stays_inside() {
    let (queue, semaphore) = (Queue::<u32>::bounded(2).unwrap(), Semaphore::new(2).unwrap());
    queue.put(1).unwrap();
    let lease = queue.lease().unwrap().unwrap();
    let permit = runtime().block_on(semaphore.acquire_async()).unwrap();
    occupy(&queue.grant(), 0);
    occupy(&semaphore.grant(), 0);
    let stuck = |told: Result<(), SyncError>| assert!(matches!(told, Err(SyncError::Damaged(_))), "{told:?}");
    thread::scope(|scope| {
        scope.spawn(|| stuck(lease.ack()));
        scope.spawn(|| stuck(queue.close()));
        scope.spawn(|| stuck(permit.release()));
        scope.spawn(|| stuck(semaphore.release()));
    });
}

#[test]
fn a_forged_token_of_the_host_program_holds_up_no_recovery() {
    let queue = Queue::<u32>::bounded(1).unwrap();
    let Granted::Memory(object) = &*queue.base.grant.object else { panic!("it is in memory") };
    let gone = tokens::take();
    let recover = || object.recover(gone, 1, Departure::Died, &tokens::is_alive);
    // A task that is alive may be inside; only the program knows where its own threads are.
    occupy(&queue.grant(), 0);
    assert_eq!(recover(), Recovery::Busy);
    write(&queue.grant(), 0, tokens::of_this_thread());
    thread::scope(|scope| {
        // One that waits for an item is not inside.
        let waits = scope.spawn(|| queue.get());
        while recover() == Recovery::Busy {
            thread::yield_now();
        }
        assert_eq!(queue.put_timeout(7, LONG), Ok(true));
        assert_eq!(waits.join().unwrap(), Ok(Some(7)));
    });
}

#[test]
fn a_thread_of_the_host_program_that_is_inside_is_left_alone() {
    let (memory, own) = (SharedMemory::create(64).unwrap(), tokens::of_this_thread());
    let seize = || guard::seize(&memory, 0, &tokens::is_alive);
    guard::enter(&memory, 0, own, WaitFor::Lock, &mut Deadline::never()).unwrap();
    assert_eq!((seize(), guard::holder(&memory, 0)), (Seized::Busy, Some(own)));
    guard::leave(&memory, 0);
    assert_eq!(seize(), Seized::Whole);
    guard::leave(&memory, 0);
    memory.store32(0, own.get());
    assert_eq!(seize(), Seized::Torn);
}

#[test]
fn a_dict_gives_all_its_keys() {
    let dict = Dict::<String>::new().unwrap();
    let long = |number: u32| format!("{number:0>200}");
    for number in 0..1000 {
        assert_eq!(dict.insert(&long(number), "v".to_owned()), Ok(None));
    }
    assert_eq!(dict.keys().unwrap(), (0..1000).map(long).collect::<Vec<_>>());
    assert_eq!(dict.remove(&long(3)).unwrap().as_deref(), Some("v"));
    assert_eq!((dict.len(), dict.get(&long(3))), (999, Ok(None)));
    assert_eq!(dict.compare_and_swap("new", None, Some(&"w".to_owned())), Ok(true));
    assert_eq!(dict.compare_and_swap("new", None, None), Ok(false));
    dict.clear().unwrap();
    assert!(dict.is_empty());
    let raw = Dict::raw().unwrap();
    raw.insert("k", Bytes::from_static(&[255])).unwrap();
    assert_eq!(raw.get("k").unwrap().as_deref(), Some(&[255][..]));
}

#[test]
fn bounds_that_cannot_be_are_refused() {
    let refused = |result: Result<(), SyncError>| {
        assert!(matches!(result, Err(SyncError::OutOfRange(_))), "{result:?}")
    };
    refused(Queue::<u8>::bounded(0).map(drop));
    refused(Queue::<u8>::named("a b", 1).map(drop));
    refused(Barrier::new(0).map(drop));
    refused(Semaphore::new(u32::MAX).map(drop));
    refused(Lock::named("").map(drop));
}

#[test]
fn handles_go_anywhere_whatever_they_hold() {
    fn goes_anywhere<T: Send + Sync>() {}
    goes_anywhere::<Queue<std::rc::Rc<u8>>>();
    goes_anywhere::<Connection<std::rc::Rc<u8>, std::cell::Cell<u8>>>();
    goes_anywhere::<Dict<std::rc::Rc<u8>>>();
    goes_anywhere::<(Lock, RLock, Semaphore, BoundedSemaphore, Event, Condition, Barrier)>();
    goes_anywhere::<(Value<f64>, Array<i32>, OwnedGuard, OwnedConditionGuard, Lease<u8>)>();
}
