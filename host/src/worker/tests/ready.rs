//! Instances that the fork server has ready: made for the second worker and those after it, where no host is asked.

use super::harness::*;
use crate::protocol::worker::{Body, Claim, Entry, Start, WorkerLimits};

/// True when a worker that waits for its first task has an instance: its memory's address space is reserved.
fn has_instance(worker: &Worker) -> bool {
    const RESERVED: u64 = 4 << 30;
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", worker.pid())).unwrap();
    let length = |line: &str| {
        let (start, end) = line.split(' ').next()?.split_once('-')?;
        let number = |text| u64::from_str_radix(text, 16).ok();
        number(end)?.checked_sub(number(start)?)
    };
    maps.lines().filter_map(length).any(|length| length >= RESERVED / 2)
}

fn byte_of(claim: &Claim) -> u8 {
    match claim {
        Claim::Returned { body: Body::Inline(bytes), .. } => bytes[0],
        other => panic!("{other:?}"),
    }
}

/// A task that increments the byte at 100 and returns it, with more of the module.
fn counts(more: &str) -> String {
    task_component(&format!(
        r#"{more}
        (func (export "work") (param i32 i32) (result i32)
            (i32.store8 (i32.const 100) (i32.add (i32.const 1) (i32.load8_u (i32.const 100))))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 100))
            (i32.store (i32.const 24) (i32.const 1))
            (i32.const 16))"#
    ))
}

#[test]
fn what_a_module_does_before_it_is_called_is_done_once_and_every_worker_has_it_fresh() {
    let module = counts(
        r#"(func $begin (i32.store8 (i32.const 100) (i32.const 7)))
        (start $begin)"#,
    );
    let artifact = compile(&module);
    let server = serve(&artifact, ENGINE, None);
    let workers = [fork(&server), fork(&server), fork(&server)];
    assert_eq!(workers.each_ref().map(has_instance), [false, true, true]);
    for worker in workers {
        worker.start(Start { last: false, inputs: inputs(&[b"", b""]), ..start(task()) }, &[]);
        worker.start(Start { task: 43, inputs: inputs(&[b""]), ..start(task()) }, &[]);
        let story = worker.story();
        let bytes: Vec<u8> = story.claims().into_iter().map(byte_of).collect();
        assert_eq!(bytes, [8, 9, 8]);
    }
}

#[test]
fn a_module_that_asks_its_host_for_something_first_does_so_in_each_worker() {
    let module = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\06\00\00\00")
        (data (i32.const 16) "begun\n")
        (func $begin (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (start $begin)
        (func (export "_start")))"#;
    let artifact = compile(module);
    let server = serve(&artifact, ENGINE, None);
    for _ in 0..3 {
        let worker = fork(&server);
        assert!(!has_instance(&worker));
        worker.start(start(Entry::Command), &[]);
        assert_eq!(worker.story().stdout(), "begun\n");
    }
}

#[test]
fn a_module_that_never_begins_holds_up_no_worker() {
    let artifact = compile("(module (func $begin (loop (br 0))) (start $begin) (func (export \"_start\")))");
    let server = serve(&artifact, ENGINE, None);
    for _ in 0..3 {
        let worker = fork(&server);
        assert!(!has_instance(&worker));
        worker.start(start(Entry::Command), &[]);
        worker.signal(rustix::process::Signal::KILL);
        let story = worker.story();
        assert!(story.claims().is_empty(), "{:?}", story.said);
    }
}

#[test]
fn a_ready_instance_counts_against_the_limits_of_its_task() {
    let artifact = compile(&counts(""));
    let server = serve(&artifact, ENGINE, None);
    let workers = [fork(&server), fork(&server)];
    assert_eq!(workers.each_ref().map(has_instance), [false, true]);
    let limits = WorkerLimits { memory_bytes: 65_536, ..limits() };
    let refused = workers.map(|worker| {
        worker.start(Start { limits, ..start(task()) }, &[]);
        worker.story().claim().clone()
    });
    assert!(matches!(refused[0], Claim::LimitExceeded { .. }), "{refused:?}");
    assert_eq!(refused[0], refused[1]);
}

#[test]
fn a_ready_instance_may_grow_as_far_as_its_task_may_and_no_further() {
    // Returns 1 when it could grow by a page, 0 when not.
    let module = task_component(
        r#"(func (export "work") (param i32 i32) (result i32)
            (i32.store8 (i32.const 100) (i32.ne (i32.const -1) (memory.grow (i32.const 1))))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 100))
            (i32.store (i32.const 24) (i32.const 1))
            (i32.const 16))"#,
    );
    let artifact = compile(&module);
    let server = serve(&artifact, ENGINE, None);
    for pages in [2, 2, 3, 3] {
        let worker = fork(&server);
        let limits = WorkerLimits { memory_bytes: pages * 65_536, ..limits() };
        worker.start(Start { limits, ..start(task()) }, &[]);
        assert_eq!(u64::from(byte_of(worker.story().claim())), pages - 2, "{pages} pages");
    }
}
