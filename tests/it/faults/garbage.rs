//! T12: a worker that speaks garbage is ended, with code 240, and nothing else happens.

use serde_json::{Value, json};

use crate::support::{plan, scenario};

fn with_fault(fault: &str, per_worker: usize, count: usize) -> Vec<Value> {
    plan(&json!({ "fault": fault, "workers": 2, "per_worker": per_worker,
        "tasks": [{ "task": "add", "args": ["$i", 1], "count": count }] }))
}

/// Bytes that are no frame, lengths that cannot be, frames over the limit, results of other tasks.
#[test]
fn garbage_from_a_task_that_runs_is_code_240() {
    for point in ["after-started", "before-finished"] {
        for garbage in ["garbage", "short", "empty", "length", "version", "large", "stranger"] {
            for record in with_fault(&format!("{point}:{garbage}"), 1, 2) {
                assert_eq!(record["code"], 240, "{point}:{garbage}: {record:#}");
            }
        }
    }
}

/// A worker that only stops to speak, and goes on, is ended all the same, and not by an unknown hand.
#[test]
fn a_worker_that_hangs_up_and_goes_on_is_code_240() {
    let records =
        plan(&json!({ "fault": "after-started:empty", "workers": 1, "tasks": [{ "task": "spin" }] }));
    assert_eq!(records[0]["code"], 240, "{:#}", records[0]);
}

/// A result before the start is no result. The worker was made for this task, so it is told by its outcome.
#[test]
fn a_result_before_the_start_is_code_240() {
    for garbage in ["result", "garbage", "large"] {
        for record in with_fault(&format!("before-started:{garbage}"), 1, 2) {
            assert_eq!(record["code"], 240, "{garbage}: {record:#}");
        }
    }
}

/// Of two results the first one counts, and there is one outcome.
#[test]
fn the_first_of_two_results_counts() {
    for record in with_fault("before-finished:result", 1, 4) {
        assert_eq!((&record["code"], &record["value"]), (&json!(0), &json!("forged")), "{record:#}");
    }
}

/// Garbage after a result ends the worker, and never the task that would have been its next.
#[test]
fn garbage_between_two_tasks_is_never_the_next_ones_fault() {
    for garbage in ["garbage", "result", "stranger", "large", "empty"] {
        for (index, record) in with_fault(&format!("after-finished:{garbage}"), 5, 20).iter().enumerate() {
            assert_eq!(
                (&record["code"], &record["value"]),
                (&json!(0), &json!(index + 1)),
                "{garbage}: {record:#}"
            );
        }
    }
}

/// Tiny frames without end are bounded by the log limit, or by the time-out; the host does not grow.
#[test]
fn a_flood_of_tiny_frames_is_ended_and_takes_no_memory() {
    for (fault, code) in [("after-started:flood", 225), ("after-started:flood-output", 221)] {
        let said = scenario("flood", &[fault]).run().expect(0).records();
        println!("{fault}: {}", said[0]);
        assert_eq!(said[0]["code"], code, "{fault}: {}", said[0]);
        let grown = said[0]["grown_bytes"].as_i64().expect("a number");
        assert!(grown < 32 << 20, "{fault}: the host grew by {grown} bytes");
    }
}
