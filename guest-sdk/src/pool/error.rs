//! Why a task was not submitted, or did not return a value.

#![forbid(unsafe_code)]

use std::fmt;

/// Why a task was not submitted: there is none of that name, there are too many under way, or it would be too deep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmitError(String);

impl SubmitError {
    pub(crate) fn new(reason: String) -> Self {
        Self(reason)
    }
}

impl fmt::Display for SubmitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SubmitError {}

/// Why a submitted task gave no value.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum JoinError {
    /// It was not submitted.
    NotSubmitted(SubmitError),
    /// It ended otherwise than with a value: it returned an error, panicked, was killed, ran out of time, ...
    Failed {
        /// The exit code that the command line has for such an end.
        exit_code: u8,
        /// What happened, in words.
        message: String,
    },
    /// There is no such task of this one, or its result was taken before.
    NotFound,
    /// The waiting task is being stopped.
    Cancelled,
    /// Nobody that could end the wait is able to act; the text names the cycle.
    Deadlock(String),
    /// What it returned cannot be read as the type that it is taken as.
    Unreadable(String),
    /// Anything else, described.
    Other(String),
}

impl From<SubmitError> for JoinError {
    fn from(error: SubmitError) -> Self {
        Self::NotSubmitted(error)
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSubmitted(error) => error.fmt(f),
            Self::NotFound => f.write_str("there is no such task, or its result was taken before"),
            Self::Cancelled => f.write_str("the task that waits is being stopped"),
            Self::Failed { message, .. } => f.write_str(message),
            Self::Deadlock(text) | Self::Unreadable(text) | Self::Other(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for JoinError {}

/// What came of waiting, other than a result.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It has not ended yet.
    TimedOut,
    Otherwise(JoinError),
}

impl From<JoinError> for Ended {
    fn from(error: JoinError) -> Self {
        Self::Otherwise(error)
    }
}
