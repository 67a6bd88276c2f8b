//! `objects`, from a component: each method once, and what dropping a resource does.

use std::collections::BTreeSet;

use wasmtime::component::Resource;

use super::component::{answer_dict, one_of_each, queue_spec};
use super::harness::{Flat, Named, object, shared, supervisor};
use super::passing::functions;
use crate::sync::{Answer, Operation, QueueSpec, Spec, SyncError};
use crate::worker::engine::{Acquisition, Lease, LeasedItem, ObjectError, TakenItem};
use crate::worker::imports::sync::objects::types::*;

type Answered<T> = Result<T, ObjectError>;
type Time = Option<u32>;
const TRY: Time = Some(0);
const FOREVER: Time = None;

fn open<T: 'static + Send + Sync>(guest: &mut Flat, kind: &str, name: &str) -> u32 {
    let opened: Answered<Resource<T>> = guest.call(&format!("{kind}-open"), (name,));
    opened.unwrap_or_else(|error| panic!("{name}: {error:?}")).rep()
}

/// Lends a resource for one call.
fn lend<T: 'static>(handle: u32) -> Resource<T> {
    Resource::new_borrow(handle)
}

fn done<T: 'static + Send + Sync>(guest: &mut Flat, name: &str, handle: u32) -> Answered<()> {
    guest.call(name, (lend::<T>(handle),))
}

fn acquire<T: 'static + Send + Sync>(
    guest: &mut Flat,
    name: &str,
    handle: u32,
    time: Time,
) -> Answered<Acquisition> {
    guest.call(name, (lend::<T>(handle), time))
}

fn count<T: 'static + Send + Sync>(guest: &mut Flat, name: &str, handle: u32) -> Answered<u64> {
    guest.call(name, (lend::<T>(handle),))
}

#[test]
fn every_method_does_what_it_says() {
    let objects = one_of_each();
    let (mut guest, socket) = Flat::new("objects", shared(&objects));
    supervisor(socket, |message, _| answer_dict(message));
    locks(&mut guest, &objects);
    meeting_points(&mut guest);
    numbers(&mut guest);
    items(&mut guest, &objects);
    entries(&mut guest);
    let all: BTreeSet<String> = functions("objects").into_iter().map(|function| function.name).collect();
    let reached: BTreeSet<String> =
        guest.reached.iter().filter(|name| !name.starts_with("drop-")).cloned().collect();
    assert_eq!(reached, all);
}

fn locks(guest: &mut Flat, objects: &[Named]) {
    let lock = open::<Lock>(guest, "lock", "lock");
    assert_eq!(acquire::<Lock>(guest, "lock-acquire", lock, FOREVER), Ok(Acquisition::Taken));
    assert_eq!(acquire::<Lock>(guest, "lock-acquire", lock, FOREVER), Err(ObjectError::AlreadyOwned));
    assert_eq!(done::<Lock>(guest, "lock-release", lock), Ok(()));
    assert_eq!(done::<Lock>(guest, "lock-release", lock), Err(ObjectError::NotOwner));
    objects[0].perform(Operation::Acquire).unwrap();
    assert_eq!(acquire::<Lock>(guest, "lock-acquire", lock, TRY), Ok(Acquisition::TimedOut));
    let rlock = open::<RLock>(guest, "rlock", "rlock");
    for _ in 0..2 {
        assert_eq!(acquire::<RLock>(guest, "rlock-acquire", rlock, FOREVER), Ok(Acquisition::Taken));
    }
    assert_eq!(done::<RLock>(guest, "rlock-release", rlock), Ok(()));
    let semaphore = open::<Semaphore>(guest, "semaphore", "semaphore");
    assert_eq!(acquire::<Semaphore>(guest, "semaphore-acquire", semaphore, TRY), Ok(Acquisition::Taken));
    assert_eq!(count::<Semaphore>(guest, "semaphore-available", semaphore), Ok(1));
    assert_eq!(done::<Semaphore>(guest, "semaphore-release", semaphore), Ok(()));
}

fn meeting_points(guest: &mut Flat) {
    let event = open::<Event>(guest, "event", "event");
    let wait = |guest: &mut Flat, time: Time| {
        guest.call::<_, Answered<bool>>("event-wait", (lend::<Event>(event), time))
    };
    let is_set = |guest: &mut Flat| guest.call::<_, Answered<bool>>("event-is-set", (lend::<Event>(event),));
    assert_eq!(wait(guest, Some(1)), Ok(false));
    assert_eq!(done::<Event>(guest, "event-set", event), Ok(()));
    assert_eq!(wait(guest, FOREVER), Ok(true));
    assert_eq!(is_set(guest), Ok(true));
    assert_eq!(done::<Event>(guest, "event-clear", event), Ok(()));
    assert_eq!(is_set(guest), Ok(false));
    let condition = open::<Condition>(guest, "condition", "condition");
    assert_eq!(acquire::<Condition>(guest, "condition-acquire", condition, TRY), Ok(Acquisition::Taken));
    assert_eq!(acquire::<Condition>(guest, "condition-wait", condition, Some(1)), Ok(Acquisition::TimedOut));
    let notified: Answered<()> = guest.call("condition-notify", (lend::<Condition>(condition), 1_u32));
    assert_eq!(notified, Ok(()));
    assert_eq!(done::<Condition>(guest, "condition-release", condition), Ok(()));
    let barrier = open::<Barrier>(guest, "barrier", "barrier");
    let meet = |guest: &mut Flat| {
        guest.call::<_, Answered<Option<u64>>>("barrier-wait", (lend::<Barrier>(barrier), TRY))
    };
    assert_eq!(meet(guest), Ok(Some(0)));
    assert_eq!(done::<Barrier>(guest, "barrier-abort", barrier), Ok(()));
    let broken: Answered<bool> = guest.call("barrier-is-broken", (lend::<Barrier>(barrier),));
    assert_eq!(broken, Ok(true));
    assert_eq!(meet(guest), Err(ObjectError::Broken));
    assert_eq!(done::<Barrier>(guest, "barrier-reset", barrier), Ok(()));
    assert_eq!(count::<Barrier>(guest, "barrier-waiting", barrier), Ok(0));
}

fn numbers(guest: &mut Flat) {
    let value = open::<Value>(guest, "value", "value");
    let this = || lend::<Value>(value);
    assert_eq!(guest.call::<_, u64>("value-load", (this(),)), 5);
    assert_eq!(guest.call::<_, u64>("value-store", (this(), 6_u64)), 5);
    assert_eq!(guest.call::<_, i64>("value-add-integer", (this(), -8_i64)), 6);
    assert_eq!(guest.call::<_, u64>("value-compare-exchange", (this(), 0_u64, 1_u64)), u64::MAX - 1);
    let float = open::<Value>(guest, "value", "float");
    assert_eq!(guest.call::<_, f64>("value-add-float", (lend::<Value>(float), 1.0)), 1.5);
    let array = open::<Array>(guest, "array", "array");
    assert_eq!(count::<Array>(guest, "array-len", array), Ok(4));
    let written: Answered<()> =
        guest.call("array-write", (lend::<Array>(array), 3_u64, &[1_u8, 2, 3, 4][..]));
    assert_eq!(written, Ok(()));
    let read: Answered<Vec<u8>> = guest.call("array-read", (lend::<Array>(array), 3_u64, 1_u64));
    assert_eq!(read, Ok(vec![1, 2, 3, 4]));
    let beyond: Answered<Vec<u8>> = guest.call("array-read", (lend::<Array>(array), 3_u64, 2_u64));
    assert!(matches!(beyond, Err(ObjectError::OutOfRange(_))));
}

fn put(guest: &mut Flat, queue: u32, item: &[u8]) -> Answered<bool> {
    guest.call("queue-put", (lend::<Queue>(queue), item, TRY))
}

fn get(guest: &mut Flat, queue: u32) -> Answered<TakenItem> {
    guest.call("queue-get", (lend::<Queue>(queue), TRY))
}

/// The lease of the next item.
fn leased(guest: &mut Flat, queue: u32) -> u32 {
    match guest.call::<_, Answered<LeasedItem>>("queue-lease", (lend::<Queue>(queue), TRY)) {
        Ok(LeasedItem::Item(lease)) => lease.rep(),
        other => panic!("{other:?}"),
    }
}

fn items(guest: &mut Flat, objects: &[Named]) {
    let queue = open::<Queue>(guest, "queue", "queue");
    assert_eq!(get(guest, queue), Ok(TakenItem::TimedOut));
    assert_eq!(put(guest, queue, b"one"), Ok(true));
    assert!(matches!(put(guest, queue, &[0; 101]), Err(ObjectError::TooLarge(_))));
    assert_eq!(count::<Queue>(guest, "queue-len", queue), Ok(1));
    assert_eq!(get(guest, queue), Ok(TakenItem::Item(b"one".to_vec())));
    for item in [&b"two"[..], b"three"] {
        assert_eq!(put(guest, queue, item), Ok(true));
    }
    let (first, second) = (leased(guest, queue), leased(guest, queue));
    assert_eq!(guest.call::<_, Vec<u8>>("lease-item", (lend::<Lease>(first),)), b"two");
    assert_eq!(guest.call::<_, u32>("lease-deliveries", (lend::<Lease>(first),)), 1);
    assert_eq!(done::<Lease>(guest, "lease-acknowledge", first), Ok(()));
    let again = done::<Lease>(guest, "lease-give-back", first);
    assert!(matches!(again, Err(ObjectError::NotFound(_))), "{again:?}");
    let wait_empty = |guest: &mut Flat| {
        guest.call::<_, Answered<bool>>("queue-wait-empty", (lend::<Queue>(queue), Some(1_u32)))
    };
    assert_eq!(wait_empty(guest), Ok(false));
    // Delivered as often as it may be.
    assert_eq!(done::<Lease>(guest, "lease-give-back", second), Ok(()));
    let dead = |guest: &mut Flat| {
        guest.call::<_, Answered<Option<Vec<u8>>>>("queue-take-dead", (lend::<Queue>(queue),))
    };
    assert_eq!(dead(guest), Ok(Some(b"three".to_vec())));
    assert_eq!(dead(guest), Ok(None));
    assert_eq!(wait_empty(guest), Ok(true));
    assert_eq!(done::<Queue>(guest, "queue-close", queue), Ok(()));
    assert_eq!(get(guest, queue), Ok(TakenItem::End));
    let end: Answered<LeasedItem> = guest.call("queue-lease", (lend::<Queue>(queue), FOREVER));
    assert!(matches!(end, Ok(LeasedItem::End)));
    assert_eq!(put(guest, queue, b"four"), Err(ObjectError::Closed));

    let connection = open::<Connection>(guest, "connection", "pipe");
    let this = || lend::<Connection>(connection);
    assert_eq!(guest.call::<_, Answered<bool>>("connection-send", (this(), &b"over"[..], TRY)), Ok(true));
    let there = objects[10].object.as_ref().unwrap().as_end(1);
    let there = Named { object: Some(there), ..object("pipe", Spec::Event) };
    assert!(matches!(there.perform(Operation::Get { lease: false }), Ok(Answer::Item(_))));
    there.perform(Operation::Put(b"back")).unwrap();
    assert_eq!(count::<Connection>(guest, "connection-len", connection), Ok(1));
    let received: Answered<TakenItem> = guest.call("connection-receive", (this(), FOREVER));
    assert_eq!(received, Ok(TakenItem::Item(b"back".to_vec())));
    assert_eq!(done::<Connection>(guest, "connection-close", connection), Ok(()));
}

fn entries(guest: &mut Flat) {
    type Entry = Answered<Option<Vec<u8>>>;
    let dict = open::<Dict>(guest, "dict", "dict");
    let this = || lend::<Dict>(dict);
    assert_eq!(guest.call::<_, Entry>("dict-get", (this(), "key")), Ok(Some(b"the key".to_vec())));
    assert_eq!(guest.call::<_, Entry>("dict-set", (this(), "k", &b"v"[..])), Ok(Some(b"v".to_vec())));
    assert_eq!(guest.call::<_, Entry>("dict-remove", (this(), "k")), Ok(None));
    let none = None::<&[u8]>;
    assert_eq!(guest.call::<_, Answered<bool>>("dict-swap", (this(), "k", none, none)), Ok(true));
    let other: Answered<bool> = guest.call("dict-swap", (this(), "k", none, Some(&b"v"[..])));
    assert_eq!(other, Ok(false));
    let keys: Answered<Vec<String>> = guest.call("dict-keys", (this(), Some("x")));
    assert_eq!(keys, Ok(vec!["a".to_owned(), "bc".to_owned(), "x".to_owned()]));
    assert_eq!(count::<Dict>(guest, "dict-len", dict), Ok(3));
    assert_eq!(done::<Dict>(guest, "dict-clear", dict), Err(ObjectError::TooMany("answers".to_owned())));
}

#[test]
fn dropping_a_lease_gives_its_item_back() {
    let spec = QueueSpec { deliveries_max: 5, ..queue_spec() };
    let objects = [object("queue", Spec::Queue(spec))];
    let (mut guest, _socket) = Flat::new("objects", shared(&objects));
    let queue = open::<Queue>(&mut guest, "queue", "queue");
    assert_eq!(put(&mut guest, queue, b"item"), Ok(true));
    for delivery in 1..4 {
        let lease = leased(&mut guest, queue);
        assert_eq!(guest.call::<_, u32>("lease-deliveries", (lend::<Lease>(lease),)), delivery);
        assert_eq!(get(&mut guest, queue), Ok(TakenItem::TimedOut));
        guest.run("drop-lease", (Resource::<Lease>::new_own(lease),));
    }
    // A lease outlives its queue, and with the last of both the task has left.
    let lease = leased(&mut guest, queue);
    guest.run("drop-queue", (Resource::<Queue>::new_own(queue),));
    assert_eq!(objects[0].perform(Operation::Get { lease: false }), Err(SyncError::TimedOut));
    assert_eq!(guest.call::<_, Vec<u8>>("lease-item", (lend::<Lease>(lease),)), b"item");
    assert_eq!(done::<Lease>(&mut guest, "lease-acknowledge", lease), Ok(()));
    guest.run("drop-lease", (Resource::<Lease>::new_own(lease),));
    assert_eq!(objects[0].perform(Operation::WaitEmpty), Ok(Answer::Done));
}

#[test]
fn dropping_a_lock_gives_it_back() {
    let objects = [object("lock", Spec::Lock)];
    let (mut guest, _socket) = Flat::new("objects", shared(&objects));
    let lock = open::<Lock>(&mut guest, "lock", "lock");
    assert_eq!(acquire::<Lock>(&mut guest, "lock-acquire", lock, TRY), Ok(Acquisition::Taken));
    assert_eq!(objects[0].perform(Operation::Acquire), Err(SyncError::TimedOut));
    guest.run("drop-lock", (Resource::<Lock>::new_own(lock),));
    assert!(matches!(objects[0].perform(Operation::Acquire), Ok(Answer::Acquired { .. })));
}

#[test]
fn what_was_not_granted_is_denied() {
    let (mut guest, _socket) = Flat::new("objects", shared(&[object("lock", Spec::Lock)]));
    let denied: Answered<Resource<Event>> = guest.call("event-open", ("go",));
    let Err(ObjectError::AccessDenied(text)) = denied else { panic!("{denied:?}") };
    assert!(text.contains("`--event go`"), "{text}");
    let wrong: Answered<Resource<Event>> = guest.call("event-open", ("lock",));
    assert_eq!(wrong.unwrap_err(), ObjectError::WrongKind("`lock` is a lock, not an event".to_owned()));
}
