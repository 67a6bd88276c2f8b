//! Modules that run something once before their first task.

use std::time::Duration;

use crate::support::{wasmpool, wat};

#[test]
fn every_task_begins_with_what_was_initialised_however_its_worker_is_started() {
    let module = wat("init_counts");
    for options in [
        &["--start-method", "forkserver"][..],
        &["--start-method", "spawn"],
        &["--max-tasks-per-worker", "5"],
    ] {
        let looks = [&module, "-t", "look", "1", "2", "3", "4", "5", "6"];
        let run = |chunks: &[&str]| {
            wasmpool([&["map", "-j", "2"], options, chunks, &looks].concat()).run().expect(0)
        };
        assert_eq!(run(&[]).lines(), ["101"; 6], "{options:?}");
        // The calls of one chunk share an instance.
        let lines = ["101", "102", "103", "101", "102", "103"];
        assert_eq!(run(&["--chunksize", "3"]).lines(), lines, "{options:?}");
    }
}

#[test]
fn one_that_fails_ends_every_task_like_it() {
    let run =
        wasmpool(["map", "-j", "2", "--format", "jsonl", &wat("init_traps"), "-t", "look", "1", "2", "3"])
            .run();
    let records = run.expect(100).records();
    assert_eq!(records.len(), 3);
    for record in records {
        assert_eq!(
            (&record["exit_code"], &record["outcome"]),
            (&207.into(), &"trapped".into()),
            "{record:#}"
        );
        assert!(record.to_string().contains("initialisation failed"), "{record:#}");
    }
}

#[test]
fn one_that_fails_says_that_no_task_has_run() {
    let run = wasmpool(["run", &wat("init_traps"), "-t", "look", "1"]).run().expect(207);
    let said = "look: the module's initialisation failed: trapped: integer division by zero\n";
    assert_eq!(run.stderr, said);
}

#[test]
fn it_is_shown_as_what_it_is_and_cannot_be_called() {
    let module = wat("init_counts");
    let shown = wasmpool(["inspect", &module]).run().expect(0).stdout;
    assert!(shown.contains("runs once, before the first task\n  wasmpool-init: func ()\n"), "{shown}");
    assert!(shown.contains("other exports\n  look: "), "{shown}");
    let json = wasmpool(["inspect", "--format", "json", &module]).run().expect(0).records().remove(0);
    assert_eq!((&json["has_init"], &json["exports"][0]["name"]), (&true.into(), &"look".into()));
    for (command, option, code) in [("run", "-t", 246), ("run", "--invoke", 246), ("map", "-t", 2)] {
        let line = [command, &module, option, "wasmpool-init"];
        let refused =
            wasmpool(if command == "map" { [&line[..], &["1"]].concat() } else { line.to_vec() }).run();
        let refused = refused.expect(code);
        let said = "`wasmpool-init` of `init_counts` runs once before the first task and cannot be called";
        assert!(refused.stderr.contains(said) && refused.stderr.contains("look"), "{}", refused.stderr);
    }
}

#[test]
fn one_that_waits_for_long_is_a_time_out() {
    let run = wasmpool(["run", "--init-timeout", "100ms", &wat("init_sleeps"), "--invoke", "look()"])
        .run()
        .expect(221);
    assert!(run.stderr.contains("the module was still being initialised after 100ms"), "{}", run.stderr);
    assert!(run.time < Duration::from_secs(30), "{:?}", run.time);
}

#[test]
fn a_time_that_no_clock_shows_is_never_over() {
    let run =
        wasmpool(["run", "--init-timeout", "584000000000y", &wat("init_counts"), "-t", "look", "1"]).run();
    assert_eq!(run.expect(0).stdout, "101\n");
}
