//! The tasks that a task under test can submit.

#![forbid(unsafe_code)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use crate::error::TaskError;
use crate::sync::to_bytes;

type Outcome = Result<Vec<u8>, TaskError>;

/// A task from the bytes of its arguments to those of its result.
#[derive(Clone)]
pub(crate) struct TaskFunction(Arc<dyn Fn(Vec<u8>) -> Outcome + Send + Sync>);

impl TaskFunction {
    pub(crate) fn new<A, R>(function: impl Fn(A) -> R + Send + Sync + 'static) -> Self
    where
        A: DeserializeOwned,
        R: Serialize + 'static,
    {
        Self::fallible(move |args| Ok::<R, Infallible>(function(args)))
    }

    pub(crate) fn fallible<A, R, E>(function: impl Fn(A) -> Result<R, E> + Send + Sync + 'static) -> Self
    where
        A: DeserializeOwned,
        R: Serialize + 'static,
        E: fmt::Display,
    {
        Self(Arc::new(move |args| {
            let args = read(&args).map_err(|error| TaskError::InvalidArguments(error.to_string()))?;
            let result = function(args).map_err(|error| TaskError::Failed(error.to_string()))?;
            to_bytes(&result).map_err(|error| TaskError::Other(error.to_string()))
        }))
    }

    pub(crate) fn call(&self, args: Vec<u8>) -> Outcome {
        (self.0)(args)
    }
}

/// The arguments. None are an empty array, which `()` is not read from.
fn read<A: DeserializeOwned>(args: &[u8]) -> serde_json::Result<A> {
    serde_json::from_slice(if args == b"[]" { b"null" } else { args })
}

impl fmt::Debug for TaskFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TaskFunction")
    }
}
