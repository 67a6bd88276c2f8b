//! Frames: magic, version, length, payload.
//!
//! The header is eight bytes: `"wp"`, the protocol version, a reserved zero, and the payload's length
//! as a little-endian `u32`. The length says again what the socket already knows, so a peer that
//! speaks another language, or none, is found out at its first frame. Nothing is allocated before the
//! length was compared with [`FRAME_BYTES_MAX`].

#![forbid(unsafe_code)]

use postcard::ser_flavors::Flavor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::FRAME_BYTES_MAX;

/// Grows with every change of a wire type.
pub(crate) const VERSION: u8 = 1;
const MAGIC: [u8; 2] = *b"wp";
pub(super) const HEADER_BYTES: usize = 8;

/// Why bytes are no frame of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {0} bytes is shorter than its header")]
    Short(usize),
    #[error("a frame begins with {0:02x?} instead of the magic bytes")]
    Magic([u8; 2]),
    #[error("a frame has protocol version {0}, this program speaks {VERSION}")]
    Version(u8),
    #[error("a frame says {said} bytes of payload and has {had}")]
    Length { said: u32, had: usize },
    #[error("a frame of {0} bytes is over the limit of {FRAME_BYTES_MAX}")]
    Large(usize),
    #[error("a frame's payload cannot be read: {0}")]
    Payload(postcard::Error),
    #[error("a frame has {0} bytes after its payload")]
    Trailing(usize),
}

/// A frame that is being written. What postcard brings for vectors goes through them byte by byte.
struct Growing(Vec<u8>);

impl Flavor for Growing {
    type Output = Vec<u8>;

    fn try_extend(&mut self, data: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(data);
        Ok(())
    }

    fn try_push(&mut self, data: u8) -> postcard::Result<()> {
        self.0.push(data);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// The bytes of one frame.
pub(crate) fn encode<T: Serialize>(message: &T) -> Result<Vec<u8>, FrameError> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[VERSION, 0, 0, 0, 0, 0]);
    let written = postcard::serialize_with_flavor(message, Growing(bytes));
    let mut bytes = written.map_err(FrameError::Payload)?;
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::Large(bytes.len()));
    }
    let length = u32::try_from(bytes.len() - HEADER_BYTES).expect("a frame is far below 4 GiB");
    bytes[4..HEADER_BYTES].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// The message in the bytes of one frame.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FrameError> {
    if bytes.len() > FRAME_BYTES_MAX {
        return Err(FrameError::Large(bytes.len()));
    }
    let Some((header, payload)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(FrameError::Short(bytes.len()));
    };
    let [m0, m1, version, _, l0, l1, l2, l3] = *header;
    if [m0, m1] != MAGIC {
        return Err(FrameError::Magic([m0, m1]));
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let said = u32::from_le_bytes([l0, l1, l2, l3]);
    if said as usize != payload.len() {
        return Err(FrameError::Length { said, had: payload.len() });
    }
    let (message, rest) = postcard::take_from_bytes(payload).map_err(FrameError::Payload)?;
    if rest.is_empty() { Ok(message) } else { Err(FrameError::Trailing(rest.len())) }
}

/// A frame with this payload, whatever that is.
#[cfg(any(test, fuzzing))]
pub(super) fn with_header(payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a payload is far below 4 GiB");
    [&MAGIC[..], &[VERSION, 0], &length.to_le_bytes(), payload].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_message_comes_back_as_it_was_sent() {
        let message = ("hello".to_owned(), vec![1_u64, 2, 3], Some(-7_i32));
        let bytes = encode(&message).unwrap();
        assert_eq!(decode::<(String, Vec<u64>, Option<i32>)>(&bytes), Ok(message));
    }

    #[test]
    fn each_damage_has_its_own_error() {
        let good = encode(&7_u64).unwrap();
        assert_eq!(decode::<u64>(&good[..7]), Err(FrameError::Short(7)));
        let with = |at: usize, byte: u8| {
            let mut bad = good.clone();
            bad[at] = byte;
            decode::<u64>(&bad)
        };
        assert_eq!(with(0, b'x'), Err(FrameError::Magic(*b"xp")));
        assert_eq!(with(2, 9), Err(FrameError::Version(9)));
        assert_eq!(with(7, 0x80), Err(FrameError::Length { said: 0x8000_0001, had: 1 }));
        assert_eq!(encode(&vec![0_u8; FRAME_BYTES_MAX]), Err(FrameError::Large(FRAME_BYTES_MAX + 11)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = decode::<crate::protocol::worker::FromWorker>(&bytes);
            let _ = decode::<crate::protocol::worker::ToWorker>(&bytes);
        }

        #[test]
        fn a_changed_byte_never_passes_for_a_larger_message(at in 0_usize..40, byte: u8) {
            let mut bytes = encode(&vec![1_u8; 32]).unwrap();
            let length = bytes.len();
            bytes[at % length] = byte;
            if let Ok(message) = decode::<Vec<u8>>(&bytes) {
                prop_assert!(message.len() <= length);
            }
        }
    }
}
