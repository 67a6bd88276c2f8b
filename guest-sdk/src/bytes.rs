//! Bytes that a task takes or returns as they are.

#![forbid(unsafe_code)]

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Bytes that a task takes or returns as they are, without JSON around them.
///
/// As a task's only parameter they are its whole input, and as its result, or the `T` of its `Result<T, E>`, its whole
/// output; neither is copied inside the guest. Among several parameters, or inside another type, they are JSON: read
/// from a string (its UTF-8 bytes) or an array of numbers, written as an array of numbers.
///
/// ```
/// use wasmpool_guest::{Bytes, task};
///
/// #[task]
/// fn reverse(mut data: Bytes) -> Bytes {
///     data.reverse();
///     data
/// }
/// assert_eq!(reverse(Bytes::from("abc")), Bytes::from("cba"));
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes as a vector, not copied.
    pub fn into_vec(self) -> Vec<u8> {
        self.0
    }
}

impl fmt::Debug for Bytes {
    /// A long value is shortened: nobody reads a megabyte in an assertion's message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_BYTES_MAX: usize = 64;
        let shown = &self.0[..self.0.len().min(SHOWN_BYTES_MAX)];
        write!(f, "b\"{}\"", shown.escape_ascii())?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, " and {more} more bytes"),
        }
    }
}

impl Deref for Bytes {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl From<String> for Bytes {
    fn from(text: String) -> Self {
        Self(text.into_bytes())
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl From<&str> for Bytes {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl From<Bytes> for Vec<u8> {
    fn from(bytes: Bytes) -> Self {
        bytes.0
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Not `serialize_bytes`, which other formats would write as text: readers expect the array of numbers.
        serializer.collect_seq(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl<'de> Visitor<'de> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of numbers from 0 to 255")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        Ok(text.as_bytes().to_vec())
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Vec<u8>, E> {
        Ok(text.into_bytes())
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::new();
        while let Some(byte) = numbers.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_string_is_its_utf8_bytes() {
        assert_eq!(serde_json::from_str::<Bytes>(r#""hé\n""#).unwrap(), Bytes::from("hé\n"));
        let value = serde_json::Value::from("owned");
        assert_eq!(serde_json::from_value::<Bytes>(value).unwrap(), Bytes::from("owned"));
    }

    #[test]
    fn json_array_survives_the_way_there_and_back() {
        let bytes = Bytes::from(vec![0, 127, 128, 255]);
        let json = serde_json::to_string(&bytes).unwrap();
        assert_eq!(json, "[0,127,128,255]");
        assert_eq!(serde_json::from_str::<Bytes>(&json).unwrap(), bytes);
    }

    #[test]
    fn other_json_is_refused_with_what_is_expected() {
        for wrong in ["7", "null", "[256]", "[-1]", "{}"] {
            assert!(serde_json::from_str::<Bytes>(wrong).is_err(), "{wrong} was read");
        }
        let error = serde_json::from_str::<Bytes>("7").unwrap_err().to_string();
        assert!(error.contains("a string or an array of numbers from 0 to 255"), "{error}");
    }

    #[test]
    fn debug_text_stays_short() {
        assert_eq!(format!("{:?}", Bytes::from("a\"\n")), r#"b"a\"\n""#);
        assert!(format!("{:?}", Bytes::from(vec![b'x'; 1 << 20])).len() < 200);
    }
}
