//! What a caller hands to a task: its arguments and its standard input.

#![forbid(unsafe_code)]

use std::fs::File;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::outcome::Encoding;
use crate::shared_bytes::SharedBytes;
use crate::sync::{self, Grant, GrantError};

/// The arguments of one call.
///
/// A queue, a lock or the like among them is passed as its name, and granted to the task with it.
///
/// ```
/// use serde_json::json;
/// use wasmpool::Args;
///
/// let by_position = Args::positional(vec![json!(1), json!(2)]);
/// let by_name = Args::none().keyword("a", json!(1)).keyword("b", json!(2));
/// let from_rust = Args::of(&(1, 2)).unwrap();
/// let bytes = Args::raw(vec![0_u8, 255]);
/// # let _ = (by_position, by_name, from_rust, bytes);
/// ```
///
/// Python's `args=(queue, 5)`:
///
/// ```
/// use wasmpool::{Args, sync::Queue};
///
/// let queue = Queue::<u64>::bounded(10).unwrap();
/// let args = Args::of(&(&queue, 5)).unwrap();
/// # let _ = args;
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Args {
    repr: Repr,
    /// What was among the values.
    grants: Vec<Grant>,
}

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Values { positional: Vec<Value>, keyword: Map<String, Value> },
    Text(Bytes),
    Raw(Bytes),
    Shared(SharedBytes),
    Invalid(ArgsError),
}

/// Why arguments do not fit a task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgsError {
    /// Raw bytes for a task that takes JSON.
    #[error("the task takes JSON arguments, not raw bytes")]
    RawForJson,
    /// Something other than one byte string for a task that takes raw bytes.
    #[error("the task takes one byte string: give it one string, or raw bytes")]
    NotOneByteString,
    /// A Rust value that has no JSON.
    #[error("the arguments have no JSON: {0}")]
    Json(String),
    /// Queues, locks and the like that cannot be granted together: too many, or two of one name.
    #[error("{0}")]
    Grants(String),
}

impl From<GrantError> for ArgsError {
    fn from(error: GrantError) -> Self {
        Self::Grants(error.to_string())
    }
}

impl Args {
    /// No arguments.
    #[must_use]
    pub fn none() -> Self {
        Self::positional(Vec::new())
    }

    /// Arguments by position.
    #[must_use]
    pub fn positional(values: Vec<Value>) -> Self {
        Self::without_grants(Repr::Values { positional: values, keyword: Map::new() })
    }

    fn without_grants(repr: Repr) -> Self {
        Self { repr, grants: Vec::new() }
    }

    /// The elements of a tuple (or list) as arguments by position, as in Python's `args=(1, 2)`; `()` is no
    /// arguments. Queues, locks and the like among them are granted to the task.
    ///
    /// # Errors
    ///
    /// When the value has no JSON, or is no tuple or list; when two different objects of one name are in it.
    pub fn of<T: Serialize>(tuple: &T) -> Result<Self, ArgsError> {
        let (text, grants) = sync::collect(|| serde_json::to_vec(tuple));
        let text = text.map_err(|error| ArgsError::Json(error.to_string()))?;
        let grants = sync::merge(grants.iter())?;
        match text.first() {
            Some(b'[') => Ok(Self { repr: Repr::Text(text.into()), grants }),
            // The tuple without elements, `()`.
            _ if text == b"null" && std::mem::size_of::<T>() == 0 => Ok(Self::none()),
            _ => Err(ArgsError::Json("a tuple was expected, such as `(1,)`".to_owned())),
        }
    }

    /// One argument.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn one<T: Serialize>(value: &T) -> Result<Self, ArgsError> {
        Self::of(&(value,))
    }

    /// Arguments that will be refused with this error when the task is submitted.
    pub(crate) fn invalid(error: ArgsError) -> Self {
        Self::without_grants(Repr::Invalid(error))
    }

    /// JSON text of an array, or of an object with `args` and `kwargs`. It is not looked at here.
    #[must_use]
    pub fn json_text(text: impl Into<Bytes>) -> Self {
        Self::without_grants(Repr::Text(text.into()))
    }

    /// One byte string, for a task whose parameter is `Bytes`.
    #[must_use]
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::without_grants(Repr::Raw(bytes.into()))
    }

    /// One byte string, for a task whose parameter is `Bytes`, that is not copied on its way to the worker.
    #[must_use]
    pub fn shared(bytes: &SharedBytes) -> Self {
        Self::without_grants(Repr::Shared(bytes.clone()))
    }

    /// The byte string, if it is one that is shared.
    pub(crate) fn as_shared(&self) -> Option<&SharedBytes> {
        match &self.repr {
            Repr::Shared(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// Adds an argument by name, as in Python's `kwargs={"b": 2}`.
    #[must_use]
    pub fn keyword(mut self, name: impl Into<String>, value: Value) -> Self {
        if let Repr::Text(text) = &self.repr
            && let Ok(positional) = serde_json::from_slice(text)
        {
            self.repr = Repr::Values { positional, keyword: Map::new() };
        }
        if let Repr::Values { keyword, .. } = &mut self.repr {
            keyword.insert(name.into(), value);
        }
        self
    }

    /// What was among the arguments, by name.
    pub(crate) fn grants(&self) -> &[Grant] {
        &self.grants
    }

    /// The bytes that the guest gets, for a task that takes its arguments like this.
    pub(crate) fn encode(self, encoding: Encoding) -> Result<Bytes, ArgsError> {
        match (self.repr, encoding) {
            (Repr::Invalid(error), _) => Err(error),
            (Repr::Raw(bytes), Encoding::Raw) => Ok(bytes),
            (Repr::Shared(bytes), Encoding::Raw) => Ok(Bytes::from_owner(bytes)),
            (Repr::Raw(_) | Repr::Shared(_), Encoding::Json) => Err(ArgsError::RawForJson),
            (Repr::Text(text), Encoding::Json) => Ok(text),
            (Repr::Text(text), Encoding::Raw) => match serde_json::from_slice(&text) {
                Ok(positional) => Self::positional(positional).encode(encoding),
                Err(_) => Err(ArgsError::NotOneByteString),
            },
            (Repr::Values { positional, keyword }, Encoding::Raw) => match positional.as_slice() {
                [Value::String(text)] if keyword.is_empty() => Ok(Bytes::from(text.clone().into_bytes())),
                _ => Err(ArgsError::NotOneByteString),
            },
            (Repr::Values { positional, keyword }, Encoding::Json) => {
                let text = if keyword.is_empty() {
                    serde_json::to_vec(&positional)
                } else {
                    serde_json::to_vec(&serde_json::json!({ "args": positional, "kwargs": keyword }))
                };
                text.map(Bytes::from).map_err(|error| ArgsError::Json(error.to_string()))
            }
        }
    }
}

impl Default for Args {
    fn default() -> Self {
        Self::none()
    }
}

/// What a task reads as its standard input.
#[derive(Clone, Debug, Default)]
pub enum Stdin {
    /// Nothing: the first read is the end.
    #[default]
    Empty,
    /// An open file, pipe or socket. The worker gets this very descriptor.
    File(Arc<File>),
    /// These bytes.
    Bytes(Bytes),
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(args: &Args) -> String {
        String::from_utf8(args.clone().encode(Encoding::Json).unwrap().to_vec()).unwrap()
    }

    #[test]
    fn arguments_become_an_array_or_an_object_with_names() {
        assert_eq!(text(&Args::of(&(1, "x")).unwrap()), r#"[1,"x"]"#);
        assert_eq!(text(&Args::none()), "[]");
        let named = Args::of(&(1,)).unwrap().keyword("b", json!(2));
        assert_eq!(text(&named), r#"{"args":[1],"kwargs":{"b":2}}"#);
    }

    #[test]
    fn a_byte_string_is_a_string_or_raw_bytes() {
        assert_eq!(Args::positional(vec![json!("hi")]).encode(Encoding::Raw).unwrap(), "hi");
        assert_eq!(Args::one(&"hi").unwrap().encode(Encoding::Raw).unwrap(), "hi");
        assert_eq!(Args::raw("hi").encode(Encoding::Raw).unwrap(), "hi");
        assert_eq!(Args::positional(vec![json!(1)]).encode(Encoding::Raw), Err(ArgsError::NotOneByteString));
        assert_eq!(Args::raw("hi").encode(Encoding::Json), Err(ArgsError::RawForJson));
        let shared = Args::shared(&SharedBytes::new(b"hi").unwrap());
        assert_eq!(shared.clone().encode(Encoding::Raw).unwrap(), "hi");
        assert_eq!(shared.encode(Encoding::Json), Err(ArgsError::RawForJson));
    }

    #[test]
    fn a_handle_is_its_name_and_grants_itself() {
        let (queue, lock) = (sync::Queue::<u64>::bounded(1).unwrap(), sync::Lock::named("turn").unwrap());
        let args = Args::of(&(&queue, vec![&lock, &lock.clone()], 5)).unwrap();
        assert_eq!(text(&args), format!(r#"["{}",["turn","turn"],5]"#, queue.name()));
        assert_eq!(args.grants(), [queue.grant(), lock.grant()]);
        let named = args.keyword("b", json!(2));
        assert_eq!(named.grants().len(), 2, "a name does not lose what was granted");
        assert_eq!(Args::one(&Some(&lock)).unwrap().grants(), [lock.grant()]);
        assert_eq!(Args::of(&(lock.name(),)).unwrap().grants(), [], "a name alone grants nothing");
    }

    #[test]
    fn two_objects_of_one_name_are_an_error_that_says_so() {
        let (lock, event) = (sync::Lock::named("x").unwrap(), sync::Event::named("x").unwrap());
        let error = Args::of(&(&lock, &event)).unwrap_err();
        assert!(error.to_string().contains("under the name `x`"), "{error}");
    }

    #[test]
    fn what_is_serialized_after_an_error_is_not_granted_by_it() {
        let lock = sync::Lock::new().unwrap();
        let no_json = std::collections::BTreeMap::from([((1, 2), &lock)]);
        assert!(matches!(Args::one(&(&lock, no_json)), Err(ArgsError::Json(_))));
        assert_eq!(Args::one(&1).unwrap().grants(), []);
    }

    #[test]
    fn one_value_is_no_tuple_and_the_empty_tuple_is_one() {
        assert!(Args::of(&1).is_err());
        assert!(Args::of(&None::<i32>).is_err());
        assert_eq!(text(&Args::of(&()).unwrap()), "[]");
    }
}
