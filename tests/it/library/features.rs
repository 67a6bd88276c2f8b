//! Which features of the language a module may use: a tiny module for each.

use serde_json::{Value, json};

use crate::support::plan;

/// A feature, a module that uses it, and, where it is off, what the refusal calls it.
type Row = (&'static str, &'static str, &'static str);

const OFF: &[Row] = &[
    ("memory64", "(module (memory i64 1))", "memory64"),
    ("64-bit tables", "(module (table i64 1 funcref))", "memory64"),
    ("shared memory", "(module (memory 1 2 shared))", "threads"),
    (
        "atomics",
        "(module (memory 1) (func (drop (i32.atomic.rmw.add (i32.const 0) (i32.const 1)))))",
        "threads",
    ),
    ("shared globals", "(module (global (shared i32) (i32.const 0)))", "shared-everything-threads"),
    ("custom page sizes", "(module (memory 1 (pagesize 1)))", "custom page sizes"),
    (
        "wide arithmetic",
        "(module (func (result i64 i64)
            (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1))))",
        "wide arithmetic",
    ),
    (
        "stack switching",
        "(module (type $f (func)) (type $c (cont $f)) (func (param (ref $c)) (resume $c (local.get 0))))",
        "stack switching",
    ),
    ("legacy exceptions", "(module (tag $e) (func try catch $e end))", "legacy_exceptions"),
    ("async functions", r#"(component (import "f" (func async)))"#, "async"),
    ("streams", r#"(component (type $s (stream u8)) (import "f" (func (param "s" $s))))"#, "async"),
    ("threads in components", "(component (core func (canon thread.index)))", "threading"),
    ("error contexts", "(component (type error-context))", "error-context"),
    ("maps", r#"(component (type $m (map string u32)) (import "f" (func (param "m" $m))))"#, "map"),
    (
        "fixed-length lists",
        r#"(component (type $l (list u8 4)) (import "f" (func (param "l" $l))))"#,
        "fixed-length lists",
    ),
    (
        "collected values in the canonical ABI",
        r#"(component (import "f" (func $f)) (core func (canon lower (func $f) gc)))"#,
        "cm-gc",
    ),
    ("implementations", r#"(component (import "a" (implements "a:b/c") (instance)))"#, "cm-implements"),
];

const ON: &[Row] = &[
    (
        "reference types",
        "(module (table 1 externref) (elem declare func $f) (func $f) (func (export \"_start\") (drop (ref.func $f))))",
        "",
    ),
    (
        "multiple values",
        "(module (func $two (result i32 i32) (i32.const 1) (i32.const 2))
            (func (export \"_start\") (call $two) (drop) (drop)))",
        "",
    ),
    (
        "bulk memory",
        "(module (memory 1) (func (export \"_start\") (memory.fill (i32.const 0) (i32.const 1) (i32.const 9))))",
        "",
    ),
    (
        "vectors",
        "(module (func (export \"_start\") (drop (i32x4.add (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))))",
        "",
    ),
    (
        "relaxed vectors",
        "(module (func (export \"_start\")
            (drop (i8x16.relaxed_swizzle (v128.const i32x4 1 2 3 4) (v128.const i32x4 1 2 3 4)))))",
        "",
    ),
    (
        "several memories",
        "(module (memory 1) (memory 1) (func (export \"_start\") (drop (memory.size 1))))",
        "",
    ),
    ("tail calls", "(module (func $f) (func (export \"_start\") (return_call $f)))", ""),
    (
        "extended constants",
        "(module (global i32 (i32.add (i32.const 1) (i32.const 2))) (func (export \"_start\")))",
        "",
    ),
    (
        "typed function references",
        "(module (type $t (func)) (elem declare func $f) (func $f)
            (func (export \"_start\") (call_ref $t (ref.func $f))))",
        "",
    ),
    (
        "garbage collection",
        "(module (type $s (struct (field i32))) (func (export \"_start\") (drop (struct.new_default $s))))",
        "",
    ),
    (
        "exceptions",
        "(module (tag $e) (func (export \"_start\")
            (block $caught (try_table (catch $e $caught) (throw $e)))))",
        "",
    ),
];

/// Off unless asked for: modules that the option lets run, with the task that shows it.
const ASKED_FOR: &[(&str, &str)] = &[
    ("memory64", "(module (memory i64 1) (func (export \"_start\") (drop (i64.load (i64.const 9)))))"),
    (
        "memory64",
        "(module (table i64 1 funcref) (func (export \"_start\") (drop (table.get (i64.const 0)))))",
    ),
    (
        "custom-page-sizes",
        "(module (memory 10 (pagesize 1)) (func (export \"_start\") (drop (memory.size))))",
    ),
    (
        "wide-arithmetic",
        "(module (func (export \"_start\")
            (i64.add128 (i64.const 1) (i64.const 1) (i64.const 1) (i64.const 1)) (drop) (drop)))",
    ),
];

/// In a program, by `ModuleSource::feature`; without it, the refusal names the option.
#[test]
fn features_run_where_they_are_asked_for_and_nowhere_else() {
    for (feature, module) in ASKED_FOR {
        let tasks = json!([
            { "wat": module, "command": true },
            { "wat": module, "command": true, "feature": feature },
            { "wat": module, "command": true },
        ]);
        let answers = plan(&json!({ "workers": 1, "tasks": tasks }));
        let codes: Vec<_> = answers.iter().map(|answer| answer["code"].as_u64().expect("a code")).collect();
        // What is refused is told first.
        assert_eq!(codes, [126, 126, 0], "{feature}: {answers:#?}");
        let text = answers[0]["text"].as_str().expect("a text");
        assert!(text.contains(&format!("`--wasm-feature {feature}` allows it")), "{text}");
        assert_eq!(text.lines().count(), 1, "{text}");
    }
}

/// What would be valid elsewhere is told as what it is.
#[test]
fn features_that_are_not_here_are_told_as_that() {
    for ((name, ..), answer) in OFF.iter().zip(loaded(OFF)) {
        let text = answer["text"].as_str().expect("a text");
        if *name == "collected values in the canonical ABI" {
            // It would need more to be valid anywhere.
            continue;
        }
        let is_offered = ["memory64", "64-bit tables", "custom page sizes", "wide arithmetic"].contains(name);
        assert_eq!(text.contains("--wasm-feature"), is_offered, "{name}: {text}");
        assert_eq!(text.contains("which wasmpool does not have"), !is_offered, "{name}: {text}");
    }
}

fn loaded(rows: &[Row]) -> Vec<Value> {
    let tasks = rows.iter().map(|(_, module, _)| json!({ "wat": module, "command": true }));
    // One plan for each, because what is refused is told before what runs.
    tasks.map(|task| plan(&json!({ "workers": 1, "tasks": [task] })).remove(0)).collect()
}

/// What is young, or costs a check on every access, is refused by name.
#[test]
fn features_that_are_off_are_refused_by_name() {
    for ((name, _, says), answer) in OFF.iter().zip(loaded(OFF)) {
        let text = answer["text"].as_str().expect("a text");
        println!("{name}: {text}");
        assert_eq!(answer["code"], 126, "{name}: {answer:#}");
        assert!(text.contains(says), "{name}: {text}");
    }
}

/// What compilers emit runs.
#[test]
fn features_that_are_on_run() {
    for ((name, ..), answer) in ON.iter().zip(loaded(ON)) {
        assert_eq!(answer["code"], 0, "{name}: {answer:#}");
    }
}
