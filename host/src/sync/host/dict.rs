//! Dictionaries.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::fmt;
use std::sync::PoisonError;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::codec::Codec;
use super::{Base, handle};
use crate::sync::{DictAnswer, DictOperation, Granted, Spec, SyncError};

/// A small bounded map from texts to values. What Python's tutorial does with a manager's `dict()`.
///
/// It lives in the host program: for the program a call is a lock in its own memory, for a guest it is a
/// question to the supervisor. Each call is one atomic step. A death changes nothing.
///
/// Values are JSON, or bytes as they are for one made by [`raw`](Dict::raw). `compare_and_swap` compares their
/// bytes: JSON that is written differently is another value.
///
/// ```
/// use wasmpool::sync::Dict;
///
/// let scores = Dict::<u64>::new()?;
/// assert_eq!(scores.insert("ada", 3)?, None);
/// assert!(scores.compare_and_swap("ada", Some(&3), Some(&4))?);
/// assert!(!scores.compare_and_swap("ada", Some(&3), Some(&5))?);
/// assert_eq!(scores.get("ada")?, Some(4));
/// assert_eq!(scores.keys()?, ["ada"]);
/// # Ok::<(), wasmpool::sync::SyncError>(())
/// ```
pub struct Dict<V> {
    base: Base,
    codec: Codec<V>,
}

handle!(Dict<V>);

impl<V: Serialize + DeserializeOwned> Dict<V> {
    /// An empty dictionary with a made-up name.
    ///
    /// # Errors
    ///
    /// None that this version knows.
    pub fn new() -> Result<Self, SyncError> {
        Base::create(Spec::Dict, None).map(|base| Self { base, codec: Codec::json() })
    }

    /// An empty dictionary with this name.
    ///
    /// # Errors
    ///
    /// [`SyncError::OutOfRange`] when it is no name.
    pub fn named(name: &str) -> Result<Self, SyncError> {
        Base::create(Spec::Dict, Some(name)).map(|base| Self { base, codec: Codec::json() })
    }
}

impl Dict<Bytes> {
    /// An empty dictionary whose values are bytes as they are.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn raw() -> Result<Self, SyncError> {
        Base::create(Spec::Dict, None).map(|base| Self { base, codec: Codec::raw() })
    }
}

impl<V> Dict<V> {
    /// The value of this key.
    ///
    /// # Errors
    ///
    /// [`SyncError::Unreadable`] for a value that is no `V`.
    pub fn get(&self, key: &str) -> Result<Option<V>, SyncError> {
        self.value(DictOperation::Get { key: key.to_owned() })
    }

    /// Sets the value of a key; the one before.
    ///
    /// # Errors
    ///
    /// [`SyncError::TooMany`] and [`SyncError::TooLarge`] when it does not fit, and as [`get`](Self::get) for
    /// the value before.
    pub fn insert(&self, key: &str, value: impl Borrow<V>) -> Result<Option<V>, SyncError> {
        let value = self.codec.encode(value.borrow())?.into();
        self.value(DictOperation::Set { key: key.to_owned(), value })
    }

    /// Removes a key; its value.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); the key is removed all the same.
    pub fn remove(&self, key: &str) -> Result<Option<V>, SyncError> {
        self.value(DictOperation::Remove { key: key.to_owned() })
    }

    /// Sets the value of a key (or removes it) if it is `expected` (or not there); `false` when it was another.
    ///
    /// # Errors
    ///
    /// As [`insert`](Self::insert).
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool, SyncError> {
        let encode = |value: &V| self.codec.encode(value).map(Vec::from);
        let (expected, new) = (expected.map(encode).transpose()?, new.map(encode).transpose()?);
        match self.perform(DictOperation::CompareAndSwap { key: key.to_owned(), expected, new })? {
            DictAnswer::Flag(swapped) => Ok(swapped),
            other => Err(unexpected(&other)),
        }
    }

    /// Every key, in order. Keys that come and go meanwhile may be among them or not.
    ///
    /// # Errors
    ///
    /// None that this version knows.
    pub fn keys(&self) -> Result<Vec<String>, SyncError> {
        let mut all: Vec<String> = Vec::new();
        loop {
            match self.perform(DictOperation::Keys { after: all.last().cloned() })? {
                DictAnswer::Keys { keys, more } => {
                    let is_last = keys.is_empty() || !more;
                    all.extend(keys);
                    if is_last {
                        return Ok(all);
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.count(DictOperation::Len).unwrap_or(0)
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every key.
    ///
    /// # Errors
    ///
    /// None that this version knows.
    pub fn clear(&self) -> Result<(), SyncError> {
        self.count(DictOperation::Clear).map(drop)
    }

    fn count(&self, operation: DictOperation) -> Result<u64, SyncError> {
        match self.perform(operation)? {
            DictAnswer::Count(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    fn value(&self, operation: DictOperation) -> Result<Option<V>, SyncError> {
        match self.perform(operation)? {
            DictAnswer::Value(value) => value.map(|bytes| self.codec.decode(bytes)).transpose(),
            other => Err(unexpected(&other)),
        }
    }

    fn perform(&self, operation: DictOperation) -> Result<DictAnswer, SyncError> {
        match &*self.base.grant.object {
            // A panic inside leaves the map as it was before or after the operation.
            Granted::Dict(dict) => dict.lock().unwrap_or_else(PoisonError::into_inner).perform(operation),
            Granted::Memory(_) => unreachable!("a dict is never made in shared memory"),
        }
    }
}

/// An answer that the operation cannot have: a fault of our own code.
fn unexpected(answer: &DictAnswer) -> SyncError {
    SyncError::Damaged(format!("an operation was answered with {answer:?}"))
}

impl<V> Clone for Dict<V> {
    fn clone(&self) -> Self {
        Self { base: self.base.clone(), codec: self.codec }
    }
}

impl<V> fmt::Debug for Dict<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dict").field("name", &self.name()).finish_non_exhaustive()
    }
}
