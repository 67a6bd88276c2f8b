//! T10 and T16: time-outs, cancelling, callbacks.

use serde_json::json;

use crate::support::{plan, scenario};

/// T10: within the time-out and 50 ms, and 200 ms more when it takes a SIGKILL; with slack for a loaded
/// machine, and with the real figures printed.
#[test]
fn a_time_out_ends_whatever_the_guest_does() {
    let timeout = json!({ "timeout_ms": 300 });
    let rows = [("spin", None), ("sleep_forever", None), ("ignore_cancelled", Some(19))];
    let task =
        |(name, signal): &(&str, Option<i32>)| json!({ "task": name, "signal": signal, "limits": timeout });
    for spawn in [false, true] {
        let tasks: Vec<_> = rows.iter().map(task).collect();
        let records = plan(&json!({ "workers": 3, "spawn": spawn, "tasks": tasks }));
        for record in &records {
            let wall_ms = record["wall_ms"].as_f64().expect("a time");
            println!("{}: {wall_ms} ms", record["name"]);
            assert_eq!(record["code"], 221, "{record:#}");
            assert!((300.0..1500.0).contains(&wall_ms), "{record:#}");
        }
    }
}

/// T10: `cancel`, `terminate` and `kill` of running tasks; the pool keeps its size.
#[test]
fn a_running_task_ends_as_it_was_asked_to() {
    for said in scenario("stops", &[]).run().expect(0).records() {
        println!("{said}");
    }
}

/// T10: tasks that wait are taken out; tasks that have ended stay as they are.
#[test]
fn a_task_can_be_cancelled_in_any_state() {
    scenario("stops-waiting", &[]).run().expect(0);
}

/// T10: attempts that are stopped just when they end, on a reused worker.
#[test]
fn cancelling_one_attempt_never_hits_the_next() {
    println!("{}", scenario("never-the-next", &["7"]).run().expect(0).records()[0]);
}

/// T10: also a task whose output nobody reads.
#[test]
fn a_time_out_ends_a_task_whose_output_is_not_read() {
    let said = scenario("unread-timeout", &[]).run().expect(0).records();
    println!("{}", said[0]);
    assert!(said[0]["ms"].as_f64().expect("a time") < 1500.0);
}

/// T16: a callback that panics, blocks, or stops everything.
#[test]
fn whatever_a_callback_does_tasks_go_on() {
    scenario("callbacks", &[]).run().expect(0);
}
