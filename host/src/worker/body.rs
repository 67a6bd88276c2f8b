//! Runs of bytes on their way between supervisor and worker: in the frame, or in a memory file beside it.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use crate::limits::INLINE_BYTES_MAX;
use crate::os::hardening::with_kept_descriptors;
use crate::os::memory_file::{self, SealedFile};
use crate::protocol::worker::Body;

/// A body for these bytes, and the file to send with it.
///
/// Nobody has the file mapped for writing any more, so that the supervisor can seal it.
pub(crate) fn outgoing<'a>(bytes: impl Into<Cow<'a, [u8]>>) -> io::Result<(Body, Option<File>)> {
    let bytes = bytes.into();
    if bytes.len() <= INLINE_BYTES_MAX {
        return Ok((Body::Inline(bytes.into_owned()), None));
    }
    let file = with_kept_descriptors(|| memory_file::create("wasmpool-body"))?;
    memory_file::fill(&file, &bytes)?;
    Ok((Body::Memory { length: bytes.len() as u64 }, Some(file)))
}

/// The bytes of a body that came with these descriptors, at most this many.
pub(crate) fn incoming(body: Body, descriptors: Vec<OwnedFd>, bytes_max: u64) -> io::Result<Vec<u8>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    match body {
        Body::Inline(bytes) => Ok(bytes),
        Body::Memory { length } if length <= bytes_max => {
            let file = SealedFile::seal(descriptors.into_iter().next().ok_or_else(invalid)?)?;
            if file.len() != length {
                return Err(invalid());
            }
            let mut bytes = vec![0; usize::try_from(length).map_err(|_| invalid())?];
            file.read_exact_at(&mut bytes, 0)?;
            Ok(bytes)
        }
        Body::Memory { .. } => Err(io::ErrorKind::FileTooLarge.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_large_bodies_arrive_as_they_were() {
        for length in [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1, 3_000_000] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (body, file) = outgoing(bytes.as_slice()).unwrap();
            assert_eq!(file.is_some(), length > INLINE_BYTES_MAX);
            let descriptors = file.into_iter().map(OwnedFd::from).collect();
            assert_eq!(incoming(body, descriptors, 3_000_000).unwrap(), bytes);
        }
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_refused() {
        let file = || vec![OwnedFd::from(outgoing(vec![7; 60_000]).unwrap().1.unwrap())];
        let memory = |length| Body::Memory { length };
        assert!(incoming(memory(60_000), file(), 60_000).is_ok());
        assert!(incoming(memory(60_000), file(), 59_999).is_err());
        assert!(incoming(memory(59_999), file(), 60_000).is_err());
        assert!(incoming(memory(60_000), Vec::new(), 60_000).is_err());
    }
}
