//! Being asked to stop.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::thread;
use std::time::Duration;
use wasmpool_guest::{context, task};

/// Waits until it is cancelled, then tidies up and returns. Its first progress says that it waits.
#[task]
fn wait_cancelled() -> String {
    context::progress(0, None);
    while !context::cancelled() {
        thread::sleep(Duration::from_millis(1));
    }
    "tidied up".to_owned()
}

/// Never asks whether it is cancelled. Its first progress says that it runs.
#[task]
fn ignore_cancelled() -> ! {
    context::progress(0, None);
    loop {
        black_box(());
    }
}

/// Asks whether it is cancelled, and goes on all the same.
#[task]
fn defy_cancelled() -> ! {
    context::progress(0, None);
    loop {
        if context::cancelled() {
            thread::sleep(Duration::from_millis(1));
        }
    }
}
