//! T1: a worker dies, at each step of its life. One outcome names it, everything else goes on.

use serde_json::{Value, json};

use crate::support::plan;

/// The codes of these records.
fn codes(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["code"].as_u64().expect("a code")).collect()
}

/// Runs three tasks in a pool of two whose workers all have this fault.
fn with_fault(fault: &str) -> Vec<Value> {
    // Only who hangs is waited for; a panic takes its time on a busy machine.
    let limits = json!({ "timeout_ms": if fault.ends_with("hang") { 300 } else { 30_000 } });
    plan(&json!({ "fault": fault, "workers": 2,
        "tasks": [{ "task": "add", "args": ["$i", 1], "count": 3, "limits": limits }] }))
}

/// A worker that acknowledged its task and then ends is told by the task's outcome; no task is lost.
#[test]
fn a_death_after_the_start_is_the_outcome_of_that_task_alone() {
    for (fault, code) in [
        ("after-started:kill", 139),
        ("after-started:exit0", 240),
        ("after-started:exit7", 240),
        ("after-started:hang", 221),
        ("after-started:panic", 245),
        ("before-finished:kill", 139),
        ("before-finished:exit0", 240),
        ("before-finished:exit7", 240),
        ("before-finished:hang", 221),
    ] {
        let records = with_fault(fault);
        assert_eq!(codes(&records), [code; 3], "{fault}: {records:#?}");
    }
}

/// A whole result wins over whatever happens to the worker afterwards.
#[test]
fn a_death_after_the_result_changes_nothing() {
    for action in ["kill", "exit0", "exit7", "hang", "panic"] {
        let records = with_fault(&format!("after-finished:{action}"));
        assert_eq!(codes(&records), [0; 3], "{action}: {records:#?}");
        let values: Vec<_> = records.iter().map(|record| record["value"].clone()).collect();
        assert_eq!(values, [1, 2, 3]);
    }
}

/// Workers that die before they begin never ran their task: it is dispatched again, and nobody is blamed.
/// Here every worker dies before its second task.
#[test]
fn a_death_before_the_start_is_never_blamed_and_the_task_runs_elsewhere() {
    for action in ["kill", "exit0", "exit7"] {
        let records = plan(&json!({ "fault": format!("before-started:{action}:1"), "workers": 2,
            "per_worker": 5, "tasks": [{ "task": "add", "args": ["$i", 1], "count": 20 }] }));
        assert_eq!(codes(&records), [0; 20], "{action}: {records:#?}");
        assert!(records.iter().all(|record| record["attempt"] == 1), "a new attempt was counted");
    }
}

/// One of 100 tasks is ended from outside, in each way; the 99 others succeed.
#[test]
fn one_of_a_hundred_dies_and_the_others_succeed() {
    let others = |count: u64| json!({ "task": "add", "args": ["$i", 1], "count": count });
    let timeout = json!({ "timeout_ms": 1000 });
    for (signal, code) in [(9, 137), (11, 139), (6, 134), (7, 135), (19, 221)] {
        let victim = json!({ "task": "ignore_cancelled", "signal": signal, "limits": timeout });
        let records = plan(&json!({ "workers": 4, "tasks": [others(50), victim, others(49)] }));
        let mut codes = codes(&records);
        assert_eq!(codes.remove(50), code, "signal {signal}: {:#?}", records[50]);
        assert_eq!(codes, [0; 99], "signal {signal}");
        if code != 221 {
            assert_eq!(records[50]["exitcode"], -signal);
            assert_eq!(records[50]["blame"], "Unknown");
        }
    }
}

/// A worker that was started by itself dies like a forked one.
#[test]
fn spawned_workers_die_like_forked_ones() {
    for (fault, code) in
        [("after-started:kill", 139), ("before-finished:exit7", 240), ("after-finished:kill", 0)]
    {
        let records = plan(&json!({ "fault": fault, "workers": 2, "spawn": true,
            "tasks": [{ "task": "add", "args": ["$i", 1], "count": 2 }] }));
        assert_eq!(codes(&records), [code; 2], "{fault}: {records:#?}");
    }
}
