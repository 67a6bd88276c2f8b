//! What a running task can ask about itself, and tell its caller.
//!
//! Under `cargo test` there is no host; [`testing`](crate::testing) says what these functions answer then.

#![forbid(unsafe_code)]

use crate::host;

/// The task's name: the one that its caller gave it, or the function's.
pub fn name() -> String {
    host::name()
}

/// The task's number, unique within the supervisor that runs it.
pub fn id() -> u64 {
    host::id()
}

/// Which try at the task this is: 1 for the first.
pub fn attempt() -> u32 {
    host::attempt()
}

/// The name of the worker that runs the task, such as `worker-3`.
pub fn worker_name() -> String {
    host::worker_name()
}

/// True once the caller asked for the task to stop. A task that sees it has the grace period (2 s, if the host did
/// not set another) to tidy up and return; one that does not is stopped.
///
/// ```
/// use wasmpool_guest::{context, task, testing};
///
/// #[task]
/// fn watch() -> String {
///     while !context::cancelled() {
///         std::thread::yield_now();
///     }
///     "tidied up".to_string()
/// }
///
/// let ran = testing::Host::new().cancel_after(3).run(watch);
/// assert_eq!(ran.returned(), "tidied up");
/// ```
pub fn cancelled() -> bool {
    host::cancelled()
}

/// Tells the caller how far the task is: `done` of `total` steps, or of an unknown number. The host keeps the latest.
///
/// ```
/// use wasmpool_guest::{context, task, testing};
///
/// #[task]
/// fn work(steps: u64) {
///     for step in 1..=steps {
///         context::progress(step, steps);
///     }
///     context::progress(steps + 1, None);
/// }
///
/// let ran = testing::Host::new().run(|| work(2));
/// assert_eq!(ran.progress, [(1, Some(2)), (2, Some(2)), (3, None)]);
/// ```
pub fn progress(done: u64, total: impl Into<Option<u64>>) {
    host::progress(done, total.into());
}

/// Ends the task at once with `code`, without unwinding or dropping anything. What was printed is flushed.
///
/// 0 is a success without a value, 1 a failure, 2 to 125 are the task's own; the host reports a greater one as 125.
///
/// ```
/// use wasmpool_guest::{exit, task, testing};
///
/// #[task]
/// fn check(ready: bool) {
///     if !ready {
///         exit(3);
///     }
/// }
///
/// assert_eq!(testing::Host::new().run(|| check(false)).exit_code(), Some(3));
/// ```
pub fn exit(code: u32) -> ! {
    host::exit(code)
}
