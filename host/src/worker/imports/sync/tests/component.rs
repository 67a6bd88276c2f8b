//! `flat`, from a component.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use super::harness::{Flat, Named, WHO, object, shared, supervisor};
use super::passing::functions;
use crate::limits::{DICT_KEY_BYTES_MAX, DICT_VALUE_BYTES_MAX, SYNC_HANDLES_MAX};
use crate::outcome::Held;
use crate::protocol::worker::{Ask, FromWorker, Reply, ToWorker};
use crate::sync::{
    Answer, DictAnswer, DictOperation, ElementType, Object, ObjectKind, Operation, QueueSpec, Spec,
    SyncError, Token, Waits,
};
use crate::worker::imports::sync::waits::NEVER;

type Bytes = Result<Vec<u8>, u32>;
type Entry = Result<Option<Vec<u8>>, u32>;

pub(super) fn queue_spec() -> QueueSpec {
    QueueSpec { capacity: 4, item_bytes_max: 100, bytes_max: 4096, deliveries_max: 1 }
}

/// One object of each kind, named after it.
pub(super) fn one_of_each() -> Vec<Named> {
    vec![
        object("lock", Spec::Lock),
        object("rlock", Spec::RLock),
        object("semaphore", Spec::Semaphore { permits: 2, bounded: true }),
        object("event", Spec::Event),
        object("condition", Spec::Condition),
        object("barrier", Spec::Barrier { parties: 1 }),
        object("value", Spec::Value { initial: 5, float: false }),
        object("float", Spec::Value { initial: 1.5_f64.to_bits(), float: true }),
        object("array", Spec::Array { element: ElementType::I32, length: 4 }),
        object("queue", Spec::Queue(queue_spec())),
        object("pipe", Spec::Pipe(queue_spec())),
        object("dict", Spec::Dict),
    ]
}

/// A supervisor that knows one dictionary, the last of the objects above.
pub(super) fn answer_dict(message: FromWorker) -> Vec<(ToWorker, Option<std::os::fd::OwnedFd>)> {
    let FromWorker::Request { request, ask: Ask::Dict { grant, operation } } = message else {
        return Vec::new();
    };
    assert_eq!(grant, 11);
    let answer = match operation {
        DictOperation::Get { key } if key == "none" => Ok(DictAnswer::Value(None)),
        DictOperation::Get { key } => Ok(DictAnswer::Value(Some(format!("the {key}").into_bytes()))),
        DictOperation::Set { value, .. } => Ok(DictAnswer::Value(Some(value))),
        DictOperation::Remove { .. } => Ok(DictAnswer::Value(None)),
        DictOperation::CompareAndSwap { expected, new, .. } => Ok(DictAnswer::Flag(expected == new)),
        DictOperation::Keys { after } => {
            let keys = vec!["a".to_owned(), "bc".to_owned(), after.unwrap_or_default()];
            Ok(DictAnswer::Keys { keys, more: false })
        }
        DictOperation::Len => Ok(DictAnswer::Count(3)),
        DictOperation::Clear => Err(SyncError::TooMany("answers".to_owned())),
    };
    vec![(ToWorker::Reply { request, reply: Reply::Dict(answer) }, None)]
}

#[test]
fn every_flat_function_does_what_it_says() {
    let objects = one_of_each();
    let (mut guest, socket) = Flat::new("flat", shared(&objects));
    let _supervisor = supervisor(socket, |message, _| answer_dict(message));
    locks(&mut guest);
    meeting_points(&mut guest, &objects);
    numbers(&mut guest);
    items(&mut guest, &objects);
    entries(&mut guest);
    let all: BTreeSet<String> = functions("flat").into_iter().map(|function| function.name).collect();
    assert_eq!(guest.reached, all);
}

fn locks(guest: &mut Flat) {
    for kind in [ObjectKind::Lock, ObjectKind::RLock, ObjectKind::Semaphore, ObjectKind::Condition] {
        let handle = guest.open(kind, kind.label());
        assert_eq!(guest.call::<_, u32>("acquire", (handle, 0_u32)), 0);
        assert_eq!(guest.call::<_, u64>("abandoned-by", (handle,)), 0);
        assert_eq!(guest.call::<_, u32>("release", (handle,)), 0);
        assert_eq!(guest.call::<_, u32>("release", (handle,)), 19, "{kind:?}");
        guest.run("release-handle", (handle,));
        assert_eq!(guest.call::<_, u32>("acquire", (handle, 0_u32)), 26);
        assert_eq!(guest.last_error(), format!("there is no such handle {handle}"));
    }
    let handle = guest.open(ObjectKind::Lock, "lock");
    assert_eq!(guest.call::<_, u32>("acquire", (handle, NEVER)), 0);
    assert_eq!(guest.call::<_, u32>("acquire", (handle, NEVER)), 20);
}

fn meeting_points(guest: &mut Flat, objects: &[Named]) {
    let event = guest.open(ObjectKind::Event, "event");
    assert_eq!(guest.call::<_, u32>("is-set", (event,)), 0);
    assert_eq!(guest.call::<_, u32>("wait", (event, 1_u32)), 16);
    assert_eq!(guest.call::<_, u32>("set", (event,)), 0);
    assert_eq!(guest.call::<_, u32>("is-set", (event,)), 1);
    assert_eq!(guest.call::<_, u32>("wait", (event, NEVER)), 0);
    assert_eq!(guest.call::<_, u32>("clear", (event,)), 0);
    assert_eq!(objects[3].perform(Operation::IsSet), Ok(Answer::Flag(false)));
    let condition = guest.open(ObjectKind::Condition, "condition");
    assert_eq!(guest.call::<_, u32>("notify", (condition, 1_u32)), 19);
    assert_eq!(guest.call::<_, u32>("acquire", (condition, 0_u32)), 0);
    assert_eq!(guest.call::<_, u32>("notify", (condition, 1_u32)), 0);
    // The lock is held again after a time-out.
    assert_eq!(guest.call::<_, u32>("wait", (condition, 1_u32)), 16);
    assert_eq!(guest.call::<_, u32>("release", (condition,)), 0);
    let barrier = guest.open(ObjectKind::Barrier, "barrier");
    assert_eq!(guest.call::<_, Result<u32, u32>>("meet", (barrier, NEVER)), Ok(0));
    assert_eq!(guest.call::<_, u32>("abort", (barrier,)), 0);
    assert_eq!(guest.call::<_, u32>("is-set", (barrier,)), 1);
    assert_eq!(guest.call::<_, Result<u32, u32>>("meet", (barrier, NEVER)), Err(21));
    assert_eq!(guest.call::<_, u32>("reset", (barrier,)), 0);
    assert_eq!(guest.call::<_, u64>("len", (barrier,)), 0);
    assert_eq!(guest.call::<_, Result<u32, u32>>("meet", (99_u32, NEVER)), Err(26));
}

fn numbers(guest: &mut Flat) {
    let value = guest.open(ObjectKind::Value, "value");
    assert_eq!(guest.call::<_, u64>("load", (value,)), 5);
    assert_eq!(guest.call::<_, u64>("store", (value, u64::MAX)), 5);
    assert_eq!(guest.call::<_, i64>("add-integer", (value, 3_i64)), -1);
    assert_eq!(guest.call::<_, u64>("compare-exchange", (value, 2_u64, 9_u64)), 2);
    assert_eq!(guest.call::<_, u64>("compare-exchange", (value, 2_u64, 7_u64)), 9);
    let float = guest.open(ObjectKind::Value, "float");
    assert_eq!(guest.call::<_, f64>("add-float", (float, 2.0_f64)), 1.5);
    assert_eq!(f64::from_bits(guest.call("load", (float,))), 3.5);
    let array = guest.open(ObjectKind::Array, "array");
    assert_eq!(guest.call::<_, u64>("len", (array,)), 4);
    assert_eq!(guest.call::<_, u32>("write", (array, 1_u64, &[1_u8, 0, 0, 0, 2, 0, 0, 0][..])), 0);
    assert_eq!(guest.call::<_, Bytes>("read", (array, 2_u64, 2_u64)), Ok(vec![2, 0, 0, 0, 0, 0, 0, 0]));
    assert_eq!(guest.call::<_, Bytes>("read", (array, 3_u64, u64::MAX)), Err(23));
    assert_eq!(guest.call::<_, u32>("write", (array, 4_u64, &[0_u8; 4][..])), 23);
}

fn items(guest: &mut Flat, objects: &[Named]) {
    let queue = guest.open(ObjectKind::Queue, "queue");
    assert_eq!(guest.call::<_, u32>("put", (queue, 0_u32, &b"one"[..])), 0);
    assert_eq!(guest.call::<_, u32>("put", (queue, 0_u32, &[7_u8; 101][..])), 22);
    assert!(guest.last_error().contains("101"));
    assert_eq!(guest.call::<_, u64>("len", (queue,)), 1);
    assert_eq!(guest.call::<_, Bytes>("get", (queue, 0_u32, true)), Ok(b"one".to_vec()));
    let lease = guest.call::<_, u64>("lease", (queue,));
    assert_eq!(guest.call::<_, u32>("deliveries", (queue,)), 1);
    assert_eq!(guest.call::<_, u32>("wait-empty", (queue, 1_u32)), 16);
    // Delivered as often as it may be.
    assert_eq!(guest.call::<_, u32>("give-back", (queue, lease)), 0);
    assert_eq!(guest.call::<_, u32>("acknowledge", (queue, lease)), 26);
    assert_eq!(guest.call::<_, Bytes>("take-dead", (queue,)), Ok(b"one".to_vec()));
    assert_eq!(guest.call::<_, Bytes>("take-dead", (queue,)), Err(2));
    assert_eq!(guest.call::<_, Bytes>("get", (queue, 0_u32, false)), Err(16));
    assert_eq!(guest.call::<_, u32>("wait-empty", (queue, NEVER)), 0);
    assert_eq!(guest.call::<_, u32>("close", (queue,)), 0);
    assert_eq!(guest.call::<_, Bytes>("get", (queue, NEVER, false)), Err(2));
    assert_eq!(guest.call::<_, u32>("put", (queue, 0_u32, &b"two"[..])), 17);
    let pipe = guest.open(ObjectKind::Pipe, "pipe");
    assert_eq!(guest.call::<_, u32>("put", (pipe, 0_u32, &b"over"[..])), 0);
    let there = objects[10].object.as_ref().unwrap().as_end(1);
    let here = Named { object: Some(there), ..object("pipe", Spec::Event) };
    let Ok(Answer::Item(item)) = here.perform(Operation::Get { lease: false }) else { panic!("no item") };
    assert_eq!(item.bytes, b"over");
    assert_eq!(here.perform(Operation::Put(b"back")), Ok(Answer::Done));
    assert_eq!(guest.call::<_, Bytes>("get", (pipe, NEVER, false)), Ok(b"back".to_vec()));
}

fn entries(guest: &mut Flat) {
    let dict = guest.open(ObjectKind::Dict, "dict");
    assert_eq!(guest.call::<_, Entry>("dict-get", (dict, "key")), Ok(Some(b"the key".to_vec())));
    assert_eq!(guest.call::<_, Entry>("dict-get", (dict, "none")), Ok(None));
    assert_eq!(guest.call::<_, Entry>("dict-set", (dict, "k", &b"v"[..])), Ok(Some(b"v".to_vec())));
    assert_eq!(guest.call::<_, Entry>("dict-remove", (dict, "k")), Ok(None));
    type Value<'a> = Option<&'a [u8]>;
    let swap = |guest: &mut Flat, expected: Value<'_>, new: Value<'_>| {
        guest.call::<_, u32>("dict-swap", (dict, "k", expected, new))
    };
    assert_eq!(swap(guest, None, None), 0);
    assert_eq!(swap(guest, Some(b"a"), Some(b"a")), 0);
    assert_eq!(swap(guest, Some(b""), None), 2);
    type Keys = Result<Vec<String>, u32>;
    let keys = |last: &str| Ok(vec!["a".to_owned(), "bc".to_owned(), last.to_owned()]);
    assert_eq!(guest.call::<_, Keys>("dict-keys", (dict, Some("x"))), keys("x"));
    assert_eq!(guest.call::<_, Keys>("dict-keys", (dict, None::<&str>)), keys(""));
    assert_eq!(guest.call::<_, u64>("len", (dict,)), 3);
    assert_eq!(guest.call::<_, u32>("dict-clear", (dict,)), 25);
    assert_eq!(guest.last_error(), "too many: answers");
    // What is too large is not sent.
    let (key, value) = ("k".repeat(DICT_KEY_BYTES_MAX + 1), vec![0_u8; DICT_VALUE_BYTES_MAX + 1]);
    assert_eq!(guest.call::<_, Entry>("dict-get", (dict, &*key)), Err(22));
    assert_eq!(guest.call::<_, Entry>("dict-set", (dict, "k", &*value)), Err(22));
    assert_eq!(guest.call::<_, u32>("acquire", (dict, 0_u32)), 24);
    let lock = guest.open(ObjectKind::Lock, "lock");
    assert_eq!(guest.call::<_, Entry>("dict-get", (lock, "k")), Err(24));
    assert_eq!(guest.last_error(), "wrong kind: `lock` is a lock, not a dict");
}

#[test]
fn a_name_that_was_not_granted_says_what_grants_it() {
    let (mut guest, _socket) = Flat::new("flat", shared(&one_of_each()));
    for (kind, name, code, text) in [
        (
            ObjectKind::Queue,
            "jobs",
            18,
            "access denied: `jobs` was not granted: `--queue jobs` on the command line, or `Task::grant` in a \
             program, grants it",
        ),
        (
            ObjectKind::Barrier,
            "all",
            18,
            "access denied: `all` was not granted: `--barrier all:N` on the command line, or `Task::grant` in \
             a program, grants it",
        ),
        (
            ObjectKind::Array,
            "",
            18,
            "access denied: `` was not granted: `Task::grant` in a program grants it",
        ),
        (ObjectKind::Event, "array", 24, "wrong kind: `array` is an array, not an event"),
    ] {
        let opened: Result<u32, u32> = guest.call("open", (kind as u32, name));
        assert_eq!(opened, Err(code));
        assert_eq!(guest.last_error(), text);
    }
    assert_eq!(guest.call::<_, Result<u32, u32>>("open", (11_u32, "lock")), Err(24));
    let long = "l".repeat(100_000);
    assert_eq!(guest.call::<_, Result<u32, u32>>("open", (0_u32, &*long)), Err(18));
    assert!(guest.last_error().len() < 1000);
}

#[test]
fn handles_are_bounded_and_given_again() {
    let (mut guest, _socket) = Flat::new("flat", shared(&one_of_each()));
    let handles: Vec<u32> = (0..SYNC_HANDLES_MAX).map(|_| guest.open(ObjectKind::Event, "event")).collect();
    assert_eq!(handles, (1..=SYNC_HANDLES_MAX as u32).collect::<Vec<_>>());
    assert_eq!(guest.call::<_, Result<u32, u32>>("open", (3_u32, "event")), Err(25));
    assert_eq!(guest.last_error(), format!("too many: {SYNC_HANDLES_MAX} handles are open"));
    guest.run("release-handle", (7_u32,));
    guest.run("release-handle", (7_u32,));
    guest.run("release-handle", (u32::MAX,));
    assert_eq!(guest.open(ObjectKind::Lock, "lock"), 7);
}

#[test]
fn the_last_handle_gives_back_what_the_task_held() {
    let objects = one_of_each();
    let (mut guest, _socket) = Flat::new("flat", shared(&objects));
    let (first, second) = (guest.open(ObjectKind::Lock, "lock"), guest.open(ObjectKind::Lock, "lock"));
    assert_eq!(guest.call::<_, u32>("acquire", (first, 0_u32)), 0);
    guest.run("release-handle", (first,));
    assert_eq!(objects[0].perform(Operation::Acquire), Err(SyncError::TimedOut));
    assert_eq!(guest.call::<_, u32>("acquire", (second, 0_u32)), 20);
    guest.run("release-handle", (second,));
    assert!(matches!(objects[0].perform(Operation::Acquire), Ok(Answer::Acquired { .. })));
    // Opened again, it is the same object.
    let third = guest.open(ObjectKind::Lock, "lock");
    assert_eq!(guest.call::<_, u32>("acquire", (third, 0_u32)), 16);
}

#[test]
fn a_value_that_is_none_is_a_trap_that_says_so() {
    let (mut guest, _socket) = Flat::new("flat", shared(&one_of_each()));
    let error = guest.try_call::<_, u64>("load", (1_u32,)).unwrap_err();
    assert!(format!("{error:?}").contains("there is no such handle 1"), "{error:?}");
    let (mut guest, _socket) = Flat::new("flat", shared(&one_of_each()));
    let event = guest.open(ObjectKind::Event, "event");
    let error = guest.try_call::<_, i64>("add-integer", (event, 1_i64)).unwrap_err();
    let wanted = format!("handle {event} is no value: `event` is an event");
    assert!(format!("{error:?}").contains(&wanted), "{error:?}");
    let (mut guest, _socket) = Flat::new("flat", shared(&one_of_each()));
    let event = guest.open(ObjectKind::Event, "event");
    assert!(guest.try_call::<_, u64>("len", (event,)).is_err());
}

#[test]
fn an_object_that_cannot_be_mapped_is_unavailable() {
    // Its file is that of an object of another size.
    let mut objects = vec![object("values", Spec::Value { initial: 0, float: false })];
    objects[0].spec = Spec::Array { element: ElementType::U8, length: 1 << 20 };
    let (mut guest, _socket) = Flat::new("flat", shared(&objects));
    for _ in 0..2 {
        assert_eq!(guest.call::<_, Result<u32, u32>>("open", (7_u32, "values")), Err(30));
        assert!(guest.last_error().starts_with("`values` could not be mapped: "));
    }
}

/// Writes down what it is asked to do.
#[derive(Debug)]
struct Recorder(Mutex<Vec<String>>);

impl Object for Recorder {
    fn spec(&self) -> &Spec {
        &Spec::Lock
    }

    fn held_by(&self, _: Token) -> Option<Held> {
        None
    }

    fn perform(&self, who: Token, operation: Operation<'_>, _: &mut dyn Waits) -> Result<Answer, SyncError> {
        assert_eq!(who.get(), WHO);
        self.0.lock().unwrap().push(operation.label().to_owned());
        match operation {
            Operation::Acquire => Ok(Answer::Acquired { abandoned_by: Some(3) }),
            // An answer that the operation does not have.
            Operation::Len => Ok(Answer::End),
            _ => Ok(Answer::Done),
        }
    }
}

#[test]
fn an_object_is_told_of_the_first_handle_and_of_the_last() {
    let recorder = Arc::new(Recorder(Mutex::default()));
    let mut granted = shared(&[]);
    granted.grants.add("lock", recorder.clone());
    let (mut guest, _socket) = Flat::new("flat", granted);
    let (first, second) = (guest.open(ObjectKind::Lock, "lock"), guest.open(ObjectKind::Lock, "lock"));
    assert_eq!(guest.call::<_, u32>("acquire", (second, NEVER)), 1);
    assert_eq!(guest.call::<_, u64>("abandoned-by", (second,)), 3);
    assert_eq!(guest.call::<_, u64>("abandoned-by", (first,)), 0);
    assert_eq!(guest.call::<_, u64>("len", (first,)), 0);
    assert!(guest.last_error().starts_with("the shared object is damaged"));
    guest.run("release-handle", (second,));
    guest.run("release-handle", (first,));
    guest.open(ObjectKind::Lock, "lock");
    assert_eq!(*recorder.0.lock().unwrap(), ["open", "acquire", "len", "abandon", "leave", "open"]);
}
