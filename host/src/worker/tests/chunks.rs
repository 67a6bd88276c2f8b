//! Chunks that a guest goes through by itself: what is said of each call, and of a guest that lies.

#![forbid(unsafe_code)]

use rustix::process::Signal;

use super::harness::*;
use crate::limits::{CHUNK_INPUTS_BYTES_MAX, CHUNK_INPUTS_MAX, INLINE_BYTES_MAX};
use crate::os::signals::INTERRUPT_SIGNAL;
use crate::outcome::{LimitKind, TrapKind};
use crate::protocol::worker::{Body, Claim, FromWorker, Initializer, Start, WorkerLimits};

/// A component with the task `work`, which may call `$following`, `$inputs` and `$ended`. `$run` leaves the outcome of an
/// argument at 16: a trap for `t`, an error for `f`, a loop for `s`, else the argument. `$tell` says how that call ended.
fn component(work: &str) -> String {
    format!(
        r#"(component $this
            (type $error' (variant (case "failed" string) (case "invalid-arguments" string) (case "other" string)))
            (import "wasmpool:task/types@0.1.0" (instance $types (export "task-error" (type (eq $error')))))
            (alias export $types "task-error" (type $error))
            (import "wasmpool:task/chunk@0.1.0" (instance $chunk
                (alias outer $this $error (type $outer))
                (export "task-error" (type $e (eq $outer)))
                (export "following" (func (result u32)))
                (export "inputs" (func (result (tuple (list u32) (list u8)))))
                (export "ended" (func (param "outcome" (result (list u8) (error $e)))))))
            (core module $libc
                (memory (export "memory") 4)
                (global $next (mut i32) (i32.const 4096))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32)
                    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                    (global.get $next)
                    (global.set $next (i32.add (global.get $next) (local.get 3)))))
            (core instance $libc (instantiate $libc))
            (alias core export $libc "memory" (core memory $memory))
            (alias core export $libc "realloc" (core func $realloc))
            (core func $following (canon lower (func $chunk "following")))
            (core func $inputs (canon lower (func $chunk "inputs") (memory $memory) (realloc $realloc)))
            (core func $ended (canon lower (func $chunk "ended") (memory $memory)))
            (core module $m
                (import "libc" "memory" (memory 4))
                (import "chunk" "following" (func $following (result i32)))
                (import "chunk" "inputs" (func $inputs (param i32)))
                (import "chunk" "ended" (func $ended (param i32 i32 i32 i32)))
                (data (i32.const 100) "no")
                (func $run (param $at i32) (param $length i32)
                    (local $letter i32)
                    (if (local.get $length) (then (local.set $letter (i32.load8_u (local.get $at)))))
                    (if (i32.eq (local.get $letter) (i32.const 116)) (then (unreachable)))
                    (if (i32.eq (local.get $letter) (i32.const 115)) (then (loop (br 0))))
                    (if (i32.eq (local.get $letter) (i32.const 102))
                        (then
                            (i32.store8 (i32.const 16) (i32.const 1))
                            (i32.store (i32.const 20) (i32.const 0))
                            (i32.store (i32.const 24) (i32.const 100))
                            (i32.store (i32.const 28) (i32.const 2)))
                        (else
                            (i32.store8 (i32.const 16) (i32.const 0))
                            (i32.store (i32.const 20) (local.get $at))
                            (i32.store (i32.const 24) (local.get $length)))))
                (func $tell
                    (call $ended
                        (i32.load8_u (i32.const 16)) (i32.load (i32.const 20))
                        (i32.load (i32.const 24)) (i32.load (i32.const 28))))
                (func (export "work") (param $at i32) (param $length i32) (result i32)
                    (local $count i32) (local $lengths i32)
                    (call $run (local.get $at) (local.get $length))
                    {work}
                    (i32.const 16)))
            (core instance $i (instantiate $m
                (with "libc" (instance $libc))
                (with "chunk" (instance
                    (export "following" (func $following))
                    (export "inputs" (func $inputs))
                    (export "ended" (func $ended))))))
            (func (export "work") (param "args" (list u8)) (result (result (list u8) (error $error)))
                (canon lift (core func $i "work") (memory $memory) (realloc $realloc))))"#
    )
}

/// As a guest of the SDK does: each of the inputs that it is given, until there are no more.
const THROUGH: &str = r"
    (if (call $following) (then
        (loop $more
            (call $inputs (i32.const 64))
            (local.set $lengths (i32.load (i32.const 64)))
            (local.set $count (i32.load (i32.const 68)))
            (local.set $at (i32.load (i32.const 72)))
            (if (local.get $count) (then
                (loop $next
                    (call $tell)
                    (call $run (local.get $at) (i32.load (local.get $lengths)))
                    (local.set $at (i32.add (local.get $at) (i32.load (local.get $lengths))))
                    (local.set $lengths (i32.add (local.get $lengths) (i32.const 4)))
                    (local.set $count (i32.sub (local.get $count) (i32.const 1)))
                    (br_if $next (local.get $count)))
                (br $more))))))";

fn ran(work: &str, given: &[&[u8]], limits: WorkerLimits) -> Story {
    run(&component(work), Start { inputs: inputs(given), limits, ..start(task()) })
}

/// What was said of each call, as text, behind its index.
fn told(story: &Story) -> Vec<(u32, String)> {
    let told = story.said.iter().filter_map(|message| match message {
        FromWorker::Finished { index, claim, .. } => Some((*index, claim)),
        _ => None,
    });
    let text = |claim: &Claim| match claim {
        Claim::Returned { body: Body::Inline(bytes), .. } => String::from_utf8(bytes.clone()).unwrap(),
        Claim::Failed { message } => format!("failed: {message}"),
        Claim::Trapped { trap, .. } => format!("trap: {:?}", trap.kind),
        Claim::LimitExceeded { kind, .. } => format!("limit: {kind:?}"),
        other => panic!("{other:?}"),
    };
    told.map(|(index, claim)| (index, text(claim))).collect()
}

fn expected(told: &[&str]) -> Vec<(u32, String)> {
    (0..).zip(told.iter().map(|&text| text.to_owned())).collect()
}

#[test]
fn each_call_that_the_guest_went_on_to_is_told_at_its_index() {
    let story = ran(THROUGH, &[b"a", b"", b"ff", b"cccc"], limits());
    assert_eq!(told(&story), expected(&["a", "", "failed: no", "cccc"]));
    assert_eq!(story.said[0], FromWorker::Started { task: 42 });
    assert_eq!((story.said.len(), story.status.exit_status()), (5, Some(0)));
    let alone = ran(THROUGH, &[b"a"], limits());
    assert_eq!(told(&alone), expected(&["a"]));
}

#[test]
fn a_trap_is_that_of_the_call_that_ran() {
    let story = ran(THROUGH, &[b"a", b"b", b"t", b"d"], limits());
    assert_eq!(told(&story), expected(&["a", "b", &format!("trap: {:?}", TrapKind::Unreachable)]));
}

#[test]
fn a_result_over_its_limit_ends_the_chunk_there() {
    let story = ran(THROUGH, &[b"a", b"bbbbb", b"c"], WorkerLimits { result_bytes: 4, ..limits() });
    assert_eq!(told(&story), expected(&["a", &format!("limit: {:?}", LimitKind::Result)]));
    assert_eq!(story.status.exit_status(), Some(0));
}

#[test]
fn the_inputs_of_a_long_chunk_come_in_parts() {
    // As many as come at once, and each longer than one; then a long one, and short ones behind it.
    let long = vec![b'x'; CHUNK_INPUTS_BYTES_MAX + 1];
    let numbers: Vec<Vec<u8>> = (0..2 * CHUNK_INPUTS_MAX + 88).map(|n| n.to_string().into_bytes()).collect();
    let mut given: Vec<&[u8]> = numbers.iter().map(Vec::as_slice).collect();
    given.extend([&long[..], b"a", &long[1..], b"b"]);
    let texts: Vec<&str> = given.iter().map(|input| std::str::from_utf8(input).unwrap()).collect();
    assert_eq!(told(&ran(THROUGH, &given, limits())), expected(&texts));
}

#[test]
fn what_the_guest_did_not_go_on_to_it_is_called_with() {
    // It takes some inputs and returns; each call begins anew.
    let forgetful = "(call $inputs (i32.const 64))";
    assert_eq!(told(&ran(forgetful, &[b"a", b"f", b"c"], limits())), expected(&["a", "failed: no", "c"]));
}

#[test]
fn the_last_call_ends_by_returning() {
    let eager = format!("{THROUGH} (call $tell)");
    let story = ran(&eager, &[b"a", b"b"], limits());
    let trap = format!("trap: {:?}", TrapKind::Other);
    assert_eq!(told(&story), expected(&["a", &trap]));
    let Claim::Trapped { trap: said, .. } = story.claims()[1] else { panic!("{:?}", story.said) };
    assert!(said.message.contains("ends by returning"), "{}", said.message);
    assert_eq!(told(&ran("(call $tell)", &[b"a"], limits())), expected(&[&trap]));
}

#[test]
fn each_call_has_its_own_fuel() {
    let artifact = compile_with(component(THROUGH).as_bytes(), WITH_FUEL);
    let server = serve(&artifact, WITH_FUEL, None);
    let given: Vec<&[u8]> = vec![b"a"; 200];
    let with = |fuel, given: &[&[u8]]| {
        let worker = fork(&server);
        let limits = WorkerLimits { fuel: Some(fuel), ..limits() };
        worker.start(Start { inputs: inputs(given), limits, ..start(task()) }, &[]);
        told(&worker.story())
    };
    // What one call takes is far less than 200 take.
    assert_eq!(with(1000, &given), expected(&["a"; 200]));
    assert_eq!(with(1000, &[b"a", b"s", b"a"]), expected(&["a", &format!("limit: {:?}", LimitKind::Fuel)]));
}

#[test]
fn an_interrupt_is_that_of_the_call_that_runs() {
    let artifact = compile(&component(THROUGH));
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.start(Start { inputs: inputs(&[b"a", b"b", b"s", b"d"]), ..start(task()) }, &[]);
    let mut said = Vec::new();
    while said.len() < 3 {
        said.push(receive::<FromWorker>(&worker.socket).unwrap().0);
    }
    worker.signal(Signal::from_named_raw(INTERRUPT_SIGNAL).unwrap());
    let rest = worker.story();
    let [FromWorker::Finished { index: 2, claim: Claim::Interrupted { .. }, .. }] = &rest.said[..] else {
        panic!("{said:?} {:?}", rest.said)
    };
}

#[test]
fn a_result_that_does_not_fit_its_frame_has_its_file() {
    let long = vec![b'x'; INLINE_BYTES_MAX + 1];
    let artifact =
        compile(&component(&format!("(i32.store (i32.const 24) (i32.const {})) {THROUGH}", long.len())));
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.start(Start { inputs: inputs(&[b"a", b"b"]), ..start(task()) }, &[]);
    let story = worker.story();
    let length = long.len() as u64;
    assert!(
        matches!(story.claims()[0], Claim::Returned { body: Body::Memory { length: n }, .. } if *n == length)
    );
    assert!(matches!(story.claims()[1], Claim::Returned { body: Body::Inline(bytes), .. } if bytes == b"b"));
    assert_eq!(story.files.len(), 1);
}

#[test]
fn a_chunk_that_is_not_offered_is_none() {
    let start = Start { inputs: inputs(&[b"a", b"b"]), goes_through: false, ..start(task()) };
    assert_eq!(told(&run(&component(THROUGH), start)), expected(&["a", "b"]));
    let telling = format!("(if (call $following) (then (unreachable))) {THROUGH}");
    let start = Start { inputs: inputs(&[b"a", b"b"]), goes_through: false, ..super::harness::start(task()) };
    assert_eq!(told(&run(&component(&telling), start)), expected(&["a", "b"]));
}

#[test]
fn an_initializer_is_followed_by_nothing() {
    let initializer = Some(Initializer { export: "work".to_owned(), args: b"i".to_vec() });
    let start = Start { inputs: inputs(&[b"a", b"b"]), initializer, ..start(task()) };
    assert_eq!(told(&run(&component(THROUGH), start)), expected(&["a", "b"]));
}
