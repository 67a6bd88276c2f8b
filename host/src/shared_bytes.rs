//! Bytes in a memory file, which go to a task and come back from one without being copied by the host.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::SHARED_RESULTS_MAX;
use crate::os::memory_file::{Filling, Mapping, SealedFile};

/// Results whose files are kept.
static KEPT: AtomicUsize = AtomicUsize::new(0);

/// Bytes that are handed to tasks without being copied: they lie in a memory file, which no one can change any more. For
/// large arguments, and for one that many tasks have. Cloning is cheap: the bytes are shared.
///
/// A large raw result is one too ([`TaskValue::shared`](crate::outcome::TaskValue::shared)): it can be the argument of another
/// task. The worker copies the bytes once into the guest, and once out of it, and nobody else copies anything.
///
/// Each takes a descriptor for as long as somebody has it.
///
/// ```
/// use wasmpool::{Args, SharedBytes};
///
/// let zeros_and_ones = SharedBytes::with(1 << 20, |bytes| {
///     bytes.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 1);
/// })?;
/// assert_eq!(zeros_and_ones[..4], [0, 1, 0, 1]);
/// let args = Args::shared(&zeros_and_ones); // For as many tasks as you like.
/// # let _ = args;
/// # Ok::<(), std::io::Error>(())
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
    /// When there is no memory or no descriptor for them.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        Self::of(SealedFile::from_bytes("wasmpool-shared", bytes)?, None)
    }

    /// `length` bytes, which `fill` gets as zeros and may write where they will stay.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let mut filling = Filling::new("wasmpool-shared", length)?;
        fill(&mut filling);
        Self::of(filling.seal()?, None)
    }

    fn of(file: SealedFile, place: Option<Place>) -> io::Result<Self> {
        let mapping = file.map()?;
        Ok(Self(Arc::new(Inner { file: Arc::new(file), mapping, _place: place })))
    }

    /// A result that came in this file; only its mapping if no more files are to be kept.
    pub(crate) fn of_result(file: SealedFile) -> io::Result<Result<Self, Mapping>> {
        match Place::take() {
            Some(place) => Self::of(file, Some(place)).map(Ok),
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

impl fmt::Debug for SharedBytes {
    /// Their number: nobody reads megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("len", &self.len()).finish_non_exhaustive()
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
    fn they_are_what_was_written_and_equal_to_their_like() {
        for length in [0, 1, 5000, 5_000_000] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let copied = SharedBytes::new(&bytes).unwrap();
            let filled = SharedBytes::with(length, |filled| {
                assert!(filled.iter().all(|byte| *byte == 0));
                filled.copy_from_slice(&bytes);
            });
            let filled = filled.unwrap();
            assert!(*copied == *bytes && copied == filled && filled.clone() == filled, "{length}");
            assert_eq!((filled.len(), filled.is_empty()), (length, length == 0));
        }
        let hello = SharedBytes::new(b"hello").unwrap();
        assert_ne!(hello, SharedBytes::new(b"hallo").unwrap());
        assert_eq!(format!("{hello:?}"), "SharedBytes { len: 5, .. }");
    }

    #[test]
    fn what_fills_them_may_panic() {
        let panics = || SharedBytes::with(100_000, |_| panic!("no more of it"));
        assert!(std::panic::catch_unwind(panics).is_err());
    }

    #[test]
    fn nobody_can_write_to_the_file() {
        use std::os::fd::AsFd;
        use std::os::unix::fs::FileExt;
        let filled = SharedBytes::with(3, |bytes| bytes.copy_from_slice(b"abc")).unwrap();
        let writer = std::fs::File::from(filled.file().as_fd().try_clone_to_owned().unwrap());
        assert!(writer.write_all_at(b"x", 0).is_err() && writer.set_len(0).is_err());
        assert_eq!(*filled, *b"abc");
    }
}
