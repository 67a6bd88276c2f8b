//! Workers that are killed because `--chaos` asked for it: what a batch makes of real deaths.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::support::{Finished, guests, wasmpool};

const TASKS: u64 = 200;

/// Runs the batch, each task of which appends its number to a ledger, and writes a log.
fn run(folder: &Path, options: &[&str]) -> Finished {
    std::fs::create_dir_all(folder.join("data")).expect("a folder");
    std::fs::write(folder.join("data/ledger"), "").expect("a file");
    let manifest = format!(
        "[[task]]\nname = \"append\"\nmodule = \"{}\"\ntask = \"append_file\"\nargs = [\"/data/ledger\", \"{{n}}\\n\"]\n\
         matrix.n = {{ from = 1, to = {TASKS} }}\ndirs = [{{ host = \"data\", guest = \"/data\", mode = \"rw\" }}]\n",
        guests()
    );
    std::fs::write(folder.join("batch.toml"), manifest).expect("a file");
    let (manifest, log) = (folder.join("batch.toml"), folder.join("log"));
    let line =
        ["batch", "--joblog", log.to_str().expect("UTF-8"), manifest.to_str().expect("UTF-8"), "-j", "4"];
    wasmpool([&line[..], options].concat()).run()
}

/// The ends of attempts in the log.
fn ends(folder: &Path) -> Vec<Value> {
    let log = std::fs::read_to_string(folder.join("log")).expect("a log");
    let records = log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    records.filter(|record| record["outcome"].is_string()).collect()
}

/// Tasks and attempts that were killed.
fn killed(folder: &Path) -> Vec<(u64, u64)> {
    let mut killed = Vec::new();
    for end in ends(folder).iter().filter(|end| end["outcome"] == "killed") {
        assert_eq!((&end["chaos"], &end["exit_code"]), (&Value::from(true), &Value::from(137)), "{end}");
        killed.push((end["seq"].as_u64().expect("a number"), end["attempt"].as_u64().expect("a number")));
    }
    killed.sort_unstable();
    killed
}

#[test]
fn every_task_of_a_batch_succeeds_once_although_a_fifth_of_its_attempts_is_killed() {
    let options = [
        "--chaos",
        "kill=20%,seed=7",
        "--retries",
        "8",
        "--retry-on",
        "crash",
        "--retry-delay",
        "0",
        "--quarantine-after",
        "100",
    ];
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder")];
    for folder in &folders {
        run(folder.path(), &options).expect(0);
        let mut succeeded = BTreeMap::<u64, u32>::new();
        for end in ends(folder.path()).iter().filter(|end| end["outcome"] == "succeeded") {
            assert!(end["chaos"].is_null(), "{end}");
            *succeeded.entry(end["seq"].as_u64().expect("a number")).or_default() += 1;
        }
        assert_eq!(succeeded.len() as u64, TASKS);
        assert!(succeeded.values().all(|times| *times == 1), "{succeeded:?}");
        let ledger = std::fs::read_to_string(folder.path().join("data/ledger")).expect("a file");
        for task in 1..=TASKS {
            assert!(ledger.lines().any(|line| line == task.to_string()), "{task} never ran");
        }
    }
    let [one, other] = folders.each_ref().map(|folder| killed(folder.path()));
    // 200 tasks with 1.25 attempts each, a fifth of which is killed.
    assert!((25..75).contains(&one.len()), "{one:?}");
    assert_eq!(one, other, "the same seed kills the same attempts");
}

#[test]
fn what_was_killed_for_chaos_fails_as_that_and_runs_again_from_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let ended = run(folder.path(), &["--chaos", "kill=10%,seed=1"]).expect(100);
    let killed = killed(folder.path()).len();
    assert!(killed > 5, "{killed}");
    assert!(
        ended.stderr.contains(": worker was killed by signal 9, as --chaos asked for"),
        "{}",
        ended.stderr
    );
    run(folder.path(), &["--resume", "--retry-failed"]).expect(0);
    let ledger = std::fs::read_to_string(folder.path().join("data/ledger")).expect("a file");
    assert_eq!(ledger.lines().count(), killed, "nothing runs again but what failed");
}

#[test]
fn map_takes_chaos_too_and_a_wrong_wish_is_refused() {
    let line = |chaos| {
        ["map", "--chaos", chaos, "--retries", "2", "--retry-delay", "0", guests(), "-t", "echo_json", "1"]
    };
    let ended = wasmpool(line("kill=100%")).run().expect(100);
    assert!(ended.stderr.contains("echo_json#1"), "{}", ended.stderr);
    let ended = wasmpool(line("kill=5")).run().expect(2);
    assert!(ended.stderr.contains("kill=5%,seed=7"), "{}", ended.stderr);
    wasmpool(line("kill=0%")).run().expect(0);
}
