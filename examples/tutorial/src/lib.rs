//! The guest halves of a Python `multiprocessing` tutorial, a module for each listing; the README has the table.
//!
//! Where Python's function asks `current_process()`, a task asks [`wasmpool_guest::context`].

#![forbid(unsafe_code)]

mod daemons;
mod exit_status;
mod importable;
mod logging;
mod names;
mod pool;
mod simple;
mod terminating;

use std::time::Duration;

/// `time.sleep(seconds)`. A number that no clock can wait for, such as -1, does not wait.
fn sleep(seconds: f64) {
    std::thread::sleep(Duration::try_from_secs_f64(seconds).unwrap_or_default());
}
