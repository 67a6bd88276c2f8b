//! Calls and assignments: what the dispatcher moves, and how a call's end reaches its caller.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::limits::Limits;
use crate::outcome::Record;
use crate::policy::Policy;
use crate::protocol::worker::{Entry, Initializer};
use crate::supervisor::event::ModuleSourceBytes;
use crate::supervisor::handle::HandleState;
use crate::supervisor::output::Output;
use crate::supervisor::pool::StartMethod;
use crate::task::Stdin;

/// What the calls of one assignment have in common.
#[derive(Debug)]
pub(super) struct CallShape {
    pub(super) module: Arc<ModuleSourceBytes>,
    pub(super) kind: crate::module_info::ModuleKind,
    pub(super) entry: Entry,
    pub(super) initializer: Option<Initializer>,
    pub(super) limits: Limits,
    pub(super) policy: Policy,
    pub(super) start_method: StartMethod,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Stdin,
    pub(super) priority: i32,
}

/// Where a call's record goes.
#[derive(Debug)]
pub(super) enum Reply {
    /// To a handle that somebody may hold.
    Handle(Arc<HandleState>),
    /// To a stream of records, with the call's index.
    Stream { index: u64, records: mpsc::UnboundedSender<(u64, Record)> },
}

/// One call of a task.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) task: u64,
    pub(super) name: Arc<str>,
    pub(super) attempt: u32,
    pub(super) input: Bytes,
    pub(super) output: Output,
    pub(super) reply: Reply,
    /// The attempts that are left after this one fails.
    pub(super) retries: u32,
    /// The call's place among what may wait in the pool; free again once it runs.
    #[expect(dead_code, reason = "it is held, and its drop is what counts")]
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Calls that run one after the other in one fresh instance. Never empty.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) shape: Arc<CallShape>,
    pub(super) calls: Vec<Call>,
}

impl Call {
    /// Ends the call: its caller gets the record.
    pub(super) fn finish(self, record: Record) {
        if let Output::Stream(sink) = &self.output {
            sink.end(self.task, &self.name);
        }
        match self.reply {
            Reply::Handle(handle) => handle.finish(record),
            // A stream that was dropped wants no records.
            Reply::Stream { index, records } => drop(records.send((index, record))),
        }
    }

    /// The record of a call that never reached a worker.
    pub(super) fn record_without_worker(&self, outcome: crate::outcome::Outcome) -> Record {
        Record {
            task: self.task,
            name: self.name.to_string(),
            attempt: self.attempt,
            outcome,
            pid: None,
            wall_time: Duration::ZERO,
            cpu_time: Duration::ZERO,
            peak_memory_bytes: None,
            layers: Vec::new(),
            stdout: Bytes::new(),
            stderr: Bytes::new(),
            progress: None,
        }
    }
}
