//! Scribbles over live shared objects while participants use them and the supervisor recovers them.
//!
//! An input is a kind of object and a list of steps; whatever they are, every call returns, and nothing panics.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmpool::fuzzing::recovery(data));
