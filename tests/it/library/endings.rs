//! How tasks end, by the guest's doing: values, errors, exits, panics, traps, limits.

use serde_json::{Value, json};

use crate::support::plan;

fn run(tasks: Value) -> Vec<Value> {
    plan(&json!({ "workers": 2, "tasks": tasks }))
}

/// Each way in which a guest written with the SDK ends, and its code.
#[test]
fn each_ending_of_a_task_has_its_own_code() {
    let rows = [
        ("nothing", json!([]), 0),
        ("fail", json!(["no"]), 1),
        ("exit_with", json!([0]), 0),
        ("exit_with", json!([42]), 42),
        ("exit_with", json!([125]), 125),
        ("exit_with", json!([126]), 125),
        ("exit_with", json!([300]), 125),
        // Preview 2 knows success and failure only.
        ("std_exit_with", json!([7]), 1),
        ("std_exit_with", json!([0]), 0),
        ("panic", json!(["help"]), 200),
        ("trap", json!([]), 200),
        ("recurse", json!([]), 201),
        ("unwritable_result", json!([]), 1),
    ];
    let tasks = rows.iter().map(|(task, args, _)| json!({ "task": task, "args": args }));
    let records = run(tasks.collect());
    for ((task, args, code), record) in rows.iter().zip(&records) {
        assert_eq!(record["code"], *code, "{task}{args}: {record:#}");
    }
    assert_eq!(records[6]["text"], "exited with code 300");
}
