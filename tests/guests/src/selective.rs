//! One input of many goes wrong: `value` is returned unless it is `bad`.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::thread;
use std::time::Duration;
use wasmpool_guest::{exit, task};

/// Returns an error for `bad`.
#[task]
fn fail_if(value: i64, bad: i64) -> Result<i64, String> {
    if value == bad { Err(format!("{value} is bad")) } else { Ok(value) }
}

/// Panics for `bad`.
#[task]
fn panic_if(value: i64, bad: i64) -> i64 {
    assert_ne!(value, bad, "a bad value");
    value
}

/// Traps for `bad`.
#[task]
fn trap_if(value: i64, bad: i64) -> i64 {
    if value == bad {
        crate::trap();
    }
    value
}

/// Ends itself with 7 for `bad`.
#[task]
fn exit_if(value: i64, bad: i64) -> i64 {
    if value == bad {
        exit(7);
    }
    value
}

/// Never ends for `bad`.
#[task]
fn spin_if(value: i64, bad: i64) -> i64 {
    if value == bad {
        loop {
            black_box(());
        }
    }
    value
}

/// Sleeps forever for `bad`.
#[task]
fn sleep_if(value: i64, bad: i64) -> i64 {
    if value == bad {
        loop {
            thread::sleep(Duration::from_secs(1 << 30));
        }
    }
    value
}
