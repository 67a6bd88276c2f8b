//! The value that a task returned: bytes, and how to read them.

#![forbid(unsafe_code)]

use std::io;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::shared_bytes::SharedBytes;

/// How the bytes of an argument or a result are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// JSON text.
    Json,
    /// The bytes themselves.
    Raw,
}

/// A task's return value. Cloning is cheap: the bytes are shared.
#[derive(Clone, Debug)]
pub struct TaskValue {
    encoding: Encoding,
    bytes: Bytes,
    /// The memory file that holds them, where it was kept.
    shared: Option<SharedBytes>,
}

impl PartialEq for TaskValue {
    fn eq(&self, other: &Self) -> bool {
        self.encoding == other.encoding && self.bytes == other.bytes
    }
}

impl Eq for TaskValue {}

impl TaskValue {
    /// A value of JSON text or of raw bytes.
    #[must_use]
    pub fn new(encoding: Encoding, bytes: Bytes) -> Self {
        Self { encoding, bytes, shared: None }
    }

    /// A value of raw bytes in a memory file.
    pub(crate) fn of_shared(bytes: SharedBytes) -> Self {
        Self { encoding: Encoding::Raw, bytes: Bytes::from_owner(bytes.clone()), shared: Some(bytes) }
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

    /// The bytes as they can be given to another task with [`Args::shared`](crate::Args::shared).
    ///
    /// A large value of a task that returns `Bytes` lies in a memory file, and this is the file. Others are copied: small
    /// ones, JSON, and what came while [`SHARED_RESULTS_MAX`](crate::limits::SHARED_RESULTS_MAX) such values were
    /// held already.
    ///
    /// # Errors
    ///
    /// When they must be copied and cannot be, as [`SharedBytes::new`].
    pub fn shared(&self) -> io::Result<SharedBytes> {
        self.shared.clone().map_or_else(|| SharedBytes::new(&self.bytes), Ok)
    }

    /// The memory file, if it was kept.
    pub(crate) fn kept(&self) -> Option<&SharedBytes> {
        self.shared.as_ref()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_the_same_wherever_its_bytes_lie() {
        let shared = SharedBytes::new(b"[1,2]").unwrap();
        let in_file = TaskValue::of_shared(shared.clone());
        let in_memory = TaskValue::new(Encoding::Raw, Bytes::from_static(b"[1,2]"));
        assert_eq!(in_file, in_memory);
        assert_ne!(in_file, TaskValue::new(Encoding::Json, Bytes::from_static(b"[1,2]")));
        assert_eq!(in_file.to::<Vec<u8>>().unwrap(), [1, 2]);
        assert!(std::ptr::eq(in_file.shared().unwrap().as_ptr(), shared.as_ptr()), "it is the same file");
        assert_eq!(in_memory.shared().unwrap(), shared);
    }
}
