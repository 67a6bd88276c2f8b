//! The limit of CPU time: what computes is ended by it, what sleeps is not.

use serde_json::{Value, json};

use crate::support::{plan, scenario};

#[test]
fn a_task_that_computes_ends_with_its_cpu_time_and_one_that_sleeps_does_not() {
    let row =
        |task: &str, args: Value, limits: Value| json!({ "task": task, "args": args, "limits": limits });
    let records = plan(&json!({ "workers": 2, "tasks": [
        row("spin", json!([]), json!({ "cpu_time_ms": 200 })),
        row("sleep_ms", json!([600]), json!({ "cpu_time_ms": 100 })),
        row("sleep_forever", json!([]), json!({ "cpu_time_ms": 100, "timeout_ms": 500 })),
        row("burn_ms", json!([50]), json!({ "cpu_time_ms": 1000 })),
        // The first limit that is met is the one that is told.
        row("spin", json!([]), json!({ "cpu_time_ms": 60_000, "timeout_ms": 100 })),
        row("spin", json!([]), json!({ "cpu_time_ms": 100, "timeout_ms": 60_000 })),
    ]}));
    let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
    assert_eq!(codes, [227, 0, 221, 0, 221, 227], "{records:#?}");
    let text = records[0]["text"].as_str().expect("a text");
    assert!(text.contains("of CPU time were used, the limit is 200ms"), "{text}");
    assert_eq!((&records[0]["outcome"], &records[0]["blame"]), (&json!("limit_exceeded"), &json!("Guest")));
    let used = records[0]["cpu_ms"].as_f64().expect("a time");
    println!("a limit of 200 ms ended the task after {used} ms");
    assert!((200.0..500.0).contains(&used), "{used} ms of CPU time");
}

/// A worker that is started by itself has loaded the module before the task's time begins.
#[test]
fn a_spawned_worker_has_the_same_limit() {
    let tasks = json!([{ "task": "spin", "limits": { "cpu_time_ms": 100 } },
        { "task": "nothing", "limits": { "cpu_time_ms": 5 } }]);
    let records = plan(&json!({ "workers": 1, "spawn": true, "tasks": tasks }));
    assert_eq!((&records[0]["code"], &records[1]["code"]), (&json!(227), &json!(0)), "{records:#?}");
}

/// In chunks and in workers that are used again, each call has the whole of it.
#[test]
fn cpu_time_is_counted_for_each_call() {
    scenario("cpu-time", &[]).run().expect(0);
}
