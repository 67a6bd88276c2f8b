//! Calls as a person types them (`--invoke 'add(1, 2)'`, JSON arguments), for parameters of every type.
//!
//! What is read is written as JSON and read from it as the same.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wasmpool::fuzzing::calls(data));
