//! Many tasks from a command line: what was typed becomes a plan, and the plan drives a pool.
//!
//! Everything but [`mod@drive`], [`feeder`] and the file of a [`mod@joblog`] is pure: texts in, checked calls out. A call that leaves this module fits
//! the parameters that the module declares for its task, so what fails later is the guest's doing.

#![forbid(unsafe_code)]

pub mod call;
pub mod drive;
pub mod feeder;
pub mod halt;
pub mod joblog;
pub mod lines;
pub mod live;
pub mod manifest;
pub mod plan;
pub mod schedule;
pub mod tally;
pub mod template;
pub mod units;
pub mod watchers;

/// An input that never became a task: where it came from and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {reason}")]
pub struct BadInput {
    /// Where it stands: `inputs.jsonl:3`, `input 2`.
    pub place: String,
    /// What is wrong and what would be right.
    pub reason: String,
}
