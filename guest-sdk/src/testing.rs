//! A stand-in for the host, for the tests of a plugin: it answers [`context`](crate::context), catches
//! [`exit`](crate::exit), keeps the progress that was told, grants queues, locks and the like, and runs the tasks that
//! a task submits.
//!
//! A task that uses none of them needs nothing from here. Without a stand-in, a task's name is the thread's (which is
//! the test's name), its attempt is the first, nothing is cancelled, progress is ignored, and `exit` panics.
//!
//! ```
//! use wasmpool_guest::{context, exit, task, testing::Host};
//!
//! #[task]
//! fn fragile() -> String {
//!     if context::attempt() == 1 {
//!         exit(75);
//!     }
//!     format!("{} made it", context::name())
//! }
//!
//! assert_eq!(Host::new().run(fragile).exit_code(), Some(75));
//! assert_eq!(Host::new().name("second").attempt(2).run(fragile).returned(), "second made it");
//! ```

#![forbid(unsafe_code)]

mod submitted;

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::native;
use crate::sync::Handle;
pub(crate) use submitted::TaskFunction;

/// What the stand-in answers.
#[derive(Debug, Clone)]
pub struct Host {
    pub(crate) name: Option<String>,
    pub(crate) id: u64,
    pub(crate) attempt: u32,
    pub(crate) worker_name: String,
    pub(crate) cancel_after: Option<u64>,
    /// Of a submitted task: whether who submitted it wants it to stop.
    cancelled: Arc<AtomicBool>,
    grants: Vec<Handle>,
    tasks: Vec<(String, TaskFunction)>,
    #[cfg(test)]
    pub(crate) log_level: log::LevelFilter,
}

impl Default for Host {
    fn default() -> Self {
        Self {
            name: None,
            id: 1,
            attempt: 1,
            worker_name: "native".to_owned(),
            cancel_after: None,
            cancelled: Arc::default(),
            grants: Vec::new(),
            tasks: Vec::new(),
            #[cfg(test)]
            log_level: log::LevelFilter::Trace,
        }
    }
}

impl Host {
    /// The task's name is the thread's, its id and attempt are 1, the worker is `native`, nothing is cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// The task's name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The task's number.
    pub fn id(mut self, id: u64) -> Self {
        self.id = id;
        self
    }

    /// Which try this is.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.attempt = attempt;
        self
    }

    /// The worker's name.
    pub fn worker_name(mut self, name: impl Into<String>) -> Self {
        self.worker_name = name.into();
        self
    }

    /// The task is cancelled from the start.
    pub fn cancelled(self) -> Self {
        self.cancel_after(0)
    }

    /// The task is cancelled once it has asked this many times whether it is.
    pub fn cancel_after(mut self, questions: u64) -> Self {
        self.cancel_after = Some(questions);
        self
    }

    /// Grants the task a shared object under this name. A later grant of the same name replaces an earlier one.
    ///
    /// ```
    /// use wasmpool_guest::sync::{Queue, SyncError};
    /// use wasmpool_guest::testing::Host;
    ///
    /// fn first() -> Result<Option<u64>, SyncError> {
    ///     Queue::<u64>::open("jobs")?.get()
    /// }
    ///
    /// let jobs = Queue::stand_in(8);
    /// jobs.put(7)?;
    /// assert_eq!(Host::new().grant("jobs", &jobs).run(first).returned(), Ok(Some(7)));
    /// assert!(matches!(Host::new().run(first).returned(), Err(SyncError::AccessDenied(_))));
    /// # Ok::<(), SyncError>(())
    /// ```
    pub fn grant(mut self, name: impl Into<String>, object: &impl Shared) -> Self {
        let name = name.into();
        self.grants.retain(|granted| granted.name() != name);
        self.grants.push(object.handle().named(name));
        self
    }

    /// Adds a task that can be [submitted](crate::pool::submit) under this name. `function` takes its arguments as a
    /// tuple; it runs in a thread of its own, under this host.
    pub fn task<A, R>(
        self,
        name: impl Into<String>,
        function: impl Fn(A) -> R + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize + 'static,
    {
        self.with_task(name.into(), TaskFunction::new(function))
    }

    /// The same for a task that returns a `Result`.
    pub fn fallible_task<A, R, E>(
        self,
        name: impl Into<String>,
        function: impl Fn(A) -> Result<R, E> + Send + Sync + 'static,
    ) -> Self
    where
        A: DeserializeOwned,
        R: Serialize + 'static,
        E: fmt::Display,
    {
        self.with_task(name.into(), TaskFunction::fallible(function))
    }

    fn with_task(mut self, name: String, function: TaskFunction) -> Self {
        self.tasks.retain(|(known, _)| *known != name);
        self.tasks.push((name, function));
        self
    }

    pub(crate) fn granted(&self, name: &str) -> Option<Handle> {
        self.grants.iter().find(|granted| granted.name() == name).cloned()
    }

    pub(crate) fn submittable(&self, name: &str) -> Option<TaskFunction> {
        self.tasks.iter().find(|(known, _)| known == name).map(|(_, function)| function.clone())
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The host of a task that was submitted under this one.
    pub(crate) fn for_submitted(mut self, name: &str, id: u64, cancelled: Arc<AtomicBool>) -> Self {
        self = self.name(name).id(id).attempt(1);
        self.cancel_after = None;
        self.cancelled = cancelled;
        self
    }

    #[cfg(test)]
    pub(crate) fn log_level(mut self, level: log::LevelFilter) -> Self {
        self.log_level = level;
        self
    }

    /// Calls `task` on this thread with this host in force. A panic of the task goes on to the caller.
    pub fn run<T>(self, task: impl FnOnce() -> T) -> Ran<T> {
        let (outcome, recorded) = native::with_host(self, || panic::catch_unwind(AssertUnwindSafe(task)));
        let ending = match outcome {
            Ok(value) => Ending::Returned(value),
            Err(payload) => match payload.downcast::<Exited>() {
                Ok(exited) => Ending::Exited(exited.0),
                Err(panic) => panic::resume_unwind(panic),
            },
        };
        Ran {
            ending,
            progress: recorded.progress,
            #[cfg(test)]
            logged: recorded.logged,
            #[cfg(test)]
            log_level_questions: recorded.log_level_questions,
        }
    }
}

/// A stand-in for a shared object: every type of [`sync`](crate::sync).
pub trait Shared: sealed::Shared {}

pub(crate) mod sealed {
    use crate::sync::Handle;

    pub trait Shared {
        #[expect(private_interfaces, reason = "nobody else calls it: the trait is sealed")]
        fn handle(&self) -> &Handle;
    }
}

/// How a task ended under a [`Host`], and what it told it.
#[derive(Debug)]
pub struct Ran<T> {
    /// How it ended.
    pub ending: Ending<T>,
    /// Every call of [`context::progress`](crate::context::progress), in order.
    pub progress: Vec<(u64, Option<u64>)>,
    #[cfg(test)]
    pub(crate) logged: Vec<(log::Level, String, String)>,
    #[cfg(test)]
    pub(crate) log_level_questions: u64,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending<T> {
    /// It returned.
    Returned(T),
    /// It called [`exit`](crate::exit) with this code.
    Exited(u32),
}

impl<T> Ran<T> {
    /// What the task returned.
    ///
    /// # Panics
    ///
    /// If it called `exit`.
    pub fn returned(self) -> T {
        match self.ending {
            Ending::Returned(value) => value,
            Ending::Exited(code) => panic!("the task ended itself with exit({code})"),
        }
    }

    /// The code that the task called `exit` with, if it did.
    pub fn exit_code(&self) -> Option<u32> {
        match self.ending {
            Ending::Returned(_) => None,
            Ending::Exited(code) => Some(code),
        }
    }
}

/// What unwinds from `exit` to [`Host::run`].
pub(crate) struct Exited(pub(crate) u32);

/// What a task told the stand-in.
#[derive(Debug, Default)]
pub(crate) struct Recorded {
    pub(crate) progress: Vec<(u64, Option<u64>)>,
    pub(crate) cancelled_questions: u64,
    #[cfg(test)]
    pub(crate) logged: Vec<(log::Level, String, String)>,
    #[cfg(test)]
    pub(crate) log_level_questions: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{context, exit};

    #[test]
    fn without_a_host_there_are_plain_answers() {
        assert_eq!(context::name(), "testing::tests::without_a_host_there_are_plain_answers");
        assert_eq!((context::id(), context::attempt()), (1, 1));
        assert_eq!(context::worker_name(), "native");
        assert!(!context::cancelled());
        context::progress(1, 2);
    }

    #[test]
    #[should_panic = "exit(3)"]
    fn without_a_host_exit_is_a_panic() {
        exit(3)
    }

    #[test]
    fn a_host_answers_what_it_was_told() {
        let host = Host::new().name("Process-1").id(7).attempt(2).worker_name("worker-3").cancelled();
        let answers = host.run(|| {
            (context::name(), context::id(), context::attempt(), context::worker_name(), context::cancelled())
        });
        assert_eq!(answers.returned(), ("Process-1".to_owned(), 7, 2, "worker-3".to_owned(), true));
        assert_eq!(context::worker_name(), "native");
    }

    #[test]
    fn a_panic_of_the_task_reaches_the_test() {
        let caught = panic::catch_unwind(|| Host::new().run(|| panic!("mine")));
        assert_eq!(caught.unwrap_err().downcast_ref::<&str>(), Some(&"mine"));
        assert_eq!(context::worker_name(), "native", "the stand-in is gone");
    }

    #[test]
    fn hosts_nest() {
        let outer = Host::new().name("outer").run(|| {
            context::progress(1, None);
            let inner = Host::new().name("inner").run(context::name).returned();
            context::progress(2, None);
            (inner, context::name())
        });
        assert_eq!(outer.progress, [(1, None), (2, None)]);
        assert_eq!(outer.returned(), ("inner".to_owned(), "outer".to_owned()));
    }
}
