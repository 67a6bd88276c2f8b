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
}
