//! T2 and T4: large arguments and results.

use serde_json::{Value, json};

use crate::support::{plan, scenario};

/// T2: 256 MiB there and back while 50 small tasks run on the other workers.
#[test]
fn the_largest_argument_does_not_hold_up_small_tasks() {
    let said = scenario("largest", &[]).run().expect(0).records();
    println!("{}", said[0]);
    let figure = |name: &str| said[0][name].as_f64().expect("a number");
    assert!(figure("beside_ms") < 4.0 * figure("alone_ms") + 1000.0, "{}", said[0]);
}

/// T2: workers are killed at many moments of a large echo: a whole result wins, a partial one is dropped.
#[test]
fn a_partial_transfer_is_dropped_and_a_whole_one_wins() {
    println!("{}", scenario("killed-transfer", &["1"]).run().expect(0).records()[0]);
}

/// T4: results of every size that is a border somewhere; over the limit is code 225.
#[test]
fn results_of_every_size_arrive_and_one_over_the_limit_is_225() {
    let limit = 4 << 20;
    let sizes = [
        0,
        1,
        48 * 1024 - 1,
        48 * 1024,
        48 * 1024 + 1,
        64 * 1024 - 1,
        64 * 1024,
        64 * 1024 + 1,
        1 << 20,
        limit,
        limit + 1,
    ];
    let task =
        |bytes: &usize| json!({ "task": "big_result", "args": [bytes], "limits": { "result": limit } });
    let neighbour = json!({ "task": "add", "args": [1, 1] });
    let tasks: Vec<Value> = sizes.iter().map(task).chain([neighbour]).collect();
    for spawn in [false, true] {
        let records = plan(&json!({ "workers": 2, "spawn": spawn, "tasks": tasks }));
        for (bytes, record) in sizes.iter().zip(&records) {
            if *bytes > limit {
                assert_eq!(record["code"], 225, "{bytes}: {record:#}");
            } else {
                assert_eq!((&record["code"], &record["bytes"]), (&json!(0), &json!(bytes)), "{record:#}");
            }
        }
        assert_eq!(records[sizes.len()]["value"], 2);
    }
}

/// T4: arguments of every size that is a border somewhere; over the limit is code 225.
#[test]
fn arguments_of_every_size_arrive_and_one_over_the_limit_is_225() {
    let limit = 4 << 20;
    let sizes =
        [0, 24 * 1024 - 1, 24 * 1024, 24 * 1024 + 1, 48 * 1024 + 1, 64 * 1024 + 1, 1 << 20, limit, limit + 1];
    let task = |bytes: &usize| json!({ "task": "echo", "raw_bytes": bytes, "limits": { "argument": limit } });
    let records = plan(&json!({ "workers": 2, "tasks": sizes.iter().map(task).collect::<Vec<_>>() }));
    for (bytes, record) in sizes.iter().zip(&records) {
        let (code, had) = if *bytes > limit { (225, Value::Null) } else { (0, json!(bytes)) };
        assert_eq!((&record["code"], &record["bytes"]), (&json!(code), &had), "{bytes}: {record:#}");
    }
}

/// T4: results that nobody waits for hold up nothing.
#[test]
fn results_that_nobody_reads_hold_up_nothing() {
    scenario("unread", &[]).run().expect(0);
}
