//! The host's side of a task that runs natively, under `cargo test`: what [`crate::testing::Host`] says, for the
//! thread that it runs the task on, and plain answers on every other thread.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::panic;
use std::thread;

use crate::sync::Handle;
use crate::testing::{Exited, Host, Recorded, TaskFunction};

thread_local! {
    /// The stand-in that runs a task on this thread, with what the task has told it.
    static CURRENT: RefCell<Option<(Host, Recorded)>> = const { RefCell::new(None) };
}

/// Runs `task` with `host` in force on this thread; gives back what was recorded. Nests.
pub fn with_host<T>(host: Host, task: impl FnOnce() -> T) -> (T, Recorded) {
    let outer = CURRENT.replace(Some((host, Recorded::default())));
    let value = task();
    let (_, recorded) = CURRENT.replace(outer).expect("the stand-in is only taken out here");
    (value, recorded)
}

/// The answer of the stand-in in force, or `otherwise`.
fn ask<T>(answer: impl FnOnce(&Host, &mut Recorded) -> T, otherwise: impl FnOnce() -> T) -> T {
    CURRENT.with_borrow_mut(|current| match current {
        Some((host, recorded)) => answer(host, recorded),
        None => otherwise(),
    })
}

pub fn name() -> String {
    ask(|host, _| host.name.clone(), || None)
        .or_else(|| thread::current().name().map(str::to_owned))
        .unwrap_or_else(|| "native".to_owned())
}

pub fn id() -> u64 {
    ask(|host, _| host.id, || 1)
}

pub fn attempt() -> u32 {
    ask(|host, _| host.attempt, || 1)
}

pub fn worker_name() -> String {
    ask(|host, _| host.worker_name.clone(), || "native".to_owned())
}

pub fn cancelled() -> bool {
    ask(
        |host, recorded| {
            recorded.cancelled_questions += 1;
            host.is_cancelled()
                || host.cancel_after.is_some_and(|questions| recorded.cancelled_questions > questions)
        },
        || false,
    )
}

/// The shared object that was granted under this name.
pub fn granted(name: &str) -> Option<Handle> {
    ask(|host, _| host.granted(name), || None)
}

/// The task of this name that can be submitted, with the host that is to run it.
pub fn task(name: &str) -> Option<(TaskFunction, Host)> {
    ask(|host, _| host.submittable(name).map(|task| (task, host.clone())), || None)
}

pub fn progress(done: u64, total: Option<u64>) {
    ask(|_, recorded| recorded.progress.push((done, total)), || ());
}

/// Unwinds to the stand-in; without one it is a panic, because ending the process would end all its tests.
pub fn exit(code: u32) -> ! {
    if ask(|_, _| true, || false) {
        panic::resume_unwind(Box::new(Exited(code)))
    }
    panic!("the task ended itself with exit({code}); `wasmpool_guest::testing::Host` catches that")
}

#[cfg(test)]
pub fn log_max_level() -> log::LevelFilter {
    ask(
        |host, recorded| {
            recorded.log_level_questions += 1;
            host.log_level
        },
        || log::LevelFilter::Off,
    )
}

#[cfg(test)]
pub fn log_record(level: log::Level, target: &str, message: &str) {
    let record = (level, target.to_owned(), message.to_owned());
    ask(|_, recorded| recorded.logged.push(record), || ());
}
