//! Each way in which a caller can be right or wrong.

#![forbid(unsafe_code)]

use super::*;
use std::collections::BTreeMap;

const PARAMS: &[Param] = &[
    Param { name: "lo", shown: "u64" },
    Param { name: "hi", shown: "u64" },
    Param { name: "step", shown: "Option<u64>" },
];

/// Reads `input` as the parameters above, the last two of which may be missing.
fn read(input: &str) -> Result<(u64, u64, Option<u64>), String> {
    let read = || {
        let arguments = Arguments::read(input.as_bytes(), "count", PARAMS)?;
        Ok((arguments.required(0)?, arguments.or_else(1, || 100)?, arguments.or_null(2)?))
    };
    read().map_err(|error| match error {
        TaskError::InvalidArguments(text) => text,
        other => panic!("not a refusal of the arguments: {other:?}"),
    })
}

/// Asserts that `input` is refused with `problem` and the signature.
fn refused(input: &str, problem: &str) {
    let signature = "; the task is count(lo: u64, hi: u64, step: Option<u64>)";
    assert_eq!(read(input).unwrap_err(), format!("{problem}{signature}"), "for {input}");
}

#[test]
fn by_position_by_name_and_both() {
    assert_eq!(read("[1, 2, 3]"), Ok((1, 2, Some(3))));
    assert_eq!(read(r#" {"args": [1, 2], "kwargs": {"step": 3}} "#), Ok((1, 2, Some(3))));
    assert_eq!(read(r#"{"kwargs": {"hi": 2, "lo": 1}}"#), Ok((1, 2, None)));
    assert_eq!(read(r#"{"args": [1, 2]}"#), Ok((1, 2, None)));
}

#[test]
fn what_may_be_missing() {
    assert_eq!(read("[1]"), Ok((1, 100, None)));
    assert_eq!(read("[1, 2, null]"), Ok((1, 2, None)));
    let none = Arguments::read(b"{}", "nothing", &[]);
    assert!(none.is_ok());
}

#[test]
fn numbers_keep_all_their_digits() {
    assert_eq!(read("[18446744073709551615]"), Ok((u64::MAX, 100, None)));
}

#[test]
fn a_missing_argument_is_named() {
    refused("[]", "`lo` (u64) is missing");
    refused("{}", "`lo` (u64) is missing");
    refused(r#"{"kwargs": {"hi": 1}}"#, "`lo` (u64) is missing");
}

#[test]
fn too_many_arguments_are_counted() {
    refused("[1, 2, 3, 4]", "too many arguments: 4 given, at most 3 taken");
}

#[test]
fn an_unknown_name_is_reported_before_what_it_makes_missing() {
    refused(r#"{"kwargs": {"low": 1}}"#, "there is no parameter `low`");
}

#[test]
fn an_argument_given_twice_is_named() {
    refused(r#"{"args": [1], "kwargs": {"lo": 1}}"#, "`lo` is given twice, by position and by name");
    refused(r#"{"args": [1], "kwargs": {"hi": 1, "hi": 2}}"#, "`hi` is given twice, by name");
}

#[test]
fn a_wrong_type_is_shown_with_what_is_right() {
    refused(r#"["ten"]"#, r#"`lo` must be u64, but is "ten": invalid type: string "ten", expected u64"#);
    refused("[1, null]", "`hi` must be u64, but is null: invalid type: null, expected u64");
    refused("[-1]", "`lo` must be u64, but is -1: invalid value: integer `-1`, expected u64");
    refused(
        "[1, 2, 0.5]",
        "`step` must be Option<u64>, but is 0.5: invalid type: floating point `0.5`, expected u64",
    );
}

#[test]
fn a_wrong_type_inside_an_argument_has_its_place() {
    const PARAMS: &[Param] = &[Param { name: "table", shown: "BTreeMap<String, Vec<u8>>" }];
    let input = r#"[{"a": [1, 2], "b": [3, 4, "five and something longer"]}]"#;
    let arguments = Arguments::read(input.as_bytes(), "sum", PARAMS).unwrap();
    let error = arguments.required::<BTreeMap<String, Vec<u8>>>(0).unwrap_err();
    let expected = r#"`table` must be BTreeMap<String, Vec<u8>>, but is {"a": [1, 2], "b": [3, 4, "five and some...: invalid type: string "five and something longer", expected u8 at `b[2]`; the task is sum(table: BTreeMap<String, Vec<u8>>)"#;
    assert_eq!(error, TaskError::InvalidArguments(expected.to_owned()));
}

#[test]
fn what_are_not_arguments_at_all() {
    refused("7", "the arguments must be an array or an object with `args` and `kwargs`, but are 7");
    refused("[1", "the arguments are not JSON: EOF while parsing a list at line 1 column 2");
    refused("", "the arguments are not JSON: EOF while parsing a value at line 1 column 0");
    refused(r#"{"args": 1}"#, "`args` must be an array, but is 1");
    refused(r#"{"kwargs": [1]}"#, "`kwargs` must be an object, but is [1]");
    refused(r#"{"lo": 1}"#, "the object of arguments has `args` and `kwargs`, not `lo`");
}
