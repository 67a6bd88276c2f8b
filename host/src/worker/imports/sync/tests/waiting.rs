//! What a guest that waits tells the supervisor, and what ends its wait.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::harness::{Flat, Named, TASK, object, shared, supervisor};
use crate::limits::WAIT_WITH_SLOT_TIME_MAX;
use crate::protocol::worker::{FromWorker, ToWorker, WaitOn};
use crate::sync::{ObjectKind, Operation, Spec, WaitFor};
use crate::worker::imports::sync::waits::NEVER;

fn also(named: &Named) -> Named {
    let object = named.object.as_ref().map(|object| object.as_end(0));
    Named { name: named.name, spec: named.spec, object }
}

/// A guest whose supervisor does `answer` for each message; the messages come out of the channel.
fn guest(
    objects: &[Named],
    mut answer: impl FnMut(&FromWorker) -> Option<ToWorker> + Send + 'static,
) -> (Flat, mpsc::Receiver<FromWorker>) {
    let (guest, socket) = Flat::new("flat", shared(objects));
    let (sender, messages) = mpsc::channel();
    supervisor(socket, move |message, _| {
        let answered = answer(&message).map(|answer| (answer, None));
        // The test may have seen enough.
        let _ = sender.send(message);
        answered.into_iter().collect()
    });
    (guest, messages)
}

fn object_wait(what: WaitFor) -> WaitOn {
    WaitOn::Object { grant: 0, what }
}

fn began(messages: &mpsc::Receiver<FromWorker>, on: WaitOn, timed: bool) -> u64 {
    let message = messages.recv().unwrap();
    let FromWorker::WaitBegan { wait, .. } = message else { panic!("{message:?}") };
    assert_eq!(message, FromWorker::WaitBegan { wait, on, timed });
    wait
}

#[test]
fn only_a_wait_that_lasts_is_told() {
    let event = [object("event", Spec::Event)];
    let (mut guest, messages) = guest(&event, |_| None);
    let handle = guest.open(ObjectKind::Event, "event");
    assert_eq!(guest.call::<_, u32>("wait", (handle, 0_u32)), 16);
    assert_eq!(guest.call::<_, u32>("wait", (handle, 2_u32)), 16);
    let asked = Instant::now();
    assert_eq!(guest.call::<_, u32>("wait", (handle, 30_u32)), 16);
    assert!(asked.elapsed() >= Duration::from_millis(30));
    let wait = began(&messages, object_wait(WaitFor::Event), true);
    assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait }));
    drop(guest);
    assert!(messages.recv().is_err(), "one wait was told, the third");
}

#[test]
fn what_is_waited_for_ends_the_wait() {
    let event = [object("event", Spec::Event)];
    let theirs = also(&event[0]);
    let (mut guest, messages) = guest(&event, move |message| {
        if matches!(message, FromWorker::WaitBegan { .. }) {
            theirs.perform(Operation::Set).unwrap();
        }
        None
    });
    let handle = guest.open(ObjectKind::Event, "event");
    let asked = Instant::now();
    assert_eq!(guest.call::<_, u32>("wait", (handle, NEVER)), 0);
    assert!(asked.elapsed() >= WAIT_WITH_SLOT_TIME_MAX);
    let wait = began(&messages, object_wait(WaitFor::Event), false);
    assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait }));
}

#[test]
fn a_deadlock_ends_the_wait_with_its_cycle() {
    let lock = [object("lock", Spec::Lock)];
    lock[0].perform(Operation::Acquire).unwrap();
    let (mut guest, messages) = guest(&lock, |message| match message {
        FromWorker::WaitBegan { wait, .. } => {
            Some(ToWorker::Deadlock { wait: *wait, cycle: "task 7 waits for task 8".to_owned() })
        }
        _ => None,
    });
    let handle = guest.open(ObjectKind::Lock, "lock");
    for _ in 0..2 {
        assert_eq!(guest.call::<_, u32>("acquire", (handle, NEVER)), 27);
        assert_eq!(guest.last_error(), "deadlock: task 7 waits for task 8");
        let wait = began(&messages, object_wait(WaitFor::Lock), false);
        assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait }));
    }
    // The lock is as it was.
    lock[0].perform(Operation::Release).unwrap();
    assert_eq!(guest.call::<_, u32>("acquire", (handle, NEVER)), 0);
}

#[test]
fn a_deadlock_of_another_wait_is_nobodys() {
    let event = [object("event", Spec::Event)];
    let (mut guest, _messages) = guest(&event, |message| match message {
        FromWorker::WaitBegan { wait, .. } => {
            Some(ToWorker::Deadlock { wait: *wait + 1, cycle: "another".to_owned() })
        }
        _ => None,
    });
    let handle = guest.open(ObjectKind::Event, "event");
    for _ in 0..2 {
        assert_eq!(guest.call::<_, u32>("wait", (handle, 30_u32)), 16);
    }
}

#[test]
fn a_task_that_is_asked_to_stop_waits_no_longer() {
    let event = [object("event", Spec::Event)];
    let (mut guest, messages) = guest(&event, |message| {
        matches!(message, FromWorker::WaitBegan { .. }).then_some(ToWorker::Cancel { task: TASK })
    });
    let handle = guest.open(ObjectKind::Event, "event");
    assert_eq!(guest.call::<_, u32>("wait", (handle, NEVER)), 28);
    let wait = began(&messages, object_wait(WaitFor::Event), false);
    assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait }));
    // What need not wait still works while it tidies up.
    assert_eq!(guest.call::<_, u32>("set", (handle,)), 0);
    assert_eq!(guest.call::<_, u32>("wait", (handle, NEVER)), 0);
}

#[test]
fn a_condition_takes_its_lock_back_however_long_it_takes() {
    let condition = [object("condition", Spec::Condition)];
    let theirs = also(&condition[0]);
    let (mut guest, messages) = guest(&condition, move |message| {
        match message {
            FromWorker::WaitBegan { on, .. } if *on == object_wait(WaitFor::Notify) => {
                theirs.perform(Operation::Acquire).unwrap();
            }
            FromWorker::WaitBegan { .. } => {
                theirs.perform(Operation::Release).unwrap();
            }
            _ => {}
        }
        None
    });
    let handle = guest.open(ObjectKind::Condition, "condition");
    assert_eq!(guest.call::<_, u32>("acquire", (handle, NEVER)), 0);
    assert_eq!(guest.call::<_, u32>("wait", (handle, 50_u32)), 16);
    assert_eq!(guest.call::<_, u32>("release", (handle,)), 0);
    let notify = began(&messages, object_wait(WaitFor::Notify), true);
    assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait: notify }));
    let lock = began(&messages, object_wait(WaitFor::Lock), false);
    assert_eq!(messages.recv(), Ok(FromWorker::WaitEnded { wait: lock }));
    assert!(lock > notify);
}

#[test]
fn whoever_held_the_lock_before_is_told_once() {
    let lock = [object("lock", Spec::Lock)];
    lock[0].perform(Operation::Acquire).unwrap();
    let recovered = lock[0].object.as_ref().unwrap().recover(
        super::harness::other(),
        42,
        crate::sync::Departure::Died,
        &|_| true,
    );
    assert_eq!(recovered, crate::sync::Recovery::Done);
    let (mut guest, _messages) = guest(&lock, |_| None);
    let handle = guest.open(ObjectKind::Lock, "lock");
    assert_eq!(guest.call::<_, u32>("acquire", (handle, 0_u32)), 1);
    assert_eq!(guest.call::<_, u64>("abandoned-by", (handle,)), 42);
    assert_eq!(guest.call::<_, u32>("release", (handle,)), 0);
    assert_eq!(guest.call::<_, u32>("acquire", (handle, 0_u32)), 0);
    assert_eq!(guest.call::<_, u64>("abandoned-by", (handle,)), 0);
}
