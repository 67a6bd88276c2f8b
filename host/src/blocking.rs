//! The same things for programs without an async runtime: every call blocks its thread.
//!
//! ```no_run
//! use wasmpool::blocking::{self, Pool};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! wasmpool::init();
//! let squares = blocking::load("squares.wasm")?;
//! let pool = Pool::new(wasmpool::Pool::builder().workers(4))?;
//! let values: Vec<i64> = pool.map(&squares.task("square")?, 1..=5)?;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::outcome::{CancelledBy, Record};
use crate::supervisor::parking::wait;
use crate::supervisor::process::Scope;
use crate::{
    ChildInfo, LoadError, Module, ModuleSource, Order, PoolBuilder, RunningProcess, Supervisor,
    SupervisorError, Target, Task, TaskFailed, TaskHandle,
};

/// Loads a module with the global supervisor.
///
/// # Errors
///
/// As [`Module::load`].
pub fn load(source: impl Into<ModuleSource>) -> Result<Module, LoadError> {
    wait(Module::load(source))
}

/// Loads a module.
///
/// # Errors
///
/// As [`Supervisor::load`].
pub fn load_with(supervisor: &Supervisor, source: impl Into<ModuleSource>) -> Result<Module, LoadError> {
    wait(supervisor.load(source))
}

/// The tasks of the global supervisor that run, with the processes they run in.
///
/// # Errors
///
/// When there is no supervisor.
pub fn active_children() -> Result<Vec<ChildInfo>, SupervisorError> {
    Ok(wait(Supervisor::global()?.active_children()))
}

/// Waits for the end of a process.
#[must_use]
pub fn join(process: &RunningProcess) -> Record {
    process.handle().wait()
}

/// Waits for all of them.
#[must_use]
pub fn join_all(processes: impl IntoIterator<Item = RunningProcess>) -> Vec<Record> {
    processes.into_iter().map(|process| process.handle().wait()).collect()
}

/// Runs `body`; at its end waits for every process that it started in the scope and ends the daemons.
pub fn scope<T>(body: impl FnOnce(&Scope) -> T) -> T {
    wait(crate::scope(|scope| std::future::ready(body(&scope))))
}

/// A [`crate::Pool`] whose calls block. Clones share it.
#[derive(Clone, Debug)]
pub struct Pool(crate::Pool);

impl Pool {
    /// Makes the pool that the builder describes.
    ///
    /// # Errors
    ///
    /// As [`PoolBuilder::build`].
    pub fn new(builder: PoolBuilder) -> Result<Self, SupervisorError> {
        builder.build().map(Self)
    }

    /// Submits a task; waits while 10 000 tasks wait already.
    ///
    /// # Errors
    ///
    /// When the pool is closed.
    pub fn submit(&self, task: Task) -> Result<TaskHandle, crate::Closed> {
        wait(self.0.submit(task))
    }

    /// Calls the target with a tuple of arguments and waits for its value.
    ///
    /// # Errors
    ///
    /// As [`crate::Pool::apply`].
    pub fn apply<A: Serialize, R: DeserializeOwned>(
        &self,
        target: &Target,
        args: A,
    ) -> Result<R, TaskFailed> {
        wait(self.0.apply(target, args))
    }

    /// Calls the target with each item; the values in the order of the items.
    ///
    /// # Errors
    ///
    /// As [`crate::Pool::map`].
    pub fn map<I, R>(&self, target: &Target, items: I) -> Result<Vec<R>, TaskFailed>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        wait(self.0.map(target, items))
    }

    /// Like `map`, with each item a tuple of arguments.
    ///
    /// # Errors
    ///
    /// As [`crate::Pool::map`].
    pub fn starmap<I, R>(&self, target: &Target, items: I) -> Result<Vec<R>, TaskFailed>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        wait(self.0.starmap(target, items))
    }

    /// Calls the target with each item, lazily, in order.
    pub fn imap<I, R>(
        &self,
        target: &Target,
        items: I,
    ) -> impl Iterator<Item = Result<R, TaskFailed>> + use<I, R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        Blocking(Box::pin(self.0.imap(target, items)))
    }

    /// Like `imap`; the values come as tasks end.
    pub fn imap_unordered<I, R>(
        &self,
        target: &Target,
        items: I,
    ) -> impl Iterator<Item = Result<R, TaskFailed>> + use<I, R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        Blocking(Box::pin(self.0.imap_unordered(target, items)))
    }

    /// Runs tasks lazily; their records, each with the index of its task.
    pub fn records<I>(&self, tasks: I, order: Order) -> impl Iterator<Item = (u64, Record)> + use<I>
    where
        I: IntoIterator<Item = Task>,
    {
        Blocking(Box::pin(self.0.records(stream::iter(tasks), order)))
    }

    /// No more tasks are taken; what was submitted goes on.
    pub fn close(&self) {
        self.0.close();
    }

    /// Waits until nothing waits or runs any more.
    pub fn join(&self) {
        wait(self.0.join());
    }

    /// Ends every task and waits until all have ended.
    pub fn terminate(&self) {
        wait(self.0.terminate(CancelledBy::Caller));
    }

    /// Another number of workers.
    pub fn resize(&self, workers: usize) {
        self.0.resize(workers);
    }
}

/// A stream whose items are waited for.
struct Blocking<S>(std::pin::Pin<Box<S>>);

impl<S: Stream> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        wait(self.0.next())
    }
}
