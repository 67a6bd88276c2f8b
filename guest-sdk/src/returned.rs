//! From what a task's function returned to the bytes that the host gets.
//!
//! Whether a type is a `Result` is decided by the compiler, not by the name in the signature, so that an alias works
//! too: [`Returned`] has inherent methods for `Result<T, E>`, and Rust prefers them to those of the trait
//! [`ReturnedPlain`], which every type has. (`Result` is itself serializable, so a trait alone could not tell.)

#![forbid(unsafe_code)]

use serde::Serialize;
use std::fmt::Display;

use crate::{Bytes, error::TaskError};

/// What a task's function returned.
#[derive(Debug)]
pub struct Returned<R>(pub R);

impl<T, E> Returned<Result<T, E>> {
    /// The value as JSON, or the error's text.
    pub fn json(self) -> Result<Vec<u8>, TaskError>
    where
        T: Serialize,
        E: Display,
    {
        to_json(&self.0.map_err(failed)?)
    }
}

impl<E> Returned<Result<Bytes, E>> {
    /// The bytes as they are, or the error's text.
    pub fn raw(self) -> Result<Vec<u8>, TaskError>
    where
        E: Display,
    {
        self.0.map(Bytes::into_vec).map_err(failed)
    }
}

/// The same for a function that cannot fail.
pub trait ReturnedPlain<T> {
    /// The value as JSON.
    fn json(self) -> Result<Vec<u8>, TaskError>
    where
        T: Serialize;

    /// The bytes as they are.
    fn raw(self) -> Result<Vec<u8>, TaskError>
    where
        T: Into<Bytes>;
}

impl<T> ReturnedPlain<T> for Returned<T> {
    fn json(self) -> Result<Vec<u8>, TaskError>
    where
        T: Serialize,
    {
        to_json(&self.0)
    }

    fn raw(self) -> Result<Vec<u8>, TaskError>
    where
        T: Into<Bytes>,
    {
        Ok(self.0.into().into_vec())
    }
}

fn failed(error: impl Display) -> TaskError {
    TaskError::Failed(error.to_string())
}

fn to_json(value: &impl Serialize) -> Result<Vec<u8>, TaskError> {
    serde_json::to_vec(value)
        .map_err(|error| TaskError::Other(format!("the task's result cannot be written as JSON: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Aliased = Result<u8, std::num::ParseIntError>;

    #[test]
    fn values_are_json_and_unit_is_null() {
        assert_eq!(Returned(7_u64).json().unwrap(), b"7");
        assert_eq!(Returned(()).json().unwrap(), b"null");
        assert_eq!(Returned(Some("x")).json().unwrap(), b"\"x\"");
    }

    #[test]
    fn a_result_is_its_value_or_its_error_also_behind_an_alias() {
        let good: Aliased = "7".parse();
        let bad: Aliased = "seven".parse();
        assert_eq!(Returned(good).json().unwrap(), b"7");
        assert_eq!(
            Returned(bad).json().unwrap_err(),
            TaskError::Failed("invalid digit found in string".to_owned())
        );
    }

    #[test]
    fn bytes_are_not_copied() {
        let bytes = vec![0_u8, 255];
        let place = bytes.as_ptr();
        let out = Returned(Ok::<_, String>(Bytes::from(bytes))).raw().unwrap();
        assert_eq!((out.as_ptr(), out.as_slice()), (place, &[0, 255][..]));
        let out = Returned(Bytes::from(out)).raw().unwrap();
        assert_eq!(out.as_ptr(), place);
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        let map = BTreeMap::from([((1, 2), 3)]);
        let error = Returned(map).json().unwrap_err();
        assert_eq!(
            error,
            TaskError::Other("the task's result cannot be written as JSON: key must be a string".to_owned())
        );
    }
}
