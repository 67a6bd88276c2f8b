<<<<<<< HEAD
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
        ["map", "-j", "3", "--barrier", "meet:3", guests(), "-t", "meet_barrier", "meet", "meet", "meet"];
    let mut places: Vec<Value> = wasmpool(args).run().expect(0).records();
    places.sort_by_key(Value::as_u64);
    assert_eq!(places, [json!(0), json!(1), json!(2)]);
=======
//! `--queue`, `--lock` and the like, `--feed` and `--drain`, as far as no guest uses them.

use crate::support::{example, wasmpool};

/// Runs `map` over one input with these options.
fn map(options: &[&str]) -> crate::support::program::Run {
    let squares = example("squares");
    wasmpool([&["map", &squares, "-t", "square", "3"], options].concat())
}

#[test]
fn tasks_that_do_not_ask_for_shared_objects_run_as_without_them() {
    let options = ["--queue", "a:5", "--lock", "b", "--semaphore", "c:0", "--event", "d", "--barrier", "e:2"];
    assert_eq!(map(&options).run().expect(0).lines(), ["9"]);
    let squares = example("squares");
    let run = wasmpool(["run", "--queue", "a", &squares, "-t", "square", "3", "--lock", "b"]);
    assert_eq!(run.run().expect(0).stdout, "9\n");
}

#[test]
fn a_feed_ends_with_the_tasks_although_its_queue_is_full() {
    let fed = map(&["--queue", "jobs:1", "--feed", "jobs"]).stdin("1\n".repeat(2_000_000)).run().expect(0);
    assert_eq!((fed.lines(), fed.stderr.as_str()), (vec!["9"], ""));
}

#[test]
fn a_drain_of_a_queue_that_nobody_closes_ends_with_the_tasks() {
    let drained = map(&["--queue", "found", "--drain", "found"]).run().expect(0);
    assert_eq!((drained.lines(), drained.stderr.as_str()), (vec!["9"], ""));
}

#[test]
fn a_name_that_is_none_or_not_the_only_one_is_a_usage_error() {
    let told = |options: &[&str]| map(options).run().expect(2).stderr;
    let said = told(&["--queue", "a", "--lock", "a"]);
    assert_eq!(said, "error: --lock a: --queue has that name already\n");
    assert!(told(&["--event", "a b"]).contains("--event a b: out of range: a name has"));
    assert!(told(&["--barrier", "b:0"]).contains("--barrier b: out of range"));
    assert!(told(&["--queue", "q:x"]).contains("write NAME or NAME:CAPACITY"));
    let squares = example("squares");
    let run = wasmpool(["run", "--lock", "a", "--lock", "a", &squares, "-t", "square", "3"]);
    assert!(run.run().expect(246).stderr.contains("--lock a: --lock has that name already"));
}

#[test]
fn feed_and_drain_name_two_queues_that_are_there() {
    let told = |options: &[&str]| map(options).run().expect(2).stderr;
    let said = told(&["--queue", "jobs", "--queue", "found", "--feed", "job"]);
    assert_eq!(said, "error: --feed job: no --queue has that name; the queues are jobs, found\n");
    assert_eq!(told(&["--drain", "out"]), "error: --drain out: no --queue has that name; add --queue out\n");
    let said = told(&["--queue", "q", "--feed", "q", "--drain", "q"]);
    assert!(said.contains("what is fed would be printed again"), "{said}");
    let said = told(&["--queue", "q", "--feed", "q", "--stdin", "-"]);
    assert!(said.contains("cannot be both for --feed and for --stdin"), "{said}");
}

#[test]
fn input_that_cannot_become_an_item_makes_the_batch_incomplete() {
    // The tasks read their inputs from a file that is written when the feed has been told what is wrong, so
    // this one cannot end before.
    let squares = example("squares");
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = folder.path().join("inputs");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo");
    assert!(made.success());
    let line = ["map", &squares, "-t", "square", "--from", &fifo.display().to_string()];
    let mut child =
        wasmpool(line.iter().chain(&["--queue", "jobs", "--feed", "jobs"])).stdin(&b"\xff\n"[..]).start();
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("stderr is piped"));
    let mut said = String::new();
    let inputs = std::fs::File::create(&fifo).expect("the program opens the other end");
    std::io::BufRead::read_line(&mut stderr, &mut said).expect("a message");
    assert_eq!(said, "error: standard input:1: it is not UTF-8, as JSON must be\n");
    drop(inputs);
    assert_eq!(child.wait().expect("it ends").code(), Some(106));
>>>>>>> handles
}
