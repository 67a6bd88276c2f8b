//! What a person or a program reads: records, module descriptions and the state of the machine as text.
//!
//! Everything here is a pure function from values to bytes; who writes them where is the caller's
//! business. Whatever a guest said is hostile until it went through [`terminal`].

#![forbid(unsafe_code)]

pub mod doctor;
pub mod human;
pub mod inspect;
pub mod json_lines;
pub mod lines;
pub mod summary;
pub mod terminal;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::batch::BadInput;
use crate::exit_code;
use crate::outcome::{Encoding, Outcome, Record, TaskValue};

/// One input of a batch at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Ended {
    /// Its number among the inputs, from 1.
    pub seq: u64,
    /// The task's name.
    pub name: String,
    /// How it ended.
    pub ending: Ending,
}

/// How an input of a batch ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Ending {
    /// It became a task, and this is its record.
    Ran(Box<Record>),
    /// It never became a task.
    Bad(BadInput),
}

impl Ended {
    /// The exit code that `wasmpool run` would end with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match &self.ending {
            Ending::Ran(record) => record.outcome.exit_code(),
            Ending::Bad(_) => exit_code::USAGE,
        }
    }

    /// True for a task that returned or exited with 0.
    #[must_use]
    pub fn is_success(&self) -> bool {
        matches!(&self.ending, Ending::Ran(record) if record.outcome.is_success())
    }
}

/// Why the outcome is no success, in one line that is safe to print.
#[must_use]
pub fn reason(outcome: &Outcome) -> String {
    terminal::one_line(&outcome.to_string())
}

/// The value's JSON on one line; `None` for raw bytes and for what a guest only claims to be JSON.
#[must_use]
pub fn json_of(value: &TaskValue) -> Option<Cow<'_, RawValue>> {
    if value.encoding() == Encoding::Raw {
        return None;
    }
    let json: &RawValue = serde_json::from_slice(value.bytes()).ok()?;
    if !json.get().contains(['\n', '\r']) {
        return Some(Cow::Borrowed(json));
    }
    // Inside a JSON string they would be written `\n` and `\r`, so these stand between tokens.
    RawValue::from_string(json.get().replace(['\n', '\r'], " ")).ok().map(Cow::Owned)
}
