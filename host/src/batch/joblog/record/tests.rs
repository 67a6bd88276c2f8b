use super::*;
use crate::batch::joblog::key::tests::task;
use crate::outcome::TaskValue;
use crate::policy::Layers;

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

fn entry(arguments: &str) -> Entry {
    let key = Key::of(&task(), "empty");
    Entry { seq: 3, is_daemon: false, key, shape: 1, arguments: arguments.to_owned() }
}

#[test]
fn a_run_says_what_was_typed() {
    let run = RunInfo { command: vec!["wasmpool".to_owned(), "map".to_owned()], retry_failed: true };
    let line: serde_json::Value = serde_json::from_slice(&run_line(&run, 7, UNIX_EPOCH)).unwrap();
    assert_eq!(line["joblog"], 1);
    assert_eq!(line["command"], serde_json::json!(["wasmpool", "map"]));
    assert_eq!(line["retry_failed"], true);
}

#[test]
fn a_shape_says_what_a_task_may_use_and_touch_and_no_secret() {
    let origin =
        Origin { module_path: "a/squares.wasm".to_owned(), stdin: "empty".to_owned(), stdin_path: None };
    let line = text(shape_line(&task(), &origin, Some(4)));
    assert!(!line.contains("secret"), "{line}");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["shape"], &line["module"]), (&4.into(), &"squares".into()));
    assert_eq!(line["module_sha256"], "ab".repeat(32));
    assert_eq!(line["dirs"], serde_json::json!([{"host": "/data", "guest": "/in", "access": "ro"}]));
    assert_eq!(line["files"], serde_json::json!([{"host": "/etc/hosts", "guest": "/hosts", "access": "rw"}]));
    let net = serde_json::json!({"access": "tcp-connect", "host": "example.org", "port": 443});
    assert_eq!(line["nets"], serde_json::json!([net]));
    assert_eq!(line["env"], serde_json::json!(["TOKEN"]));
    assert_eq!(line["objects"], serde_json::json!([{"name": "jobs", "kind": "Queue"}]));
    assert_eq!(line["limits"]["memory_bytes"], 1_u64 << 30);
    assert_eq!(line["sandbox"], "required");
}

#[test]
fn arguments_are_whole_unless_they_are_long() {
    let of = |encoding, bytes: &str| {
        let mut task = task();
        task.args = (encoding, bytes.to_owned().into());
        arguments(&task)
    };
    assert_eq!(of(Encoding::Json, "[1,\n2]"), "\"args\":[1, 2]");
    assert_eq!(of(Encoding::Raw, "a\"b"), "\"args_text\":\"a\\\"b\"");
    let long = of(Encoding::Raw, &"x".repeat(JOBLOG_ARGUMENT_BYTES_MAX + 1));
    assert!(long.starts_with("\"args_bytes\":65537,\"args_sha256\":\""), "{long}");
    let mut raw = task();
    raw.args = (Encoding::Raw, vec![0xff].into());
    assert!(arguments(&raw).starts_with("\"args_bytes\":1,"));
    let mut command = task();
    command.entry = "command";
    command.argv = vec!["tool".to_owned(), "a\nb".to_owned()];
    assert_eq!(arguments(&command), "\"argv\":[\"tool\",\"a\\nb\"]");
}

#[test]
fn starts_and_ends_name_their_task_by_its_key() {
    let start = Start { name: "square#3", attempt: 2, pid: Some(7), worker: 5, at: UNIX_EPOCH };
    let entry = entry("\"args\":[1]");
    let key = entry.key.to_string();
    assert_eq!(
        text(start_line(&entry, start)),
        format!(
            "{{\"seq\":3,\"name\":\"square#3\",\"attempt\":2,\"pid\":7,\"worker\":5,\"started_at\":0.0,\
             \"key\":\"{key}\",\"shape\":1,\"args\":[1]}}\n"
        )
    );
    let jsonl = b"{\"seq\":3,\"outcome\":\"killed\"}\n";
    let retried = end_line(jsonl, Some(&entry), Some(Duration::from_millis(120)));
    assert_eq!(
        text(retried),
        format!("{{\"seq\":3,\"outcome\":\"killed\",\"key\":\"{key}\",\"shape\":1,\"retry_ms\":120}}\n")
    );
    assert_eq!(text(end_line(jsonl, None, None)).as_bytes(), jsonl);
}

#[test]
fn the_other_format_has_the_columns_of_gnu_parallel() {
    let record = Record {
        task: 1,
        tag: Some(3),
        name: "square#3".into(),
        attempt: 1,
        outcome: Outcome::Succeeded(TaskValue::new(Encoding::Json, "16".into())),
        pid: Some(7),
        worker: Some(1),
        queued_at: UNIX_EPOCH,
        started_at: Some(UNIX_EPOCH + Duration::from_millis(1500)),
        wall_time: Duration::from_millis(250),
        cpu_time: Duration::ZERO,
        peak_memory_bytes: None,
        layers: Layers::default(),
        stdout: bytes::Bytes::new(),
        stderr: bytes::Bytes::new(),
        progress: None,
        leaks: Vec::new(),
        chaos: false,
    };
    let line = text(parallel_line(3, &record, 5, "square\t4"));
    assert_eq!(line, "3\t:\t1.500\t     0.250\t5\t2\t0\t0\tsquare 4\n");
    assert_eq!(line.matches('\t').count(), PARALLEL_HEADER.matches('\t').count());
    let killed = Record { outcome: Outcome::Killed(9), ..record };
    assert!(text(parallel_line(3, &killed, 5, "square 4")).contains("\t137\t9\t"));
}
