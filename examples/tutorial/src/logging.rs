//! Logging: `multiprocessing.log_to_stderr()` and `get_logger()`. A task's records reach the host's log, which knows
//! the task's name; the host chooses the level.

use wasmpool_guest::{log, task};

/// Says what it does, in the log and in its output.
#[task]
fn logging_worker() {
    log::info!("child process calling worker()");
    println!("Doing some work");
    log::debug!("worker() is done");
}

#[cfg(test)]
mod tests {
    #[test]
    fn without_a_logger_records_go_nowhere() {
        super::logging_worker();
    }
}
