//! From items to the bytes that lie in shared memory, and back.

#![forbid(unsafe_code)]

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::Any;
use std::cell::Cell;

use super::SyncError;
use crate::Bytes;

/// What a queue, a pipe or a dictionary can hold: whatever [`serde`] can write and read again.
///
/// Items are JSON, so that the host program and guests in other languages read them too. [`Bytes`] are passed as
/// they are, without JSON around them and without a copy inside the guest.
pub trait Item: Serialize + DeserializeOwned + 'static {}

impl<T: Serialize + DeserializeOwned + 'static> Item for T {}

thread_local! {
    /// The bytes of the last item, kept so that putting small items allocates nothing.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The longest buffer that is kept.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// The item's bytes, to be kept.
pub(crate) fn to_bytes<T: Serialize + 'static>(item: &T) -> Result<Vec<u8>, SyncError> {
    encoded(item, |bytes| Ok(bytes.to_vec()))
}

/// Calls `then` with the item's bytes.
pub(crate) fn encoded<T: Serialize + 'static, R>(
    item: &T,
    then: impl FnOnce(&[u8]) -> Result<R, SyncError>,
) -> Result<R, SyncError> {
    if let Some(bytes) = (item as &dyn Any).downcast_ref::<Bytes>() {
        return then(bytes);
    }
    let mut buffer = BUFFER.take();
    buffer.clear();
    let result = match serde_json::to_writer(&mut buffer, item) {
        Ok(()) => then(&buffer),
        Err(error) => Err(SyncError::Unreadable(format!("the item cannot be written as JSON: {error}"))),
    };
    if buffer.capacity() <= KEPT_BYTES_MAX {
        BUFFER.set(buffer);
    }
    result
}

/// The item that `bytes` are.
pub(crate) fn decoded<T: Item>(bytes: Vec<u8>) -> Result<T, SyncError> {
    let mut raw = Some(Bytes::from(bytes));
    // True for `T = Bytes` only, which the compiler knows.
    if let Some(item) = (&mut raw as &mut dyn Any).downcast_mut::<Option<T>>() {
        return item.take().ok_or_else(|| SyncError::Unreadable("there is no item".to_owned()));
    }
    let bytes = raw.unwrap_or_default();
    serde_json::from_slice(&bytes).map_err(|error| {
        let expected = std::any::type_name::<T>();
        SyncError::Unreadable(format!("the item cannot be read as {expected}: {error}: {bytes:?}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn bytes_of<T: Item>(item: &T) -> Vec<u8> {
        to_bytes(item).unwrap()
    }

    #[test]
    fn items_are_json_and_bytes_are_as_they_are() {
        assert_eq!(bytes_of(&7_u64), b"7");
        assert_eq!(bytes_of(&json!([42, null, "hello"])), br#"[42,null,"hello"]"#);
        assert_eq!(bytes_of(&Bytes::from("a\0b")), b"a\0b");
        assert_eq!(decoded::<Value>(b"[1]".to_vec()).unwrap(), json!([1]));
        let bytes = vec![0, 255];
        let place = bytes.as_ptr();
        assert_eq!(decoded::<Bytes>(bytes).unwrap().as_ptr(), place, "not copied");
    }

    #[test]
    fn an_item_of_another_type_says_what_it_is() {
        let error = decoded::<u64>(b"\"seven\"".to_vec()).unwrap_err().to_string();
        assert!(error.starts_with("the item cannot be read as u64: invalid type: string"), "{error}");
        assert!(error.ends_with(r#": b"\"seven\"""#), "{error}");
    }

    #[test]
    fn an_item_inside_the_writing_of_another_does_not_disturb_it() {
        let outer = encoded(&1_u8, |outer| {
            assert_eq!(bytes_of(&2_u8), b"2");
            Ok(outer.to_vec())
        });
        assert_eq!(outer.unwrap(), b"1");
    }

    #[test]
    fn what_json_cannot_hold_is_an_error() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = encoded(&map, |_| Ok(())).unwrap_err();
        assert_eq!(error.to_string(), "the item cannot be written as JSON: key must be a string");
    }
}
