//! What a job log says of the runs before: a pure function of its bytes.
//!
//! A log may end anywhere, because its writer may have been killed anywhere. Everything up to the last newline counts;
//! what follows is a record that was never whole, and is cut off before anything is appended. What is kept in
//! memory is a key and two counts for each different task that has ended.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use serde::Deserialize;

use super::key::Key;
use super::record::VERSION;
use crate::exit_code;
use crate::limits::JOBLOG_RECORD_BYTES_MAX;

/// How often tasks of one key have ended, by result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Done {
    succeeded: u32,
    failed: u32,
    /// Of the last failure.
    exit_code: u8,
}

/// Why a file is no job log that can be gone on with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecoverError {
    /// Something else stands where a record should.
    #[error("line {line} is no record of a job log: {reason}")]
    NoRecord {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// Another version of the format.
    #[error("it has version {0} of the format, this program writes version {VERSION}")]
    Version(u32),
}

/// What earlier runs left, read piece by piece.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    line: Vec<u8>,
    lines: u64,
    whole_bytes: u64,
    runs: u32,
    shapes: u32,
    modules: Vec<(String, String)>,
    done: HashMap<Key, Done>,
    /// Attempts without an end.
    open: HashMap<Key, u32>,
    succeeded: u64,
    failed: u64,
}

/// The fields that recovery looks at; every record has some of them.
#[derive(Deserialize)]
struct Fields<'a> {
    joblog: Option<u32>,
    #[serde(default)]
    retry_failed: bool,
    shape: Option<u32>,
    #[serde(borrow)]
    module_path: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    module_sha256: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow)]
    outcome: Option<std::borrow::Cow<'a, str>>,
    exit_code: Option<u8>,
    started_at: Option<f64>,
    retry_ms: Option<u64>,
    daemon: Option<u64>,
}

impl Recovery {
    /// Reads on.
    ///
    /// # Errors
    ///
    /// At a whole line that is no record.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), RecoverError> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (piece, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            self.lines += 1;
            self.take(piece)?;
            let line = std::mem::take(&mut self.line);
            self.record(&line)?;
            self.whole_bytes += line.len() as u64 + 1;
            self.line = line;
            self.line.clear();
        }
        self.take(bytes)
    }

    /// A piece of the line that is being read.
    fn take(&mut self, piece: &[u8]) -> Result<(), RecoverError> {
        if self.line.len() + piece.len() > 2 * JOBLOG_RECORD_BYTES_MAX {
            let reason = "it is longer than any record".to_owned();
            return Err(RecoverError::NoRecord { line: self.lines.max(1), reason });
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn record(&mut self, line: &[u8]) -> Result<(), RecoverError> {
        let number = self.lines;
        let wrong = |reason: String| RecoverError::NoRecord { line: number, reason };
        let fields: Fields<'_> = serde_json::from_slice(line).map_err(|error| wrong(error.to_string()))?;
        match fields.joblog {
            Some(VERSION) => {
                self.run_began(fields.retry_failed);
                return Ok(());
            }
            Some(version) => return Err(RecoverError::Version(version)),
            None if self.runs == 0 => {
                return Err(wrong("the first record of a log says `joblog`".to_owned()));
            }
            None => {}
        }
        if let Some(digest) = fields.module_sha256 {
            self.shapes = self.shapes.max(fields.shape.unwrap_or(0));
            let module = (fields.module_path.unwrap_or_default().into_owned(), digest.into_owned());
            if !self.modules.contains(&module) {
                self.modules.push(module);
            }
            return Ok(());
        }
        if fields.daemon.is_some() {
            // It begins again with every run.
            return Ok(());
        }
        let Some(key) = fields.key else {
            // An input that never became a task is looked at again.
            return if fields.outcome.is_some() { Ok(()) } else { Err(wrong("it has no key".to_owned())) };
        };
        let key = Key::parse(&key).ok_or_else(|| wrong(format!("`{key}` is no key")))?;
        let Some(outcome) = fields.outcome else {
            *self.open.entry(key).or_default() += 1;
            return Ok(());
        };
        if fields.started_at.is_some() {
            self.closed(key);
        }
        let code = fields.exit_code.ok_or_else(|| wrong("an end without an exit code".to_owned()))?;
        if fields.retry_ms.is_none() && is_end(&outcome, code) {
            self.ended(key, code);
        }
        Ok(())
    }

    /// What was cut off before runs again now; so does what failed, if this run was told to.
    fn run_began(&mut self, retry_failed: bool) {
        self.runs += 1;
        self.open.clear();
        if retry_failed {
            self.retry_failed();
        }
    }

    /// Forgets what failed.
    pub fn retry_failed(&mut self) {
        self.failed = 0;
        self.done.retain(|_, done| {
            done.failed = 0;
            done.succeeded > 0
        });
    }

    fn closed(&mut self, key: Key) {
        if let Some(open) = self.open.get_mut(&key) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&key);
            }
        }
    }

    fn ended(&mut self, key: Key, code: u8) {
        let done = self.done.entry(key).or_default();
        if code == exit_code::SUCCESS {
            done.succeeded += 1;
            self.succeeded += 1;
        } else {
            done.failed += 1;
            done.exit_code = code;
            self.failed += 1;
        }
    }

    /// Takes one finished task of this key out: its exit code.
    pub fn take_done(&mut self, key: Key) -> Option<u8> {
        let done = self.done.get_mut(&key)?;
        let code = if done.succeeded > 0 {
            done.succeeded -= 1;
            exit_code::SUCCESS
        } else {
            done.failed = done.failed.checked_sub(1)?;
            done.exit_code
        };
        if done.succeeded + done.failed == 0 {
            self.done.remove(&key);
        }
        Some(code)
    }

    /// Bytes up to the end of the last whole record.
    #[must_use]
    pub fn whole_bytes(&self) -> u64 {
        self.whole_bytes
    }

    /// Bytes of a record that was never whole.
    #[must_use]
    pub fn torn_bytes(&self) -> u64 {
        self.line.len() as u64
    }

    /// Tasks that ended, successfully or not.
    #[must_use]
    pub fn finished(&self) -> u64 {
        self.succeeded + self.failed
    }

    /// Tasks that ended otherwise than successfully.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Attempts that were cut off.
    #[must_use]
    pub fn cut_off(&self) -> u64 {
        self.open.values().map(|open| u64::from(*open)).sum()
    }

    /// Earlier runs.
    #[must_use]
    pub fn runs(&self) -> u32 {
        self.runs
    }

    /// The highest number of a shape.
    #[must_use]
    pub fn shapes(&self) -> u32 {
        self.shapes
    }

    /// The modules of its tasks: each as it was named, and the SHA-256 of its bytes.
    #[must_use]
    pub fn modules(&self) -> &[(String, String)] {
        &self.modules
    }
}

/// Whether a task that ended like this has had its turn. One that was stopped, or could not be started for a reason
/// that is not its own, has not.
fn is_end(outcome: &str, code: u8) -> bool {
    match outcome {
        "cancelled" => false,
        "not_run" => code != exit_code::DEPENDENCY_FAILED,
        "start_failed" => {
            !matches!(code, exit_code::NOT_SET_UP | exit_code::FORK_SERVER_LOST | exit_code::VERSION_MISMATCH)
        }
        _ => true,
    }
}

/// What a log of these bytes says.
///
/// # Errors
///
/// At a whole line that is no record.
pub fn recover(bytes: &[u8]) -> Result<Recovery, RecoverError> {
    let mut recovery = Recovery::default();
    recovery.feed(bytes)?;
    Ok(recovery)
}

#[cfg(test)]
#[path = "recover_tests.rs"]
mod tests;
