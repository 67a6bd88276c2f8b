//! Memory files (`memfd_create`) and their seals.
//!
//! Bytes that another process wrote are read or mapped only after [`SealedFile::seal`], which the
//! kernel refuses while anybody still holds a writable mapping: from then on nobody can change them.

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

const ALL_SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// An empty memory file that can be written and sealed.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    Ok(File::from(fd))
}

/// A memory file whose bytes and length cannot change any more.
#[derive(Debug)]
pub(crate) struct SealedFile {
    file: File,
    length: u64,
}

impl SealedFile {
    /// Seals a memory file, whoever made it.
    ///
    /// # Errors
    ///
    /// When the descriptor is no memory file, forbids seals, or is still mapped for writing.
    pub(crate) fn seal(fd: OwnedFd) -> io::Result<Self> {
        rustix::fs::fcntl_add_seals(&fd, ALL_SEALS).or_else(|error| {
            // Already sealed by its maker, and just as we want it.
            let seals = rustix::fs::fcntl_get_seals(&fd)?;
            if seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE) {
                Ok(())
            } else {
                Err(error)
            }
        })?;
        let length = rustix::fs::fstat(&fd)?.st_size;
        let length = u64::try_from(length).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        Ok(Self { file: File::from(fd), length })
    }

    /// A sealed file that holds these bytes.
    pub(crate) fn from_bytes(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let file = create(name)?;
        file.write_all_at(bytes, 0)?;
        Self::seal(file.into())
    }

    /// A sealed file of so many bytes, which `fill` gets as zeros and writes in place.
    pub(crate) fn filled(name: &str, length: usize, fill: impl FnOnce(&mut [u8])) -> io::Result<Self> {
        let file = create(name)?;
        file.set_len(length as u64)?;
        if length > 0 {
            let mut memory = Writable::new(&file, length)?;
            fill(memory.bytes());
            // A file that is mapped for writing cannot be sealed.
            drop(memory);
        } else {
            fill(&mut []);
        }
        Self::seal(file.into())
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.length
    }

    /// Fills `buffer` from `offset` on.
    pub(crate) fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    /// Maps the whole file for reading.
    pub(crate) fn map(&self) -> io::Result<Mapping> {
        Mapping::new(self, 0, self.length, ProtFlags::READ, MapFlags::empty())
    }

    /// Maps the whole file for reading it at once: its pages are there without a fault for each few of them.
    pub(crate) fn map_populated(&self) -> io::Result<Mapping> {
        Mapping::new(self, 0, self.length, ProtFlags::READ, MapFlags::POPULATE)
    }

    /// Maps part of the file as private memory that may be written and made executable without
    /// changing the file. `offset` is a multiple of the page size.
    pub(crate) fn map_private(&self, offset: u64, length: u64) -> io::Result<Mapping> {
        Mapping::new(self, offset, length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::empty())
    }
}

impl AsFd for SealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A new file of ours, mapped for writing.
struct Writable {
    start: NonNull<u8>,
    length: usize,
}

impl Writable {
    /// `length` is the file's, and not 0.
    fn new(file: &File, length: usize) -> io::Result<Self> {
        let protection = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start =
            unsafe { rustix::mm::mmap(std::ptr::null_mut(), length, protection, MapFlags::SHARED, file, 0)? };
        let start = NonNull::new(start.cast()).expect("mmap never returns null on success");
        Ok(Self { start, length })
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: mapped for reading and writing until drop, and nobody else has the file.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.length) }
    }
}

impl Drop for Writable {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `new` mapped, and nobody can hold a borrow of it any more.
        let _ = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
    }
}

/// A private mapping of a sealed file, unmapped on drop.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is plain memory that nobody else writes (the file is sealed, the mapping
// private); access from any thread follows the borrow of the `Mapping`.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(
        file: &SealedFile,
        offset: u64,
        length: u64,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        let inside = offset.checked_add(length).is_some_and(|end| end <= file.length);
        let length = usize::try_from(length).ok().filter(|_| inside);
        let length = length.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe {
            let flags = MapFlags::PRIVATE | flags;
            rustix::mm::mmap(std::ptr::null_mut(), length, protection, flags, &file.file, offset)?
        };
        let start = NonNull::new(start.cast()).expect("mmap never returns null on success");
        Ok(Self { start, length })
    }

    /// The mapping as a raw slice, for code that lives in it.
    pub(crate) fn as_raw(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.start, self.length)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `length` readable bytes until drop, and the file below is
        // sealed, so they do not change.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.length > 0 {
            // SAFETY: exactly the range that `new` mapped, and nobody can hold a borrow of it any more.
            let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length) };
            debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_can_be_read_and_not_written() {
        let sealed = SealedFile::from_bytes("test", b"hello").unwrap();
        assert_eq!(&*sealed.map().unwrap(), b"hello");
        let writer = File::from(sealed.as_fd().try_clone_to_owned().unwrap());
        assert!(writer.write_all_at(b"x", 0).is_err());
        assert!(writer.set_len(1).is_err());
    }

    #[test]
    fn a_file_that_is_no_memory_file_is_refused() {
        let file = tempfile::tempfile_in("/proc/self/cwd").or_else(|_| tempfile::tempfile()).unwrap();
        assert!(SealedFile::seal(file.into()).is_err());
    }

    #[test]
    fn nothing_outside_the_file_is_mapped() {
        let sealed = SealedFile::from_bytes("test", &[7; 5000]).unwrap();
        assert_eq!(&*sealed.map_private(4096, 904).unwrap(), &[7; 904]);
        assert!(sealed.map_private(4096, 905).is_err());
        assert!(sealed.map_private(u64::MAX, 2).is_err());
    }
}
