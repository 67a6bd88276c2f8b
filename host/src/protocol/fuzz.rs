//! The body of the fuzz target `frames`: bytes as each of the messages that our processes send to each other.
//!
//! What arrives may have been written by hostile code. Whatever it is, it is read or refused without a panic, and what
//! was read is written as bytes that are read as the same. How much memory that takes is counted by the target.

#![forbid(unsafe_code)]

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::compile::{self, ArtifactHeader, Compile, Compiled};
use super::fork_server::{FromForkServer, Probed, ToForkServer};
use super::frame;
use super::worker::{FromWorker, ToWorker};
use crate::limits::FRAME_BYTES_MAX;

/// Kinds of messages.
const KINDS: u8 = 9;
/// The bytes are a whole frame; otherwise they are the payload of one with a right header.
const WHOLE_FRAME: u8 = 0x80;

/// One input: the kind of the message, then its bytes. Returns, whatever they are.
pub fn fuzz_frame(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    match (kind & !WHOLE_FRAME) % KINDS {
        0 => message::<ToWorker>(*kind, bytes),
        1 => message::<FromWorker>(*kind, bytes),
        2 => message::<ToForkServer>(*kind, bytes),
        3 => message::<FromForkServer>(*kind, bytes),
        4 => message::<Compile>(*kind, bytes),
        5 => message::<Compiled>(*kind, bytes),
        6 => message::<Probed>(*kind, bytes),
        7 => header(bytes),
        _ => description(bytes),
    }
}

fn message<T: Serialize + DeserializeOwned + PartialEq + Debug>(kind: u8, bytes: &[u8]) {
    let decoded = if kind & WHOLE_FRAME != 0 {
        frame::decode::<T>(bytes)
    } else {
        let payload = &bytes[..bytes.len().min(FRAME_BYTES_MAX - frame::HEADER_BYTES)];
        frame::decode::<T>(&frame::with_header(payload))
    };
    let Ok(message) = decoded else { return };
    let again = frame::encode(&message).expect("what fitted a frame fits one again");
    assert_eq!(frame::decode::<T>(&again).as_ref(), Ok(&message));
}

/// An artifact file's header before a file of a length that the input chooses, or of one that fits.
fn header(bytes: &[u8]) {
    let Some((head, rest)) = bytes.split_first_chunk::<{ ArtifactHeader::BYTES }>() else { return };
    let file_bytes = rest.split_first_chunk().map_or(0, |(length, _)| u64::from_le_bytes(*length));
    let Ok(header) = ArtifactHeader::read(head, file_bytes) else { return };
    assert_eq!(header.to_bytes(), *head);
    assert!(header.info_offset() + header.info_bytes <= header.code_offset());
    assert_eq!(header.code_offset() + header.code_bytes, file_bytes);
}

fn description(bytes: &[u8]) {
    let Ok(info) = compile::decode_info(bytes) else { return };
    let again = compile::encode_info(&info).expect("a description can be written");
    assert!(again.len() <= bytes.len(), "a description has one shortest form");
    assert_eq!(compile::decode_info(&again).as_ref(), Ok(&info));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_input_is_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            fuzz_frame(&data);
        }
    }
}
