//! One line of JSON for each input of a batch, for programs.
//!
//! The names of the fields are a contract: fields are added, never renamed.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::value::RawValue;

use crate::batch::BadInput;
use crate::batch::drive::{Ended, Ending};
use crate::exit_code;
use crate::outcome::{Leak, Outcome, Panic, Record, TaskValue, WasmFrame};

#[derive(Serialize)]
struct Line<'a> {
    seq: Option<u64>,
    name: &'a str,
    outcome: &'a str,
    exit_code: u8,
    #[serde(flatten)]
    result: ResultField<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trap: Option<TrapField<'a>>,
    attempt: u32,
    pid: Option<u32>,
    wall_ms: f64,
    cpu_ms: f64,
    peak_memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    layers: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queued_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    started_at: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    worker: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    leaks: Vec<LeakField<'a>>,
    /// Its worker was killed because `--chaos` asked for it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    chaos: bool,
    #[serde(flatten)]
    output: Option<Output>,
}

#[derive(Serialize)]
struct LeakField<'a> {
    object: &'a str,
    kind: &'static str,
    what: &'static str,
    count: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum ResultField<'a> {
    Value(Option<Cow<'a, RawValue>>),
    /// A value that is no JSON.
    #[serde(rename = "value")]
    Text(String),
    /// A value that is no text either.
    ValueBase64(String),
    Error(String),
}

#[derive(Serialize)]
struct TrapField<'a> {
    kind: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    panic: Option<&'a Panic>,
    backtrace: &'a [WasmFrame],
}

#[derive(Serialize)]
struct Output {
    stdout: String,
    stderr: String,
}

/// The line of one input, newline included.
///
/// `with_output`: whether the captured standard streams go with it.
#[must_use]
pub fn line(ended: &Ended, with_output: bool) -> Vec<u8> {
    let mut bytes = match &ended.ending {
        Ending::Ran(record) => self::record(Some(ended.seq), record, with_output),
        Ending::Bad(bad) => self::bad(Some(ended.seq), &ended.name, bad),
    };
    bytes.push(b'\n');
    bytes
}

/// The object of one attempt.
#[must_use]
pub fn record(seq: Option<u64>, record: &Record, with_output: bool) -> Vec<u8> {
    json(&of_record(seq, record, with_output))
}

/// The object of an input that never became a task.
#[must_use]
pub fn bad(seq: Option<u64>, name: &str, bad: &BadInput) -> Vec<u8> {
    json(&Line {
        seq,
        name,
        outcome: "not_run",
        exit_code: exit_code::USAGE,
        result: ResultField::Error(bad.to_string()),
        trap: None,
        attempt: 0,
        pid: None,
        wall_ms: 0.0,
        cpu_ms: 0.0,
        peak_memory_bytes: None,
        layers: Vec::new(),
        queued_at: None,
        started_at: None,
        worker: None,
        leaks: Vec::new(),
        chaos: false,
        output: None,
    })
}

fn json(line: &Line<'_>) -> Vec<u8> {
    serde_json::to_vec(line).expect("texts and numbers always have JSON")
}

fn of_record(seq: Option<u64>, record: &Record, with_output: bool) -> Line<'_> {
    Line {
        seq,
        name: &record.name,
        outcome: record.outcome.label(),
        exit_code: record.outcome.exit_code(),
        result: result(&record.outcome),
        trap: trap(&record.outcome),
        attempt: record.attempt,
        pid: record.pid,
        wall_ms: milliseconds(record.wall_time),
        cpu_ms: milliseconds(record.cpu_time),
        peak_memory_bytes: record.peak_memory_bytes,
        layers: record.layers.iter().map(|layer| layer.label()).collect(),
        queued_at: Some(seconds(record.queued_at)),
        started_at: record.started_at.map(seconds),
        worker: record.worker,
        leaks: record.leaks.iter().map(leak).collect(),
        chaos: record.chaos,
        output: with_output.then(|| Output { stdout: lossy(&record.stdout), stderr: lossy(&record.stderr) }),
    }
}

fn leak(leak: &Leak) -> LeakField<'_> {
    LeakField { object: &leak.object, kind: leak.kind, what: leak.what.label(), count: leak.what.count() }
}

fn result(outcome: &Outcome) -> ResultField<'_> {
    match outcome {
        Outcome::Succeeded(value) => value_field(value),
        outcome if outcome.is_success() => ResultField::Value(None),
        outcome => ResultField::Error(outcome.to_string()),
    }
}

fn value_field(value: &TaskValue) -> ResultField<'_> {
    if let Some(json) = super::json_of(value) {
        return ResultField::Value(Some(json));
    }
    match std::str::from_utf8(value.bytes()) {
        Ok(text) => ResultField::Text(text.to_owned()),
        Err(_) => ResultField::ValueBase64(base64(value.bytes())),
    }
}

fn trap(outcome: &Outcome) -> Option<TrapField<'_>> {
    let trap = match outcome {
        Outcome::Trapped(trap) => trap,
        Outcome::LimitExceeded(limit) => limit.trap.as_ref()?,
        _ => return None,
    };
    Some(TrapField {
        kind: trap.kind.label(),
        message: &trap.message,
        panic: trap.panic.as_ref(),
        backtrace: &trap.backtrace,
    })
}

/// Seconds since 1970, with microseconds as the fraction.
fn seconds(time: SystemTime) -> f64 {
    (time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e6).round() / 1e6
}

/// With microseconds as the fraction.
fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Base64 with padding (RFC 4648, section 4).
pub(super) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            let letter = ALPHABET[(bits >> (18 - 6 * place) & 63) as usize];
            text.push(if place <= group.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
