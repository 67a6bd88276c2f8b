//! Arguments in, results out.

#![forbid(unsafe_code)]

use wasmpool_guest::serde::{Deserialize, Serialize};
use wasmpool_guest::{Bytes, serde_json, task};

/// Returns the bytes that it gets.
#[task]
fn echo(data: Bytes) -> Bytes {
    data
}

/// Returns the value that it gets.
#[task]
fn echo_json(value: serde_json::Value) -> serde_json::Value {
    value
}

/// Takes nothing, returns nothing.
#[task]
fn nothing() {}

/// The sum of two numbers. One that does not fit is a panic.
#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

/// The sum of a list.
#[task]
fn sum(numbers: &[i64]) -> i64 {
    numbers.iter().sum()
}

/// A greeting: one required parameter, one with a default, one that may be missing.
#[task]
fn greet(name: &str, #[default("Hello".to_string())] greeting: String, excited: Option<bool>) -> String {
    let end = if excited == Some(true) { "!" } else { "." };
    format!("{greeting}, {name}{end}")
}

/// How often `b` fits into `a`; dividing by zero is an error, not a panic.
#[task]
fn divide(a: i64, b: i64) -> Result<i64, String> {
    a.checked_div(b).ok_or_else(|| format!("cannot divide {a} by {b}"))
}

/// One byte string after the other, both sent as JSON.
#[task]
fn concat(head: Bytes, tail: Bytes) -> Bytes {
    let mut whole = head.into_vec();
    whole.extend_from_slice(&tail);
    whole.into()
}

/// A place in the plane, as a parameter and as a result.
#[derive(Serialize, Deserialize)]
#[serde(crate = "wasmpool_guest::serde")]
struct Point {
    x: f64,
    y: f64,
}

/// A point with its coordinates exchanged.
#[task]
fn mirror(point: Point) -> Point {
    Point { x: point.y, y: point.x }
}

/// That many bytes, each an `x`.
#[task]
fn big_result(bytes: usize) -> Bytes {
    vec![b'x'; bytes].into()
}

/// Fails with a text of that many bytes.
#[task]
fn big_error(bytes: usize) -> Result<(), String> {
    Err("x".repeat(bytes))
}

/// Returns what JSON cannot hold: a map whose keys are not text.
#[task]
fn unwritable_result() -> std::collections::BTreeMap<(u8, u8), u8> {
    [((1, 2), 3)].into()
}
