//! Each listing of the tutorial prints what Python's does.

use std::time::Duration;

use super::host;
use crate::support::{Finished, example};

fn listing(name: &str) -> Finished {
    host("tutorial_host", &[name, &example("tutorial")]).expect(0)
}

/// What a listing prints, without the numbers of its tasks.
fn lines_without_numbers(run: &Finished) -> Vec<&str> {
    let cut = |line| str::trim_end_matches(line, |c: char| c.is_ascii_digit()).trim_end();
    run.stdout.lines().map(cut).collect()
}

#[test]
fn simple() {
    assert_eq!(listing("simple").lines(), ["Worker"; 5]);
}

#[test]
fn simple_arguments() {
    assert_eq!(listing("simple_arguments").lines(), [0, 1, 2, 3, 4].map(|num| format!("Worker: {num}")));
}

#[test]
fn importable() {
    assert_eq!(listing("importable").lines(), ["Worker"]);
}

#[test]
fn names() {
    let expected = ["worker 1", "Process-1", "my_service"]
        .map(|name| [format!("{name} Starting"), format!("{name} Exiting")])
        .concat();
    assert_eq!(listing("names").lines(), expected);
}

#[test]
fn daemon() {
    let run = listing("daemon");
    let expected = ["Starting: daemon", "Starting: non-daemon", "Exiting : non-daemon"];
    assert_eq!(lines_without_numbers(&run), expected);
}

#[test]
fn daemon_join() {
    let run = listing("daemon_join");
    let expected = ["Starting: daemon", "Exiting : daemon", "Starting: non-daemon", "Exiting : non-daemon"];
    assert_eq!(lines_without_numbers(&run), expected);
}

#[test]
fn daemon_join_timeout() {
    let run = listing("daemon_join_timeout");
    let expected =
        ["d.join() timed out", "d.is_alive() true", "Starting: non-daemon", "Exiting : non-daemon"];
    assert_eq!(lines_without_numbers(&run), expected);
}

#[test]
fn terminating() {
    let run = listing("terminating");
    let lines = run.lines();
    assert_eq!(lines[..2], ["BEFORE: not started", "DURING: Process-1 true"]);
    // Whether it lives just after it was told to end is a race, as it is in Python.
    assert!(lines[2].starts_with("TERMINATED: Process-1 "), "{lines:?}");
    assert_eq!(lines[3..], ["JOINED: Process-1 false, cancelled"]);
    assert!(run.time < Duration::from_secs(30), "the task, which sleeps for a minute, was waited for");
}

#[test]
fn exit_status() {
    let run = listing("exit_status");
    let lines = run.lines();
    assert!(lines[..6].iter().all(|line| line.starts_with("Starting process for ")), "{lines:?}");
    assert_eq!(lines[6], "     exit_error.exitcode = 1 (exited with code 1)");
    assert_eq!(lines[7], "        exit_ok.exitcode = 0 (succeeded)");
    assert_eq!(lines[8], "   return_value.exitcode = 0 (succeeded)");
    assert_eq!(lines[9], "         raises.exitcode = 1 (There was an error!)");
    assert!(
        lines[10].starts_with("         panics.exitcode = 200 (panicked at src/exit_status.rs:"),
        "{lines:?}"
    );
    assert!(lines[10].ends_with(": There was an error!)"), "{lines:?}");
    assert_eq!(lines[11..], ["     terminated.exitcode = 230 (cancelled)"]);
}

#[test]
fn logging() {
    let run = listing("logging");
    assert_eq!(run.stdout, "Doing some work\n");
    let record = run.stderr.lines().find(|line| line.contains("child process calling worker()"));
    assert!(record.is_some_and(|line| line.contains("Process-1")), "{}", run.stderr);
}

#[test]
fn pool() {
    let expected = [
        "Input   : [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]",
        "Built-in: [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]",
        "Pool    : [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]",
    ];
    assert_eq!(listing("pool").lines(), expected);
}

#[test]
fn pool_recycling() {
    let run = listing("pool_recycling");
    let workers = run.lines();
    assert_eq!(workers.len(), 10);
    for worker in &workers {
        assert!(worker.starts_with("Starting worker-"), "{workers:?}");
        let tasks = workers.iter().filter(|other| *other == worker).count();
        assert!(tasks <= 2, "{worker} ran {tasks} tasks, and was to be replaced after two");
    }
}

#[test]
fn a_listing_that_does_not_exist() {
    let run = host("tutorial_host", &["queues"]).expect(1);
    assert!(run.stderr.contains("simple, simple_arguments, importable"), "{}", run.stderr);
}
