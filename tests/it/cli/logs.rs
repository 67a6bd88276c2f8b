//! What a batch says of itself: log records of guests and of ours, and what tasks left held.

use crate::support::{guests, wasmpool};

/// `log_levels` of the guests logs a record of each level.
fn logged(options: &[&str], filter: &str) -> Vec<String> {
    let line = [&["map"], options, &[guests(), "-t", "log_levels", "--starmap", "[]", "[]"]].concat();
    let mut run = wasmpool(line);
    if !filter.is_empty() {
        run = run.env("RUST_LOG", filter);
    }
    run.run().expect(0).stderr.lines().map(str::to_owned).collect()
}

#[test]
fn verbose_shows_what_guests_log_with_their_task_and_their_level() {
    let lines = logged(&["-v"], "");
    for level in ["ERROR", "WARN", "INFO"] {
        let of_first = |line: &&String| line.contains(level) && line.contains("task=\"log_levels#1\"");
        assert!(lines.iter().filter(of_first).any(|line| line.contains("attempt=1")), "{level}: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains("DEBUG")), "{lines:#?}");
    assert!(!logged(&[], "").iter().any(|line| line.contains("INFO")));
}

#[test]
fn directives_choose_records_by_their_level_and_by_their_task() {
    let of = |lines: &[String], task: &str, level: &str| {
        lines.iter().filter(|line| line.contains(level) && line.contains(task)).count()
    };
    let lines = logged(&[], "wasmpool::guest=debug");
    assert_eq!(
        (of(&lines, "log_levels#1", "DEBUG"), of(&lines, "log_levels#2", "DEBUG")),
        (1, 1),
        "{lines:#?}"
    );
    assert_eq!(of(&lines, "", "TRACE"), 0);
    let lines = logged(&[], "off,wasmpool::guest[task{task=log_levels#2}]=debug");
    assert_eq!((of(&lines, "log_levels#1", ""), of(&lines, "log_levels#2", "DEBUG")), (0, 1), "{lines:#?}");
    let lines = logged(&[], "off,wasmpool::guest[task{task=log_levels.*}]=warn");
    assert_eq!((of(&lines, "log_levels#1", "WARN"), of(&lines, "", "INFO")), (1, 0), "{lines:#?}");
}

#[test]
fn a_record_in_json_has_its_task_its_attempt_and_its_level() {
    let lines = logged(&["-v", "--log-format", "json"], "");
    let records = lines
        .iter()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("JSON"));
    let guests: Vec<_> = records.filter(|record| record["target"] == "wasmpool::guest").collect();
    let second =
        |record: &&serde_json::Value| record["span"]["task"] == "log_levels#2" && record["level"] == "WARN";
    let found = guests.iter().find(second).unwrap_or_else(|| panic!("{guests:#?}"));
    assert_eq!(found["span"]["attempt"], 1);
    assert!(found["fields"]["message"].is_string(), "{found}");
}

#[test]
fn a_filter_that_is_none_is_said_and_ignored() {
    let lines = logged(&["-v"], "wasmpool=loud");
    assert!(lines[0].contains("RUST_LOG is ignored: `wasmpool=loud`"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("INFO")), "{lines:#?}");
}

#[test]
fn what_a_task_leaves_held_is_in_its_record_and_said_once_for_each_object() {
    let guests = guests();
    let rows = [
        (["--lock", "l"], "hold_lock_and_return", "lock `l` was still held", ["lock", "lock"], 1),
        (
            ["--semaphore", "l:4"],
            "forget_permit",
            "a permit of semaphore `l` was still held",
            ["semaphore", "permits"],
            1,
        ),
        (["--queue", "l"], "forget_leases", "2 items of queue `l` were still leased", ["queue", "leases"], 2),
    ];
    for (object, task, said, [kind, what], count) in rows {
        let line =
            [&["map", "-j", "1", "--format", "jsonl"], &object[..], &[guests, "-t", task, "l", "l", "l"]]
                .concat();
        let ended = wasmpool(&line).run().expect(0);
        let records = ended.records();
        assert_eq!(records.len(), 3);
        for record in &records {
            let leak = &record["leaks"][0];
            assert_eq!(
                (&leak["object"], &leak["kind"], &leak["what"]),
                (&"l".into(), &kind.into(), &what.into()),
                "{record}"
            );
            assert_eq!(leak["count"], count);
        }
        assert_eq!(ended.stderr.matches(said).count(), 1, "{}", ended.stderr);
        let line = [&["map", "-v"], &object[..], &[guests, "-t", task, "l"]].concat();
        let summary = wasmpool(&line).run().expect(0).stderr;
        assert!(summary.contains("1 lock, permit or lease left behind"), "{summary}");
    }
    // Also where a worker lives on, and where calls share an instance, the last of which has it all then.
    for (option, counts) in [("--max-tasks-per-worker", [2, 2]), ("--chunksize", [0, 4])] {
        let line = [
            "map",
            "-j",
            "1",
            option,
            "2",
            "--format",
            "jsonl",
            "--queue",
            "l",
            guests,
            "-t",
            "forget_leases",
            "l",
            "l",
        ];
        let records = wasmpool(line).run().expect(0).records();
        let told = records.iter().map(|record| record["leaks"][0]["count"].as_u64().unwrap_or(0));
        assert_eq!(told.collect::<Vec<_>>(), counts, "{option}");
    }
    let line =
        ["map", "--format", "jsonl", "--queue", "q", guests, "-t", "put_many", "--starmap", r#"["q", 3]"#];
    assert_eq!(wasmpool(line).run().expect(0).records()[0].get("leaks"), None);
}
