//! What a person or a program reads: records, module descriptions and the state of the machine as text.
//!
//! Everything here is a pure function from values to bytes; who writes them where is the caller's
//! business. Whatever a guest said is hostile until it went through [`terminal`].

#![forbid(unsafe_code)]

pub mod digest;
pub mod doctor;
pub mod human;
pub mod inspect;
pub mod json_lines;
pub mod lines;
pub mod named;
pub mod plan;
pub mod seen;
pub mod sheet;
pub mod summary;
pub mod terminal;

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::outcome::{Encoding, Outcome, Record, TaskValue};

/// Why the outcome is no success, in one line that is safe to print.
#[must_use]
pub fn reason(outcome: &Outcome) -> String {
    terminal::one_line(&outcome.to_string())
}

/// How an attempt ended, on one line, and whether that was asked for.
#[must_use]
pub fn ending(record: &Record) -> String {
    let reason = reason(&record.outcome);
    if record.chaos { format!("{reason}, as --chaos asked for") } else { reason }
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
