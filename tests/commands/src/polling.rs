//! Waiting for clocks and descriptors.

#![forbid(unsafe_code)]

use wasi::{
    CLOCKID_MONOTONIC, CLOCKID_REALTIME, ERRNO_BADF, ERRNO_INVAL, ERRNO_SUCCESS, EVENTTYPE_CLOCK,
    EVENTTYPE_FD_READ, EVENTTYPE_FD_WRITE, SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME as ABSOLUTE,
};

use crate::raw::{self, DIR, FRESH};

const MILLISECOND: u64 = 1_000_000;
const HOUR: u64 = 3_600_000 * MILLISECOND;

fn now() -> u64 {
    raw::clock_time(CLOCKID_MONOTONIC, 1).expect("a time")
}

/// The one event of these subscriptions, by what its subscription was named.
fn one(subscriptions: &[raw::Subscription]) -> (u64, wasi::Eventtype) {
    let events = raw::poll(subscriptions).expect("an event");
    assert_eq!((events.len(), events[0].error), (1, ERRNO_SUCCESS));
    (events[0].userdata, events[0].type_)
}

pub fn waiting(_: &[String]) {
    for clock in [CLOCKID_MONOTONIC, CLOCKID_REALTIME] {
        for milliseconds in [0, 1, 30] {
            let begun = now();
            let event = one(&[raw::at(0xfeed_5eed_dead_beef, clock, milliseconds * MILLISECOND, 0)]);
            assert_eq!(event, (0xfeed_5eed_dead_beef, EVENTTYPE_CLOCK));
            assert!(now() - begun >= milliseconds * MILLISECOND, "{milliseconds} ms are over");
        }
    }
    raw::give_way().expect("others may go on");
}

/// Until a point in time, that may be over.
pub fn until(_: &[String]) {
    for clock in [CLOCKID_MONOTONIC, CLOCKID_REALTIME] {
        // The adapter knows no point in time of the wall clock that is over.
        let is_told_what_is_over = !crate::IS_ADAPTED || clock == CLOCKID_MONOTONIC;
        let time = || raw::clock_time(clock, 1).expect("a time");
        let end = time() + 20 * MILLISECOND;
        assert_eq!(one(&[raw::at(1, clock, end, ABSOLUTE)]).0, 1);
        // The clock that waits and the clock that is asked may be a moment apart.
        assert!(time() + MILLISECOND >= end, "it is as late as was asked for");
        if is_told_what_is_over {
            let begun = now();
            assert_eq!(one(&[raw::at(2, clock, 1, ABSOLUTE)]).0, 2);
            assert!(now() - begun < 1000 * MILLISECOND, "what is over is not waited for");
        }
    }
}

/// The first of several, and everything that is ready at once.
pub fn several(_: &[String]) {
    let clock = |userdata, timeout| raw::at(userdata, CLOCKID_MONOTONIC, timeout, 0);
    assert_eq!(one(&[clock(1, HOUR), clock(2, 20 * MILLISECOND), clock(3, HOUR)]).0, 2);
    let file = raw::open(DIR, "file", FRESH).expect("a file");
    let subscriptions = [
        clock(1, HOUR),
        raw::on(2, EVENTTYPE_FD_WRITE, 1),
        raw::on(3, EVENTTYPE_FD_READ, file),
        raw::on(4, EVENTTYPE_FD_WRITE, file),
        clock(5, 0),
    ];
    let mut ready = raw::poll(&subscriptions).expect("events");
    ready.sort_by_key(|event| event.userdata);
    let ready: Vec<_> = ready.iter().map(|event| (event.userdata, event.type_, event.error)).collect();
    let expected = [
        (2, EVENTTYPE_FD_WRITE, ERRNO_SUCCESS),
        (3, EVENTTYPE_FD_READ, ERRNO_SUCCESS),
        (4, EVENTTYPE_FD_WRITE, ERRNO_SUCCESS),
    ];
    // The clock that is due may be told or be seen a moment too late.
    assert_eq!(&ready[..3], expected);
    assert!(ready.len() == 3 || ready[3..] == [(5, EVENTTYPE_CLOCK, ERRNO_SUCCESS)]);
}

/// Waits for standard input, at most for so many milliseconds; prints what came first, and the input that was there.
pub fn input_or_clock(given: &[String]) {
    let milliseconds: u64 = given[0].parse().expect("a number");
    let clock = raw::at(1, CLOCKID_MONOTONIC, milliseconds * MILLISECOND, 0);
    println!("waiting");
    match one(&[clock, raw::on(2, EVENTTYPE_FD_READ, 0)]).0 {
        1 => println!("the clock"),
        _ => println!("{:?}", String::from_utf8(raw::read(0, 100).expect("input")).expect("a text")),
    }
}

/// An input without a byte is ready: its end can be read.
pub fn no_input(_: &[String]) {
    let clock = raw::at(1, CLOCKID_MONOTONIC, HOUR, 0);
    assert_eq!(one(&[clock, raw::on(2, EVENTTYPE_FD_READ, 0)]), (2, EVENTTYPE_FD_READ));
    assert_eq!(raw::read(0, 100).as_deref(), Ok(&b""[..]));
}

pub fn bad(_: &[String]) {
    assert_eq!(raw::poll(&[]).err(), Some(ERRNO_INVAL), "nothing to wait for");
    assert_eq!(raw::poll(&[raw::on(1, EVENTTYPE_FD_READ, 999)]).err(), Some(ERRNO_BADF));
    assert_eq!(raw::poll(&[raw::on(1, EVENTTYPE_FD_READ, 1)]).err(), Some(ERRNO_BADF), "an output");
}
