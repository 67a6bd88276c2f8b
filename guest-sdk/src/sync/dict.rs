//! A small map that tasks share.

#![forbid(unsafe_code)]

use std::borrow::Borrow;
use std::marker::PhantomData;

use super::argument::shared_object;
use super::{Handle, Item, Kind, SyncError, decoded, encoded, to_bytes};

/// A small map from texts to values, as a `dict` of `multiprocessing.Manager`.
///
/// It lives in the host program and not in shared memory, so each call takes a message there and back: some tens of
/// microseconds. It is for results and settings, not for what is counted a million times; [`Value`](super::Value) is.
///
/// - **Order.** Each call is one step, and all calls of all tasks have one order. What takes several calls can be
///   made one step by [`compare_and_swap`](Self::compare_and_swap), or protected by a [`Lock`](super::Lock).
/// - **Bounds.** The host bounds the entries and their bytes: [`SyncError::TooMany`], [`SyncError::TooLarge`].
/// - **Death.** A change of a task that dies has happened or has not. What it inserted stays.
///
/// ```
/// use wasmpool_guest::sync::{Dict, SyncError};
/// use wasmpool_guest::task;
///
/// #[task]
/// fn write_down(results: Dict<u64>, n: u64) -> Result<(), SyncError> {
///     results.insert(&n.to_string(), n * n)?;
///     Ok(())
/// }
///
/// let results = Dict::stand_in();
/// for n in [2, 3] {
///     write_down(results.clone(), n)?;
/// }
/// assert_eq!(results.get("3")?, Some(9));
/// assert_eq!(results.keys()?, ["2", "3"]);
/// # Ok::<(), SyncError>(())
/// ```
pub struct Dict<V> {
    handle: Handle,
    value: PhantomData<fn() -> V>,
}

shared_object!(Dict<V: Item>, Dict);

impl<V> Dict<V> {
    fn of(handle: Handle) -> Self {
        Self { handle, value: PhantomData }
    }
}

impl<V: Item> Dict<V> {
    /// Opens the map of this name, which the task must have been granted.
    pub fn open(name: &str) -> Result<Self, SyncError> {
        Handle::open(Kind::Dict, name).map(Self::of)
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Result<Option<V>, SyncError> {
        self.handle.dict_get(key)?.map(decoded).transpose()
    }

    /// Gives a key this value. The one before, if there was one.
    pub fn insert(&self, key: &str, value: impl Borrow<V>) -> Result<Option<V>, SyncError> {
        encoded(value.borrow(), |bytes| self.handle.dict_set(key, bytes))?.map(decoded).transpose()
    }

    /// Removes a key. Its value, if there was one.
    pub fn remove(&self, key: &str) -> Result<Option<V>, SyncError> {
        self.handle.dict_remove(key)?.map(decoded).transpose()
    }

    /// Gives a key the value `new` (or removes it) if its value is `expected` (or it has none); false if not.
    ///
    /// Values are compared as they are written, byte for byte: a type that is written in an order of its own each time,
    /// such as a `HashMap`, is equal to itself by chance only.
    ///
    /// ```
    /// use wasmpool_guest::sync::Dict;
    ///
    /// let taken = Dict::<String>::stand_in();
    /// let me = "task 7".to_string();
    /// assert!(taken.compare_and_swap("seat", None, Some(&me))?);
    /// assert!(!taken.compare_and_swap("seat", None, Some(&"task 8".to_string()))?);
    /// assert_eq!(taken.get("seat")?, Some(me));
    /// # Ok::<(), wasmpool_guest::sync::SyncError>(())
    /// ```
    pub fn compare_and_swap(
        &self,
        key: &str,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<bool, SyncError> {
        let expected = expected.map(to_bytes).transpose()?;
        let new = new.map(to_bytes).transpose()?;
        self.handle.dict_swap(key, expected.as_deref(), new.as_deref())
    }

    /// Its keys, in order. Those that others insert or remove meanwhile may be among them or not.
    pub fn keys(&self) -> Result<Vec<String>, SyncError> {
        let mut keys = Vec::new();
        loop {
            // As many as one answer holds.
            let more = self.handle.dict_keys(keys.last().map(String::as_str))?;
            if more.is_empty() {
                return Ok(keys);
            }
            keys.extend(more);
        }
    }

    /// How many entries it has. A hint: it may be old when it arrives.
    pub fn len(&self) -> u64 {
        self.handle.len()
    }

    /// Whether it has none. A hint too.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes all.
    pub fn clear(&self) -> Result<(), SyncError> {
        self.handle.dict_clear()
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl<V: Item> Dict<V> {
    /// A map in this process, for tests.
    pub fn stand_in() -> Self {
        Self::of(Handle::dict())
    }
}
