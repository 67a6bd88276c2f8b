//! Lines as programs read them.

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::batch::BadInput;
use crate::outcome::{Encoding, Limit, LimitKind, Trap, TrapKind};
use crate::policy::Layer;

fn ended(outcome: Outcome) -> Ended {
    let record = Record {
        task: 9,
        tag: Some(2),
        name: "square#2".into(),
        attempt: 1,
        outcome,
        pid: Some(4711),
        worker: Some(3),
        queued_at: UNIX_EPOCH + Duration::from_micros(1_250_000),
        started_at: Some(UNIX_EPOCH + Duration::from_micros(1_500_250)),
        wall_time: Duration::from_micros(1500),
        cpu_time: Duration::from_nanos(250_400),
        peak_memory_bytes: Some(4096),
        layers: [Layer::Seccomp].into_iter().collect(),
        stdout: Bytes::from_static(b"out\n"),
        stderr: Bytes::from_static(b"\xff"),
        progress: None,
        leaks: Vec::new(),
        chaos: false,
    };
    Ended { seq: 2, name: "square#2".into(), ending: Ending::Ran(Box::new(record)) }
}

fn succeeded(encoding: Encoding, bytes: &'static [u8]) -> Outcome {
    Outcome::Succeeded(TaskValue::new(encoding, Bytes::from_static(bytes)))
}

fn text(outcome: Outcome) -> String {
    String::from_utf8(line(&ended(outcome), false)).unwrap()
}

fn fields(outcome: Outcome, with_output: bool) -> Value {
    serde_json::from_slice(&line(&ended(outcome), with_output)).unwrap()
}

#[test]
fn a_success_has_every_field_in_order() {
    assert_eq!(
        text(succeeded(Encoding::Json, b"16")),
        concat!(
            r#"{"seq":2,"name":"square#2","outcome":"succeeded","exit_code":0,"value":16,"attempt":1,"pid":4711,"#,
            r#""wall_ms":1.5,"cpu_ms":0.25,"peak_memory_bytes":4096,"layers":["seccomp"],"queued_at":1.25,"started_at":1.50025,"worker":3}"#,
            "\n"
        )
    );
}

#[test]
fn a_failure_has_an_error_instead_of_a_value() {
    let failed = fields(Outcome::Failed("division\nby zero".to_owned()), false);
    assert_eq!(failed["error"], "division\nby zero");
    assert_eq!((&failed["outcome"], &failed["exit_code"]), (&json!("failed"), &json!(1)));
    assert!(failed.get("value").is_none());
    assert!(fields(succeeded(Encoding::Json, b"1"), false).get("error").is_none());
    let exited = fields(Outcome::Exited(300), false);
    assert_eq!((&exited["exit_code"], &exited["error"]), (&json!(125), &json!("exited with code 300")));
}

#[test]
fn numbers_keep_their_digits_and_a_line_stays_a_line() {
    assert!(
        text(succeeded(Encoding::Json, b"123456789012345678901234567890.10"))
            .contains(":123456789012345678901234567890.10,")
    );
    let pretty = text(succeeded(Encoding::Json, b"{\n\"a\":\r\n1}"));
    assert!(pretty.contains(r#""value":{ "a":  1},"#), "{pretty}");
    assert_eq!(pretty.matches('\n').count(), 1);
    assert_eq!(fields(succeeded(Encoding::Json, b"not json"), false)["value"], "not json");
}

#[test]
fn raw_values_are_text_or_base64() {
    assert_eq!(fields(succeeded(Encoding::Raw, b"12"), false)["value"], "12");
    assert_eq!(fields(succeeded(Encoding::Raw, b"\xff\x00"), false)["value_base64"], "/wA=");
    assert_eq!(
        ["f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes())),
        ["Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]
    );
}

#[test]
fn a_command_has_its_output_and_no_value() {
    let command = fields(Outcome::Exited(0), true);
    assert_eq!((&command["stdout"], &command["stderr"]), (&json!("out\n"), &json!("\u{fffd}")));
    assert_eq!(command["value"], Value::Null);
    assert!(command.get("error").is_none());
}

#[test]
fn a_trap_is_named_with_its_place_also_behind_a_limit() {
    let trap = Box::new(Trap {
        kind: TrapKind::Unreachable,
        message: "wasm trap: unreachable".to_owned(),
        backtrace: vec![WasmFrame { function: "square".to_owned(), module_offset: Some(77) }],
        panic: Some(Panic { message: "odd".to_owned(), file: "src/lib.rs".to_owned(), line: 3, column: 5 }),
        before_task: None,
    });
    let trapped = fields(Outcome::Trapped(trap.clone()), false);
    assert_eq!(trapped["exit_code"], 200);
    assert_eq!(trapped["trap"]["kind"], "unreachable");
    assert_eq!(trapped["trap"]["panic"]["line"], 3);
    assert_eq!(trapped["trap"]["backtrace"][0]["function"], "square");
    let limit = Limit { kind: LimitKind::Memory, detail: "1 GiB".to_owned(), trap: Some(trap) };
    assert_eq!(fields(Outcome::LimitExceeded(limit), false)["trap"]["kind"], "unreachable");
}

#[test]
fn an_input_that_never_became_a_task_has_a_line_too() {
    let bad = BadInput { place: "in.jsonl:3".to_owned(), reason: "not JSON".to_owned() };
    let ended = Ended { seq: 3, name: "square#3".into(), ending: Ending::Bad(bad) };
    let fields: Value = serde_json::from_slice(&line(&ended, true)).unwrap();
    assert_eq!(fields["outcome"], "not_run");
    assert_eq!(fields["exit_code"], 246);
    assert_eq!(fields["error"], "in.jsonl:3: not JSON");
    assert_eq!(fields["pid"], Value::Null);
}
