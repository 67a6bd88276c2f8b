//! Bytes in a memory file, which go to a task and come back from one without being copied by the host.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::SHARED_RESULTS_MAX;
use crate::os::memory_file::{Filling, Mapping, SealedFile};

/// Results whose files are kept.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Bytes that cannot change any more, in a memory file that is sealed by the kernel. Cloning is cheap.
///
/// A task is given the file itself ([`Args::shared`](crate::Args::shared)), and a large raw result is one
/// ([`TaskValue::shared`](crate::outcome::TaskValue::shared)): the worker copies it into the guest, and out of it, and nobody
/// else copies anything. The result of one task can be the argument of another.
///
/// Each takes a descriptor of the process for as long as it lives.
///
/// ```
/// use wasmpool::{Args, SharedBytesMut};
///
/// # fn main() -> std::io::Result<()> {
/// let mut image = SharedBytesMut::zeroed(64 << 20)?;
/// image[..4].copy_from_slice(b"\x89PNG");
/// let image = image.freeze()?;
/// assert_eq!(image.len(), 64 << 20);
/// let args = Args::shared(image.clone());
/// # let _ = args;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SharedBytes(Arc<Inner>);

struct Inner {
    file: Arc<SealedFile>,
    mapping: Mapping,
    /// Its place among the results whose files are kept.
    _place: Option<Place>,
}

impl SharedBytes {
    /// A copy of these bytes.
    ///
    /// # Errors
    ///
    /// When the process may have no more descriptors, or the machine has no more memory.
    pub fn copy_from_slice(bytes: &[u8]) -> io::Result<Self> {
        Self::new(SealedFile::from_bytes("wasmpool-shared", bytes)?, None)
    }

    fn new(file: SealedFile, place: Option<Place>) -> io::Result<Self> {
        let mapping = file.map()?;
        Ok(Self(Arc::new(Inner { file: Arc::new(file), mapping, _place: place })))
    }

    /// A result that came in this file; only its mapping if no more files are to be kept.
    pub(crate) fn of_result(file: SealedFile) -> io::Result<Result<Self, Mapping>> {
        match Place::take() {
            Some(place) => Self::new(file, Some(place)).map(Ok),
            None => file.map().map(Err),
        }
    }

    /// The file.
    pub(crate) fn file(&self) -> &Arc<SealedFile> {
        &self.0.file
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.mapping
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || **self == **other
    }
}

impl Eq for SharedBytes {}

/// Its length: nobody reads a megabyte in an assertion's message.
impl fmt::Debug for SharedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytes({} bytes)", self.len())
    }
}

/// Bytes on their way to be [`SharedBytes`]: they are filled where they lie.
///
/// ```
/// use std::io::Read;
/// use wasmpool::SharedBytesMut;
///
/// # fn main() -> std::io::Result<()> {
/// let mut bytes = SharedBytesMut::zeroed(5)?;
/// "hello".as_bytes().read_exact(&mut bytes)?;
/// assert_eq!(*bytes.freeze()?, *b"hello");
/// # Ok(())
/// # }
/// ```
pub struct SharedBytesMut(Filling);

impl SharedBytesMut {
    /// This many bytes, all of them zero.
    ///
    /// # Errors
    ///
    /// As [`SharedBytes::copy_from_slice`].
    pub fn zeroed(length: usize) -> io::Result<Self> {
        Filling::new("wasmpool-shared", length).map(Self)
    }

    /// The bytes as they are from then on.
    ///
    /// # Errors
    ///
    /// When the machine has no more memory.
    pub fn freeze(self) -> io::Result<SharedBytes> {
        SharedBytes::new(self.0.seal()?, None)
    }
}

impl Deref for SharedBytesMut {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for SharedBytesMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl fmt::Debug for SharedBytesMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedBytesMut({} bytes)", self.len())
    }
}

/// One of the results whose files are kept.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        let one_more = |kept: usize| (kept < SHARED_RESULTS_MAX).then_some(kept + 1);
        KEPT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        KEPT.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_what_they_were_filled_with_and_equal_by_content() {
        for length in [0, 1, 5000, 5_000_000] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let copied = SharedBytes::copy_from_slice(&bytes).unwrap();
            let mut filled = SharedBytesMut::zeroed(length).unwrap();
            assert!(filled.iter().all(|byte| *byte == 0));
            filled.copy_from_slice(&bytes);
            let filled = filled.freeze().unwrap();
            assert!(*copied == *bytes && copied == filled, "{length}");
            assert_eq!((filled.len(), filled.is_empty()), (length, length == 0));
            assert_eq!(filled.clone(), filled);
        }
        assert_ne!(SharedBytes::copy_from_slice(b"a").unwrap(), SharedBytes::copy_from_slice(b"b").unwrap());
    }

    #[test]
    fn it_is_shown_by_its_length() {
        let shared = SharedBytes::copy_from_slice(b"hello").unwrap();
        assert_eq!(format!("{shared:?}"), "SharedBytes(5 bytes)");
        assert_eq!(format!("{:?}", SharedBytesMut::zeroed(3).unwrap()), "SharedBytesMut(3 bytes)");
    }

    #[test]
    fn nobody_can_write_to_the_file() {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileExt;
        let mut filled = SharedBytesMut::zeroed(3).unwrap();
        filled.copy_from_slice(b"abc");
        let filled = filled.freeze().unwrap();
        let writer = std::fs::File::from(filled.file().as_fd().try_clone_to_owned().unwrap());
        assert!(writer.write_all_at(b"x", 0).is_err() && writer.set_len(0).is_err());
        assert_eq!(*filled, *b"abc");
    }
}
