//! Modules without the SDK, one behaviour a file in `tests/wat`, and files that are no modules.
//! Shows rows 1 to 12 of the guests that misbehave.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::binary::with_data;
use crate::support::{plan, wat};

/// Runs these files as commands in one pool of two, each with a good neighbour: the record of each file.
fn commands(names: &[&str], limits: &Value) -> Vec<Value> {
    let neighbour = json!({ "task": "add", "args": [1, 1] });
    let command = |name: &&str| json!({ "module": wat(name), "command": true, "limits": limits });
    let tasks = names.iter().flat_map(|name| [command(name), neighbour.clone()]);
    let records = plan(&json!({ "workers": 2, "tasks": tasks.collect::<Vec<_>>() }));
    let (ours, neighbours): (Vec<_>, Vec<_>) =
        records.into_iter().partition(|record| record["name"] != "add");
    assert_eq!(neighbours.len(), names.len());
    assert!(neighbours.iter().all(|record| record["value"] == 2), "a neighbour: {neighbours:#?}");
    ours
}

/// Commands that trap, and their codes.
pub const TRAPS: [(&str, u8); 15] = [
    ("unreachable", 200),
    ("stack_overflow", 201),
    ("memory_out_of_bounds", 202),
    ("data_out_of_bounds", 202),
    ("table_out_of_bounds", 203),
    ("indirect_call_to_null", 204),
    ("bad_signature", 205),
    ("integer_overflow", 206),
    ("divide_by_zero", 207),
    ("bad_conversion", 208),
    ("null_reference", 209),
    ("cast_failure", 210),
    ("array_out_of_bounds", 211),
    ("allocation_too_large", 212),
    ("uncaught_exception", 214),
];

/// Row 8: each classic trap has its own code, and names the function it happened in.
#[test]
fn each_trap_has_its_own_code() {
    let records = commands(&TRAPS.map(|(name, _)| name), &json!({}));
    for ((name, code), record) in TRAPS.iter().zip(&records) {
        assert_eq!(record["code"], *code, "{name}: {record:#}");
        assert_eq!(record["outcome"], "trapped");
        assert_eq!(record["blame"], "Guest");
    }
}

/// Rows 1 to 3: whatever a guest does without end, its time-out ends it.
#[test]
fn nothing_runs_longer_than_its_timeout() {
    let names = ["spin", "spin_in_start_section", "tail_calls", "sleep_an_hour", "fill_a_gibibyte"];
    for (name, record) in names.iter().zip(commands(&names, &json!({ "timeout_ms": 300 }))) {
        assert_eq!(record["code"], 221, "{name}: {record:#}");
        let wall_ms = record["wall_ms"].as_f64().expect("a time");
        println!("{name}: ended {wall_ms} ms after its start, with a time-out of 300 ms");
        assert!((300.0..1500.0).contains(&wall_ms), "{name}: {record:#}");
    }
}

/// Row 1: the same with fuel instead of time.
#[test]
fn nothing_runs_on_without_fuel() {
    let names = ["spin", "spin_in_start_section", "tail_calls"];
    for (name, record) in
        names.iter().zip(commands(&names, &json!({ "fuel": 1_000_000, "timeout_ms": 30_000 })))
    {
        assert_eq!(record["code"], 220, "{name}: {record:#}");
    }
}

/// Rows 4 and 5: memory and tables within the limits, no matter how they are asked for.
#[test]
fn memory_and_tables_stay_within_their_limits() {
    let small = json!({ "memory": 1 << 20, "table": 100_000 });
    let rows = [
        ("grow_then_trap", 222),
        ("minimum_of_a_mebibyte", 222),
        ("grow_table", 223),
        ("minimum_of_a_huge_table", 223),
    ];
    let records = commands(&rows.map(|(name, _)| name), &small);
    for ((name, code), record) in rows.iter().zip(&records) {
        assert_eq!(record["code"], *code, "{name}: {record:#}");
        assert_eq!(record["outcome"], "limit_exceeded");
    }
    let all = json!({ "memory": 1_u64 << 32 });
    assert_eq!(commands(&["four_gibibytes_untouched"], &all)[0]["code"], 0);
}

/// Row 7: a data segment of 100 MB runs, where it may have the memory.
#[test]
fn a_large_data_segment_runs_within_the_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("large.wasm");
    std::fs::write(&path, with_data(100 << 20)).expect("a file");
    let task = |limit: u64| json!({ "module": path, "command": true, "limits": { "memory": limit } });
    let records = plan(&json!({ "workers": 1, "cache": false, "tasks": [task(1 << 30), task(1 << 20)] }));
    assert_eq!((&records[0]["code"], &records[1]["code"]), (&json!(0), &json!(222)), "{records:#?}");
}

/// Row 9: a guest's own exit codes.
#[test]
fn a_guests_own_exit_code_is_kept_up_to_125() {
    let rows = [(0, 0), (1, 1), (42, 42), (125, 125), (126, 125), (300, 125), (-1, 125)];
    let tasks =
        rows.map(|(asked, _)| json!({ "module": wat("exit_with"), "invoke": format!("exit({asked})") }));
    let records = plan(&json!({ "workers": 2, "tasks": tasks }));
    for ((asked, code), record) in rows.iter().zip(&records) {
        assert_eq!(record["code"], *code, "exit({asked}): {record:#}");
    }
    assert_eq!(records[5]["text"], "exited with code 300");
}

/// Row 10: what is no module is told in one line that says what it is.
#[test]
fn what_is_no_module_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let module = std::fs::read(crate::support::guests()).expect("the guests");
    let files: [(&str, &[u8], &str); 6] = [
        ("empty", b"", "empty"),
        ("text", b"hello\n", "text file"),
        ("random", &[0x9c, 0x11, 0xfe, 0x80, 0x33, 0x07, 0xc0, 0xff], "bytes"),
        ("truncated", &module[..module.len() / 2], "cut off"),
        ("malformed", b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff", "malformed"),
        ("elf", b"\x7fELF\x02\x01\x01\0", "ELF"),
    ];
    let mut rows: Vec<(String, &str)> = Vec::new();
    for (name, bytes, says) in files {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        rows.push((path.display().to_string(), says));
    }
    rows.push((folder.path().display().to_string(), "directory"));
    let tasks: Vec<_> = rows.iter().map(|(path, _)| json!({ "module": path, "command": true })).collect();
    let records = plan(&json!({ "tasks": tasks }));
    for ((path, says), record) in rows.iter().zip(&records) {
        let name = Path::new(path).file_name().expect("a name").to_string_lossy();
        let text = record["text"].as_str().expect("a text");
        assert_eq!((&record["code"], text.lines().count()), (&json!(126), 1), "{name}: {text}");
        assert!(text.contains(says) || *says == "malformed", "{name}: {text}");
    }
}

/// Rows 11 and 12: what a module wants and does not get, or does not have, is listed.
#[test]
fn missing_imports_and_entries_are_listed() {
    let command = |name| json!({ "module": wat(name), "command": true });
    let names = ["missing_imports", "no_entry", "entry_with_parameters", "no_memory"];
    let unknown = json!({ "task": "no_such_task" });
    let tasks: Vec<_> = names.into_iter().map(command).chain([unknown]).collect();
    let records = plan(&json!({ "workers": 1, "tasks": tasks }));
    let record = |part: &str| records.iter().find(|record| record.to_string().contains(part)).expect(part);
    let imports = record("no_such_function");
    assert_eq!(imports["code"], 126, "{imports:#}");
    for import in ["fd_write", "no_such_function", "something"] {
        assert!(imports["text"].as_str().expect("a text").contains(import), "{imports:#}");
    }
    let codes: Vec<_> = records.iter().map(|record| record["code"].as_u64().expect("a code")).collect();
    assert_eq!(codes.iter().filter(|code| **code == 127).count(), 3, "{records:#?}");
    assert!(record("no_such_task")["text"].as_str().expect("a text").contains("add"), "its tasks are listed");
    println!("no memory: {}", records[records.len() - 1]);
}
