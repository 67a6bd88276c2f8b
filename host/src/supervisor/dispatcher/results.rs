//! Results of tasks, taken from their workers.

#![forbid(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use bytes::{Bytes, BytesMut};

use crate::os::memory_file::SealedFile;
use crate::outcome::{Encoding, TaskValue};
use crate::protocol::worker::Body;
use crate::shared_bytes::SharedBytes;

/// Values that are small enough lie side by side in blocks: whoever gives one back does so without a word to the allocator,
/// which is another thread's. One that is kept keeps its block, so a block is not much larger than a record.
#[derive(Debug, Default)]
pub(super) struct SmallValues(BytesMut);

impl SmallValues {
    const VALUE_BYTES_MAX: usize = 64;
    const BLOCK_BYTES: usize = 512;

    fn keep(&mut self, bytes: Vec<u8>) -> Bytes {
        if bytes.len() > Self::VALUE_BYTES_MAX {
            return bytes.into();
        }
        if self.0.capacity() < bytes.len() {
            self.0 = BytesMut::with_capacity(Self::BLOCK_BYTES);
        }
        self.0.extend_from_slice(&bytes);
        self.0.split().freeze()
    }
}

/// A result: checked against the limit, and sealed if it lies in a memory file.
pub(super) fn take_value(
    encoding: Encoding,
    body: Body,
    descriptors: Vec<OwnedFd>,
    limit: u64,
    small: &mut SmallValues,
) -> Result<TaskValue, String> {
    let too_large = |length: u64| format!("its result of {length} bytes is over the limit of {limit}");
    match body {
        Body::Inline(bytes) if bytes.len() as u64 <= limit => Ok(TaskValue::new(encoding, small.keep(bytes))),
        Body::Inline(bytes) => Err(too_large(bytes.len() as u64)),
        Body::Memory { length } => {
            let fd = descriptors.into_iter().next().ok_or("its result came without its memory file")?;
            let file =
                SealedFile::seal(fd).map_err(|error| format!("its result cannot be sealed: {error}"))?;
            if file.len() != length {
                return Err(format!("its result has {} bytes, it said {length}", file.len()));
            }
            if length > limit {
                return Err(too_large(length));
            }
            in_file(encoding, file).map_err(|error| format!("its result cannot be mapped: {error}"))
        }
    }
}

/// The file of raw bytes is kept for whoever wants to pass it on; JSON is for reading.
fn in_file(encoding: Encoding, file: SealedFile) -> io::Result<TaskValue> {
    let mapping = match encoding {
        Encoding::Json => file.map()?,
        Encoding::Raw => match SharedBytes::of_result(file)? {
            Ok(shared) => return Ok(TaskValue::of_shared(shared)),
            Err(mapping) => mapping,
        },
    };
    Ok(TaskValue::new(encoding, Bytes::from_owner(mapping)))
}

/// A result that says it is JSON must be.
pub(super) fn check_json(value: &TaskValue) -> Result<(), String> {
    match value.encoding() {
        Encoding::Raw => Ok(()),
        Encoding::Json => serde_json::from_slice::<&serde_json::value::RawValue>(value.bytes())
            .map(drop)
            .map_err(|error| format!("its result is not JSON: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::SHARED_RESULTS_MAX;
    use crate::os::memory_file::{Filling, create};
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_result_in_memory_is_sealed_before_it_is_read() {
        let file = create("test").unwrap();
        file.write_all_at(b"[1]", 0).unwrap();
        let fd = || file.as_fd().try_clone_to_owned().unwrap();
        for encoding in [Encoding::Json, Encoding::Raw] {
            let take = |body, descriptors, limit| {
                take_value(encoding, body, descriptors, limit, &mut SmallValues::default())
            };
            let value = take(Body::Memory { length: 3 }, vec![fd()], 10).unwrap();
            assert_eq!((value.encoding(), &value.bytes()[..]), (encoding, &b"[1]"[..]));
            assert_eq!(*value.shared().unwrap(), *b"[1]");
            assert!(file.write_all_at(b"x", 0).is_err());
            assert!(take(Body::Memory { length: 4 }, vec![fd()], 10).is_err());
            assert!(take(Body::Memory { length: 3 }, vec![fd()], 2).is_err());
            assert!(take(Body::Memory { length: 3 }, Vec::new(), 10).is_err());
            assert!(take(Body::Inline(vec![0; 11]), Vec::new(), 10).is_err());
        }
    }

    #[test]
    fn a_result_that_can_still_be_written_is_refused() {
        let file = Filling::new("test", 3).unwrap();
        let fd = file.as_fd().try_clone_to_owned().unwrap();
        let refused =
            take_value(Encoding::Raw, Body::Memory { length: 3 }, vec![fd], 10, &mut SmallValues::default());
        let refused = refused.unwrap_err();
        assert!(refused.contains("cannot be sealed"), "{refused}");
    }

    #[test]
    fn more_results_than_may_keep_their_files_are_mapped_and_keep_none() {
        let take = || {
            let file = create("test").unwrap();
            file.write_all_at(b"abc", 0).unwrap();
            let (body, small) = (Body::Memory { length: 3 }, &mut SmallValues::default());
            take_value(Encoding::Raw, body, vec![file.into()], 3, small).unwrap()
        };
        let values: Vec<_> = (0..=2 * SHARED_RESULTS_MAX).map(|_| take()).collect();
        assert!(values.iter().filter(|value| value.kept().is_some()).count() <= SHARED_RESULTS_MAX);
        assert!(values.iter().all(|value| value.bytes() == "abc" && *value.shared().unwrap() == *b"abc"));
        drop(values);
        assert!(take().kept().is_some(), "there is room again");
    }

    #[test]
    fn small_values_share_blocks_and_large_ones_have_their_own() {
        let mut small = SmallValues::default();
        let values: Vec<Bytes> = (0..=255).map(|n: u8| small.keep(vec![n; usize::from(n)])).collect();
        for (n, value) in (0..=255).zip(&values) {
            assert_eq!(*value, vec![n; usize::from(n)]);
        }
        let lies_behind = |n: usize| std::ptr::eq(values[n].as_ptr_range().end, values[n + 1].as_ptr());
        assert!(lies_behind(10) && lies_behind(11) && !lies_behind(100));
        // What is too large for the rest of a block begins another one, which holds eight of the largest.
        let after: Vec<Bytes> = (0..80).map(|_| small.keep(vec![7; 64])).collect();
        assert!(after.iter().all(|value| *value == [7; 64][..]));
        let behind = |pair: &[Bytes]| std::ptr::eq(pair[0].as_ptr_range().end, pair[1].as_ptr());
        assert!(after.windows(2).filter(|pair| behind(pair)).count() >= 80 - 80 / 8 - 1);
        assert!(small.0.capacity() < SmallValues::BLOCK_BYTES);
    }

    #[test]
    fn a_result_that_is_no_json_is_refused() {
        let check = |encoding, bytes: &'static [u8]| check_json(&TaskValue::new(encoding, bytes.into()));
        assert!(check(Encoding::Json, b"{\"a\": [1, 2]}").is_ok());
        assert!(check(Encoding::Json, b"{\"a\": ").is_err());
        assert!(check(Encoding::Json, b"1 2").is_err());
        assert!(check(Encoding::Raw, &[0xff]).is_ok());
    }
}
