//! Bytes as each of the messages that our processes send to each other, in both directions.
//!
//! The first byte chooses the message. What is read is written and read again as the same. Memory: the largest element
//! of a list has some hundred bytes and takes a few on the wire, and a list grows by doubling.

#![no_main]

/// Bytes of memory for each byte of a frame.
const MEMORY_PER_BYTE: usize = 100;
/// What a target has in use besides: error texts, buffers of a fixed size.
const MEMORY: usize = 16 << 10;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    wasmpool_fuzz::within(MEMORY + MEMORY_PER_BYTE * data.len(), || wasmpool::fuzzing::frame(data));
});
