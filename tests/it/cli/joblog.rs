//! `--joblog` and `--resume`.

use std::io::{BufRead, BufReader};

use serde_json::{Value, json};

use crate::support::{Finished, guests, wasmpool, wat};

/// A folder for a log.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.path().join(name), text).expect("a file");
        self.path(name)
    }

    fn log(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.path("log")).expect("a log");
        text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect()
    }

    /// `map fail_if` over these inputs, with a log and more options.
    fn fail_if(&self, options: &[&str], inputs: &[&str]) -> Finished {
        let log = self.path("log");
        let mut line = vec!["map", "--joblog", &log];
        line.extend(options);
        line.extend([guests(), "-t", "fail_if", "--starmap"]);
        line.extend(inputs);
        wasmpool(line).run()
    }
}

fn is_end(record: &&Value) -> bool {
    record.get("outcome").is_some()
}

#[test]
fn a_log_says_what_ran_what_it_could_touch_and_how_it_ended() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.path().join("data")).expect("a folder");
    let dir = format!("{}::/data:ro", folder.path("data"));
    folder
        .fail_if(
            &["--timeout", "30s", "--dir", &dir, "--env", "TOKEN=hunter2", "--lock", "turn"],
            &["[1,2]", "[2,2]"],
        )
        .expect(100);
    let log = folder.log();
    let [run, shape, rest @ ..] = log.as_slice() else { panic!("{log:#?}") };
    assert_eq!(run["joblog"], 1);
    assert_eq!(shape["module_path"], guests());
    assert_eq!(shape["module_sha256"].as_str().expect("a digest").len(), 64);
    assert_eq!(shape["entry"], "task");
    assert!(shape["function"].as_str().is_some_and(|name| name.starts_with("fail")), "{shape}");
    assert_eq!(shape["limits"]["timeout_ms"], 30_000);
    assert_eq!(shape["dirs"][0]["access"], "ro");
    assert_eq!((&shape["env"], &shape["objects"][0]["name"]), (&json!(["TOKEN"]), &json!("turn")));
    assert!(!format!("{log:?}").contains("\"hunter2\""), "the values of variables are secrets");
    assert_eq!(rest.len(), 4, "{rest:#?}");
    for seq in [1, 2] {
        let of_task: Vec<_> = rest.iter().filter(|record| record["seq"] == seq).collect();
        let [start, end] = of_task.as_slice() else { panic!("{rest:#?}") };
        assert_eq!((start.get("outcome"), &start["args"]), (None, &json!([seq, 2])));
        assert_eq!((&start["key"], &start["shape"]), (&end["key"], &end["shape"]));
        assert_eq!((&start["pid"], &start["started_at"]), (&end["pid"], &end["started_at"]));
        assert!(end["layers"].as_array().is_some_and(|layers| !layers.is_empty()));
    }
    let ends: Vec<_> = rest.iter().filter(is_end).collect();
    assert!(ends.iter().any(|end| end["value"] == 1) && ends.iter().any(|end| end["error"] == "2 is bad"));
}

#[test]
fn finished_tasks_are_kept_and_failed_ones_run_again_when_asked() {
    let folder = Folder::new();
    folder.fail_if(&[], &["[1,2]", "[2,2]"]).expect(100);
    // One more input, and the others in another order: their places do not matter.
    let resumed = folder.fail_if(&["--resume"], &["[3,2]", "[2,2]", "[1,2]"]).expect(100);
    assert_eq!(resumed.lines(), ["3"]);
    assert!(
        resumed.stderr.contains("2 tasks finished, 1 of them failed (--retry-failed runs those again)"),
        "{}",
        resumed.stderr
    );
    assert!(resumed.stderr.contains("3 inputs in") && resumed.stderr.contains("2 kept (1 of them failed)"));
    let again = folder.fail_if(&["--resume", "--retry-failed"], &["[1,2]", "[2,2]", "[3,2]"]).expect(100);
    assert_eq!((again.stdout.as_str(), again.stderr.matches("2 is bad").count()), ("", 1));
    let nothing = folder.fail_if(&["--resume"], &["[1,2]", "[3,2]"]).expect(0);
    assert_eq!(nothing.stdout, "");
}

#[test]
fn the_same_input_twice_is_two_tasks() {
    let folder = Folder::new();
    folder.fail_if(&[], &["[1,2]"]).expect(0);
    let resumed = folder.fail_if(&["--resume"], &["[1,2]", "[1,2]", "[1,2]"]).expect(0);
    assert_eq!(resumed.lines(), ["1", "1"]);
}

#[test]
fn raised_limits_make_no_other_task_and_other_grants_do() {
    let folder = Folder::new();
    folder.fail_if(&[], &["[1,2]"]).expect(0);
    let raised =
        folder.fail_if(&["--resume", "--max-memory", "2GiB", "--timeout", "1h"], &["[1,2]"]).expect(0);
    assert_eq!(raised.stdout, "");
    let granted = folder.fail_if(&["--resume", "--env", "A=1"], &["[1,2]"]).expect(0);
    assert_eq!(granted.lines(), ["1"]);
}

#[test]
fn a_log_that_is_there_is_not_written_over() {
    let folder = Folder::new();
    folder.fail_if(&[], &["[1,2]"]).expect(0);
    let before = std::fs::read(folder.path("log")).expect("a log");
    let refused = folder.fail_if(&[], &["[1,2]"]).expect(2);
    assert!(refused.stderr.contains("is there already: add --resume to go on with it"), "{}", refused.stderr);
    assert_eq!(std::fs::read(folder.path("log")).expect("a log"), before);
    let notes = folder.write("log", "dear diary\n");
    let refused = folder.fail_if(&["--resume"], &["[1,2]"]).expect(2);
    assert!(refused.stderr.contains("line 1 is no record of a job log"), "{}", refused.stderr);
    assert_eq!(std::fs::read_to_string(notes).expect("a file"), "dear diary\n");
}

#[test]
fn a_torn_record_is_removed_and_told() {
    let folder = Folder::new();
    folder.fail_if(&[], &["[1,2]", "[3,2]"]).expect(0);
    let log = std::fs::read(folder.path("log")).expect("a log");
    std::fs::write(folder.path("log"), &log[..log.len() - 10]).expect("a file");
    let resumed = folder.fail_if(&["--resume"], &["[1,2]", "[3,2]"]).expect(0);
    assert_eq!(resumed.lines().len(), 1);
    assert!(resumed.stderr.contains("a record that was never whole is removed"), "{}", resumed.stderr);
    assert!(resumed.stderr.contains("1 task finished; 1 task cut off"), "{}", resumed.stderr);
    folder.log();
}

#[test]
fn of_two_runs_with_one_log_the_second_is_told() {
    let folder = Folder::new();
    let log = folder.path("log");
    let line = |log: &str| {
        ["map", "--joblog", log, "--resume", guests(), "-t", "add", "--starmap", "--from", "-"]
            .map(str::to_owned)
    };
    let mut first = wasmpool(line(&log)).stdin_from(std::process::Stdio::piped()).start();
    let mut stdin = first.stdin.take().expect("it is piped");
    std::io::Write::write_all(&mut stdin, b"[1,2]\n").expect("it reads");
    let mut result = String::new();
    BufReader::new(first.stdout.take().expect("it is piped")).read_line(&mut result).expect("a result");
    assert_eq!(result, "3\n");
    let second = wasmpool(line(&log)).run().expect(96);
    assert!(second.stderr.contains("is being written by another run"), "{}", second.stderr);
    drop(stdin);
    assert!(first.wait().expect("it is ours").success());
    wasmpool(line(&log)).stdin("[1,2]\n").run().expect(0);
}

/// Every result that is seen is in the log already, whenever one looks.
#[test]
fn an_end_is_in_the_log_before_its_result_is_printed() {
    let folder = Folder::new();
    let log = folder.path("log");
    let inputs: String = (0..100).map(|number| format!("[{number},0]\n")).collect();
    let line = [
        "map",
        "--joblog",
        &log,
        "--unordered",
        "-j",
        "2",
        guests(),
        "-t",
        "add",
        "--starmap",
        "--from",
        "-",
    ];
    let mut child = wasmpool(line).stdin(inputs).start();
    let results = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut count = 0;
    for result in results {
        let result: i64 = result.expect("a line").parse().expect("a number");
        let text = std::fs::read_to_string(&log).expect("a log");
        let whole = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut values = whole.filter_map(|record| record["value"].as_i64());
        assert!(values.any(|value| value == result), "{result} is printed and not in the log");
        count += 1;
    }
    assert_eq!(count, 100);
    child.wait().expect("it is ours");
}

#[test]
fn a_log_on_a_full_disk_stops_the_batch_and_is_told() {
    let line =
        ["map", "--joblog", "/dev/full", "--joblog-sync", "off", guests(), "-t", "add", "--starmap", "[1,2]"];
    let ended = wasmpool(line).run().expect(96);
    assert!(
        ended.stderr.contains("cannot write to the job log `/dev/full`: No space left"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}

#[test]
fn the_other_format_is_that_of_gnu_parallel() {
    let folder = Folder::new();
    let log = folder.path("log");
    let line =
        ["map", "--joblog", &log, "--joblog-format", "parallel", &wat("arguments"), "a", "b", "--", "{}"];
    wasmpool(line).run().expect(0);
    let text = std::fs::read_to_string(&log).expect("a log");
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(
        rows[0],
        ["Seq", "Host", "Starttime", "JobRuntime", "Send", "Receive", "Exitval", "Signal", "Command"]
    );
    assert_eq!((rows.len(), rows[1].len(), rows[1][6]), (3, 9, "0"));
    let wrong =
        ["map", "--joblog", &log, "--joblog-format", "parallel", "--resume", guests(), "-t", "add", "1"];
    wasmpool(wrong).run().expect(2);
}

#[test]
fn options_of_a_log_go_with_a_log() {
    for wrong in [
        &["--resume"][..],
        &["--retry-failed"],
        &["--joblog-sync", "each"],
        &["--joblog", "x", "--retry-failed"],
    ] {
        let mut line = vec!["map"];
        line.extend(wrong);
        line.extend([guests(), "-t", "add", "1"]);
        wasmpool(line).run().expect(2);
    }
}

#[test]
fn retries_are_in_the_log_an_attempt_at_a_time() {
    let folder = Folder::new();
    folder.fail_if(&["--retries", "2", "--retry-delay", "0"], &["[2,2]"]).expect(100);
    let log = folder.log();
    let ends: Vec<_> = log
        .iter()
        .filter(is_end)
        .map(|end| (end["attempt"].clone(), end.get("retry_ms").is_some()))
        .collect();
    assert_eq!(ends, [(json!(1), true), (json!(2), true), (json!(3), false)]);
    assert_eq!(log.len(), 2 + 6);
    let classes = |on: &str| {
        let ended = wasmpool([
            "run",
            "--retries",
            "2",
            "--retry-delay",
            "0",
            "--retry-on",
            on,
            "-v",
            guests(),
            "-t",
            "fail",
            "no",
        ])
        .run();
        ended.expect(1).stderr.contains("attempt 3")
    };
    assert!(classes("failed,crash") && !classes("crash"));
    let unknown =
        wasmpool(["run", "--retries", "1", "--retry-on", "sometimes", guests(), "-t", "fail", "no"]).run();
    assert!(unknown.expect(246).stderr.contains("`sometimes` is no class of outcomes"));
}

#[test]
fn a_recorded_task_runs_again_as_it_was() {
    let folder = Folder::new();
    let (log, stdin) = (folder.path("log"), folder.write("in.txt", "from a file"));
    folder.fail_if(&["--timeout", "30s", "--env", "A=1"], &["[1,2]", "[2,2]"]).expect(100);
    let env = ["replay", &log, "1", "--env", "A=1"];
    assert_eq!(wasmpool(env).run().expect(0).stdout, "1\n");
    let failed = wasmpool(["replay", &log, "2", "--env", "A=1"]).run().expect(1);
    assert!(failed.stderr.contains("2 is bad"), "{}", failed.stderr);
    assert!(!failed.stderr.contains("its log says"), "it ended as before: {}", failed.stderr);
    let other = wasmpool(["replay", &log, "1", "--env", "A=2"]).run().expect(246);
    assert!(other.stderr.contains("give its variables the values that they had"), "{}", other.stderr);
    let nowhere = wasmpool(["replay", &log, "9"]).run().expect(246);
    assert!(nowhere.stderr.contains("no task 9 was started"), "{}", nowhere.stderr);

    // A command, with a file as its standard input.
    let log = folder.path("command.log");
    let line = ["map", "--joblog", &log, "--stdin", &stdin, &wat("cat"), "x", "--", "{}"];
    assert_eq!(wasmpool(line).run().expect(0).stdout.trim_end(), "from a file");
    assert_eq!(wasmpool(["replay", &log, "1"]).run().expect(0).stdout, "from a file");
    folder.write("in.txt", "something else");
    let changed = wasmpool(["replay", &log, "1"]).run().expect(246);
    assert!(changed.stderr.contains("has changed"), "{}", changed.stderr);
}

#[test]
fn what_a_task_shared_with_others_is_not_replayed() {
    let folder = Folder::new();
    folder.fail_if(&["--lock", "turn"], &["[1,2]"]).expect(0);
    let refused = wasmpool(["replay", &folder.path("log"), "1"]).run().expect(246);
    assert!(refused.stderr.contains("shared `turn` with other tasks"), "{}", refused.stderr);
}

/// The same random numbers, the same hash order, the same times: in a process each, and from a log.
#[test]
fn a_deterministic_task_gives_the_same_result_twice() {
    let random = |options: &[&str]| {
        let mut line = vec!["run"];
        line.extend(options);
        line.extend([guests(), "-t", "random_bytes", "32"]);
        wasmpool(line).run().expect(0).stdout
    };
    assert_eq!(random(&["--deterministic"]), random(&["--deterministic=0"]));
    assert_ne!(random(&["--deterministic"]), random(&["--deterministic=1"]));
    assert_ne!(random(&[]), random(&[]));
    let now = |options: &[&str]| {
        let mut line = vec!["run"];
        line.extend(options);
        line.extend([guests(), "-t", "clock_ms"]);
        wasmpool(line).run().expect(0).stdout.trim().parse::<u64>().expect("a time")
    };
    assert_eq!(now(&["--deterministic"]), now(&["--deterministic"]));
    assert!((946_684_800_000..946_684_801_000).contains(&now(&["--deterministic=7"])));
    assert!(now(&[]) > 946_684_801_000);
    let folder = Folder::new();
    let log = folder.path("log");
    let line = ["map", "--joblog", &log, "--deterministic=5", guests(), "-t", "random_bytes", "32"];
    let recorded = wasmpool(line).run().expect(0).stdout;
    assert_eq!(wasmpool(["replay", &log, "1"]).run().expect(0).stdout, recorded);
    assert_eq!(wasmpool(["replay", &log, "1", "--deterministic=5"]).run().expect(0).stdout, recorded);
    assert_ne!(wasmpool(["replay", &log, "1", "--deterministic=6"]).run().expect(0).stdout, recorded);
}
