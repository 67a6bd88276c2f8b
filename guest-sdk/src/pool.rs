//! Tasks that submit tasks: more of the same module, to the same pool.
//!
//! ```
//! use wasmpool_guest::pool::{self, JoinError};
//! use wasmpool_guest::{task, testing::Host};
//!
//! #[task]
//! fn square(n: i64) -> i64 {
//!     n * n
//! }
//!
//! #[task]
//! fn sum_of_squares(upto: i64) -> Result<i64, JoinError> {
//!     let squares: Vec<i64> = pool::map("square", 1..=upto)?;
//!     Ok(squares.iter().sum())
//! }
//!
//! // In a test, the stand-in for the host is told which tasks there are.
//! let host = Host::new().task("square", |(n,): (i64,)| square(n));
//! assert_eq!(host.run(|| sum_of_squares(3)).returned(), Ok(14));
//! ```
//!
//! # What is promised
//!
//! - **Order.** Tasks begin in the order in which they were submitted, as far as there is room in the pool; they end as
//!   they end.
//! - **Delivery.** Each runs once, in a process of its own, unless the host was asked to retry. Its result can be had
//!   once.
//! - **Rights.** It may use what the submitting task may use: the same queues, locks and so on.
//! - **No starving.** A task that waits for another gives its place in the pool back meanwhile, so even a pool of one
//!   worker goes on. How deep tasks may submit tasks is limited, and so is how many of them are under way.
//! - **Death.** What a task submitted and did not see the end of is cancelled when it ends itself, however it ends.

#![forbid(unsafe_code)]

mod error;

#[cfg(not(target_arch = "wasm32"))]
mod native;
#[cfg(not(target_arch = "wasm32"))]
use native as host;

#[cfg(target_arch = "wasm32")]
use crate::raw_pool as host;

use serde::Serialize;
use std::collections::VecDeque;
use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use crate::sync::{Item, decoded};
pub(crate) use error::Ended;
pub use error::{JoinError, SubmitError};

/// A task that was submitted, and that returns `R`. Dropping this lets it run; [`cancel`](Self::cancel) stops it.
pub struct Task<R> {
    number: u64,
    result: PhantomData<fn() -> R>,
}

/// Submits a task of this module by its name. `args` are its arguments in order: a tuple, such as `(7,)` or `("a", 2)`,
/// or `()`. Queues, locks and the like are passed as they are: `(&queue, 7)`.
///
/// `R` is what it returns: `submit::<i64>("square", (7,))`. For a task that returns `Result<T, E>` it is `T`, and the
/// error is a [`JoinError`]; for one that returns [`Bytes`](crate::Bytes), it is `Bytes`.
///
/// ```
/// use wasmpool_guest::{pool, testing::Host};
///
/// let host = Host::new().task("add", |(a, b): (i64, i64)| a + b);
/// let sum = host.run(|| pool::submit::<i64>("add", (2, 3)).unwrap().join());
/// assert_eq!(sum.returned(), Ok(5));
/// ```
pub fn submit<R: Item>(task: &str, args: impl Serialize) -> Result<Task<R>, SubmitError> {
    let args = serde_json::to_vec(&args)
        .map_err(|error| SubmitError::new(format!("the arguments of `{task}` are no JSON: {error}")))?;
    // No arguments, which a tuple of none is not in JSON.
    let args = if args == b"null" { b"[]".to_vec() } else { args };
    submit_bytes(task, &args)
}

/// Submits a task whose only parameter is [`Bytes`](crate::Bytes): this is its whole input.
pub fn submit_bytes<R: Item>(task: &str, input: &[u8]) -> Result<Task<R>, SubmitError> {
    let number = host::submit(task, input).map_err(SubmitError::new)?;
    Ok(Task { number, result: PhantomData })
}

/// Submits a task for each of these, as its only argument, and gives the results in the order of the arguments.
///
/// At the first that does not return a value, the others are cancelled. Some hundreds are under way at a time at most, so
/// the arguments can be many.
///
/// ```
/// use wasmpool_guest::pool::{self, JoinError};
/// use wasmpool_guest::testing::Host;
///
/// let host = Host::new().fallible_task("half", |(n,): (u32,)| {
///     if n % 2 == 0 { Ok(n / 2) } else { Err(format!("{n} is odd")) }
/// });
/// let halves = host.clone().run(|| pool::map::<u32>("half", [2, 4, 6]));
/// assert_eq!(halves.returned(), Ok(vec![1, 2, 3]));
/// let failed = host.run(|| pool::map::<u32>("half", [2, 3, 4])).returned().unwrap_err();
/// assert_eq!(failed, JoinError::Failed { exit_code: 1, message: "3 is odd".to_string() });
/// ```
pub fn map<R: Item>(task: &str, args: impl IntoIterator<Item = impl Serialize>) -> Result<Vec<R>, JoinError> {
    /// Fewer than a task may have under way.
    const UNDER_WAY_MAX: usize = 256;

    let mut under_way = VecDeque::new();
    let mut results = Vec::new();
    let collect = || {
        for argument in args {
            if under_way.len() == UNDER_WAY_MAX {
                join_first(&mut under_way, &mut results)?;
            }
            under_way.push_back(submit::<R>(task, (argument,))?);
        }
        while !under_way.is_empty() {
            join_first(&mut under_way, &mut results)?;
        }
        Ok(())
    };
    let collected = collect();
    under_way.iter().for_each(Task::cancel);
    collected.map(|()| results)
}

/// Moves the result of the task that was submitted first.
fn join_first<R: Item>(under_way: &mut VecDeque<Task<R>>, results: &mut Vec<R>) -> Result<(), JoinError> {
    if let Some(first) = under_way.pop_front() {
        results.push(first.join()?);
    }
    Ok(())
}

impl<R: Item> Task<R> {
    /// Waits for its end, as long as that takes, and gives what it returned.
    pub fn join(self) -> Result<R, JoinError> {
        loop {
            if let Some(result) = self.joined(None)? {
                return Ok(result);
            }
        }
    }

    /// The same; `None` if the time was over first. The result can be had once.
    pub fn join_timeout(&self, time: Duration) -> Result<Option<R>, JoinError> {
        self.joined(Some(time))
    }

    fn joined(&self, patience: Option<Duration>) -> Result<Option<R>, JoinError> {
        match host::join(self.number, patience) {
            Ok(bytes) => decoded(bytes).map(Some).map_err(|error| JoinError::Unreadable(error.to_string())),
            Err(Ended::TimedOut) => Ok(None),
            Err(Ended::Otherwise(error)) => Err(error),
        }
    }
}

impl<R> Task<R> {
    /// Asks it to stop, and stops it if it does not. Without effect on a task that has ended.
    pub fn cancel(&self) {
        host::cancel(self.number);
    }

    /// Its number, as the host has it.
    pub fn id(&self) -> u64 {
        self.number
    }
}

impl<R> fmt::Debug for Task<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.number)
    }
}
