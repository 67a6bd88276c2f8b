//! Whole expansions of `#[task]`, run natively: argument bytes in, result bytes out.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::fmt;
use wasmpool_guest::__private::TaskError;
use wasmpool_guest::serde::{Deserialize, Serialize};
use wasmpool_guest::testing::Host;
use wasmpool_guest::{Bytes, exit, task};

type Task = fn(Vec<u8>) -> Result<Vec<u8>, TaskError>;

/// Calls `task` as the host does; gives the result as text.
fn call(task: Task, arguments: &str) -> Result<String, TaskError> {
    task(arguments.into()).map(|bytes| String::from_utf8(bytes).unwrap())
}

/// Calls `task`, which must refuse its arguments, and gives its reason.
fn refusal(task: Task, arguments: &str) -> String {
    match call(task, arguments) {
        Err(TaskError::InvalidArguments(reason)) => reason,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[task]
fn nothing() {}

#[task]
fn add(a: i64, b: i64) -> i64 {
    a + b
}

#[task]
fn greet(name: &str, #[default("Hello".to_string())] mut greeting: String, excited: Option<bool>) -> String {
    greeting.push_str(", ");
    greeting + name + if excited.unwrap_or(false) { "!" } else { "." }
}

#[derive(Serialize, Deserialize)]
#[serde(crate = "wasmpool_guest::serde")]
struct Point {
    x: f64,
    y: f64,
}

/// Takes a slice and a reference, in parameters named as the expansion's own variables are.
#[task]
fn farthest(input: &[Point], arguments: &Point) -> f64 {
    let distance = |point: &Point| (point.x - arguments.x).hypot(point.y - arguments.y);
    input.iter().map(distance).fold(0.0, f64::max)
}

#[task]
fn reverse(mut data: Bytes) -> Bytes {
    data.reverse();
    data
}

#[task]
fn length(data: &Bytes) -> usize {
    data.len()
}

#[task]
fn repeat(data: Bytes, #[default(Some(2))] times: Option<usize>) -> Result<Bytes, NotFound> {
    times.map(|times| data.repeat(times).into()).ok_or(NotFound("times"))
}

/// An error of the author's own: all that it needs is a text.
#[derive(Debug)]
struct NotFound(&'static str);

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no {}", self.0)
    }
}

type Outcome = Result<u8, NotFound>;

#[task]
fn find(found: bool) -> Outcome {
    if found { Ok(7) } else { Err(NotFound("needle")) }
}

#[task]
fn leave(code: u32) -> ! {
    exit(code)
}

#[task]
fn r#match(r#type: u8) -> u8 {
    r#type
}

mod nested {
    pub mod deeper {
        /// Its export has no module in its name: `deep`.
        #[wasmpool_guest::task]
        pub fn deep() -> &'static str {
            "deep"
        }
    }
}

#[test]
fn arguments_by_position_and_by_name() {
    assert_eq!(call(__wasmpool_task_nothing, "[]").unwrap(), "null");
    assert_eq!(call(__wasmpool_task_add, "[1, -3]").unwrap(), "-2");
    assert_eq!(call(__wasmpool_task_add, r#"{"args": [1], "kwargs": {"b": 2}}"#).unwrap(), "3");
    assert_eq!(call(__wasmpool_task_match, r#"{"kwargs": {"type": 9}}"#).unwrap(), "9");
    assert_eq!(call(nested::deeper::__wasmpool_task_deep, "{}").unwrap(), r#""deep""#);
}

#[test]
fn what_may_be_left_out() {
    assert_eq!(call(__wasmpool_task_greet, r#"["Ada"]"#).unwrap(), r#""Hello, Ada.""#);
    let named = r#"{"args": ["Ada"], "kwargs": {"excited": true, "greeting": "Hi"}}"#;
    assert_eq!(call(__wasmpool_task_greet, named).unwrap(), r#""Hi, Ada!""#);
    assert_eq!(call(__wasmpool_task_greet, r#"["Ada", "Hi", null]"#).unwrap(), r#""Hi, Ada.""#);
    let signature = "the task is greet(name: &str, greeting: String, excited: Option<bool>)";
    assert_eq!(refusal(__wasmpool_task_greet, "[]"), format!("`name` (&str) is missing; {signature}"));
    assert_eq!(
        refusal(__wasmpool_task_greet, r#"["Ada", null]"#),
        format!("`greeting` must be String, but is null: invalid type: null, expected a string; {signature}")
    );
}

#[test]
fn an_optional_parameter_with_a_default_can_still_be_none() {
    assert_eq!(call(__wasmpool_task_repeat, r#"["ab"]"#).unwrap(), "abab");
    assert_eq!(call(__wasmpool_task_repeat, r#"[[97], 3]"#).unwrap(), "aaa");
    assert_eq!(
        call(__wasmpool_task_repeat, r#"["ab", null]"#).unwrap_err(),
        TaskError::Failed("no times".to_owned())
    );
}

#[test]
fn records_lists_and_references() {
    let arguments = r#"[[{"x": 3, "y": 0}, {"x": 0, "y": 4}], {"x": 0, "y": 0}]"#;
    assert_eq!(call(__wasmpool_task_farthest, arguments).unwrap(), "4.0");
    let reason = refusal(__wasmpool_task_farthest, r#"[[{"x": 3, "y": 0}, {"x": 0}], {"x": 0, "y": 0}]"#);
    assert!(reason.contains("missing field `y` at `[1]`"), "{reason}");
}

#[test]
fn raw_bytes_are_neither_decoded_nor_copied() {
    assert_eq!(call(__wasmpool_task_reverse, "[1]").unwrap(), "]1[");
    assert_eq!(call(__wasmpool_task_length, "not JSON").unwrap(), "8");
    let input = vec![7; 1000];
    let place = input.as_ptr();
    let output = __wasmpool_task_reverse(input).unwrap();
    assert_eq!(output.as_ptr(), place);
}

#[test]
fn errors_are_their_text_also_behind_an_alias() {
    assert_eq!(call(__wasmpool_task_find, "[true]").unwrap(), "7");
    assert_eq!(call(__wasmpool_task_find, "[false]").unwrap_err(), TaskError::Failed("no needle".to_owned()));
}

#[test]
fn a_task_that_never_returns() {
    let ran = Host::new().run(|| call(__wasmpool_task_leave, "[7]"));
    assert_eq!(ran.exit_code(), Some(7));
}
