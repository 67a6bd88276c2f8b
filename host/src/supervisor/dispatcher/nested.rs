//! Tasks that tasks submit: of their own module, to their own pool, with their own limits and grants.
//!
//! A nested task belongs to the attempt that submitted it. When that is over, what is left of its nested tasks
//! is cancelled: nobody could see their end any more.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::Dispatcher;
use crate::limits::{
    INLINE_BYTES_MAX, MESSAGE_BYTES_MAX, NESTED_DEPTH_MAX, NESTED_FILES_MAX, NESTED_TASKS_MAX,
    WAITING_TASKS_MAX,
};
use crate::module_info::ModuleInfo;
use crate::os::memory_file::SealedFile;
use crate::outcome::{CancelledBy, Limit, LimitKind, Outcome, Record};
use crate::protocol::worker::{Body, Entry, JoinFailure, Reply};
use crate::retry::RetryPolicy;
use crate::supervisor::call::{Assignment, Call, CallShape, Input, Reply as CallReply};
use crate::supervisor::event::{Stop, WorkerId};
use crate::supervisor::output::Output;
use crate::supervisor::scheduler::Rank;
use crate::supervisor::timers::Timer;
use crate::supervisor::worker_handle::Nested;
use crate::task::Stdin;

/// When a worker that had no room for an answer is answered again.
const LATE_REPLY_TIME: Duration = Duration::from_millis(5);

impl Dispatcher {
    /// The number of the new task, or why it was not taken. An error is a worker that lies.
    pub(super) fn submit_nested(
        &mut self,
        worker: WorkerId,
        export: String,
        args: Body,
        descriptors: Vec<OwnedFd>,
    ) -> Result<Result<u64, String>, String> {
        let Some(entry) = self.workers.get_mut(&worker) else { return Ok(Err(String::new())) };
        let (pool, outstanding, held) = (entry.pool, entry.nested.len(), bytes_held(&entry.nested));
        let Some(running) = entry.running() else { return Ok(Err(String::new())) };
        let input = match input(args, descriptors)? {
            Ok(input) => input,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (length, limit) = (input.len(), running.shape.limits.argument_bytes);
        if length > limit {
            return Ok(Err(format!("the arguments have {length} bytes, more than the limit of {limit}")));
        }
        let (shape, stopping) =
            (Arc::clone(&running.shape), running.intent.is_some() || running.asked.is_some());
        let Some(parent) = running.call() else {
            return Ok(Err("its caller is gone".to_owned()));
        };
        let (depth, observer) = (parent.depth + 1, parent.observer.clone());
        let output = match &parent.output {
            Output::Stream(sink) => Output::Stream(sink.clone()),
            Output::Capture | Output::Discard => Output::Discard,
        };
        if held.saturating_add(length) > limit {
            let reason =
                format!("arguments and results of its submitted tasks would be more than {limit} bytes");
            return Ok(Err(reason));
        }
        let file = matches!(input, Input::File(_));
        if file && self.nested_files() >= NESTED_FILES_MAX {
            return Ok(Err(format!(
                "{NESTED_FILES_MAX} submitted tasks have large arguments, as many as may"
            )));
        }
        let waiting = self.pools.get(&pool).map_or(0, |pool| pool.waiting.len());
        if let Some(refusal) = refusal(stopping || self.ending, depth, outstanding, waiting) {
            return Ok(Err(refusal));
        }
        let (name, callee) = match callee(&shape.artifact.info, &export) {
            Ok(found) => found,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (shape, task) = (Arc::new(nested_shape(&shape, callee)), self.inbox.new_task());
        let reply = Some(CallReply::Nested { parent: worker });
        let call = Call {
            task,
            tag: None,
            name: name.into(),
            attempt: 1,
            queued_at: SystemTime::now(),
            input,
            output,
            reply,
            retry: RetryPolicy::default(),
            deaths: 0,
            was_shaken: false,
            depth,
            room: None,
            observer,
        };
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.nested.insert(task, Nested::Outstanding { join: None, bytes: length, file });
        }
        if let Some(pool) = self.pools.get_mut(&pool) {
            pool.outstanding += 1;
        }
        let rank = Rank::new(shape.priority, self.new_id()).nested(depth);
        self.enqueue(pool, rank, Assignment { shape, calls: vec![call] });
        self.pump(pool);
        Ok(Ok(task))
    }

    /// Submitted tasks whose arguments keep a descriptor open.
    fn nested_files(&self) -> usize {
        let nested = self.workers.values().flat_map(|entry| entry.nested.values());
        nested.filter(|state| matches!(state, Nested::Outstanding { file: true, .. })).count()
    }

    /// Answers when the task has ended.
    pub(super) fn join_nested(&mut self, worker: WorkerId, request: u64, task: u64) {
        let Some(entry) = self.workers.get_mut(&worker) else { return };
        match entry.nested.get_mut(&task) {
            Some(Nested::Outstanding { join, .. }) => *join = Some(request),
            Some(Nested::Ended(_)) => {
                if let Some(Nested::Ended(record)) = entry.nested.remove(&task) {
                    self.joined(worker, task, request, record);
                }
            }
            Some(Nested::Late { .. }) | None => {
                self.reply(worker, request, Reply::Joined(Err(JoinFailure::NotFound)), None);
            }
        }
    }

    pub(super) fn cancel_nested(&mut self, worker: WorkerId, task: u64) {
        let entry = self.workers.get(&worker);
        if entry.is_some_and(|entry| matches!(entry.nested.get(&task), Some(Nested::Outstanding { .. }))) {
            self.stop_task(task, Stop::Interrupt, CancelledBy::Caller);
        }
    }

    /// A nested task ended: whoever submitted it is told, now or when it asks.
    pub(super) fn nested_ended(&mut self, parent: WorkerId, task: u64, record: Box<Record>) {
        let Some(entry) = self.workers.get_mut(&parent) else { return };
        match entry.nested.remove(&task) {
            Some(Nested::Outstanding { join: Some(request), .. }) => {
                self.joined(parent, task, request, record)
            }
            Some(Nested::Outstanding { join: None, .. }) => {
                let held = bytes_held(&entry.nested);
                let limit = entry.running().map_or(0, |running| running.shape.limits.result_bytes);
                let record = within(record, held, limit);
                entry.nested.insert(task, Nested::Ended(record));
            }
            // Its submitter is over, and something else runs in that worker.
            Some(Nested::Ended(_) | Nested::Late { .. }) | None => {}
        }
    }

    /// Answers the workers that had no room for an answer.
    pub(super) fn answer_late(&mut self) {
        self.answers_late = false;
        let mut late = Vec::new();
        for (worker, entry) in &mut self.workers {
            let tasks = entry.nested.iter().filter(|(_, state)| matches!(state, Nested::Late { .. }));
            let tasks: Vec<u64> = tasks.map(|(task, _)| *task).collect();
            for task in tasks {
                if let Some(Nested::Late { join, record }) = entry.nested.remove(&task) {
                    late.push((*worker, task, join, record));
                }
            }
        }
        for (worker, task, join, record) in late {
            self.joined(worker, task, join, record);
        }
    }

    /// Tells how a submitted task ended; later, if there is no room for it now.
    fn joined(&mut self, worker: WorkerId, task: u64, request: u64, record: Box<Record>) {
        if self.tell_joined(worker, request, &record) {
            return;
        }
        if let Some(entry) = self.workers.get_mut(&worker) {
            entry.nested.insert(task, Nested::Late { join: request, record });
            // One deadline for all of them: each would set as many again.
            if !std::mem::replace(&mut self.answers_late, true) {
                self.timers.set(Instant::now() + LATE_REPLY_TIME, Timer::LateReplies);
            }
        }
    }

    /// False when there is no room for the answer.
    fn tell_joined(&self, worker: WorkerId, request: u64, record: &Record) -> bool {
        let (bytes, kept) = match &record.outcome {
            Outcome::Succeeded(value) => (value.bytes().clone(), value.kept()),
            Outcome::Exited(0) => (Bytes::from_static(b"null"), None),
            outcome => {
                let mut message = outcome.to_string();
                message.truncate(message.floor_char_boundary(MESSAGE_BYTES_MAX));
                let failure = JoinFailure::Ended { exit_code: outcome.exit_code(), message };
                return self.try_reply(worker, request, Reply::Joined(Err(failure)), None);
            }
        };
        if bytes.len() <= INLINE_BYTES_MAX {
            return self.try_reply(worker, request, Reply::Joined(Ok(Body::Inline(bytes.to_vec()))), None);
        }
        let file = match kept {
            Some(shared) => Ok(Arc::clone(shared.file())),
            None => SealedFile::from_bytes("wasmpool-nested-result", &bytes).map(Arc::new),
        };
        match file {
            Ok(file) => {
                let body = Body::Memory { length: file.len() };
                self.try_reply(worker, request, Reply::Joined(Ok(body)), Some(file.as_fd()))
            }
            Err(error) => {
                let message = format!("its result cannot be stored: {error}");
                let failure = JoinFailure::Ended { exit_code: crate::exit_code::NOT_SET_UP, message };
                self.try_reply(worker, request, Reply::Joined(Err(failure)), None)
            }
        }
    }

    /// The attempt that submitted them is over.
    pub(super) fn end_nested(&mut self, nested: BTreeMap<u64, Nested>) {
        for (task, state) in nested {
            if matches!(state, Nested::Outstanding { .. }) {
                self.stop_task(task, Stop::Interrupt, CancelledBy::Caller);
            }
        }
    }
}

/// The function of that name in the module.
fn callee(info: &ModuleInfo, name: &str) -> Result<(String, Entry), String> {
    if let Some(task) = info.tasks.iter().find(|task| task.name == name || task.export == name) {
        let entry = Entry::Task { export: task.export.clone(), result: task.result };
        return Ok((task.name.clone(), entry));
    }
    if info.exports.iter().any(|export| export.name == name) {
        return Ok((name.to_owned(), Entry::Export { name: name.to_owned() }));
    }
    let tasks: Vec<&str> = info.tasks.iter().map(|task| task.name.as_str()).collect();
    Err(format!("the module has no task `{name}`; its tasks are {}", tasks.join(", ")))
}

/// Bytes that the supervisor keeps for the tasks that one attempt submitted: arguments, and results that it has not asked
/// for.
fn bytes_held(nested: &BTreeMap<u64, Nested>) -> u64 {
    let bytes = |state: &Nested| match state {
        Nested::Outstanding { bytes, .. } => *bytes,
        Nested::Ended(record) | Nested::Late { record, .. } => match &record.outcome {
            Outcome::Succeeded(value) => value.bytes().len() as u64,
            _ => 0,
        },
    };
    nested.values().map(bytes).sum()
}

/// The record, without its value if that is more than may be kept until it is asked for, and without the backtrace, which
/// whoever asks is not told.
fn within(mut record: Box<Record>, held: u64, limit: u64) -> Box<Record> {
    if let Outcome::Trapped(trap) | Outcome::LimitExceeded(Limit { trap: Some(trap), .. }) =
        &mut record.outcome
    {
        trap.backtrace = Vec::new();
    }
    if let Outcome::Succeeded(value) = &record.outcome
        && held.saturating_add(value.bytes().len() as u64) > limit
    {
        let detail = format!("results that were not joined would be more than {limit} bytes");
        record.outcome = Outcome::LimitExceeded(Limit { kind: LimitKind::Result, detail, trap: None });
    }
    record
}

/// Why no further task is taken.
fn refusal(stopping: bool, depth: u32, outstanding: usize, waiting: usize) -> Option<String> {
    if stopping {
        return Some("the task is being stopped".to_owned());
    }
    if depth > NESTED_DEPTH_MAX {
        return Some(format!("tasks may submit tasks at most {NESTED_DEPTH_MAX} deep"));
    }
    if outstanding >= NESTED_TASKS_MAX {
        return Some(format!(
            "it has {NESTED_TASKS_MAX} submitted tasks that it has not joined, as many as it may"
        ));
    }
    let over = waiting >= 2 * WAITING_TASKS_MAX;
    over.then(|| format!("{waiting} tasks wait in the pool, as many as may"))
}

/// What a nested task shares with the one that submitted it: everything but what is called.
fn nested_shape(parent: &CallShape, entry: Entry) -> CallShape {
    CallShape {
        module: Arc::clone(&parent.module),
        artifact: Arc::clone(&parent.artifact),
        kind: parent.kind,
        entry,
        initializer: parent.initializer.clone(),
        limits: parent.limits.clone(),
        policy: parent.policy.clone(),
        dirs: parent.dirs.clone(),
        nets: parent.nets.clone(),
        start_method: parent.nested_start_method,
        nested_start_method: parent.nested_start_method,
        argv: parent.argv.clone(),
        env: parent.env.clone(),
        stdin: Stdin::Empty,
        grants: parent.grants.clone(),
        priority: parent.priority,
        deterministic: parent.deterministic,
    }
}

/// The arguments that a worker sent. What lies in memory is sealed, and stays where it is. The inner error refuses
/// the task; the outer one is a worker that lies.
fn input(args: Body, descriptors: Vec<OwnedFd>) -> Result<Result<Input, String>, String> {
    match args {
        Body::Inline(bytes) => {
            Ok(Input::new(bytes.into()).map_err(|error| format!("its arguments cannot be stored: {error}")))
        }
        Body::Memory { length } => {
            let fd = descriptors.into_iter().next().ok_or("its arguments came without their memory file")?;
            let file =
                SealedFile::seal(fd).map_err(|error| format!("its arguments cannot be sealed: {error}"))?;
            if file.len() != length {
                return Err(format!("its arguments have {} bytes, it said {length}", file.len()));
            }
            Ok(Ok(Input::File(Arc::new(file))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_the_limit_is() {
        assert_eq!(refusal(false, NESTED_DEPTH_MAX, 0, 0), None);
        assert!(refusal(false, NESTED_DEPTH_MAX + 1, 0, 0).unwrap().contains("8 deep"));
        assert!(refusal(false, 1, NESTED_TASKS_MAX, 0).unwrap().contains("1024"));
        assert!(refusal(true, 1, 0, 0).unwrap().contains("being stopped"));
        assert!(refusal(false, 1, 0, 2 * WAITING_TASKS_MAX).unwrap().contains("20000"));
    }

    #[test]
    fn arguments_of_another_length_are_refused() {
        assert_eq!(input(Body::Inline(vec![0; 10]), Vec::new()).unwrap().unwrap().len(), 10);
        let fd = || OwnedFd::from(crate::os::memory_file::create("test").unwrap());
        assert!(input(Body::Memory { length: 1 }, vec![fd()]).is_err());
        assert!(input(Body::Memory { length: 0 }, vec![fd()]).is_ok());
        assert!(input(Body::Memory { length: 0 }, Vec::new()).is_err());
    }
}
