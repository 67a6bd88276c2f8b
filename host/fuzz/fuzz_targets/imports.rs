//! Any function that a core module may import, with any arguments and memory, in any order: preview 1, preview 0 and
//! the module `wasmpool`.
//!
//! The functions are called through a real guest with a worker's state and limits. Each input ends with all its calls
//! made, or as a trap, an exit, a limit or an interrupt. Memory: what one call may copy, and buffers of a fixed size.

#![no_main]

const MEMORY: usize = 48 << 20;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wasmpool_fuzz::within(MEMORY, || wasmpool::fuzzing::imports(data));
});
