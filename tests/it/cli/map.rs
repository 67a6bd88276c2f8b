//! `wasmpool map`: one task over many inputs.

use std::collections::BTreeSet;
use std::process::Stdio;

use serde_json::json;

use crate::support::{Finished, example, guests, wasmpool, wat};

/// The records' pids.
fn pids(ended: &Finished) -> BTreeSet<u64> {
    ended.records().iter().filter_map(|record| record["pid"].as_u64()).collect()
}

#[test]
fn results_come_in_the_order_of_the_inputs() {
    let ended =
        wasmpool(["map", &example("squares"), "-t", "square", "1", "2", "3", "4", "5"]).run().expect(0);
    assert_eq!(ended.lines(), ["1", "4", "9", "16", "25"]);
}

#[test]
fn each_input_has_a_process_of_its_own() {
    let squares = example("squares");
    let line = ["map", &squares, "-t", "square", "--format", "jsonl", "1", "2", "3", "4", "5"];
    let ended = wasmpool(line).run().expect(0);
    assert_eq!(pids(&ended).len(), 5);
    let first = &ended.records()[0];
    assert_eq!(
        (&first["seq"], &first["outcome"], &first["exit_code"]),
        (&json!(1), &json!("succeeded"), &json!(0))
    );
    for field in ["name", "value", "attempt", "wall_ms", "cpu_ms", "peak_memory_bytes"] {
        assert!(!first[field].is_null(), "{field} is told");
    }
}

#[test]
fn a_failed_input_is_one_line_of_standard_error() {
    let ended = wasmpool(["map", guests(), "-t", "fail_if", "--starmap", "[1,2]", "[2,2]", "[3,2]"])
        .run()
        .expect(100);
    assert_eq!(ended.lines().len(), 2, "{}", ended.stdout);
    assert_eq!(
        ended.stderr.lines().filter(|line| line.starts_with("fail_if#2: ")).count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn workers_can_be_reused_and_chunks_share_an_instance() {
    let counts = |options: &[&str]| {
        let mut line =
            vec!["map", guests(), "-t", "static_counter", "--format", "jsonl", "-j", "1", "--starmap"];
        line.extend(options);
        line.extend(["[]"; 6]);
        let ended = wasmpool(line).run().expect(0);
        let values: Vec<u64> = ended.records().iter().filter_map(|record| record["value"].as_u64()).collect();
        (values, pids(&ended).len())
    };
    assert_eq!(counts(&[]), (vec![1; 6], 6));
    assert_eq!(counts(&["--max-tasks-per-worker", "6"]), (vec![1; 6], 1));
    assert_eq!(counts(&["--chunksize", "3"]), (vec![1, 2, 3, 1, 2, 3], 2));
}

#[test]
fn many_lines_are_read_from_a_file_with_flat_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ranges.jsonl");
    let line = |i: u32| format!("[{}, {}]\n", i * 10, i * 10 + 10);
    std::fs::write(&path, (0..10_000).map(line).collect::<String>()).expect("a file");
    let (path, primes) = (path.display().to_string(), example("primes"));
    let line =
        ["map", &primes, "-t", "count_primes", "--starmap", "--from", &path, "-j", "2", "--chunksize", "50"];
    let ended = wasmpool(line).run().expect(0);
    // How many primes there are below 100 000.
    let sum: u64 = ended.lines().iter().map(|count| count.parse::<u64>().expect("a count")).sum();
    assert_eq!((ended.lines().len(), sum), (10_000, 9592));
}

#[test]
fn a_reader_that_leaves_ends_an_endless_map_quietly() {
    let squares = example("squares");
    let mut child = wasmpool(["map", &squares, "-t", "square", "--from", "-", "--unordered"])
        .stdin("1\n".repeat(2_000_000))
        .start();
    let stdout = child.stdout.take().expect("stdout is piped");
    let head =
        std::process::Command::new("head").arg("-1").stdin(Stdio::from(stdout)).output().expect("head");
    assert_eq!(head.stdout, b"1\n");
    let ended = crate::support::program::finish(child, std::time::Instant::now());
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_bad_line_fails_alone() {
    let squares = example("squares");
    let ended =
        wasmpool(["map", &squares, "-t", "square", "--from", "-"]).stdin("1\n{bad\n3\n").run().expect(100);
    assert_eq!(ended.lines(), ["1", "9"]);
    assert!(ended.stderr.contains("standard input:2"), "{}", ended.stderr);
}

#[test]
fn halting_tells_that_it_is_not_complete() {
    let line =
        ["map", guests(), "-t", "fail_if", "--starmap", "--from", "-", "--halt", "soon,fail=1", "-j", "1"];
    let inputs = "[2,2]\n".to_owned() + &"[1,2]\n".repeat(100);
    let ended = wasmpool(line).stdin(inputs).run().expect(106);
    assert!(ended.lines().len() < 100);
}

#[test]
fn a_command_runs_over_its_inputs() {
    let ended = wasmpool(["map", &wat("arguments"), "a", "bb", "--", "x", "{}"]).run().expect(0);
    assert_eq!(ended.lines(), ["x a", "x bb"]);
    let parts = ["map", &wat("arguments"), "in/a.txt", "b", "--", "{#}", "{/.}.out", "{//}"];
    assert_eq!(wasmpool(parts).run().expect(0).lines(), ["1 a.out in", "2 b.out ."]);
}

#[test]
fn the_codes_of_a_batch_that_cannot_begin() {
    wasmpool(["map"]).run().expect(2);
    wasmpool(["map", "no/such/module.wasm", "-t", "x", "1"]).run().expect(96);
    wasmpool(["map", &example("squares"), "-t", "cube", "1"]).run().expect(96);
}
