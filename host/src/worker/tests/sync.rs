//! Shared objects in real workers: how they get there, and how a guest that waits for one is ended.

#![forbid(unsafe_code)]

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::harness::*;
use crate::os::signals::INTERRUPT_SIGNAL;
use crate::protocol::worker::{Claim, Entry, FromWorker, GrantedObject, Start, ToWorker, WaitOn};
use crate::sync::{Answer, Deadline, Object, Operation, SharedObject, Spec, Token, WaitFor};

/// Opens the event `go`, waits for it, as long as the global `$time` says, and exits with the code.
fn waiting(time: &str) -> String {
    format!(
        r#"(module
        (import "wasmpool" "open" (func $open (param i32 i32 i32) (result i64)))
        (import "wasmpool" "wait" (func $wait (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 8) "go")
        (func $check (param i32) (call $exit (local.get 0)))
        (func (export "_start")
            (call $check (call $wait
                (i32.wrap_i64 (call $open (i32.const 3) (i32.const 8) (i32.const 2)))
                (i32.const {time})))))"#
    )
}

fn event() -> (SharedObject, OwnedFd, GrantedObject) {
    let event = SharedObject::create(Spec::Event).unwrap();
    let file = event.file().unwrap().try_clone_to_owned().unwrap();
    (event, file, GrantedObject { name: "go".to_owned(), spec: Spec::Event, end: 0 })
}

/// Reads what a worker says until it has begun to wait.
fn until_it_waits(worker: &Worker) -> u64 {
    loop {
        match receive::<FromWorker>(&worker.socket).expect("it lives").0 {
            FromWorker::WaitBegan { wait, on, timed } => {
                assert_eq!((on, timed), (WaitOn::Object { grant: 0, what: WaitFor::Event }, false));
                return wait;
            }
            FromWorker::Started { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn interrupt(worker: &Worker) {
    worker.signal(Signal::from_named_raw(INTERRUPT_SIGNAL).unwrap());
}

#[test]
fn a_granted_object_reaches_the_guest_with_its_descriptor() {
    let (event, file, granted) = event();
    let artifact = compile(&waiting("-1"));
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    let dict = GrantedObject { name: "names".to_owned(), spec: Spec::Dict, end: 0 };
    // A dictionary has no descriptor; the event's follows that of standard input.
    let start = Start { grants: vec![dict, granted], stdin: true, ..start(Entry::Command) };
    let stdin = std::fs::File::open("/dev/null").unwrap();
    worker.start(start, &[&stdin, &file]);
    let who = Token::new(77).unwrap();
    event.perform(who, Operation::Set, &mut Deadline::never()).unwrap();
    assert_eq!(*worker.story().claim(), Claim::Exited { code: 0 });
}

#[test]
fn a_start_whose_objects_have_no_descriptors_makes_no_sense() {
    let artifact = compile(&waiting("0"));
    let server = serve(&artifact, ENGINE, None);
    let (_, _, granted) = event();
    let without = Start { grants: vec![granted], ..start(Entry::Command) };
    for nonsense in [without, Start { token: 0, ..start(Entry::Command) }] {
        let worker = fork(&server);
        worker.start(nonsense, &[]);
        let story = worker.story();
        assert!(story.said.is_empty(), "{:?}", story.said);
        assert_eq!(story.status.exit_status(), Some(71));
    }
}

#[test]
fn a_guest_that_waits_is_interrupted_and_the_next_one_waits_again() {
    let (event, file, granted) = event();
    let artifact = compile(&waiting("-1"));
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    let grants = vec![granted];
    worker.start(Start { grants: grants.clone(), last: false, ..start(Entry::Command) }, &[&file.as_fd()]);
    let wait = until_it_waits(&worker);
    let asked = Instant::now();
    interrupt(&worker);
    assert_eq!(receive::<FromWorker>(&worker.socket).unwrap().0, FromWorker::WaitEnded { wait });
    let FromWorker::Finished { claim: Claim::Interrupted { .. }, .. } =
        receive::<FromWorker>(&worker.socket).unwrap().0
    else {
        panic!("it was not interrupted")
    };
    // The supervisor would have killed it after this time.
    assert!(asked.elapsed() < crate::limits::INTERRUPT_TIME_MAX, "{:?}", asked.elapsed());
    worker.start(Start { grants, task: 43, ..start(Entry::Command) }, &[&file.as_fd()]);
    assert!(until_it_waits(&worker) > wait);
    let set = event.perform(Token::new(77).unwrap(), Operation::Set, &mut Deadline::after(Duration::ZERO));
    assert_eq!(set, Ok(Answer::Done));
    assert_eq!(*worker.story().claim(), Claim::Exited { code: 0 });
}

#[test]
fn an_interrupt_ends_a_wait_that_the_supervisor_does_not_know_of() {
    let (_event, file, granted) = event();
    let artifact = compile(&waiting("-1"));
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.start(Start { grants: vec![granted], ..start(Entry::Command) }, &[&file.as_fd()]);
    assert_eq!(receive::<FromWorker>(&worker.socket).unwrap().0, FromWorker::Started { task: 42 });
    interrupt(&worker);
    assert!(matches!(worker.story().claim(), Claim::Interrupted { .. }));
}

#[test]
fn cancels_and_deadlocks_reach_a_guest_that_waits() {
    let artifact = compile(&waiting("-1"));
    let server = serve(&artifact, ENGINE, None);
    for code in [27, 28] {
        let (_event, file, granted) = event();
        let worker = fork(&server);
        worker.start(Start { grants: vec![granted], ..start(Entry::Command) }, &[&file.as_fd()]);
        let wait = until_it_waits(&worker);
        let answer = match code {
            27 => ToWorker::Deadlock { wait, cycle: String::new() },
            _ => ToWorker::Cancel { task: 42 },
        };
        send(&worker.socket, &answer, &[]);
        assert_eq!(*worker.story().claim(), Claim::Exited { code });
    }
}
