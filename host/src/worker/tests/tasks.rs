//! Tasks of components: inputs, results, chunks, initializers, how each of them can end.

#![forbid(unsafe_code)]

use super::harness::*;
use crate::os::memory_file::SealedFile;
use crate::outcome::{Encoding, LimitKind, StartFailure, TrapKind};
use crate::protocol::worker::{Body, Claim, Entry, FromWorker, Initializer, Inputs, Start, WorkerLimits};

#[test]
fn a_task_goes_from_text_to_result() {
    let story = run(&echo(), Start { inputs: inputs(&[b"hello"]), ..start(task()) });
    assert_eq!(story.said[0], FromWorker::Started { task: 42 });
    let returned = Claim::Returned { encoding: Encoding::Raw, body: Body::Inline(b"hello".to_vec()) };
    let FromWorker::Finished { task: 42, index: 0, claim, .. } = &story.said[1] else {
        panic!("{:?}", story.said)
    };
    assert_eq!(claim, &returned);
    assert_eq!(story.status.exit_status(), Some(0));
}

#[test]
fn a_chunk_shares_an_instance_and_each_call_is_told_at_once() {
    let story = run(&echo(), Start { inputs: inputs(&[b"a", b"", b"ccc"]), ..start(task()) });
    let bodies = story.claims().into_iter().map(|claim| match claim {
        Claim::Returned { body: Body::Inline(bytes), .. } => bytes.as_slice(),
        other => panic!("{other:?}"),
    });
    assert_eq!(bodies.collect::<Vec<_>>(), [&b"a"[..], b"", b"ccc"]);
}

#[test]
fn large_inputs_and_results_travel_in_memory_files() {
    let artifact = compile(&echo());
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let length = bytes.len() as u64;
    let file = SealedFile::from_bytes("inputs", &bytes).unwrap();
    let inputs = Inputs { lengths: vec![length], body: Body::Memory { length } };
    worker.start(Start { inputs, ..start(task()) }, &[&file]);
    let mut story = worker.story();
    assert!(
        matches!(story.claim(), Claim::Returned { body: Body::Memory { length: n }, .. } if *n == length)
    );
    assert_eq!(story.files.len(), 1);
    let result = SealedFile::seal(story.files.remove(0)).unwrap();
    assert_eq!(&*result.map().unwrap(), &bytes[..]);
}

#[test]
fn a_result_over_its_limit_says_both_numbers() {
    let limits = WorkerLimits { result_bytes: 4, ..limits() };
    let story = run(&echo(), Start { inputs: inputs(&[b"hello"]), limits, ..start(task()) });
    let Claim::LimitExceeded { kind: LimitKind::Result, detail } = story.claim() else {
        panic!("{:?}", story.claim())
    };
    assert!(detail.contains('5') && detail.contains('4'), "{detail}");
}

/// Returns `Err(failed("no"))` when its argument is empty, and its argument otherwise.
fn picky() -> String {
    task_component(
        r#"(data (i32.const 100) "no")
        (func (export "work") (param i32 i32) (result i32)
            (i32.store8 (i32.const 16) (i32.eqz (local.get 1)))
            (if (result i32) (local.get 1)
                (then
                    (i32.store (i32.const 20) (local.get 0))
                    (i32.store (i32.const 24) (local.get 1))
                    (i32.const 16))
                (else
                    (i32.store8 (i32.const 20) (i32.const 0))
                    (i32.store (i32.const 24) (i32.const 100))
                    (i32.store (i32.const 28) (i32.const 2))
                    (i32.const 16))))"#,
    )
}

#[test]
fn an_error_that_a_task_returns_does_not_end_its_chunk() {
    let story = run(&picky(), Start { inputs: inputs(&[b"a", b"", b"b"]), ..start(task()) });
    let claims = story.claims();
    assert!(matches!(claims[0], Claim::Returned { .. }));
    assert_eq!(*claims[1], Claim::Failed { message: "no".to_owned() });
    assert!(matches!(claims[2], Claim::Returned { .. }));
}

#[test]
fn a_trap_ends_its_chunk() {
    let module = task_component(r#"(func (export "work") (param i32 i32) (result i32) (unreachable))"#);
    let story = run(&module, Start { inputs: inputs(&[b"a", b"b"]), ..start(task()) });
    let [Claim::Trapped { trap, denied: None }] = story.claims()[..] else { panic!("{:?}", story.said) };
    assert_eq!(trap.kind, TrapKind::Unreachable);
    assert_eq!(story.status.exit_status(), Some(0));
}

#[test]
fn a_failed_initializer_ends_the_assignment_and_says_so() {
    let initializer = |args: &[u8]| Some(Initializer { export: "work".to_owned(), args: args.to_vec() });
    let story = run(&picky(), Start { initializer: initializer(b""), ..start(task()) });
    let [Claim::Failed { message }] = story.claims()[..] else { panic!("{:?}", story.said) };
    assert!(message.contains("initializer") && message.contains("no"), "{message}");
    let story =
        run(&picky(), Start { initializer: initializer(b"x"), inputs: inputs(&[b"y"]), ..start(task()) });
    assert!(matches!(story.claims()[..], [Claim::Returned { .. }]));
}

#[test]
fn an_unknown_task_and_one_of_another_shape_are_not_found() {
    let entry = |export: &str| Entry::Task { export: export.to_owned(), result: Encoding::Json };
    let other_shape = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func (export "plain") (result u32) (canon lift (core func $i "f"))))"#;
    for (module, name) in [(echo().as_str(), "nothing"), (other_shape, "plain"), ("(module)", "work")] {
        let story = run(module, start(entry(name)));
        let Claim::NotStarted { kind, detail } = story.claim() else { panic!("{:?}", story.said) };
        assert_eq!(*kind, StartFailure::NotFound, "{detail}");
        assert!(detail.contains(name), "{detail}");
    }
}

#[test]
fn a_denied_growth_is_told_with_the_trap_that_follows() {
    let bytes = vec![1; 300_000];
    let limits = WorkerLimits { memory_bytes: 256 * 1024, ..limits() };
    let artifact = compile(&echo());
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    let file = SealedFile::from_bytes("inputs", &bytes).unwrap();
    let length = bytes.len() as u64;
    let inputs = Inputs { lengths: vec![length], body: Body::Memory { length } };
    worker.start(Start { inputs, limits, ..start(task()) }, &[&file]);
    let story = worker.story();
    let Claim::Trapped { trap, denied: Some((LimitKind::Memory, _)) } = story.claim() else {
        panic!("{:?}", story.said)
    };
    assert_eq!(trap.kind, TrapKind::Unreachable);
}

#[test]
fn workers_of_one_server_get_fresh_instances_and_a_worker_may_take_more_tasks() {
    // Counts its calls in a global and returns the count as one byte.
    let module = task_component(
        r#"(global $calls (mut i32) (i32.const 0))
        (func (export "work") (param i32 i32) (result i32)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (i32.store8 (i32.const 200) (global.get $calls))
            (i32.store8 (i32.const 16) (i32.const 0))
            (i32.store (i32.const 20) (i32.const 200))
            (i32.store (i32.const 24) (i32.const 1))
            (i32.const 16))"#,
    );
    let artifact = compile(&module);
    let server = serve(&artifact, ENGINE, None);
    for _ in 0..3 {
        let worker = fork(&server);
        worker.start(Start { last: false, inputs: inputs(&[b"", b""]), ..start(task()) }, &[]);
        worker.start(Start { task: 43, inputs: inputs(&[b""]), ..start(task()) }, &[]);
        let story = worker.story();
        let counts: Vec<u8> = story
            .claims()
            .into_iter()
            .map(|claim| match claim {
                Claim::Returned { body: Body::Inline(bytes), .. } => bytes[0],
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(counts, [1, 2, 1]);
    }
}

#[test]
fn a_panic_of_the_worker_itself_is_told() {
    let artifact = compile(&echo());
    let server = serve(&artifact, ENGINE, Some("after-started:panic"));
    let worker = fork(&server);
    worker.start(start(task()), &[]);
    let story = worker.story();
    let Claim::NotStarted { kind: StartFailure::WorkerPanicked, detail } = story.claim() else {
        panic!("{:?}", story.said)
    };
    assert!(detail.contains("after-started") && detail.contains("fault.rs"), "{detail}");
    assert_eq!(story.status.exit_status(), Some(70));
    assert_eq!(story.said[0], FromWorker::Started { task: 42 });
}

#[test]
fn a_busy_worker_has_one_thread() {
    let artifact = compile("(module (func (export \"_start\") (loop (br 0))))");
    let server = serve(&artifact, ENGINE, None);
    let worker = fork(&server);
    worker.start(start(Entry::Command), &[]);
    receive::<FromWorker>(&worker.socket).unwrap();
    let pid = worker.pid();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().count();
    assert_eq!(threads, 1);
    worker.signal(rustix::process::Signal::KILL);
    worker.story();
}

#[test]
fn forked_workers_draw_different_random_numbers() {
    // Returns eight random bytes.
    let module = r#"(component
        (import "wasi:random/random@0.2.0" (instance $random (export "get-random-u64" (func (result u64)))))
        (core func $draw (canon lower (func $random "get-random-u64")))
        (core module $m
            (import "" "draw" (func $draw (result i64)))
            (func (export "f") (result i64) (call $draw)))
        (core instance $i (instantiate $m (with "" (instance (export "draw" (func $draw))))))
        (func (export "draw") (result u64) (canon lift (core func $i "f"))))"#;
    let artifact = compile(module);
    let server = serve(&artifact, ENGINE, None);
    let mut drawn: Vec<String> = (0..20)
        .map(|_| {
            let worker = fork(&server);
            worker.start(
                Start { inputs: inputs(&[b"[]"]), ..start(Entry::Export { name: "draw".to_owned() }) },
                &[],
            );
            match worker.story().claim() {
                Claim::Returned { encoding: Encoding::Json, body: Body::Inline(bytes) } => {
                    String::from_utf8(bytes.clone()).unwrap()
                }
                other => panic!("{other:?}"),
            }
        })
        .collect();
    drawn.sort();
    drawn.dedup();
    assert_eq!(drawn.len(), 20);
}

#[test]
fn plain_exports_are_called_by_their_types() {
    let component = r#"(component
        (core module $m (func (export "add") (param i32 i32) (result i32)
            (i32.add (local.get 0) (local.get 1))))
        (core instance $i (instantiate $m))
        (func $add (param "a" u32) (param "b" u32) (result u32) (canon lift (core func $i "add")))
        (export "add" (func $add))
        (instance $math (export "sum" (func $add)))
        (export "acme:calc/math@1.0.0" (instance $math)))"#;
    let core = r#"(module (func (export "add") (param i32 i32) (result i32)
        (i32.add (local.get 0) (local.get 1))))"#;
    let export = |name: &str| Entry::Export { name: name.to_owned() };
    let invoke = |text: &str| Entry::Invoke { expression: text.to_owned() };
    for (module, entry, input) in [
        (component, export("add"), "[20, 22]"),
        (component, export("acme:calc/math@1.0.0#sum"), "[20, 22]"),
        (component, invoke("add(20, 22)"), ""),
        (core, export("add"), "[20, 22]"),
        (core, invoke("add(20, 22)"), ""),
    ] {
        let what = format!("{entry:?}");
        let story = run(module, Start { inputs: inputs(&[input.as_bytes()]), ..start(entry) });
        let returned = Claim::Returned { encoding: Encoding::Json, body: Body::Inline(b"42".to_vec()) };
        assert_eq!(*story.claim(), returned, "{what}");
    }
    for (module, entry, input, part) in [
        (component, export("add"), "[1]", "`b` is missing"),
        (core, export("add"), "[1, \"x\"]", "parameter 2"),
        (component, invoke("add(1, true)"), "", "true"),
    ] {
        let story = run(module, Start { inputs: inputs(&[input.as_bytes()]), ..start(entry) });
        let Claim::Failed { message } = story.claim() else { panic!("{:?}", story.said) };
        assert!(message.contains(part), "{message}");
    }
    let story = run(core, start(invoke("nothing(1)")));
    assert!(matches!(story.claim(), Claim::NotStarted { kind: StartFailure::NotFound, .. }));
}
