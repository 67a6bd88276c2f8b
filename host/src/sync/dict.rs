//! The contents of a dictionary.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use super::{DictAnswer, DictOperation, SyncError};

/// A bounded map, as it lives in the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    entries: BTreeMap<String, Vec<u8>>,
}

impl Dictionary {
    /// Does one operation.
    pub(crate) fn perform(&mut self, operation: DictOperation) -> Result<DictAnswer, SyncError> {
        let _ = operation;
        Ok(DictAnswer::Count(self.entries.len() as u64))
    }
}
