//! Why a task did not return a value: `task-error` of `task.wit`.

#![forbid(unsafe_code)]

/// The cases of `task-error`, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TaskError {
    /// The task ran and returned an error: its text.
    Failed(String),
    /// The arguments could not be read as the task's parameters: which one, and why.
    InvalidArguments(String),
    /// Anything else, described.
    Other(String),
}
