//! Queues, locks and the like on the command line.

use serde_json::{Value, json};

use crate::support::build::guests;
use crate::support::{example, wasmpool};

/// The sum of what several tasks printed.
fn sum(lines: &[&str]) -> u64 {
    lines.iter().map(|line| line.parse::<u64>().unwrap_or_else(|_| panic!("{line} is no number"))).sum()
}

#[test]
fn a_queue_is_fed_from_standard_input_and_drained_by_tasks() {
    let consumer = example("producer_consumer");
    let lines: String = (1..=1000).map(|number| format!("{number}\n")).collect();
    let args = ["map", "--queue", "jobs:8", "--feed", "jobs", &consumer, "-t", "consume", "jobs", "jobs"];
    let run = wasmpool(args).stdin(lines).run().expect(0);
    assert_eq!(run.lines().len(), 2);
    assert_eq!(sum(&run.lines()), 500_500);
}

#[test]
fn what_guests_put_into_a_drained_queue_is_printed_as_it_comes() {
    let guests = guests();
    let args = [
        "map",
        "--queue",
        "out:4",
        "--drain",
        "out",
        guests,
        "-t",
        "put_many",
        "--starmap",
        r#"["out", 50]"#,
    ];
    let run = wasmpool(args).run().expect(0);
    let mut printed: Vec<&str> = run.lines();
    // The task's own value is a line too.
    let own = printed.iter().position(|line| *line == "null").expect("its value");
    printed.remove(own);
    let expected: Vec<String> = (1..=50).map(|number| number.to_string()).collect();
    assert_eq!(printed, expected);
}

#[test]
fn a_name_that_was_not_granted_says_which_option_grants_it() {
    let run = wasmpool(["run", &example("print_lock"), "-t", "f", "l", "1"]).run().expect(1);
    assert!(run.stderr.contains("access denied") && run.stderr.contains("--lock l"), "{}", run.stderr);
    let run = wasmpool(["run", "--queue", "l", &example("print_lock"), "-t", "f", "l", "1"]).run().expect(1);
    assert!(run.stderr.contains("is a queue, not a lock"), "{}", run.stderr);
}

#[test]
fn wrong_names_are_usage_errors_that_say_what_is_there() {
    let module = example("print_lock");
    let run =
        wasmpool(["run", "--lock", "a", "--queue", "a", &module, "-t", "f", "a", "1"]).run().expect(246);
    assert!(run.stderr.contains("that name already"), "{}", run.stderr);
    let consumer = example("producer_consumer");
    let args = ["map", "--queue", "jobs", "--feed", "job", &consumer, "-t", "consume", "jobs"];
    let run = wasmpool(args).run().expect(2);
    assert!(run.stderr.contains("jobs"), "{}", run.stderr);
    for wrong in ["jobs:0", "jobs:x", ":4"] {
        let run = wasmpool(["run", "--queue", wrong, &module, "-t", "f", "a", "1"]).run().expect(246);
        assert!(run.stderr.contains("--queue"), "{wrong}: {}", run.stderr);
    }
}

#[test]
fn a_deadlock_is_code_233_and_names_the_cycle() {
    let run =
        wasmpool(["run", "--queue", "empty", guests(), "-t", "take_many", "empty", "1"]).run().expect(233);
    assert!(run.stderr.contains("waits for an item of queue `empty`"), "{}", run.stderr);
    let args = ["run", "--lock", "a", "--lock", "b", "--barrier", "both:2", guests(), "-t", "lock_in_order"];
    let run = wasmpool(args.into_iter().chain(["a", "b", "both"])).run().expect(233);
    assert!(run.stderr.contains("the other parties of barrier `both`"), "{}", run.stderr);
}

#[test]
fn locks_events_and_barriers_reach_the_tasks_of_a_map() {
    let starmap: Vec<String> = (0..4).map(|number| json!(["l", number]).to_string()).collect();
    let module = example("print_lock");
    let args = ["map", "--lock", "l", &module, "-t", "f", "--starmap"];
    let run = wasmpool(args.into_iter().chain(starmap.iter().map(String::as_str))).run().expect(0);
    let mut printed: Vec<&str> =
        run.stderr.lines().filter_map(|line| line.split_once("| ")).map(|(_, line)| line).collect();
    printed.sort_unstable();
    assert_eq!(printed, ["hello world 0", "hello world 1", "hello world 2", "hello world 3"]);
    let args =
        ["map", "-j", "1", "--barrier", "meet:3", guests(), "-t", "meet_barrier", "meet", "meet", "meet"];
    let mut places: Vec<Value> = wasmpool(args).run().expect(0).records();
    places.sort_by_key(Value::as_u64);
    assert_eq!(places, [json!(0), json!(1), json!(2)]);
}
