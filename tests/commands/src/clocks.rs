//! Clocks.

#![forbid(unsafe_code)]

use wasi::{CLOCKID_MONOTONIC, CLOCKID_PROCESS_CPUTIME_ID, CLOCKID_REALTIME, CLOCKID_THREAD_CPUTIME_ID};

use crate::raw;

/// Prints what the wall clock shows, in nanoseconds since 1970.
pub fn clocks(_: &[String]) {
    for clock in [CLOCKID_REALTIME, CLOCKID_MONOTONIC] {
        let resolution = raw::clock_resolution(clock).expect("a resolution");
        assert!((1..=1_000_000_000).contains(&resolution), "{clock:?}: {resolution}");
    }
    let mut last = 0;
    for _ in 0..1000 {
        let time = raw::clock_time(CLOCKID_MONOTONIC, 1).expect("a time");
        assert!(time >= last, "it never goes back");
        last = time;
    }
    let first = raw::clock_time(CLOCKID_MONOTONIC, 1);
    let goes_on = std::iter::repeat_with(|| raw::clock_time(CLOCKID_MONOTONIC, 1)).any(|time| time > first);
    assert!(goes_on, "it never stands still");
    // No guest is told how much CPU time its process has used.
    for clock in [CLOCKID_PROCESS_CPUTIME_ID, CLOCKID_THREAD_CPUTIME_ID] {
        assert!(raw::clock_time(clock, 1).is_err(), "{clock:?}");
    }
    println!("{}", raw::clock_time(CLOCKID_REALTIME, 1).expect("a time"));
}
