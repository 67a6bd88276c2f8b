//! Why an operation did not happen: the codes of the interface `flat`, as a type.

#![forbid(unsafe_code)]

use std::fmt;

/// Why an operation on a shared object did not happen. The object is as it was.
///
/// That the time was over, that a `try_` call would have had to wait, that a queue has come to its end, or that
/// a swap found another value is not among them: those are what a program asks for, and come as values.
///
/// The text that some carry is the whole message, as [`Display`](fmt::Display) shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncError {
    /// The queue, or the other end of the pipe, is closed: nothing can be put or sent any more.
    Closed,
    /// The name was not granted to this task; the text says what grants it.
    AccessDenied(String),
    /// The task does not hold what it wants to give back.
    NotOwner,
    /// The task holds the lock already. Waiting for it would never end.
    AlreadyOwned,
    /// The barrier is broken: a party died, timed out or called `abort`.
    Broken,
    /// An item, a value or a range is over its limit.
    TooLarge(String),
    /// An index outside an array, or a count that the object cannot have.
    OutOfRange(String),
    /// The object is of another kind, or its elements are of another size.
    WrongKind(String),
    /// As many handles, holders or entries as there may be.
    TooMany(String),
    /// There is no such lease or handle.
    NotFound(String),
    /// Nobody that could end the wait is able to act; the text names the cycle.
    Deadlock(String),
    /// The task is being stopped, so it waits no longer.
    Cancelled,
    /// Another participant broke the object's memory.
    Damaged(String),
    /// The object cannot be had now.
    Unavailable(String),
    /// The item, or the value, cannot be read as the type that it is taken as, or cannot be written as JSON.
    Unreadable(String),
}

impl SyncError {
    /// The error with this code, of 16 and more. `text` says what the code was about.
    #[cfg_attr(not(any(target_arch = "wasm32", test)), expect(dead_code, reason = "only a host has codes"))]
    pub(crate) fn from_code(code: u32, text: impl FnOnce() -> String) -> Self {
        match code {
            17 => Self::Closed,
            18 => Self::AccessDenied(text()),
            19 => Self::NotOwner,
            20 => Self::AlreadyOwned,
            21 => Self::Broken,
            22 => Self::TooLarge(text()),
            23 => Self::OutOfRange(text()),
            24 => Self::WrongKind(text()),
            25 => Self::TooMany(text()),
            26 => Self::NotFound(text()),
            27 => Self::Deadlock(text()),
            28 => Self::Cancelled,
            29 => Self::Damaged(text()),
            30 => Self::Unavailable(text()),
            // A newer host, or a time-out where none was asked for.
            other => Self::Unavailable(format!("the host answered with code {other}: {}", text())),
        }
    }
}

impl fmt::Display for SyncError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it is closed",
            Self::NotOwner => "the task does not hold it",
            Self::AlreadyOwned => "the task holds it already",
            Self::Broken => "the barrier is broken",
            Self::Cancelled => "the task is being stopped",
            Self::AccessDenied(text)
            | Self::TooLarge(text)
            | Self::OutOfRange(text)
            | Self::WrongKind(text)
            | Self::TooMany(text)
            | Self::NotFound(text)
            | Self::Deadlock(text)
            | Self::Damaged(text)
            | Self::Unavailable(text)
            | Self::Unreadable(text) => text,
        })
    }
}

impl std::error::Error for SyncError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The codes as the WIT lists them, from 16 on, with their words.
    fn codes_of_the_wit() -> Vec<(u32, String)> {
        let wit = include_str!("../../wit/sync.wit");
        let comment = wit.split("Codes:").nth(1).unwrap().split("From 16 on").next().unwrap();
        let line = comment.replace("///", " ").split_whitespace().collect::<Vec<_>>().join(" ");
        let code = |part: &str| {
            let (number, words) = part.trim().split_once(' ')?;
            Some((number.parse().ok()?, words.trim_end_matches('.').to_owned()))
        };
        line.split(';').filter_map(code).filter(|(number, _)| *number >= 16).collect()
    }

    #[test]
    fn every_code_of_the_wit_has_its_error() {
        let codes = codes_of_the_wit();
        assert_eq!(codes.first(), Some(&(16, "timed out".to_owned())), "{codes:?}");
        for (code, words) in codes.into_iter().skip(1) {
            let shown = format!("{:?}", SyncError::from_code(code, || "text".to_owned()));
            let name = shown.split('(').next().unwrap_or_default().to_lowercase();
            assert_eq!(name, words.replace(' ', ""), "code {code}");
        }
    }

    #[test]
    fn an_unknown_code_keeps_its_number_and_text() {
        let error = SyncError::from_code(99, || "strange".to_owned());
        assert_eq!(error.to_string(), "the host answered with code 99: strange");
    }
}
