//! Modules on the whole way from a file to an outcome: identified, validated, compiled, described, linked, run with
//! fuel and small limits.
//!
//! The first byte chooses between bytes as they are (text or binary) and a module that wasm-smith makes from them. Every
//! module ends as a success, a trap, a limit, or as invalid, and those of wasm-smith with our features never as invalid.

#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use wasm_smith::{Config, Module};

/// What some generated modules import: functions that exist, and one that does not.
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasmpool" "open" (func (param i32 i32 i32) (result i64)))
    (import "wasmpool" "last_error" (func (param i32 i32) (result i32))))"#;

/// What is on in our engine.
fn config(how: u8) -> Config {
    Config {
        available_imports: (how & 4 != 0).then(|| wat::parse_str(IMPORTS).expect("it is a module")),
        export_everything: how & 8 != 0,
        // Also more than the limits allow.
        max_memory32_bytes: if how & 16 != 0 { 1 << 32 } else { 1 << 20 },
        max_table_elements: if how & 16 != 0 { 1 << 20 } else { 1000 },
        memory_max_size_required: false,
        max_imports: if how & 4 != 0 { 10 } else { 0 },
        max_memories: 2,
        max_tables: 3,
        gc_enabled: how & 32 != 0,
        reference_types_enabled: true,
        memory64_enabled: false,
        threads_enabled: false,
        shared_everything_threads_enabled: false,
        custom_page_sizes_enabled: false,
        wide_arithmetic_enabled: false,
        custom_descriptors_enabled: false,
        ..Config::default()
    }
}

fn smith(how: u8, rest: &[u8]) -> Option<Vec<u8>> {
    let mut choices = Unstructured::new(rest);
    if how & 2 != 0 {
        // Whatever wasm-smith has: some of it is off in our engine.
        return Some(Module::arbitrary(&mut choices).ok()?.to_bytes());
    }
    Some(Module::new(config(how), &mut choices).ok()?.to_bytes())
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((how, rest)) = data.split_first() else { return };
    if how & 1 == 0 {
        return wasmpool::fuzzing::module(rest, false);
    }
    if let Some(module) = smith(*how, rest) {
        wasmpool::fuzzing::module(&module, how & 2 == 0);
    }
});
