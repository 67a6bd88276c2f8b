//! Dictionaries, which live in the supervisor: each operation is a request.

#![forbid(unsafe_code)]

use super::Session;
use super::grants::a;
use crate::limits::{DICT_KEY_BYTES_MAX, DICT_VALUE_BYTES_MAX, WAIT_LOOK_TIME_MAX};
use crate::protocol::worker::{Ask, Reply};
use crate::sync::{DictAnswer, DictOperation, ObjectKind, SyncError};

impl Session {
    /// Waits for the reply to a request that the supervisor answers at once. A task that is asked to stop
    /// still gets it; one that is interrupted does not.
    pub(super) fn reply(&self, request: u64) -> Result<Reply, SyncError> {
        loop {
            if let Some((reply, _)) = self.link.take_reply(request) {
                return Ok(reply);
            }
            if self.waiter().is_interrupted() {
                return Err(SyncError::Cancelled);
            }
            self.link.sleep(WAIT_LOOK_TIME_MAX);
        }
    }

    fn on_dict(&self, grant: u32, operation: DictOperation) -> Result<DictAnswer, SyncError> {
        let request = self.link.request(Ask::Dict { grant, operation }, &[]);
        match self.reply(request)? {
            Reply::Dict(answer) => answer,
            _ => Err(unexpected()),
        }
    }

    fn dict(&self, number: u32, operation: DictOperation) -> Result<DictAnswer, SyncError> {
        let handle = self.handle(number)?;
        if handle.kind != ObjectKind::Dict {
            let (name, _) = self.described(handle);
            return Err(SyncError::WrongKind(format!("`{name}` is {}, not a dict", a(handle.kind))));
        }
        self.on_dict(handle.grant, operation)
    }

    fn dict_value(&self, number: u32, operation: DictOperation) -> Result<Option<Vec<u8>>, SyncError> {
        match self.dict(number, operation)? {
            DictAnswer::Value(value) => Ok(value),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn dict_get(&self, number: u32, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        self.dict_value(number, DictOperation::Get { key: checked_key(key)? })
    }

    /// The value before.
    pub(super) fn dict_set(
        &self,
        number: u32,
        key: &str,
        value: &[u8],
    ) -> Result<Option<Vec<u8>>, SyncError> {
        let operation = DictOperation::Set { key: checked_key(key)?, value: checked_value(value)? };
        self.dict_value(number, operation)
    }

    /// The value before.
    pub(super) fn dict_remove(&self, number: u32, key: &str) -> Result<Option<Vec<u8>>, SyncError> {
        self.dict_value(number, DictOperation::Remove { key: checked_key(key)? })
    }

    /// Whether it had the expected value.
    pub(super) fn dict_swap(
        &self,
        number: u32,
        key: &str,
        expected: Option<&[u8]>,
        new: Option<&[u8]>,
    ) -> Result<bool, SyncError> {
        let key = checked_key(key)?;
        // A value that no entry can have is no entry's.
        let Ok(expected) = expected.map(checked_value).transpose() else { return Ok(false) };
        let new = new.map(checked_value).transpose()?;
        match self.dict(number, DictOperation::CompareAndSwap { key, expected, new })? {
            DictAnswer::Flag(swapped) => Ok(swapped),
            _ => Err(unexpected()),
        }
    }

    /// Keys after this one, as many as one answer holds.
    pub(super) fn dict_keys(&self, number: u32, after: Option<&str>) -> Result<Vec<String>, SyncError> {
        let after = after.map(checked_key).transpose()?;
        match self.dict(number, DictOperation::Keys { after })? {
            DictAnswer::Keys { keys, .. } => Ok(keys),
            _ => Err(unexpected()),
        }
    }

    /// How many entries there were.
    pub(super) fn dict_clear(&self, number: u32) -> Result<u64, SyncError> {
        match self.dict(number, DictOperation::Clear)? {
            DictAnswer::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }

    pub(super) fn dict_len(&self, grant: u32) -> Result<u64, SyncError> {
        match self.on_dict(grant, DictOperation::Len)? {
            DictAnswer::Count(count) => Ok(count),
            _ => Err(unexpected()),
        }
    }
}

/// A copy of a key, which is not made when it is too long.
fn checked_key(key: &str) -> Result<String, SyncError> {
    bounded(key.len(), DICT_KEY_BYTES_MAX).map(|()| key.to_owned())
}

fn checked_value(value: &[u8]) -> Result<Vec<u8>, SyncError> {
    bounded(value.len(), DICT_VALUE_BYTES_MAX).map(|()| value.to_vec())
}

fn bounded(bytes: usize, limit: usize) -> Result<(), SyncError> {
    if bytes <= limit {
        Ok(())
    } else {
        Err(SyncError::TooLarge { bytes: bytes as u64, limit: limit as u64 })
    }
}

pub(super) fn unexpected() -> SyncError {
    SyncError::Unavailable("the supervisor answered something else".to_owned())
}
