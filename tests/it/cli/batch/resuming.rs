//! `wasmpool batch --joblog` and `--resume`: only what is left runs, and what waits for it.

use super::{Folder, sorted};

/// Reads files, fails once, and has a task that waits for the one that fails.
const MANIFEST: &str = "[[task]]\nname = \"read\"\nmodule = \"GUESTS\"\ntask = \"read_file\"\nargs = [\"/{file}\"]\n\
     matrix.file.glob = \"in/*.txt\"\ndirs = [{ host = \"in\", guest = \"/in\", mode = \"ro\" }]\n\
     [[task]]\nname = \"divide\"\nmodule = \"GUESTS\"\ntask = \"divide\"\nargs = [6, 0]\n\
     [[task]]\nname = \"after\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [1]\nafter = [\"divide\"]\n";

#[test]
fn a_resumed_batch_runs_what_is_left_and_what_waited_for_it() {
    let folder = Folder::new(MANIFEST).with("in/a.txt", "one").with("in/b.txt", "two");
    let log = folder.path().join("job.log").display().to_string();
    let ended = folder.batch(&["--joblog", &log]).run().expect(100);
    assert_eq!(sorted(&ended), ["read(in/a.txt): \"one\"", "read(in/b.txt): \"two\""]);
    // Four inputs: three that ran, with a start and an end each, and one that waited for a failure.
    let records = std::fs::read_to_string(&log).expect("the log");
    let ends = records.lines().filter(|line| line.contains("\"exit_code\"")).count();
    assert_eq!(ends, 4, "{records}");

    let refused = folder.batch(&["--joblog", &log]).run().expect(2);
    assert!(refused.stderr.contains("--resume"), "{}", refused.stderr);

    // A file that was not there; the task that failed is kept as it is, and so nothing comes after it.
    folder.write("in/c.txt", "three");
    let ended = folder.batch(&["--joblog", &log, "--resume"]).run().expect(100);
    assert_eq!(ended.lines(), ["read(in/c.txt): \"three\""]);
    assert!(ended.stderr.contains("after"), "it is told what was not run: {}", ended.stderr);

    // What is another task now runs, and what waited for it. Nothing else does.
    let manifest = MANIFEST.replace("[6, 0]", "[6, 3]").replace("GUESTS", crate::support::guests());
    folder.write("batch.toml", &manifest);
    let ended = folder.batch(&["--joblog", &log, "--resume"]).run().expect(0);
    assert_eq!(sorted(&ended), ["after: 1", "divide: 2"]);
    let ended = folder.batch(&["--joblog", &log, "--resume"]).run().expect(0);
    assert_eq!(ended.stdout, "");
}

#[test]
fn failed_tasks_of_a_batch_run_again_when_that_is_asked_for() {
    let folder = Folder::new(MANIFEST).with("in/a.txt", "one");
    let log = folder.path().join("job.log").display().to_string();
    folder.batch(&["--joblog", &log]).run().expect(100);
    let again = folder.batch(&["--joblog", &log, "--resume", "--retry-failed", "--format", "jsonl"]).run();
    let records = again.expect(100).records();
    let names: Vec<&str> = records.iter().filter_map(|record| record["name"].as_str()).collect();
    assert_eq!(names, ["divide", "after"]);
}

/// A daemon is written down as one, with a number of its own, and begins again with each run.
#[test]
fn daemons_are_in_the_job_log_and_are_never_kept() {
    let manifest = "[[task]]\nname = \"server\"\nmodule = \"GUESTS\"\ntask = \"ignore_cancelled\"\ndaemon = true\n\
         grace_period = \"100ms\"\n\
         [[task]]\nname = \"client\"\nmodule = \"GUESTS\"\ntask = \"echo_json\"\nargs = [1]\n";
    let folder = Folder::new(manifest);
    let log = folder.path().join("job.log").display().to_string();
    for (run, options) in [&["--joblog", &log][..], &["--joblog", &log, "--resume"]].into_iter().enumerate() {
        let ended = folder.batch(options).run().expect(0);
        assert_eq!(ended.lines().len(), 1 - run, "the client is kept: {}", ended.stdout);
        let text = std::fs::read_to_string(&log).expect("the log");
        let records = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
        let of_daemon: Vec<_> = records.filter(|record| record["daemon"] == 1).collect();
        // A start and an end for each run, or only an end when the batch was over before it began.
        let ends: Vec<_> = of_daemon.iter().filter(|record| record["exit_code"] == 231).collect();
        assert_eq!(ends.len(), run + 1, "{text}");
        assert!(
            of_daemon.iter().all(|record| record.get("seq").is_none() && record["name"] == "server"),
            "{text}"
        );
        assert!(
            of_daemon.iter().all(|record| record["key"].is_string() && record["shape"].is_u64()),
            "{text}"
        );
    }
}
