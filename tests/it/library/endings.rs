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

/// Each limit of a task has its own code, and the task beside it goes on.
#[test]
fn each_limit_has_its_own_code() {
    let row =
        |task: &str, args: Value, limits: Value| json!({ "task": task, "args": args, "limits": limits });
    let mebibyte = 1 << 20;
    let records = run(json!([
        row("count_to", json!([u64::MAX]), json!({ "fuel": 1_000_000 })),
        row("spin", json!([]), json!({ "timeout_ms": 100 })),
        row("sleep_forever", json!([]), json!({ "timeout_ms": 100 })),
        row("grow", json!([]), json!({ "memory": 16 * mebibyte })),
        row("grow_carelessly", json!([]), json!({ "memory": 16 * mebibyte })),
        row("grow_mib", json!([64]), json!({ "memory": 16 * mebibyte })),
        row("grow_mib", json!([8]), json!({ "memory": 16 * mebibyte })),
        row("flood_output", json!([]), json!({ "output": mebibyte })),
        row("flood_stderr", json!([]), json!({ "output": mebibyte })),
        row("big_result", json!([mebibyte + 1]), json!({ "result": mebibyte })),
        row("echo_json", json!(["x".repeat(2000)]), json!({ "argument": 1000 })),
        row("recurse", json!([]), json!({ "stack": 64 * 1024 })),
        row("recurse_with_big_frames", json!([]), json!({})),
        row("big_error", json!([1_000_000]), json!({})),
    ]));
    let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
    assert_eq!(codes, [220, 221, 221, 222, 222, 1, 0, 224, 224, 225, 225, 201, 202, 1], "{records:#?}");
    assert_eq!(records[7]["stdout_bytes"], mebibyte, "what fits is kept");
    assert!(records[13]["text"].as_str().expect("a text").len() <= 8 * 1024, "messages are cut");
}

/// A panic's message and place reach the outcome.
#[test]
fn a_panic_tells_its_message_and_its_place() {
    let records = run(json!([{ "task": "panic", "args": ["help"] }, { "task": "trap" }]));
    assert_eq!(records[0]["panic"][0], "help");
    assert!(records[0]["panic"][1].as_str().expect("a file").ends_with("ending.rs"), "{:#}", records[0]);
    assert!(records[0]["panic"][2].as_u64().expect("a line") > 1);
    assert!(records[0]["text"].as_str().expect("a text").contains("help"));
    assert_eq!(records[1]["panic"], Value::Null, "a trap is no panic");
    assert!(!records[1]["backtrace"].as_array().expect("frames").is_empty());
}

/// One input of many goes wrong, in each way, and the others are as if nothing had been.
#[test]
fn one_bad_input_of_many_is_told_alone() {
    let timeout = json!({ "timeout_ms": 200 });
    for (task, code) in [
        ("fail_if", 1),
        ("panic_if", 200),
        ("trap_if", 200),
        ("exit_if", 7),
        ("spin_if", 221),
        ("sleep_if", 221),
    ] {
        let records = run(json!([{ "task": task, "args": ["$i", 3], "count": 6, "limits": timeout }]));
        for (index, record) in records.iter().enumerate() {
            let expected = if index == 3 { code } else { 0 };
            assert_eq!(record["code"], expected, "{task} {index}: {record:#}");
        }
    }
}

/// Arguments and results of every kind arrive as they were given.
#[test]
fn values_arrive_as_they_were_given() {
    let records = run(json!([
        { "task": "add", "args": [2, 3] },
        { "task": "sum", "args": [[1, 2, 3]] },
        { "task": "greet", "args": ["you"] },
        { "task": "greet", "args": ["you", "Bye", true] },
        { "task": "echo_json", "args": [{ "a": [1, null, "ä"] }] },
        { "task": "mirror", "args": [{ "x": 1.0, "y": 2.0 }] },
        { "task": "concat", "args": ["he", "llo"] },
        { "task": "divide", "args": [7, 2] },
        { "task": "divide", "args": [1, 0] },
        { "task": "add", "args": ["x", 0] },
        { "task": "echo", "raw_bytes": 5 },
    ]));
    let values: Vec<_> = records.iter().map(|record| record["value"].clone()).collect();
    assert_eq!(
        values[..6],
        [
            json!(5),
            json!(6),
            json!("Hello, you."),
            json!("Bye, you!"),
            json!({ "a": [1, null, "ä"] }),
            json!({ "x": 2.0, "y": 1.0 }),
        ]
    );
    assert_eq!(records[6]["bytes"], 5);
    assert_eq!(values[7], 3);
    assert_eq!((&records[8]["code"], &records[8]["text"]), (&json!(1), &json!("cannot divide 1 by 0")));
    assert_eq!(records[9]["code"], 1, "arguments that do not fit are an error: {:#}", records[9]);
    assert_eq!(records[10]["bytes"], 5);
}

/// What a guest prints is kept, with or without a newline at its end, however it ends.
#[test]
fn captured_output_is_whole_however_the_task_ends() {
    let records = run(json!([
        { "task": "print", "args": ["out"] },
        { "task": "eprint", "args": ["err"] },
        { "task": "print_lines", "args": [3] },
        { "task": "print_then_exit", "args": ["bye", 3] },
        { "task": "print_then_panic", "args": ["oh"] },
    ]));
    let stdouts: Vec<_> = records.iter().map(|record| record["stdout"].as_str().expect("a text")).collect();
    assert_eq!(stdouts, ["out", "", "1\n2\n3\n", "bye", "oh"]);
    assert_eq!(records[1]["stderr"], "err");
    assert_eq!((&records[3]["code"], &records[4]["code"]), (&json!(3), &json!(200)));
}

/// A task sees what it was given and nothing of the host: no environment, no files, empty input.
#[test]
fn a_task_sees_only_what_it_was_given() {
    let records = run(json!([
        { "task": "environment" },
        { "task": "environment", "env": { "A": "1" } },
        { "task": "command_line", "argv": ["prog", "x"] },
        { "task": "read_stdin" },
        { "task": "read_stdin", "stdin": "typed" },
        { "task": "list_dir", "args": ["/"] },
        { "task": "read_file", "args": ["/etc/passwd"] },
        { "task": "write_file", "args": ["/tmp/x", "y"] },
        { "task": "clock_ms" },
        { "task": "who_am_i", "name": "me" },
    ]));
    let values: Vec<_> = records.iter().map(|record| record["value"].clone()).collect();
    assert_eq!(
        values[..5],
        [json!({}), json!({ "A": "1" }), json!(["prog", "x"]), json!(""), json!("typed")]
    );
    assert!(records[5..8].iter().all(|record| record["code"] == 1), "{records:#?}");
    assert!(values[8].as_u64().expect("a time") > 1_700_000_000_000);
    assert_eq!((&values[9]["name"], &values[9]["attempt"]), (&json!("me"), &json!(1)));
}

/// Retries are made until an attempt succeeds, and only as many as were asked for.
#[test]
fn retries_end_with_the_first_success() {
    let records = run(json!([
        { "task": "succeed_at_attempt", "args": [3], "retries": 5 },
        { "task": "succeed_at_attempt", "args": [3], "retries": 1 },
    ]));
    assert_eq!((&records[0]["value"], &records[0]["attempt"]), (&json!(3), &json!(3)));
    assert_eq!((&records[1]["code"], &records[1]["attempt"]), (&json!(1), &json!(2)));
}
