//! The pool's typed face: `apply`, `map`, `imap` and their kind, over Rust values.

#![forbid(unsafe_code)]

use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Closed, Order, Pool, Records};
use crate::outcome::{Outcome, Record};
use crate::supervisor::handle::TaskHandle;
use crate::supervisor::module::Target;
use crate::supervisor::task::Task;
use crate::task::{Args, ArgsError};

/// Why a task gave no value of the expected type.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TaskFailed {
    /// The task ended otherwise than with a value; the record says how.
    #[error("task `{}` failed: {}", .0.name, .0.outcome)]
    Ended(Box<Record>),
    /// The value is not of the expected type.
    #[error("task `{name}` returned a value of another type: {reason}")]
    Type {
        /// The task's name.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// The arguments have no JSON.
    #[error(transparent)]
    Args(#[from] ArgsError),
    /// The pool is closed.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// The value in a record.
fn value_of<R: DeserializeOwned>(record: Box<Record>) -> Result<R, TaskFailed> {
    match &record.outcome {
        Outcome::Succeeded(value) => value
            .to()
            .map_err(|error| TaskFailed::Type { name: record.name.to_string(), reason: error.to_string() }),
        _ => Err(TaskFailed::Ended(record)),
    }
}

/// A stream of values; see [`Pool::imap`].
pub struct Values<R> {
    records: Records<Pin<Box<dyn Stream<Item = Task> + Send>>>,
    result: PhantomData<fn() -> R>,
}

impl<R> std::fmt::Debug for Values<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Values").field("records", &self.records).finish()
    }
}

impl<R: DeserializeOwned> Stream for Values<R> {
    type Item = Result<R, TaskFailed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.records.poll_record(cx).map(|next| next.map(|(_, record)| value_of(record)))
    }
}

/// A `map` under way; awaiting it gives the results.
pub struct MapHandle<R>(Pin<Box<dyn Future<Output = Result<Vec<R>, TaskFailed>> + Send>>);

impl<R> std::fmt::Debug for MapHandle<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MapHandle").finish_non_exhaustive()
    }
}

impl<R> IntoFuture for MapHandle<R> {
    type Output = Result<Vec<R>, TaskFailed>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        self.0
    }
}

impl Pool {
    /// Calls the target with a tuple of arguments and waits for its value.
    ///
    /// # Errors
    ///
    /// When the task ends otherwise than with a value of this type, or the pool is closed.
    pub async fn apply<A: Serialize, R: DeserializeOwned>(
        &self,
        target: &Target,
        args: A,
    ) -> Result<R, TaskFailed> {
        value_of(Box::new(self.apply_async(target, args).await?.await))
    }

    /// Submits a call of the target with a tuple of arguments.
    ///
    /// # Errors
    ///
    /// When the arguments have no JSON, or the pool is closed.
    pub async fn apply_async<A: Serialize>(
        &self,
        target: &Target,
        args: A,
    ) -> Result<TaskHandle, TaskFailed> {
        Ok(self.submit(Task::new(target).args(Args::of(&args)?)).await?)
    }

    /// Calls the target with each item and gives the values in the order of the items.
    ///
    /// # Errors
    ///
    /// The first failure in the order of the items; what is left then is cancelled.
    pub async fn map<I, R>(&self, target: &Target, items: I) -> Result<Vec<R>, TaskFailed>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        collect(self.imap(target, items)).await
    }

    /// Like `map`, with each item a tuple of arguments.
    ///
    /// # Errors
    ///
    /// As `map`.
    pub async fn starmap<I, R>(&self, target: &Target, items: I) -> Result<Vec<R>, TaskFailed>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned,
    {
        collect(self.values(target, items.into_iter().map(|item| Args::of(&item)), Order::Input)).await
    }

    /// Like `map`, going on at once: awaiting the handle gives the values.
    pub fn map_async<I, R>(&self, target: &Target, items: I) -> MapHandle<R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
        R: DeserializeOwned + Send + 'static,
    {
        let mut values = self.imap(target, items);
        // The first tasks are submitted here, not when the handle is first awaited.
        let mut first = futures_util::FutureExt::now_or_never(values.next());
        MapHandle(Box::pin(async move {
            let first = stream::iter(first.take().flatten());
            collect(first.chain(values)).await
        }))
    }

    /// Calls the target with each item, lazily; the values come in the order of the items.
    pub fn imap<I, R>(&self, target: &Target, items: I) -> Values<R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
    {
        self.values(target, items.into_iter().map(|item| Args::one(&item)), Order::Input)
    }

    /// Like `imap`; the values come as tasks end.
    pub fn imap_unordered<I, R>(&self, target: &Target, items: I) -> Values<R>
    where
        I: IntoIterator<Item: Serialize, IntoIter: Send + 'static>,
    {
        self.values(target, items.into_iter().map(|item| Args::one(&item)), Order::Completion)
    }

    fn values<R>(
        &self,
        target: &Target,
        args: impl Iterator<Item = Result<Args, ArgsError>> + Send + 'static,
        order: Order,
    ) -> Values<R> {
        let task = Task::new(target);
        // An item that has no JSON becomes a call that is refused in its place.
        let tasks = args.map(move |args| task.clone().args(args.unwrap_or_else(Args::invalid)));
        let tasks: Pin<Box<dyn Stream<Item = Task> + Send>> = Box::pin(stream::iter(tasks));
        Values { records: self.records(tasks, order), result: PhantomData }
    }
}

async fn collect<R>(values: impl Stream<Item = Result<R, TaskFailed>>) -> Result<Vec<R>, TaskFailed> {
    let mut values = std::pin::pin!(values);
    let mut all = Vec::new();
    while let Some(value) = values.next().await {
        all.push(value?);
    }
    Ok(all)
}
