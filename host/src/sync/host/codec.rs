//! How items become bytes and bytes items: JSON, or the bytes themselves.
//!
//! A handle remembers the two functions from its constructor, so that nothing else asks for serde's traits.

#![forbid(unsafe_code)]

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::sync::SyncError;

/// Into bytes and back.
pub(super) struct Codec<T> {
    encode: fn(&T) -> Result<Bytes, SyncError>,
    decode: fn(Vec<u8>) -> Result<T, SyncError>,
}

impl<T> Clone for Codec<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Codec<T> {}

impl<T: Serialize + DeserializeOwned> Codec<T> {
    pub(super) fn json() -> Self {
        Self { encode: to_json, decode: |bytes| from_json(&bytes) }
    }
}

impl Codec<Bytes> {
    pub(super) fn raw() -> Self {
        Self { encode: |bytes| Ok(bytes.clone()), decode: |bytes| Ok(bytes.into()) }
    }
}

impl<T> Codec<T> {
    pub(super) fn encode(self, item: &T) -> Result<Bytes, SyncError> {
        (self.encode)(item)
    }

    pub(super) fn decode(self, bytes: Vec<u8>) -> Result<T, SyncError> {
        (self.decode)(bytes)
    }
}

fn to_json<T: Serialize>(item: &T) -> Result<Bytes, SyncError> {
    let json = serde_json::to_vec(item);
    json.map(Bytes::from).map_err(|error| SyncError::Unreadable(format!("the item has no JSON: {error}")))
}

fn from_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SyncError> {
    serde_json::from_slice(bytes).map_err(|error| {
        SyncError::Unreadable(format!("the item is no {}: {error}", std::any::type_name::<T>()))
    })
}
