//! Time: sleeping in the host, working in the guest, reading clocks.

#![forbid(unsafe_code)]

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use wasmpool_guest::task;

/// Sleeps in a call to the host, then returns the number.
#[task]
fn sleep_ms(ms: u64) -> u64 {
    thread::sleep(Duration::from_millis(ms));
    ms
}

/// Sleeps in one call to the host that does not come back.
#[task]
fn sleep_forever() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1 << 30));
    }
}

/// Keeps a core busy for that long, then returns the number.
#[task]
fn burn_ms(ms: u64) -> u64 {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(ms) {
        for step in 0..10_000 {
            black_box(step);
        }
    }
    ms
}

/// Does that many steps of work, however long they take: the same number of instructions each time.
#[task]
fn count_to(steps: u64) -> u64 {
    (0..steps).fold(0, |sum, step| black_box(sum + (step & 1)))
}

/// The time of day, in milliseconds since 1970.
#[task]
fn clock_ms() -> Result<u64, String> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    u64::try_from(since.as_millis()).map_err(|error| error.to_string())
}
