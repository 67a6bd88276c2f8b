//! The job log of a batch: what ran, what it could touch, and how it ended, so that what is left can be run later.
//!
//! ```text
//!  inputs --admit--> tasks to run --> pool --attempt events--> observe --> file
//!            \--> kept: finished in an earlier run
//! ```
//!
//! An end is in the file before anybody else gets the record: the pool's observer writes it ([`Watcher`]), and records go through the
//! observer. [`key`], [`record`], [`recover`] and [`replay`] are pure.

#![forbid(unsafe_code)]

pub mod key;
pub mod record;
pub mod recover;
pub mod replay;
mod writer;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use self::key::{Key, sha256};
use self::record::{
    Entry, Origin, PARALLEL_HEADER, RunInfo, Start, arguments, end_line, parallel_line, run_line, shape_line,
    start_line,
};
use self::recover::Recovery;
use self::writer::Writer;
pub use self::writer::{JobLogError, Sync};
use crate::batch::drive::{Ended, Ending};
use crate::batch::watchers::Watcher;
use crate::limits::JOBLOG_RECORD_BYTES_MAX;
use crate::outcome::{Outcome, Record, TaskValue};
use crate::{AttemptEvent, Task, TaskDescription};

/// What a job log looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// JSON Lines, a record for each start and each end.
    #[default]
    Jsonl,
    /// The columns of GNU parallel, a line for each task.
    Parallel,
}

/// How a job log is kept.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// What it looks like.
    pub format: Format,
    /// When it is pushed to the disk.
    pub sync: Sync,
    /// Go on with what is there.
    pub resume: bool,
    /// What this run is.
    pub run: RunInfo,
}

/// Renders the line of `--format jsonl` for an end.
pub type Render = fn(&Ended, bool) -> Vec<u8>;

/// What is to become of an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It runs.
    Run,
    /// It was finished in an earlier run, with this exit code.
    Kept(u8),
}

/// What earlier runs left, for a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Runs that wrote the log.
    pub runs: u32,
    /// Tasks that are finished.
    pub finished: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Attempts that were cut off.
    pub cut_off: u64,
    /// Bytes of a torn record that were cut off.
    pub torn_bytes: u64,
}

/// A job log that is being written. Its file is locked as long as this lives.
#[derive(Debug)]
pub struct JobLog {
    format: Format,
    /// Whether records carry captured output.
    with_output: bool,
    render: Render,
    state: Mutex<State>,
    failure: watch::Sender<Option<String>>,
}

/// Whose number it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kind {
    Input,
    Daemon,
}

#[derive(Debug)]
struct State {
    writer: Writer,
    recovery: Recovery,
    shapes: HashMap<String, u32>,
    last_shape: u32,
    /// What is on its way, by its number.
    entries: HashMap<(Kind, u64), Entry>,
}

impl JobLog {
    /// Opens the log and writes that a run begins. `modules`: each as it is named, with the SHA-256 of its bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or written, is there already and `resume` is not set, is written by somebody else,
    /// or is no job log; when a module is another one than it was.
    pub fn open(
        path: &Path,
        settings: Settings,
        modules: &[(&str, String)],
        render: Render,
    ) -> Result<(Self, Left), JobLogError> {
        let Settings { format, sync, resume, run } = settings;
        let (mut writer, mut recovery) = Writer::open(path, sync, resume)?;
        let left = Left {
            runs: recovery.runs(),
            finished: recovery.finished(),
            failed: recovery.failed(),
            cut_off: recovery.cut_off(),
            torn_bytes: recovery.torn_bytes(),
        };
        for (module, digest) in modules {
            check_module(writer.path(), &recovery, module, digest)?;
        }
        if run.retry_failed {
            recovery.retry_failed();
        }
        match format {
            Format::Jsonl => writer.append(&run_line(&run, std::process::id(), SystemTime::now()))?,
            Format::Parallel => writer.append(PARALLEL_HEADER.as_bytes())?,
        }
        let last_shape = recovery.shapes();
        let (shapes, entries) = (HashMap::new(), HashMap::new());
        let state = Mutex::new(State { writer, recovery, shapes, last_shape, entries });
        let failure = watch::Sender::new(None);
        Ok((Self { format, with_output: false, render, state, failure }, left))
    }

    /// Whether records carry captured output. They do not by default.
    #[must_use]
    pub fn with_output(mut self, with_output: bool) -> Self {
        self.with_output = with_output;
        self
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the input of this number runs. The task's tag is to be the same number.
    pub fn admit(&self, seq: u64, task: &Task, origin: &Origin) -> Admission {
        // One that cannot be described is refused by the pool, and has no key.
        let Ok(description) = task.describe() else { return Admission::Run };
        let key = Key::of(&description, &origin.stdin);
        let mut state = self.state();
        if let Some(code) = state.recovery.take_done(key) {
            return Admission::Kept(code);
        }
        self.expect(&mut state, Kind::Input, seq, key, &description, origin);
        Admission::Run
    }

    /// Expects a daemon: a task that runs beside the batch. Its tag is to be this number, and its pool is to be watched by
    /// [`DaemonLog`]. It is never kept: it begins again with each run.
    pub fn daemon(&self, number: u64, task: &Task, origin: &Origin) {
        if let (Ok(description), Format::Jsonl) = (task.describe(), self.format) {
            let key = Key::of(&description, &origin.stdin);
            self.expect(&mut self.state(), Kind::Daemon, number, key, &description, origin);
        }
    }

    fn expect(
        &self,
        state: &mut State,
        kind: Kind,
        seq: u64,
        key: Key,
        description: &TaskDescription,
        origin: &Origin,
    ) {
        let shape = match self.format {
            Format::Jsonl => self.shape(state, |shape| shape_line(description, origin, shape)),
            Format::Parallel => 0,
        };
        let (is_daemon, arguments) = (kind == Kind::Daemon, arguments(description));
        state.entries.insert((kind, seq), Entry { seq, is_daemon, key, shape, arguments });
    }

    /// The number of a shape; its record is written when it is the first task's.
    fn shape(&self, state: &mut State, line: impl Fn(Option<u32>) -> Vec<u8>) -> u32 {
        let digest = sha256(&line(None));
        if let Some(shape) = state.shapes.get(&digest) {
            return *shape;
        }
        state.last_shape += 1;
        let shape = state.last_shape;
        state.shapes.insert(digest, shape);
        self.append(state, &line(Some(shape)));
        shape
    }

    fn append(&self, state: &mut State, record: &[u8]) {
        if let Err(error) = state.writer.append(record) {
            self.failure.send_replace(Some(error.to_string()));
        }
    }

    /// Writes what happened to an attempt.
    fn observe(&self, kind: Kind, event: &AttemptEvent) {
        match event {
            AttemptEvent::Started { tag: Some(seq), name, attempt, pid, worker, at, .. } => {
                let mut state = self.state();
                let entry = state.entries.get(&(kind, *seq));
                let Some(entry) = entry.filter(|_| self.format == Format::Jsonl) else { return };
                let start = Start { name, attempt: *attempt, pid: *pid, worker: *worker, at: *at };
                let line = start_line(entry, start);
                self.append(&mut state, &line);
            }
            AttemptEvent::Ended { record, retry } => {
                if let Some(seq) = record.tag {
                    self.ended(kind, seq, record, *retry);
                }
            }
            AttemptEvent::Started { .. } | AttemptEvent::Progress { .. } => {}
        }
    }

    fn ended(&self, kind: Kind, seq: u64, record: &Record, retry: Option<Duration>) {
        let mut state = self.state();
        let entry = match retry {
            Some(_) => state.entries.get(&(kind, seq)).cloned(),
            None => state.entries.remove(&(kind, seq)),
        };
        if kind == Kind::Daemon && entry.is_none() {
            return;
        }
        let line = match self.format {
            Format::Jsonl => self.end_line(seq, record, entry.as_ref(), retry),
            Format::Parallel if retry.is_some() => return,
            Format::Parallel => {
                let arguments = entry.map(|entry| entry.arguments).unwrap_or_default();
                let command = format!("{} {arguments}", record.name);
                parallel_line(seq, record, arguments.len(), &command)
            }
        };
        self.append(&mut state, &line);
    }

    /// The record of an end; without the value and the output when they are larger than a record may be.
    fn end_line(&self, seq: u64, record: &Record, entry: Option<&Entry>, retry: Option<Duration>) -> Vec<u8> {
        let of = |record: Record, with_output| {
            let ended = Ended { seq, name: Arc::clone(&record.name), ending: Ending::Ran(Box::new(record)) };
            end_line(&(self.render)(&ended, with_output), entry, retry)
        };
        let whole_bytes = match &record.outcome {
            Outcome::Succeeded(value) => value.bytes().len(),
            _ => 0,
        } + if self.with_output { record.stdout.len() + record.stderr.len() } else { 0 };
        if whole_bytes <= JOBLOG_RECORD_BYTES_MAX {
            let line = of(record.clone(), self.with_output);
            if line.len() <= JOBLOG_RECORD_BYTES_MAX {
                return line;
            }
        }
        let mut short = record.clone();
        if let Outcome::Succeeded(value) = &record.outcome {
            let told =
                serde_json::json!({ "omitted_bytes": value.bytes().len(), "sha256": sha256(value.bytes()) });
            short.outcome =
                Outcome::Succeeded(TaskValue::new(crate::outcome::Encoding::Json, told.to_string().into()));
        }
        of(short, false)
    }

    /// Pushes the last records to the disk, as far as that was asked for.
    pub fn finish(&self) {
        self.state().writer.finish();
    }

    /// True once a record could not be written. Nothing is written after that.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.state().writer.is_broken()
    }

    /// Waits until a record cannot be written: why.
    pub async fn failed(&self) -> String {
        let mut failure = self.failure.subscribe();
        let failed = failure.wait_for(Option::is_some).await;
        failed.ok().and_then(|failed| failed.clone()).unwrap_or_default()
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.state().writer.path().to_owned()
    }
}

impl Watcher for JobLog {
    /// Writes what happened to an attempt.
    fn attempt(&self, event: &AttemptEvent) {
        self.observe(Kind::Input, event);
    }

    /// Writes that an input never became a task.
    fn unrun(&self, ended: &Ended) {
        if self.format == Format::Jsonl {
            let line = end_line(&(self.render)(ended, false), None, None);
            self.append(&mut self.state(), &line);
        }
    }
}

/// A job log as it watches the daemons of a batch.
#[derive(Clone, Debug)]
pub struct DaemonLog(pub Arc<JobLog>);

impl Watcher for DaemonLog {
    fn attempt(&self, event: &AttemptEvent) {
        self.0.observe(Kind::Daemon, event);
    }
}

/// A module is to be the one that earlier runs ran under its name.
fn check_module(path: &Path, recovery: &Recovery, module: &str, digest: &str) -> Result<(), JobLogError> {
    let mut known = recovery.modules().iter().filter(|(name, _)| name == module).map(|(_, digest)| digest);
    let Some(before) = known.next_back() else { return Ok(()) };
    if before == digest {
        return Ok(());
    }
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    let (module, before, now) = (module.to_owned(), short(before), short(digest));
    Err(JobLogError::ModuleChanged { path: path.to_owned(), module, before, now })
}

/// The SHA-256 of a file in hexadecimal, for [`Origin::stdin`].
///
/// # Errors
///
/// When it cannot be read.
pub fn digest_of_file(path: &Path) -> std::io::Result<String> {
    key::sha256_of(std::fs::File::open(path)?)
}
