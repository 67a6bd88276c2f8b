//! The ways in which a task can end.

#![forbid(unsafe_code)]

use std::hint::black_box;
use wasmpool_guest::{exit, task};

/// Returns an error with this text.
#[task]
fn fail(message: String) -> Result<(), String> {
    Err(message)
}

/// Panics with this text.
#[task]
fn panic(message: &str) {
    panic!("{message}");
}

/// Traps, without a panic and so without a message.
#[task]
fn trap() -> ! {
    crate::trap()
}

/// Ends itself with this code.
#[task]
fn exit_with(code: u32) -> ! {
    exit(code)
}

/// Ends itself as a program does that knows nothing of wasmpool.
#[task]
fn std_exit_with(code: i32) -> ! {
    std::process::exit(code)
}

/// Never ends and never calls the host.
#[task]
fn spin() -> ! {
    loop {
        black_box(());
    }
}

/// Calls itself until the stack of the engine is used up.
#[task]
fn recurse() -> u64 {
    descend(0)
}

/// One frame. The call goes through a value that the optimiser does not see through, and its result is used, so that
/// it stays a call.
#[inline(never)]
fn descend(depth: u64) -> u64 {
    let deeper: fn(u64) -> u64 = black_box(descend);
    deeper(depth + 1) ^ depth
}

/// Calls itself with frames so large that the stack in the guest's own memory is used up first.
#[task]
fn recurse_with_big_frames() -> u8 {
    descend_far(0)
}

#[inline(never)]
fn descend_far(depth: u8) -> u8 {
    let frame = black_box([depth; 32 * 1024]);
    let deeper: fn(u8) -> u8 = black_box(descend_far);
    deeper(depth.wrapping_add(1)) ^ black_box(&frame)[usize::from(depth)]
}
