//! What a task knows about itself and tells the host.

#![forbid(unsafe_code)]

use wasmpool_guest::serde::Serialize;
use wasmpool_guest::{context, log, task};

/// What a task knows about itself.
#[derive(Serialize)]
#[serde(crate = "wasmpool_guest::serde")]
struct WhoAmI {
    name: String,
    id: u64,
    attempt: u32,
    worker_name: String,
}

/// Name, id, attempt and worker.
#[task]
fn who_am_i() -> WhoAmI {
    WhoAmI {
        name: context::name(),
        id: context::id(),
        attempt: context::attempt(),
        worker_name: context::worker_name(),
    }
}

/// One record at each level.
#[task]
fn log_levels() {
    log::trace!("a trace record");
    log::debug!("a debug record");
    log::info!("an info record");
    log::warn!("a warn record");
    log::error!("an error record, number {}", 5);
}

/// Logs this text as information, for a target of this name.
#[task]
fn log_text(target: &str, text: &str) {
    log::info!(target: target, "{text}");
}

/// Reports each of that many steps, then one of an unknown number.
#[task]
fn report_progress(steps: u64) -> u64 {
    for step in 1..=steps {
        context::progress(step, steps);
    }
    context::progress(steps + 1, None);
    steps
}

/// Reports each of that many steps, and sleeps that long after each.
#[task]
fn step_slowly(steps: u64, ms: u64) -> u64 {
    for step in 1..=steps {
        context::progress(step, steps);
        std::thread::sleep(std::time::Duration::from_millis(ms));
    }
    steps
}

/// Succeeds only at this attempt or a later one.
#[task]
fn succeed_at_attempt(attempt: u32) -> Result<u32, String> {
    match context::attempt() {
        now if now >= attempt => Ok(now),
        now => Err(format!("attempt {now} fails")),
    }
}
