//! Modules that run something once, in the fork server, before their first task.

use std::time::Duration;

use super::harness::*;
use crate::directory::GrantedDir;
use crate::outcome::LimitKind;
use crate::policy::DirAccess;
use crate::protocol::fork_server::{FromForkServer, Init, Load, Said, ToForkServer};
use crate::protocol::worker::{Body, Claim, Entry, FromWorker, Start};

fn init() -> Init {
    let limits = limits();
    Init {
        timeout: Duration::from_secs(30),
        memory_bytes: limits.memory_bytes,
        table_elements: limits.table_elements,
        instances: limits.instances,
        deterministic: None,
    }
}

/// A fork server that was told to initialise this core module, and the answer that it gives after it has begun.
fn initialize(module: &str, init: Init, dirs: &[GrantedDir]) -> (Process, FromForkServer) {
    let artifact = compile(module);
    assert!(artifact.info.has_init());
    let server = Process::start("fork-server", None);
    let ToForkServer::Load(load) = load_message(&artifact, ENGINE) else { panic!("it is a load") };
    let rules = dirs.iter().map(|dir| dir.rule().clone()).collect();
    let load = Load { init: Some(init), dirs: rules, ..load };
    let mut descriptors: Vec<&dyn std::os::fd::AsFd> = vec![&artifact.file];
    descriptors.extend(dirs.iter().map(|dir| dir as &dyn std::os::fd::AsFd));
    send(&server.socket, &ToForkServer::Load(load), &descriptors);
    let answer = || receive::<FromForkServer>(&server.socket).expect("an answer").0;
    assert_eq!(answer(), FromForkServer::Initializing);
    let answer = answer();
    (server, answer)
}

/// One that has done so, and what the module said.
fn initialized(module: &str, dirs: &[GrantedDir]) -> (Process, Said) {
    let (server, answer) = initialize(module, init(), dirs);
    let FromForkServer::Initialized { said } = answer else { panic!("{answer:?}") };
    let ready = receive::<FromForkServer>(&server.socket).expect("an answer").0;
    assert!(matches!(ready, FromForkServer::Ready { .. }), "{ready:?}");
    (server, said)
}

/// How initialising it fails.
fn failure(module: &str, init: Init) -> (Claim, Said) {
    match initialize(module, init, &[]).1 {
        FromForkServer::InitFailed { claim, said } => (claim, said),
        other => panic!("{other:?}"),
    }
}

fn look() -> Start {
    Start { inputs: inputs(&[b"[]"]), ..start(Entry::Export { name: "look".to_owned() }) }
}

fn text_of(claim: &Claim) -> &str {
    match claim {
        Claim::Returned { body: Body::Inline(bytes), .. } => std::str::from_utf8(bytes).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// What a worker's `look` returns.
fn looked(server: &Process) -> String {
    let worker = fork(server);
    worker.start(look(), &[]);
    text_of(worker.story().claim()).to_owned()
}

/// Counts in memory and in a global: how often `_initialize` and the `#[init]` function ran, and `look`.
const COUNTS: &str = r#"(module
    (memory (export "memory") 1)
    (global $n (mut i32) (i32.const 0))
    (func (export "_initialize") (global.set $n (i32.add (global.get $n) (i32.const 1000))))
    (func (export "wasmpool-init") (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 100))))
    (func (export "look") (result i32)
        (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
        (i32.add (global.get $n) (i32.load (i32.const 0)))))"#;

#[test]
fn each_worker_begins_with_what_was_initialised_once_and_none_sees_another_s() {
    let (server, said) = initialized(COUNTS, &[]);
    assert_eq!(said, Said::default());
    for _ in 0..3 {
        assert_eq!(looked(&server), "1101");
    }
}

#[test]
fn a_worker_that_gets_a_second_assignment_initialises_another_instance_for_it() {
    let (server, _) = initialized(COUNTS, &[]);
    let worker = fork(&server);
    worker.start(Start { last: false, inputs: inputs(&[b"[]", b"[]"]), ..look() }, &[]);
    worker.start(Start { task: 43, ..look() }, &[]);
    let story = worker.story();
    let values: Vec<&str> = story.claims().into_iter().map(text_of).collect();
    assert_eq!(values, ["1101", "1102", "1101"]);
}

#[test]
fn without_bounds_for_the_fork_server_each_worker_does_it() {
    let artifact = compile(COUNTS);
    let server = serve(&artifact, ENGINE, None);
    for _ in 0..3 {
        assert_eq!(looked(&server), "1101");
    }
}

/// Prints three letters, from where `at` is, as often as it is called.
fn prints(when: &str) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\03\00\00\00")
        (data (i32.const 16) "abc")
        (func $print (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))
        (func (export "wasmpool-init") (call $print) {when})
        (func (export "look") (call $print)))"#
    )
}

#[test]
fn what_is_printed_meanwhile_belongs_to_no_task_and_a_task_s_output_is_its_own() {
    let (server, said) = initialized(&prints(""), &[]);
    assert_eq!(said.stdout, b"abc");
    for _ in 0..2 {
        let worker = fork(&server);
        worker.start(look(), &[]);
        let story = worker.story();
        assert_eq!(story.stdout(), "abc");
        assert!(matches!(story.said.first(), Some(FromWorker::Started { task: 42 })), "{:?}", story.said);
    }
}

#[test]
fn a_failure_is_told_with_its_claim_and_what_was_printed_before() {
    let (claim, said) = failure(&prints("unreachable"), init());
    let Claim::Trapped { trap, denied: None } = claim else { panic!("{claim:?}") };
    assert!(trap.message.starts_with("the module's initialisation failed: "), "{}", trap.message);
    assert_eq!(said.stdout, b"abc");
}

#[test]
fn one_that_never_ends_is_out_of_time() {
    let module = r#"(module (func (export "wasmpool-init") (loop (br 0))))"#;
    let (claim, _) = failure(module, Init { timeout: Duration::from_millis(50), ..init() });
    let Claim::LimitExceeded { kind: LimitKind::Time, detail } = claim else { panic!("{claim:?}") };
    assert_eq!(detail, "the module was still being initialised after 50ms");
}

#[test]
fn it_has_no_more_memory_than_a_task() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "wasmpool-init")
            (if (i32.eq (i32.const -1) (memory.grow (i32.const 16))) (then unreachable))))"#;
    let (claim, _) = failure(module, Init { memory_bytes: 1 << 20, ..init() });
    assert!(matches!(&claim, Claim::Trapped { denied: Some((LimitKind::Memory, _)), .. }), "{claim:?}");
    let (server, _) = initialized(module, &[]);
    drop(server);
}

#[test]
fn a_task_with_less_memory_than_was_initialised_does_not_get_it() {
    let module = r#"(module (memory (export "memory") 1)
        (func (export "wasmpool-init") (if (i32.eq (i32.const -1) (memory.grow (i32.const 16))) (then unreachable)))
        (func (export "look") (result i32) (memory.size)))"#;
    let (server, _) = initialized(module, &[]);
    assert_eq!(looked(&server), "17");
    let worker = fork(&server);
    let limits = crate::protocol::worker::WorkerLimits { memory_bytes: 1 << 20, ..limits() };
    worker.start(Start { limits, ..look() }, &[]);
    let story = worker.story();
    assert!(
        matches!(story.claim(), Claim::Trapped { denied: Some((LimitKind::Memory, _)), .. }),
        "{:?}",
        story.said
    );
}

/// Opens the file `f` of its only directory, and reads a byte of it with each look.
const READS: &str = r#"(module
    (import "wasi_snapshot_preview1" "path_open"
        (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "f")
    (data (i32.const 16) "\40\00\00\00\01\00\00\00")
    (func (export "wasmpool-init")
        (if (call $open (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 0)
                (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 32))
            (then unreachable)))
    (func (export "look") (result i32)
        (if (call $read (i32.load (i32.const 32)) (i32.const 16) (i32.const 1) (i32.const 48)) (then unreachable))
        (i32.load8_u (i32.const 64))))"#;

#[test]
fn a_file_that_was_left_open_is_read_from_there_by_each_worker() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("f"), [7, 8]).unwrap();
    let dirs = [GrantedDir::open(folder.path(), "/d", DirAccess::ReadOnly).unwrap()];
    let (server, _) = initialized(READS, &dirs);
    for _ in 0..2 {
        let worker = fork(&server);
        worker.start(Start { inputs: inputs(&[b"[]", b"[]"]), ..look() }, &[]);
        let story = worker.story();
        let values: Vec<&str> = story.claims().into_iter().map(text_of).collect();
        assert_eq!(values, ["7", "8"]);
    }
}

#[test]
fn a_large_image_is_in_huge_pages_where_the_machine_has_some() {
    // 64 pages are 4 MiB; one byte of each of its 4 KiB is written.
    let module = r#"(module (memory (export "memory") 64)
        (func (export "wasmpool-init") (local $at i32)
            (loop
                (i32.store8 (local.get $at) (i32.const 1))
                (local.set $at (i32.add (local.get $at) (i32.const 4096)))
                (br_if 0 (i32.lt_u (local.get $at) (i32.const 4194304)))))
        (func (export "look") (result i32) (i32.load8_u (i32.const 4190208))))"#;
    let huge_kib = || {
        let (server, _) = initialized(module, &[]);
        assert_eq!(looked(&server), "1");
        let smaps = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", server.child.id())).unwrap();
        let huge = smaps.lines().find_map(|line| line.strip_prefix("AnonHugePages:")).unwrap();
        huge.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap()
    };
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let mode = read("/sys/kernel/mm/transparent_hugepage/enabled");
    let release = read("/proc/sys/kernel/osrelease");
    let mut release = release.split('.').map_while(|number| number.parse::<u32>().ok());
    let is_known = (release.next(), release.next()) >= (Some(6), Some(1));
    if is_known && (mode.contains("[madvise]") || mode.contains("[always]")) {
        // Memory may be in pieces for a moment.
        assert!((0..5).any(|_| huge_kib() >= 4096), "no huge pages");
    } else {
        huge_kib();
    }
}
