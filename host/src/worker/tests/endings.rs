//! How core modules end: each trap, exits, limits, output.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::harness::*;
use crate::outcome::{LimitKind, StartFailure, TrapKind};
use crate::protocol::worker::{Claim, Entry, FromWorker, Start, WorkerLimits};

/// A command whose body is this.
fn command(body: &str) -> String {
    format!(
        r#"(module
            (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
            (memory (export "memory") 1)
            (table $t 2 funcref)
            (type $none (func))
            (type $one (func (param i32)))
            (type $array (array (mut i64)))
            (type $struct (struct))
            (func $f (param i32))
            (elem (i32.const 0) $f)
            (func $deep (call $deep))
            (func $spin (loop (br 0)))
            (func (export "_start") {body}))"#
    )
}

#[test]
fn each_classic_trap_has_its_kind() {
    for (body, kind) in [
        ("(unreachable)", TrapKind::Unreachable),
        ("(call $deep)", TrapKind::StackOverflow),
        ("(drop (i32.load (i32.const -4)))", TrapKind::MemoryOutOfBounds),
        ("(call_indirect $t (type $none) (i32.const 9))", TrapKind::TableOutOfBounds),
        ("(call_indirect $t (type $none) (i32.const 1))", TrapKind::IndirectCallToNull),
        ("(call_indirect $t (type $none) (i32.const 0))", TrapKind::BadSignature),
        ("(drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))", TrapKind::IntegerOverflow),
        ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", TrapKind::IntegerDivisionByZero),
        ("(drop (i32.trunc_f32_s (f32.const nan)))", TrapKind::BadConversionToInteger),
        ("(call_ref $none (ref.null $none))", TrapKind::NullReference),
        (
            "(drop (array.get $array (array.new_default $array (i32.const 2)) (i32.const 2)))",
            TrapKind::ArrayOutOfBounds,
        ),
        ("(drop (array.new_default $array (i32.const -1)))", TrapKind::AllocationTooLarge),
        ("(drop (ref.cast (ref $struct) (array.new_default $array (i32.const 1))))", TrapKind::CastFailure),
    ] {
        let story = run_command(&command(body));
        let Claim::Trapped { trap, denied: None } = story.claim() else { panic!("{body}: {:?}", story.said) };
        assert_eq!(trap.kind, kind, "{body}: {}", trap.message);
        assert!(trap.backtrace.iter().any(|frame| frame.module_offset.is_some()), "{body}: {trap:?}");
        assert_eq!(story.status.exit_status(), Some(0));
    }
}

/// The soft limit of its CPU time that a process has, as the kernel tells.
fn cpu_seconds_max(worker: &Worker) -> String {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", worker.pid())).unwrap();
    let row = limits.lines().find_map(|line| line.strip_prefix("Max cpu time")).unwrap();
    row.split_whitespace().next().unwrap().to_owned()
}

#[test]
fn a_worker_that_nobody_looks_at_is_killed_by_its_own_cpu_time_limit() {
    let limits = WorkerLimits { cpu_time: Some(Duration::from_millis(100)), ..limits() };
    let story = run(&command("(call $spin)"), Start { limits, ..start(Entry::Command) });
    assert_eq!(story.claims(), Vec::<&Claim>::new());
    assert_eq!(story.status.terminating_signal(), Some(libc::SIGXCPU));
}

#[test]
fn each_assignment_of_a_reused_worker_has_a_cpu_time_of_its_own() {
    let server = serve(&compile(&command("(nop)")), ENGINE, None);
    let worker = fork(&server);
    let unlimited = cpu_seconds_max(&worker);
    let seconds = |seconds| Some(Duration::from_secs(seconds));
    for (cpu_time, max) in [
        (None, unlimited.as_str()),
        // A second more than asked for, and what it used before rounded up.
        (seconds(5), "7"),
        (seconds(20), "22"),
        (seconds(1), "3"),
        (Some(Duration::MAX), unlimited.as_str()),
        (None, unlimited.as_str()),
    ] {
        let limits = WorkerLimits { cpu_time, ..limits() };
        worker.start(Start { limits, last: false, ..start(Entry::Command) }, &[]);
        let ended = |message: &FromWorker| matches!(message, FromWorker::Finished { .. });
        let mut said = std::iter::from_fn(|| receive::<FromWorker>(&worker.socket));
        assert!(said.any(|(message, _)| ended(&message)));
        assert_eq!(cpu_seconds_max(&worker), max, "{cpu_time:?}");
    }
}

#[test]
fn exit_codes_arrive_as_they_were_asked_for() {
    for code in [0, 1, 42, 125, 126, 300, u32::MAX] {
        let story = run_command(&command(&format!("(call $exit (i32.const {code}))")));
        assert_eq!(*story.claim(), Claim::Exited { code });
    }
    assert_eq!(*run_command(&command("")).claim(), Claim::Exited { code: 0 });
}

#[test]
fn an_uncaught_exception_is_one() {
    let story = run_command("(module (tag $e) (func (export \"_start\") (throw $e)))");
    let Claim::Trapped { trap, .. } = story.claim() else { panic!("{:?}", story.said) };
    assert_eq!(trap.kind, TrapKind::UncaughtException);
}

#[test]
fn a_start_function_runs_after_the_acknowledgement_and_its_trap_is_one() {
    let story = run_command("(module (func $f (unreachable)) (start $f) (func (export \"_start\")))");
    assert_eq!(story.said.len(), 2);
    assert!(matches!(story.claim(), Claim::Trapped { .. }));
}

#[test]
fn a_reactor_is_initialized_first() {
    let story = run(
        "(module (func (export \"_initialize\") (unreachable)) (func (export \"f\")))",
        start(Entry::Export { name: "f".to_owned() }),
    );
    assert!(matches!(story.claim(), Claim::Trapped { .. }), "{:?}", story.said);
}

#[test]
fn no_entry_or_one_with_parameters_is_not_found() {
    for module in ["(module)", "(module (func (export \"_start\") (param i32)))", "(component)"] {
        let story = run_command(module);
        let Claim::NotStarted { kind: StartFailure::NotFound, .. } = story.claim() else {
            panic!("{module}: {:?}", story.said)
        };
    }
}

#[test]
fn a_declared_minimum_over_a_limit_is_that_limit() {
    let limits = WorkerLimits { memory_bytes: 1 << 20, table_elements: 100, instances: 1, ..limits() };
    for (module, kind) in [
        ("(module (memory 17) (func (export \"_start\")))", LimitKind::Memory),
        ("(module (table 101 funcref) (func (export \"_start\")))", LimitKind::Table),
        ("(module (memory 1) (memory 1) (func (export \"_start\")))", LimitKind::Instances),
    ] {
        let story = run(module, Start { limits, ..start(Entry::Command) });
        let Claim::LimitExceeded { kind: met, .. } = story.claim() else {
            panic!("{module}: {:?}", story.said)
        };
        assert_eq!(*met, kind, "{module}");
    }
}

#[test]
fn fuel_runs_out() {
    let artifact = compile_with(command("(call $spin)").as_bytes(), WITH_FUEL);
    let server = serve(&artifact, WITH_FUEL, None);
    let worker = fork(&server);
    let limits = WorkerLimits { fuel: Some(10_000), ..limits() };
    worker.start(Start { limits, ..start(Entry::Command) }, &[]);
    let story = worker.story();
    assert!(matches!(story.claim(), Claim::LimitExceeded { kind: LimitKind::Fuel, .. }), "{:?}", story.said);
}

#[test]
fn output_arrives_before_the_end() {
    let story = run_command(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write"
                (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "hello\n")
            (func (export "_start")
                (i32.store (i32.const 0) (i32.const 16))
                (i32.store (i32.const 4) (i32.const 6))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
    );
    assert_eq!(story.stdout(), "hello\n");
    assert_eq!(*story.claim(), Claim::Exited { code: 0 });
}

/// Sleeps 20 ms, reads up to 16 bytes of standard input and writes them to standard output.
const SLEEP_AND_COPY: &str = r#"(module
    (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start")
        (i32.store (i32.const 16) (i32.const 1))
        (i64.store (i32.const 24) (i64.const 20000000))
        (if (call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128)) (then (unreachable)))
        (i32.store (i32.const 200) (i32.const 300))
        (i32.store (i32.const 204) (i32.const 16))
        (if (call $read (i32.const 0) (i32.const 200) (i32.const 1) (i32.const 208)) (then (unreachable)))
        (i32.store (i32.const 204) (i32.load (i32.const 208)))
        (if (call $write (i32.const 1) (i32.const 200) (i32.const 1) (i32.const 208)) (then (unreachable)))))"#;

#[test]
fn sleeping_reading_and_writing_work_inside_the_whole_sandbox() {
    let artifact = compile(SLEEP_AND_COPY);
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::io::Write::write_all(&mut writer, b"from outside").unwrap();
    worker.start(Start { stdin: true, ..start(Entry::Command) }, &[&reader]);
    let story = worker.story();
    assert_eq!(*story.claim(), Claim::Exited { code: 0 });
    assert_eq!(story.stdout(), "from outside");
}
