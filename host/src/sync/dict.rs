//! The contents of a dictionary: a small bounded map, in the supervisor's own memory.
//!
//! Workers ask the supervisor for each operation, so it is whole whatever becomes of them, and each operation
//! happens at once or not at all. What one worker may make the supervisor hold is bounded: entries, the bytes
//! of all keys and values, and each key and value by itself. A key or value over its limit is an error and
//! changes nothing.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::ops::Bound;

use super::{DictAnswer, DictOperation, SyncError};
use crate::limits::{DICT_BYTES, DICT_ENTRIES, DICT_KEY_BYTES_MAX, DICT_VALUE_BYTES_MAX, INLINE_BYTES_MAX};

/// What a key takes up in a frame besides its own bytes, at most.
const KEY_OVERHEAD_BYTES: usize = 8;

/// A bounded map, as it lives in the supervisor.
#[derive(Debug, Default)]
pub(crate) struct Dictionary {
    entries: BTreeMap<String, Vec<u8>>,
    /// Bytes of all keys and values.
    bytes: usize,
}

impl Dictionary {
    /// Does one operation.
    pub(crate) fn perform(&mut self, operation: DictOperation) -> Result<DictAnswer, SyncError> {
        match operation {
            DictOperation::Get { key } => Ok(DictAnswer::Value(self.entries.get(&key).cloned())),
            DictOperation::Set { key, value } => self.set(key, value).map(DictAnswer::Value),
            DictOperation::Remove { key } => Ok(DictAnswer::Value(self.remove(&key))),
            DictOperation::CompareAndSwap { key, expected, new } => {
                self.compare_and_swap(key, expected.as_deref(), new).map(DictAnswer::Flag)
            }
            DictOperation::Keys { after } => Ok(self.keys(after)),
            DictOperation::Len => Ok(DictAnswer::Count(self.entries.len() as u64)),
            DictOperation::Clear => {
                self.bytes = 0;
                Ok(DictAnswer::Count(std::mem::take(&mut self.entries).len() as u64))
            }
        }
    }

    fn set(&mut self, key: String, value: Vec<u8>) -> Result<Option<Vec<u8>>, SyncError> {
        within(key.len(), DICT_KEY_BYTES_MAX)?;
        within(value.len(), DICT_VALUE_BYTES_MAX)?;
        let before = self.entries.get(&key).map(|value| key.len() + value.len());
        if before.is_none() && self.entries.len() >= DICT_ENTRIES {
            return Err(SyncError::TooMany(format!("entries, of which it takes {DICT_ENTRIES}")));
        }
        let bytes = self.bytes - before.unwrap_or(0) + key.len() + value.len();
        within(bytes, DICT_BYTES)?;
        self.bytes = bytes;
        Ok(self.entries.insert(key, value))
    }

    fn remove(&mut self, key: &str) -> Option<Vec<u8>> {
        let value = self.entries.remove(key)?;
        self.bytes -= key.len() + value.len();
        Some(value)
    }

    fn compare_and_swap(
        &mut self,
        key: String,
        expected: Option<&[u8]>,
        new: Option<Vec<u8>>,
    ) -> Result<bool, SyncError> {
        if self.entries.get(&key).map(Vec::as_slice) != expected {
            return Ok(false);
        }
        match new {
            Some(new) => drop(self.set(key, new)?),
            None => drop(self.remove(&key)),
        }
        Ok(true)
    }

    /// As many keys as one frame holds.
    fn keys(&self, after: Option<String>) -> DictAnswer {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut room = INLINE_BYTES_MAX;
        let mut keys = Vec::new();
        for (key, _) in self.entries.range((start, Bound::Unbounded)) {
            let bytes = key.len() + KEY_OVERHEAD_BYTES;
            if bytes > room {
                return DictAnswer::Keys { keys, more: true };
            }
            room -= bytes;
            keys.push(key.clone());
        }
        DictAnswer::Keys { keys, more: false }
    }
}

fn within(bytes: usize, limit: usize) -> Result<(), SyncError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(SyncError::TooLarge { bytes: bytes as u64, limit: limit as u64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(dictionary: &mut Dictionary, key: &str, value: &[u8]) -> Result<DictAnswer, SyncError> {
        dictionary.perform(DictOperation::Set { key: key.into(), value: value.into() })
    }

    fn swap(dictionary: &mut Dictionary, expected: Option<&[u8]>, new: Option<&[u8]>) -> DictAnswer {
        let (expected, new) = (expected.map(Vec::from), new.map(Vec::from));
        dictionary.perform(DictOperation::CompareAndSwap { key: "key".into(), expected, new }).unwrap()
    }

    fn len(dictionary: &mut Dictionary) -> DictAnswer {
        dictionary.perform(DictOperation::Len).unwrap()
    }

    #[test]
    fn each_change_answers_what_was_there_before() {
        let mut dictionary = Dictionary::default();
        assert_eq!(set(&mut dictionary, "a", &[1]), Ok(DictAnswer::Value(None)));
        assert_eq!(set(&mut dictionary, "a", &[2]), Ok(DictAnswer::Value(Some(vec![1]))));
        let get = DictOperation::Get { key: "a".into() };
        assert_eq!(dictionary.perform(get), Ok(DictAnswer::Value(Some(vec![2]))));
        let remove = DictOperation::Remove { key: "a".into() };
        assert_eq!(dictionary.perform(remove.clone()), Ok(DictAnswer::Value(Some(vec![2]))));
        assert_eq!(dictionary.perform(remove), Ok(DictAnswer::Value(None)));
        set(&mut dictionary, "b", &[]).unwrap();
        assert_eq!(dictionary.perform(DictOperation::Clear), Ok(DictAnswer::Count(1)));
        assert_eq!(len(&mut dictionary), DictAnswer::Count(0));
        assert_eq!(dictionary.bytes, 0);
    }

    #[test]
    fn a_swap_happens_only_from_the_expected_value() {
        let mut dictionary = Dictionary::default();
        assert_eq!(swap(&mut dictionary, Some(&[1]), Some(&[2])), DictAnswer::Flag(false));
        assert_eq!(swap(&mut dictionary, None, Some(&[1])), DictAnswer::Flag(true));
        assert_eq!(swap(&mut dictionary, None, Some(&[2])), DictAnswer::Flag(false));
        assert_eq!(swap(&mut dictionary, Some(&[1]), Some(&[2])), DictAnswer::Flag(true));
        assert_eq!(swap(&mut dictionary, Some(&[2]), None), DictAnswer::Flag(true));
        assert_eq!(len(&mut dictionary), DictAnswer::Count(0));
        assert_eq!(swap(&mut dictionary, None, None), DictAnswer::Flag(true));
    }

    #[test]
    fn keys_come_in_order_in_pages_that_fit_a_frame() {
        let mut dictionary = Dictionary::default();
        let expected: Vec<_> = (0..1000).map(|number| format!("{number:0200}")).collect();
        for key in expected.iter().rev() {
            set(&mut dictionary, key, &[]).unwrap();
        }
        let mut found: Vec<String> = Vec::new();
        let mut pages = 0;
        loop {
            let after = found.last().cloned();
            let DictAnswer::Keys { keys, more } = dictionary.perform(DictOperation::Keys { after }).unwrap()
            else {
                panic!("keys answer keys");
            };
            assert!(!keys.is_empty() && keys.len() * 200 <= INLINE_BYTES_MAX);
            found.extend(keys);
            pages += 1;
            if !more {
                break;
            }
        }
        assert_eq!(found, expected);
        assert!(pages > 1);
    }

    #[test]
    fn what_is_over_a_limit_changes_nothing() {
        let mut dictionary = Dictionary::default();
        let key_over = "k".repeat(DICT_KEY_BYTES_MAX + 1);
        let error = SyncError::TooLarge { bytes: 257, limit: 256 };
        assert_eq!(set(&mut dictionary, &key_over, &[]), Err(error));
        let value_over = vec![0; DICT_VALUE_BYTES_MAX + 1];
        assert!(matches!(set(&mut dictionary, "a", &value_over), Err(SyncError::TooLarge { .. })));
        assert_eq!(dictionary.bytes, 0);

        let value = vec![0; DICT_VALUE_BYTES_MAX - 4];
        let fit = DICT_BYTES / DICT_VALUE_BYTES_MAX;
        for number in 0..fit {
            set(&mut dictionary, &format!("{number:04}"), &value).unwrap();
        }
        assert!(matches!(set(&mut dictionary, "more", &[]), Err(SyncError::TooLarge { .. })));
        assert_eq!(len(&mut dictionary), DictAnswer::Count(fit as u64));
        set(&mut dictionary, "0000", &[]).unwrap();
        set(&mut dictionary, "more", &[]).unwrap();
    }

    #[test]
    fn there_are_no_more_entries_than_the_limit() {
        let mut dictionary = Dictionary::default();
        for number in 0..DICT_ENTRIES {
            set(&mut dictionary, &number.to_string(), &[]).unwrap();
        }
        assert!(matches!(set(&mut dictionary, "one more", &[]), Err(SyncError::TooMany(_))));
        set(&mut dictionary, "0", &[1]).unwrap();
    }
}
