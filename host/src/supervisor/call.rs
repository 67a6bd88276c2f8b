//! Calls and assignments: what the dispatcher moves, and how a call's end reaches its caller.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

use crate::directory::GrantedDir;
use crate::limits::{INLINE_BYTES_MAX, Limits};
use crate::net::GrantedNet;
use crate::os::memory_file::SealedFile;
use crate::outcome::{CancelledBy, Outcome, Record};
use crate::policy::{Layers, Policy};
use crate::protocol::worker::{Entry, Initializer};
use crate::retry::RetryPolicy;
use crate::shared_bytes::SharedBytes;
use crate::supervisor::artifact_store::Artifact;
use crate::supervisor::event::{ModuleSourceBytes, WorkerId};
use crate::supervisor::handle::HandleState;
use crate::supervisor::observer::Observer;
use crate::supervisor::output::Output;
use crate::supervisor::pool::{ChunkMail, StartMethod};
use crate::sync::Grant;
use crate::task::Stdin;

/// What the calls of one assignment have in common.
#[derive(Debug)]
pub(super) struct CallShape {
    pub(super) module: Arc<ModuleSourceBytes>,
    /// What the module offers, for the tasks that its tasks submit.
    pub(super) artifact: Arc<Artifact>,
    pub(super) kind: crate::module_info::ModuleKind,
    pub(super) entry: Entry,
    pub(super) initializer: Option<Initializer>,
    pub(super) limits: Limits,
    pub(super) policy: Policy,
    /// The directories that they may use, in order of their guest paths, each once.
    pub(super) dirs: Vec<GrantedDir>,
    /// The addresses that they may use, in order, each once.
    pub(super) nets: Vec<GrantedNet>,
    pub(super) start_method: StartMethod,
    /// That of the tasks that they submit.
    pub(super) nested_start_method: StartMethod,
    pub(super) argv: Vec<String>,
    pub(super) env: Vec<(String, String)>,
    pub(super) stdin: Stdin,
    /// The shared objects that they may use, by name, each once.
    pub(super) grants: Vec<Grant>,
    pub(super) priority: i32,
    /// What random numbers are made from, with clocks that are fixed.
    pub(super) deterministic: Option<u64>,
}

/// Where a call's record goes.
#[derive(Debug)]
pub(super) enum Reply {
    /// To a handle that somebody may hold.
    Handle(Arc<HandleState>),
    /// To a stream of records, with the call's index.
    Stream { index: u64, records: Arc<ChunkMail> },
    /// To the task that submitted it, in this worker.
    Nested { parent: WorkerId },
}

/// What the guest gets as its arguments.
#[derive(Clone, Debug)]
pub(super) enum Input {
    /// Small enough to travel in the start frame.
    Inline(Bytes),
    /// In a memory file, which the caller had or the caller's thread has filled: the dispatcher copies nothing.
    File(Arc<SealedFile>),
}

impl Input {
    /// Bytes of inputs that share one start frame.
    pub(super) const INLINE_BYTES_MAX: u64 = INLINE_BYTES_MAX as u64 / 2;

    pub(super) fn new(bytes: Bytes) -> std::io::Result<Self> {
        if bytes.len() as u64 <= Self::INLINE_BYTES_MAX {
            return Ok(Self::Inline(bytes));
        }
        Ok(Self::File(Arc::new(SealedFile::from_bytes("wasmpool-input", &bytes)?)))
    }

    /// What its caller shares, as it is.
    pub(super) fn shared(bytes: &SharedBytes) -> Self {
        if bytes.len() as u64 <= Self::INLINE_BYTES_MAX {
            return Self::Inline(Bytes::copy_from_slice(bytes));
        }
        Self::File(Arc::clone(bytes.file()))
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::File(file) => file.len(),
        }
    }
}

/// One call of a task.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) task: u64,
    pub(super) tag: Option<u64>,
    pub(super) name: Arc<str>,
    pub(super) attempt: u32,
    /// When this attempt began to wait.
    pub(super) queued_at: SystemTime,
    pub(super) input: Input,
    pub(super) output: Output,
    /// Taken when the call ends.
    pub(super) reply: Option<Reply>,
    /// Whether and when it is tried again.
    pub(super) retry: RetryPolicy,
    /// Workers that died with it.
    pub(super) deaths: u32,
    /// Its worker was killed before it began, for chaos.
    pub(super) was_shaken: bool,
    /// How many tasks stand above it that submitted it, one the other.
    pub(super) depth: u32,
    /// The call's place among what may wait in the pool; free again once it runs.
    pub(super) room: Option<OwnedSemaphorePermit>,
    /// Who watches it.
    pub(super) observer: Option<Arc<Observer>>,
}

/// Who gets a record.
#[derive(Debug)]
pub(super) struct Answer {
    task: u64,
    name: Arc<str>,
    output: Output,
    reply: Reply,
}

impl Answer {
    pub(super) fn give(self, record: Box<Record>) {
        if let Output::Stream(sink) = &self.output {
            sink.end(self.task, &self.name);
        }
        match self.reply {
            Reply::Handle(handle) => handle.finish(record),
            Reply::Stream { index, records } => {
                if let Some(mail) = records.put(index, *record) {
                    mail.ring();
                }
            }
            // The dispatcher answers those; one that is gone has no worker left that could ask.
            Reply::Nested { .. } => {}
        }
    }
}

/// Calls that run one after the other in one fresh instance. Never empty.
#[derive(Debug)]
pub(super) struct Assignment {
    pub(super) shape: Arc<CallShape>,
    pub(super) calls: Vec<Call>,
}

impl Call {
    /// True when its caller has the record already.
    pub(super) fn is_answered(&self) -> bool {
        self.reply.is_none()
    }

    /// The call, of which only its number stays behind, answered.
    pub(super) fn take(&mut self) -> Self {
        let left = Self {
            task: self.task,
            tag: None,
            name: Arc::clone(&self.name),
            attempt: self.attempt,
            queued_at: self.queued_at,
            input: Input::Inline(Bytes::new()),
            output: Output::Discard,
            reply: None,
            retry: self.retry,
            deaths: 0,
            was_shaken: false,
            depth: self.depth,
            room: None,
            observer: None,
        };
        std::mem::replace(self, left)
    }

    /// The call as it is tried again.
    pub(super) fn next_attempt(mut self, queued_at: SystemTime) -> Self {
        self.queued_at = queued_at;
        self.attempt += 1;
        self.was_shaken = false;
        self
    }

    /// Ends the call: its caller gets the record, by way of its observer, who is woken with the dispatcher's turn.
    pub(super) fn finish(mut self, record: Box<Record>) {
        self.answer(record);
    }

    /// Ends the call on another thread than the dispatcher's.
    pub(super) fn finish_here(mut self, record: Box<Record>) {
        self.answer(record);
        self.observer.iter().for_each(|observer| observer.wake());
    }

    fn answer(&mut self, record: Box<Record>) {
        let Some(reply) = self.reply.take() else { return };
        let output = std::mem::replace(&mut self.output, Output::Discard);
        let answer = Answer { task: self.task, name: Arc::clone(&self.name), output, reply };
        match &self.observer {
            Some(observer) => observer.last(record, answer),
            None => answer.give(record),
        }
    }

    /// The record of a call that never reached a worker.
    pub(super) fn record_without_worker(&self, outcome: Outcome) -> Box<Record> {
        Box::new(Record {
            task: self.task,
            tag: self.tag,
            name: Arc::clone(&self.name),
            attempt: self.attempt,
            outcome,
            pid: None,
            worker: None,
            queued_at: self.queued_at,
            started_at: None,
            wall_time: Duration::ZERO,
            cpu_time: Duration::ZERO,
            peak_memory_bytes: None,
            layers: Layers::default(),
            stdout: Bytes::new(),
            stderr: Bytes::new(),
            progress: None,
            leaks: Vec::new(),
            chaos: false,
        })
    }
}

impl Drop for Call {
    /// Nobody waits for ever: a call that is lost with its dispatcher still gets an outcome.
    fn drop(&mut self) {
        if self.reply.is_some() {
            let record = self.record_without_worker(Outcome::Cancelled(CancelledBy::Shutdown));
            self.answer(record);
            self.observer.iter().for_each(|observer| observer.wake());
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A call that nobody waits for.
    pub(in crate::supervisor) fn call(task: u64) -> Call {
        Call {
            task,
            tag: None,
            name: "call".into(),
            attempt: 1,
            queued_at: SystemTime::UNIX_EPOCH,
            input: Input::Inline(Bytes::new()),
            output: Output::Discard,
            reply: None,
            retry: RetryPolicy::default(),
            deaths: 0,
            was_shaken: false,
            depth: 0,
            room: None,
            observer: None,
        }
    }
}
