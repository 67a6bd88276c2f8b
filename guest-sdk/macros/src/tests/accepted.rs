//! What is read from a function that can be a task.

#![forbid(unsafe_code)]

use super::{task, tokens};
use crate::{expand, record};
use proc_macro2::TokenStream;
use serde_json::{Value, json};

/// The record of the task in `source`.
fn record(source: &str) -> Value {
    let line = record::line(&task(source));
    assert_eq!(line.matches('\n').count(), 1, "one line: {line}");
    serde_json::from_str(&line).unwrap()
}

#[test]
fn a_record_has_everything_that_a_caller_needs() {
    let source = r#"
        /// Counts the primes from `lo`,
        ///   indented, with "quotes" and a \ in it.
        ///
        pub fn count_primes(lo: u64, #[default(10)] n: u32, tags: Option<Vec<String>>) -> u64 { 0 }
    "#;
    let expected = json!({
        "v": 1,
        "name": "count_primes",
        "export": "count-primes",
        "doc": "Counts the primes from `lo`,\n  indented, with \"quotes\" and a \\ in it.",
        "params": [
            {"name": "lo", "type": "u64", "optional": false},
            {"name": "n", "type": "u32", "optional": true, "default": "10"},
            {"name": "tags", "type": "Option<Vec<String>>", "optional": true},
        ],
        "returns": "u64",
        "args": "json",
        "result": "json",
    });
    assert_eq!(record(source), expected);
}

#[test]
fn bytes_alone_are_raw() {
    let encodings = |source: &str| {
        let record = record(source);
        (record["args"].as_str().unwrap().to_owned(), record["result"].as_str().unwrap().to_owned())
    };
    let expect = |args: &str, result: &str| (args.to_owned(), result.to_owned());
    assert_eq!(encodings("fn f(data: Bytes) -> Bytes {}"), expect("raw", "raw"));
    assert_eq!(encodings("fn f(data: &wasmpool_guest::Bytes) {}"), expect("raw", "json"));
    assert_eq!(encodings("fn f(data: Bytes, n: u8) -> Result<Bytes, String> {}"), expect("json", "raw"));
    assert_eq!(encodings("fn f(data: Option<Bytes>) -> Option<Bytes> {}"), expect("json", "json"));
    assert_eq!(encodings("fn f(data: Vec<u8>) -> Vec<Bytes> {}"), expect("json", "json"));
}

#[test]
fn what_a_task_returns_is_its_success() {
    let returns = |source: &str| {
        let record = record(source);
        (record["returns"].clone(), record["error"].clone())
    };
    assert_eq!(returns("fn f() {}"), (json!("()"), Value::Null));
    assert_eq!(returns("fn f() -> ! {}"), (json!("!"), Value::Null));
    assert_eq!(
        returns("fn f() -> Result<(u8, f64), my::Error> {}"),
        (json!("(u8, f64)"), json!("my::Error"))
    );
    assert_eq!(returns("fn f() -> io::Result<Vec<u8>> {}"), (json!("Vec<u8>"), json!("error")));
    assert_eq!(returns("fn f() -> Outcome {}"), (json!("Outcome"), Value::Null));
}

#[test]
fn types_and_defaults_read_as_they_are_written() {
    for shown in [
        "&str",
        "&[u8]",
        "[u8; 4]",
        "(i64, String)",
        "HashMap<String, Vec<Option<u8>>>",
        "std::collections::BTreeMap<u8, [f32; 2]>",
        "Box<dyn Send + Sync>",
    ] {
        let record = record(&format!("fn f(value: {shown}) {{}}"));
        assert_eq!(record["params"][0]["type"], *shown);
    }
    for default in ["10", "-1", "\"hello\".to_string()", "vec![1, 2]", "Some(Unit::Metre)", "1 + 2", "|x| x"]
    {
        let record = record(&format!("fn f(#[default({default})] value: T) {{}}"));
        assert_eq!(record["params"][0]["default"], *default);
    }
}

#[test]
fn raw_identifiers_and_mut_do_not_show() {
    let record = record("fn r#match(mut r#type: u8) {}");
    assert_eq!((&record["name"], &record["export"]), (&json!("match"), &json!("match")));
    assert_eq!(record["params"][0]["name"], "type");
}

#[test]
fn the_function_stays_as_it_is_but_for_its_defaults() {
    let source =
        "/// Doc.\n #[inline] pub(crate) const fn f(#[default(1)] #[allow(unused)] a: u8) -> u8 { 7 }";
    let expansion = expand(TokenStream::new(), tokens(source)).to_string();
    let kept = "/// Doc.\n #[inline] pub(crate) const fn f(#[allow(unused)] a: u8) -> u8 { 7 }";
    assert!(expansion.starts_with(&tokens(kept).to_string()), "{expansion}");
    assert!(expansion.contains("pub (crate) fn __wasmpool_task_f"), "as visible as the task: {expansion}");
}

#[test]
fn what_is_exported_cannot_be_a_symbol_of_the_c_library() {
    let expansion = expand(TokenStream::new(), tokens("fn sleep() {}")).to_string();
    assert!(expansion.contains(r#"export_name = "cm32p2||sleep""#), "{expansion}");
    assert!(expansion.contains(r#"export_name = "cm32p2||sleep_post""#), "{expansion}");
}
