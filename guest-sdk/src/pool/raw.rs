//! The interface `pool` of `sync.wit`, by the canonical ABI.
//!
//! Declared beside `crate::raw`, which says what the safety of all this rests on, and not inside `pool`, which forbids
//! unsafe code.

#![expect(unsafe_code, reason = "the canonical ABI is raw pointers")]

use std::time::Duration;

use crate::pool::{Ended, JoinError};
use crate::raw::{ReturnedText, adopt};
use crate::sync::guest::ms;

/// A `result<u64, string>` that an import returned.
#[repr(C)]
struct ReturnedTask {
    is_error: u8,
    outcome: TaskOrReason,
}

#[repr(C)]
union TaskOrReason {
    task: u64,
    reason: std::mem::ManuallyDrop<ReturnedText>,
}

/// A `result<list<u8>, join-error>` that an import returned.
#[repr(C)]
struct ReturnedJoin {
    is_error: u8,
    /// The pointer of the list, or the error's case in the first byte.
    pointer_or_case: *mut u8,
    /// The length of the list, or the first word of the error: its exit code, or the pointer of its text.
    first: usize,
    /// The pointer of a failure's message, or the length of another error's text.
    second: usize,
    /// The length of a failure's message.
    third: usize,
}

#[link(wasm_import_module = "wasmpool:task/pool@0.1.0")]
unsafe extern "C" {
    #[link_name = "submit"]
    fn pool_submit(
        task: *const u8,
        task_length: usize,
        args: *const u8,
        args_length: usize,
        returned: *mut ReturnedTask,
    );
    #[link_name = "join"]
    fn pool_join(task: u64, timeout_ms: u32, returned: *mut ReturnedJoin);
    #[link_name = "cancel"]
    pub safe fn cancel(task: u64);
}

pub fn submit(task: &str, args: &[u8]) -> Result<u64, String> {
    let mut returned = ReturnedTask { is_error: 0, outcome: TaskOrReason { task: 0 } };
    // SAFETY: both lists live until the call returns; the import writes one `result<u64, string>`.
    unsafe { pool_submit(task.as_ptr(), task.len(), args.as_ptr(), args.len(), &raw mut returned) };
    if returned.is_error == 0 {
        // SAFETY: without an error, the number was written; any bits are a number.
        return Ok(unsafe { returned.outcome.task });
    }
    // SAFETY: with an error, the text was written, which the host allocated with `cabi_realloc` for this call.
    Err(unsafe { std::mem::ManuallyDrop::into_inner(returned.outcome.reason).into_string() })
}

pub fn join(task: u64, patience: Option<Duration>) -> Result<Vec<u8>, Ended> {
    let null = std::ptr::null_mut();
    let mut returned = ReturnedJoin { is_error: 0, pointer_or_case: null, first: 0, second: 0, third: 0 };
    // SAFETY: the import writes one `result<list<u8>, join-error>` to the place that it is given.
    unsafe { pool_join(task, ms(patience), &raw mut returned) };
    let ReturnedJoin { is_error, pointer_or_case, first, second, third } = returned;
    if is_error == 0 {
        // SAFETY: the list was allocated with `cabi_realloc` for this call and belongs to nobody else.
        return Ok(unsafe { adopt(pointer_or_case, first) });
    }
    // The case is one byte; the three above it are padding. They are in the order of the WIT.
    let error = match pointer_or_case.addr() & 0xff {
        0 => return Err(Ended::TimedOut),
        1 => JoinError::Failed {
            // From 1 to 255.
            exit_code: u8::try_from(first).unwrap_or(u8::MAX),
            // SAFETY: a failure's second field is its message, allocated with `cabi_realloc` for this call.
            message: unsafe { text(second, third) },
        },
        2 => JoinError::NotFound,
        3 => JoinError::Cancelled,
        // SAFETY: these cases have a text, allocated with `cabi_realloc` for this call.
        4 => JoinError::Deadlock(unsafe { text(first, second) }),
        // SAFETY: the same.
        _ => JoinError::Other(unsafe { text(first, second) }),
    };
    Err(error.into())
}

/// The text at this address.
///
/// # Safety
///
/// The host allocated it with `cabi_realloc`, and this is the only use of it.
unsafe fn text(address: usize, length: usize) -> String {
    // SAFETY: the caller vouches for the address and the length.
    let bytes = unsafe { adopt(std::ptr::with_exposed_provenance_mut(address), length) };
    // A host checks that its strings are UTF-8.
    String::from_utf8(bytes).unwrap_or_default()
}
