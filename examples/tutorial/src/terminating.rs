//! Terminating a process: `p.terminate()`, then `p.join()`.

use wasmpool_guest::task;

/// Works for a moment, and does not ask whether it is cancelled: it is stopped without a chance to tidy up.
#[task]
fn slow_worker(#[default(0.1)] seconds: f64) {
    println!("Starting worker");
    crate::sleep(seconds);
    println!("Finished worker");
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_finishes_when_left_alone() {
        super::slow_worker(0.0);
    }
}
