//! Why a command ended without doing its work: an error for a person and an exit code for a program.

#![forbid(unsafe_code)]

use std::fmt;

/// An error with the exit code that it ends the program with.
#[derive(Debug)]
pub struct Failure {
    pub code: u8,
    pub error: anyhow::Error,
}

impl Failure {
    /// A failure with a message of our own.
    pub fn new(code: u8, message: impl fmt::Display) -> Self {
        Self { code, error: anyhow::anyhow!("{message}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Gives errors of any kind the exit code of what they stop.
pub trait OrFailWith<T> {
    /// The failure with this code.
    fn or_fail_with(self, code: u8) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFailWith<T> for Result<T, E> {
    fn or_fail_with(self, code: u8) -> Result<T, Failure> {
        self.map_err(|error| Failure { code, error: error.into() })
    }
}
