//! The value that a task returned: bytes, and how to read them.

#![forbid(unsafe_code)]

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// How the bytes of an argument or a result are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// JSON text.
    Json,
    /// The bytes themselves.
    Raw,
}

/// A task's return value. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskValue {
    encoding: Encoding,
    bytes: Bytes,
}

impl TaskValue {
    /// A value of JSON text or of raw bytes.
    #[must_use]
    pub fn new(encoding: Encoding, bytes: Bytes) -> Self {
        Self { encoding, bytes }
    }

    /// How the bytes are to be read.
    #[must_use]
    pub fn encoding(&self) -> Encoding {
        self.encoding
    }

    /// The bytes as they came: JSON text, or what the task returned as `Bytes`.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Reads the value as a Rust type.
    ///
    /// # Errors
    ///
    /// When the bytes are not JSON of such a value. Raw bytes are read as the JSON they may contain.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.bytes)
    }
}
