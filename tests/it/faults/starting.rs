//! T11 and T21: workers that cannot start, fork servers that die.

use serde_json::{Value, json};

use crate::support::{plan, scenario};

fn codes(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["code"].as_u64().expect("a code")).collect()
}

/// T11: the program that children are started from is not there.
#[test]
fn a_missing_program_is_code_247() {
    let module = json!({ "wat": "(module (func (export \"_start\")))", "command": true });
    let records = plan(&json!({ "program": "/nonexistent/wasmpool", "cache": false, "tasks": [module] }));
    assert_eq!(codes(&records), [247], "{records:#?}");
    let text = records[0]["text"].as_str().expect("a text");
    assert!(text.contains("No such file"), "{text}");
}

/// T11: fork servers that never get ready: five in a row fail the tasks with the cause.
#[test]
fn five_failures_in_a_row_fail_the_tasks_with_the_cause() {
    for (fault, code) in [
        ("before-ready:exit7", 248),
        ("before-ready:kill", 248),
        ("before-ready:garbage", 248),
        ("fork-server-after-clone:kill", 248),
        ("fork-server-after-clone:garbage", 248),
        ("before-started:kill", 247),
    ] {
        let records =
            plan(&json!({ "fault": fault, "tasks": [{ "task": "add", "args": [1, 2], "count": 3 }] }));
        assert_eq!(codes(&records), [code; 3], "{fault}: {records:#?}");
        assert!(records[0]["text"].as_str().expect("a text").contains("5 failures"), "{:#}", records[0]);
    }
}

/// T11: the same with workers that are started by themselves.
#[test]
fn spawned_workers_that_never_start_fail_their_tasks_with_the_cause() {
    let records = plan(&json!({ "fault": "before-ready:exit7", "spawn": true,
        "tasks": [{ "task": "add", "args": [1, 2], "count": 2 }] }));
    assert_eq!(codes(&records), [248; 2], "{records:#?}");
}

/// A compile worker that dies, or says garbage, is code 243 and nothing else.
#[test]
fn a_compile_worker_that_dies_is_code_243() {
    for action in ["kill", "exit0", "exit7", "garbage"] {
        let module = json!({ "wat": "(module (func (export \"_start\")))", "command": true });
        let fault = format!("compile-before-done:{action}");
        let records = plan(&json!({ "fault": fault, "cache": false, "tasks": [module] }));
        assert_eq!(codes(&records), [243], "{action}: {records:#?}");
    }
}

/// One that stands still is ended, and told apart from one that somebody killed.
#[test]
fn a_compile_worker_that_stands_still_is_code_243() {
    let module = json!({ "wat": "(module (func (export \"_start\")))", "command": true });
    let records = plan(
        &json!({ "fault": "compile-before-done:hang", "cache": false, "compile_ms": 250, "tasks": [module] }),
    );
    assert_eq!(codes(&records), [243], "{records:#?}");
    let text = records[0]["text"].as_str().expect("a text");
    assert!(
        text.contains("had not ended after 11 s (limit: 250ms of CPU time, --compile-time raises both)"),
        "{text}"
    );
}

/// T11: one module cannot start, another goes on, and the first recovers when the cause is gone.
#[test]
fn a_module_that_cannot_start_holds_up_no_other_and_recovers() {
    let said = scenario("one-module-cannot-start", &[]).run().expect(0).records();
    for record in &said[..2] {
        println!("{record}");
        assert_eq!(record["code"], 247);
        assert!(record["text"].as_str().expect("a text").contains("No such file"), "{record}");
    }
}

/// T21: the fork server is killed; running workers are unaffected and it is replaced.
#[test]
fn a_killed_fork_server_is_replaced_and_running_workers_go_on() {
    for said in scenario("server-killed", &[]).run().expect(0).records() {
        println!("{said}");
    }
}

/// Workers of one fork server share an address layout, so it is not used for ever.
#[test]
fn a_fork_server_is_replaced_after_as_many_forks_as_it_may_make() {
    scenario("server-replaced", &[]).run().expect(0);
}

/// T21: the fork server is stopped; it is replaced as soon as it does not answer.
#[test]
fn a_stopped_fork_server_is_replaced() {
    println!("{}", scenario("server-stopped", &[]).run().expect(0).records()[0]);
}

/// T21: a fork server that reads nothing holds the host up in nothing, however many workers are wanted of it.
#[test]
fn a_stopped_fork_server_of_a_crowd_holds_nobody_up() {
    println!("{}", scenario("server-stopped-in-a-crowd", &[]).run().expect(0).records()[0]);
}
