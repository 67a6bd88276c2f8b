//! The guests that misbehave, one row for each way, by themselves and all at once.
//!
//! A row has the guest's number and name, what it is given, and the codes that its task may end with. Each is run
//! in pools of 1 and 4, with a good task after it; then all of them in one batch with 100 good tasks. The scenarios
//! end with the oracles: one outcome for each task, no process, descriptor or thread left.
//!
//! Not in the table: 18, 19, 20 and 26 need files and are shown with the grants; 24 is about the artifact cache; 21, 23
//! and 25 have tests of their own below and in `generated`; 22 is shown with the pools; 27 is native code: its attempts
//! on the kernel are in `host/src/os/test_hostile.rs`, what it says to the supervisor is in `garbage`.

use serde_json::{Value, json};

use crate::library::modules::TRAPS;
use crate::support::{binary, guests, ordinary, scenario, wat};

const MIB: u64 = 1 << 20;

/// A row: which guest, how it is run, and its codes.
fn row(guest: &str, mut spec: Value, codes: &[u8]) -> Value {
    spec["guest"] = guest.into();
    spec["codes"] = codes.into();
    spec
}

fn limits() -> Value {
    // Long for what ends by itself on a machine that is busy, short for what does not.
    json!({ "timeout_ms": 20_000, "memory": 64 * MIB, "table": 100_000, "output": MIB })
}

/// A command in the text format.
fn command(guest: &str, file: &str, codes: &[u8]) -> Value {
    row(guest, json!({ "module": wat(file), "command": true, "limits": limits() }), codes)
}

/// The same, when it never ends by itself.
fn endless(guest: &str, mut row: Value) -> Value {
    row["guest"] = guest.into();
    row["codes"] = json!([221]);
    row["limits"]["timeout_ms"] = 300.into();
    row
}

/// The same with fuel.
fn fuelled(guest: &str, file: &str) -> Value {
    let mut row = command(guest, file, &[220]);
    row["limits"]["fuel"] = 1_000_000.into();
    row
}

/// An export of a file in the text format.
fn export(guest: &str, file: &str, call: &str, codes: &[u8]) -> Value {
    row(guest, json!({ "module": wat(file), "invoke": call, "limits": limits() }), codes)
}

/// A task of the tiny guests.
fn task(guest: &str, name: &str, args: Value, codes: &[u8]) -> Value {
    row(guest, json!({ "module": guests(), "task": name, "args": args, "limits": limits() }), codes)
}

/// 1 to 6: time, memory, tables, stack.
fn of_resources() -> Vec<Value> {
    let mut rows = Vec::new();
    for file in ["spin", "spin_in_start_section", "tail_calls"] {
        rows.push(endless("1", command("", file, &[])));
        rows.push(fuelled("1 with fuel", file));
    }
    rows.push(endless("1", task("", "spin", json!([]), &[])));
    rows.push(endless("2", command("", "sleep_an_hour", &[])));
    rows.push(endless("2", task("", "sleep_forever", json!([]), &[])));
    let mut fill = endless("3", command("", "fill_a_gibibyte", &[]));
    fill["limits"]["memory"] = (2048 * MIB).into();
    rows.push(fill);
    rows.extend([
        command("4", "grow_then_trap", &[222]),
        task("4", "grow", json!([]), &[222]),
        task("4", "grow_carelessly", json!([]), &[222]),
    ]);
    let mut small = command("4: minimum", "minimum_of_a_mebibyte", &[222]);
    small["limits"]["memory"] = 65536.into();
    let mut all = command("4: untouched", "four_gibibytes_untouched", &[0]);
    all["limits"]["memory"] = (4096 * MIB).into();
    rows.extend([small, all]);
    // The heap of collected objects counts as linear memory.
    for file in ["gc_list", "gc_arrays", "exceptions_kept"] {
        let mut row = command("4: objects", file, &[222]);
        row["limits"]["memory"] = (16 * MIB).into();
        rows.push(row);
    }
    rows.push(command("4: objects in a table", "gc_externals", &[222, 223]));
    rows.extend(["gc_garbage", "gc_deep_drop"].map(|file| command("4: garbage", file, &[0])));
    rows.push(command("4: one object", "allocation_too_large", &[212]));
    rows.extend(["grow_table", "minimum_of_a_huge_table"].map(|file| command("5", file, &[223])));
    rows.extend(["stack_overflow", "recurse_through_host"].map(|file| command("6", file, &[201])));
    rows.push(task("6", "recurse", json!([]), &[201]));
    rows.push(command("6: into the host again", "realloc_calls_host", &[219]));
    rows
}

/// 7 to 9: data, traps, exits.
fn of_endings() -> Vec<Value> {
    let mut rows = vec![command("7", "data_out_of_bounds", &[202])];
    rows.extend(TRAPS.iter().map(|(file, code)| command("8", file, &[*code])));
    rows.push(task("8", "panic", json!(["help"]), &[200]));
    for (asked, code) in [(0, 0), (42, 42), (125, 125), (126, 125), (300, 125)] {
        rows.push(export("9", "exit_with", &format!("exit({asked})"), &[code]));
    }
    rows
}

/// 10 to 12: what is no module, what it wants, what it lacks. `folder` is where files are made.
fn of_modules(folder: &std::path::Path) -> Vec<Value> {
    let module = std::fs::read(guests()).expect("the guests");
    let files: [(&str, &[u8]); 6] = [
        ("empty", b""),
        ("truncated", &module[..module.len() / 2]),
        ("malformed", b"\0asm\x01\0\0\0\x01\xff\xff\xff\xff\xff"),
        ("random", &[0x9c, 0x11, 0xfe, 0x80, 0x33, 0x07, 0xc0, 0xff]),
        ("elf", b"\x7fELF\x02\x01\x01\0"),
        ("text", b"hello\n"),
    ];
    let mut rows = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        std::fs::write(&path, bytes).expect("a file");
        rows.push(row(&format!("10: {name}"), json!({ "module": path, "command": true }), &[126]));
    }
    rows.push(row("10: a directory", json!({ "module": folder, "command": true }), &[126]));
    rows.push(command("11", "missing_imports", &[126]));
    rows.extend(["no_entry", "entry_with_parameters"].map(|file| command("12", file, &[127])));
    rows.push(command("12", "no_memory", &[219]));
    let large = folder.join("large.wasm");
    std::fs::write(&large, binary::with_data(100 << 20)).expect("a file");
    for (memory, code) in [(1024 * MIB, 0), (64 * MIB, 222)] {
        let spec = json!({ "module": large, "command": true, "limits": { "memory": memory } });
        rows.push(row("7: 100 MB of data", spec, &[code]));
    }
    rows
}

/// 13 and 14: pointers and numbers that the host must not follow.
fn of_arguments() -> Vec<Value> {
    let mut rows = Vec::new();
    // What does not trap returns an error's number, which `bad_pointers_are_told_or_trap` looks at.
    for function in BAD_POINTERS {
        rows.push(export("13", "bad_pointers", &format!("{}()", function.0), &[function.1]));
    }
    for (function, code) in [
        ("write_of_vectors", 0),
        ("read_of_vectors", 0),
        ("write_at_of_vectors", 0),
        ("write_of_overlapping_vectors", 0),
        ("poll_of_subscriptions", 0),
        ("random_of_a_gibibyte", 219),
    ] {
        let mut row = export("14", "too_much_at_once", &format!("{function}()"), &[code]);
        row["limits"]["memory"] = (4096 * MIB).into();
        rows.push(row);
    }
    for (call, code) in [
        ("random(1099511627776)", 219),
        ("text()", 219),
        ("file()", 219),
        ("bytes()", 219),
        ("numbers()", 219),
        // Each list is within the memory; together they are the whole memory many times.
        ("texts()", 225),
    ] {
        let mut row = export("14: lists", "lists_too_long", call, &[code]);
        row["limits"]["result"] = MIB.into();
        rows.push(row);
    }
    rows
}

/// 15 to 17: output, queues, locks.
fn of_channels() -> Vec<Value> {
    let mut rows = vec![
        task("15", "flood_output", json!([]), &[224]),
        task("15", "flood_stderr", json!([]), &[224]),
        task("15: a result", "big_result", json!([2 * MIB]), &[225]),
    ];
    rows[2]["limits"]["result"] = MIB.into();
    let mut huge = task("16", "put_huge", json!([2 * MIB]), &[225]);
    huge["queue"] = 4.into();
    let mut flood = endless("16", task("", "flood_queue", json!([]), &[]));
    flood["queue"] = 4.into();
    rows.extend([huge, flood]);
    for name in ["acquire_twice", "release_twice", "release_foreign"] {
        let mut row = task("17", name, json!([]), &[1]);
        row["lock"] = true.into();
        rows.push(row);
    }
    rows
}

/// Every row.
fn table(folder: &std::path::Path) -> Vec<Value> {
    let parts = [of_resources(), of_endings(), of_modules(folder), of_arguments(), of_channels()];
    parts.concat()
}

fn run(name: &str, workers: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    ordinary::give(folder.path());
    let rows = json!(table(folder.path())).to_string();
    let finished = scenario(name, &[workers, &rows]).run().expect(0);
    for line in finished.lines() {
        println!("{line}");
    }
}

/// Each guest in a pool of one ends with its code, and the next task is as if it had not been.
#[test]
fn each_hostile_guest_ends_with_its_code_in_a_pool_of_1() {
    run("hostile", "1");
}

/// The same in a pool of four.
#[test]
fn each_hostile_guest_ends_with_its_code_in_a_pool_of_4() {
    run("hostile", "4");
}

/// All of them and 100 good tasks at once: each ends as it does alone, memory is flat, the pool at its size.
#[test]
fn all_hostile_guests_at_once_hurt_nobody_in_a_pool_of_1() {
    run("hostile-batch", "1");
}

/// The same in a pool of four.
#[test]
fn all_hostile_guests_at_once_hurt_nobody_in_a_pool_of_4() {
    run("hostile-batch", "4");
}

/// Guest 13's functions and how each ends: a trap, or an error's number as its value.
const BAD_POINTERS: &[(&str, u8, i64)] = &[
    ("args_get", 219, 0),
    ("args_get_at_the_end_of_numbers", 219, 0),
    ("args_sizes_get", 219, 0),
    // There is no environment, so there is nothing to write.
    ("environ_get", 0, 0),
    ("clock_time_get", 219, 0),
    ("fd_write_vectors", 219, 0),
    ("fd_write_buffer", 219, 0),
    ("fd_write_length", 0, 48),
    ("fd_write_count", 0, 48),
    ("fd_write_misaligned", 219, 0),
    ("fd_read_buffer", 0, 48),
    ("fd_prestat_get", 0, 8),
    ("path_open", 219, 0),
    ("path_open_of_a_stream", 219, 0),
    ("poll_oneoff", 219, 0),
    ("poll_oneoff_events", 0, 28),
    ("random_get", 219, 0),
    ("open", 0, -31),
    ("put", 0, 31),
    ("last_error", 0, -31),
];

/// Guest 13: a bad pointer is a trap or an error's number, from WASI and from our own imports.
#[test]
fn bad_pointers_are_told_or_trap() {
    let tasks: Vec<_> = BAD_POINTERS
        .iter()
        .map(|(name, ..)| json!({ "module": wat("bad_pointers"), "invoke": format!("{name}()") }))
        .collect();
    let records = crate::support::plan(&json!({ "tasks": tasks }));
    for ((name, code, value), record) in BAD_POINTERS.iter().zip(&records) {
        assert_eq!(record["code"], *code, "{name}: {record:#}");
        assert!(*code != 0 || record["value"] == *value, "{name}: {record:#}");
    }
}

/// Guest 21: what the host has open without close-on-exec is in no process of ours.
#[test]
fn a_descriptor_that_the_host_leaves_open_is_not_in_a_worker() {
    scenario("secret-descriptor", &[]).run().expect(0);
}

/// Guest 23: modules that a compiler never gets done with end within the compile limits; others run meanwhile.
#[test]
fn compile_bombs_end_within_the_compile_limits() {
    let folder = tempfile::tempdir().expect("a folder");
    let bombs = [
        ("locals_in_loops", binary::locals_in_loops(20_000, 2000)),
        ("functions", binary::functions(200_000)),
        ("jump_tables", binary::jump_tables(50, 60_000)),
    ];
    let paths = bombs.map(|(name, bytes)| {
        let path = folder.path().join(format!("{name}.wasm"));
        println!("{name}: {} bytes", bytes.len());
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    });
    let args = [&["1000"], paths.each_ref().map(String::as_str).as_slice()].concat();
    let finished = scenario("compile-bombs", &args).run().expect(0);
    for line in finished.lines() {
        println!("{line}");
    }
}
