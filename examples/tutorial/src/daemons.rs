//! Daemon processes, `join`, `join` with a time-out, and `is_alive`. Whether a task is a daemon, which is not waited
//! for, is its caller's choice; the task does not know.

use wasmpool_guest::{context, task};

/// Sleeps long enough to be still there when its caller is done.
#[task]
fn daemon(#[default(2.0)] seconds: f64) {
    println!("Starting: {} {}", context::name(), context::id());
    crate::sleep(seconds);
    println!("Exiting : {} {}", context::name(), context::id());
}

/// Is done at once.
#[task]
fn non_daemon() {
    println!("Starting: {} {}", context::name(), context::id());
    println!("Exiting : {} {}", context::name(), context::id());
}

#[cfg(test)]
mod tests {
    #[test]
    fn both_end_by_themselves() {
        super::daemon(0.0);
        super::non_daemon();
    }
}
