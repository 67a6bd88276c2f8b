//! Bytes in a memory file, which go to a task as they lie there.

#![forbid(unsafe_code)]

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::Arc;

use crate::os::memory_file::{Mapping, SealedFile};

/// Bytes that are handed to tasks without being copied: they lie in a memory file, which no one can change any more. For
/// large arguments, and for one that many tasks have. Cloning is cheap: the bytes are shared.
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
pub struct SharedBytes {
    file: Arc<SealedFile>,
    mapping: Arc<Mapping>,
}

impl SharedBytes {
    /// A copy of these bytes.
    ///
    /// # Errors
    ///
    /// When there is no memory or no descriptor for them.
    pub fn new(bytes: &[u8]) -> io::Result<Self> {
        Self::of(SealedFile::from_bytes("wasmpool-shared", bytes)?)
    }

    /// `length` bytes, which `fill` gets as zeros and may write where they will stay.
    ///
    /// # Errors
    ///
    /// As for [`new`](Self::new).
    pub fn with(length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        Self::of(SealedFile::filled("wasmpool-shared", length, fill)?)
    }

    fn of(file: SealedFile) -> io::Result<Self> {
        let mapping = Arc::new(file.map()?);
        Ok(Self { file: Arc::new(file), mapping })
    }

    /// The file.
    pub(crate) fn file(&self) -> &Arc<SealedFile> {
        &self.file
    }
}

impl Deref for SharedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.mapping
    }
}

impl AsRef<[u8]> for SharedBytes {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl PartialEq for SharedBytes {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.file, &other.file) || **self == **other
    }
}

impl Eq for SharedBytes {}

impl fmt::Debug for SharedBytes {
    /// Their number: nobody reads megabytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedBytes").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_what_was_written_and_equal_to_their_like() {
        let filled = SharedBytes::with(100_000, |bytes| bytes.fill(7)).unwrap();
        assert_eq!((filled.len(), filled[0], filled[99_999]), (100_000, 7, 7));
        assert_eq!(filled, SharedBytes::new(&[7; 100_000]).unwrap());
        assert_ne!(filled, SharedBytes::new(&[7; 99_999]).unwrap());
        assert!(SharedBytes::new(&[]).unwrap().is_empty());
        assert!(SharedBytes::with(0, |bytes| assert!(bytes.is_empty())).unwrap().is_empty());
        assert_eq!(format!("{filled:?}"), "SharedBytes { len: 100000, .. }");
    }

    #[test]
    fn what_fills_them_may_panic() {
        let panics = || SharedBytes::with(100_000, |_| panic!("no more of it"));
        assert!(std::panic::catch_unwind(panics).is_err());
    }
}
