//! Memory files (`memfd_create`) and their seals.
//!
//! Bytes that another process wrote are read or mapped only after [`SealedFile::seal`], which the
//! kernel refuses while anybody still holds a writable mapping: from then on nobody can change them.

use std::fs::File;
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::ptr::{self, NonNull};

use rustix::fs::{FallocateFlags, MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};

use crate::os::huge_pages::{self, HUGE_BYTES};

const ALL_SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// An empty memory file that can be written and sealed.
pub(crate) fn create(name: &str) -> io::Result<File> {
    let fd = rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    Ok(File::from(fd))
}

/// A memory file of so many huge pages, all of them zero, that can be written and sealed. This process has none of
/// them mapped, and never more than one at a time meanwhile.
///
/// # Errors
///
/// When there are not so many.
pub(crate) fn create_in_huge_pages(name: &str, count: usize) -> io::Result<File> {
    let length = count.checked_mul(HUGE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
    let file = create(name)?;
    file.set_len(length as u64)?;
    let mut mapping = Writable::new(&file, length)?;
    if (0..count).all(|index| mapping.join_one(index)) {
        Ok(file)
    } else {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// Fills an empty memory file, which nobody else has yet.
///
/// It is written, because a fault for each page would take twice as long; or, faster still, copied into huge pages.
pub(crate) fn fill(file: &File, bytes: &[u8]) -> io::Result<()> {
    let in_huge = bytes.len() / HUGE_BYTES * HUGE_BYTES;
    let mut copied = 0;
    if in_huge > 0 {
        file.set_len(in_huge as u64)?;
        if let Ok(mut mapping) = Writable::new(file, in_huge)
            && mapping.join()
        {
            mapping.copy_from_slice(&bytes[..in_huge]);
            copied = in_huge;
        }
    }
    file.write_all_at(&bytes[copied..], copied as u64)
}

/// A memory file that is being filled where it lies.
#[derive(Debug)]
pub(crate) struct Filling {
    file: File,
    mapping: Writable,
}

impl Filling {
    /// One of this many bytes, all of them zero.
    pub(crate) fn new(name: &str, length: usize) -> io::Result<Self> {
        let file = create(name)?;
        file.set_len(length as u64)?;
        let mut mapping = Writable::new(&file, length)?;
        mapping.join();
        if length > 0 {
            // A machine that has no room says so here, and not by a signal in the middle of a write.
            rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, length as u64)?;
        }
        Ok(Self { file, mapping })
    }

    /// The file as it is from then on.
    pub(crate) fn seal(self) -> io::Result<SealedFile> {
        drop(self.mapping);
        SealedFile::seal(self.file.into())
    }
}

impl AsFd for Filling {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Deref for Filling {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.mapping
    }
}

impl DerefMut for Filling {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.mapping
    }
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
        fill(&file, bytes)?;
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
        let length = self.bytes_from(0, self.length)?;
        Mapping::whole(&self.file, length, ProtFlags::READ, MapFlags::PRIVATE)
    }

    /// Maps part of the file as private memory that may be written and made executable without
    /// changing the file. `offset` is a multiple of the page size.
    pub(crate) fn map_private(&self, offset: u64, length: u64) -> io::Result<Mapping> {
        let length = self.bytes_from(offset, length)?;
        Mapping::new(&self.file, offset, length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE)
    }

    /// A length that lies within the file.
    fn bytes_from(&self, offset: u64, length: u64) -> io::Result<usize> {
        let is_inside = offset.checked_add(length).is_some_and(|end| end <= self.length);
        let length = usize::try_from(length).ok().filter(|_| is_inside);
        length.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl AsFd for SealedFile {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// A mapping of a memory file, unmapped on drop: of a sealed one, or inside [`Writable`].
#[derive(Debug)]
pub(crate) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is plain memory that nobody else writes (the file is sealed and the mapping
// private, or this process alone has the file); access from any thread follows the borrow of the `Mapping`.
unsafe impl Send for Mapping {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(
        file: &File,
        offset: u64,
        length: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> io::Result<Self> {
        if length == 0 {
            return Ok(Self { start: NonNull::dangling(), length });
        }
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe { rustix::mm::mmap(ptr::null_mut(), length, protection, flags, file, offset)? };
        let start = NonNull::new(start.cast()).expect("mmap never returns null on success");
        Ok(Self { start, length })
    }

    /// Maps a file from its beginning, and a long one at a border of huge pages: elsewhere those that it has could
    /// only be mapped as many small ones.
    fn whole(file: &File, length: usize, protection: ProtFlags, flags: MapFlags) -> io::Result<Self> {
        if length < HUGE_BYTES {
            return Self::new(file, 0, length, protection, flags);
        }
        let mapped_bytes = length.next_multiple_of(rustix::param::page_size());
        let reserved_bytes = mapped_bytes.checked_add(HUGE_BYTES).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: as in `new`. Nobody can use what is only reserved.
        let reserved: *mut u8 = unsafe {
            let flags = MapFlags::PRIVATE | MapFlags::NORESERVE;
            rustix::mm::mmap_anonymous(ptr::null_mut(), reserved_bytes, ProtFlags::empty(), flags)?.cast()
        };
        let skipped = reserved.align_offset(HUGE_BYTES);
        // SAFETY: what is mapped over and what is given back lies within what was reserved just before, and is disjoint.
        unsafe {
            let start = reserved.add(skipped);
            let mapped = rustix::mm::mmap(start.cast(), length, protection, flags | MapFlags::FIXED, file, 0);
            if let Err(error) = mapped {
                let _ = rustix::mm::munmap(reserved.cast(), reserved_bytes);
                return Err(error.into());
            }
            if skipped > 0 {
                let _ = rustix::mm::munmap(reserved.cast(), skipped);
            }
            if skipped < HUGE_BYTES {
                let _ = rustix::mm::munmap(start.add(mapped_bytes).cast(), HUGE_BYTES - skipped);
            }
            let start = NonNull::new(start).expect("a border within a mapping is not null");
            Ok(Self { start, length })
        }
    }

    /// The mapping as a raw slice, for code that lives in it.
    pub(crate) fn as_raw(&self) -> NonNull<[u8]> {
        NonNull::slice_from_raw_parts(self.start, self.length)
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `start` is valid for `length` readable bytes until drop, and they do not change while they are
        // borrowed: the file below is sealed, or `Writable` has it alone.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.length) }
    }
}

impl AsRef<[u8]> for Mapping {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

/// A mapping through which a memory file is filled.
#[derive(Debug)]
struct Writable(Mapping);

impl Writable {
    /// Maps the beginning of a file of at least this many bytes that this process alone has, and maps once.
    fn new(file: &File, length: usize) -> io::Result<Self> {
        Mapping::whole(file, length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED).map(Self)
    }

    /// Makes huge pages of what is long enough for some, while all of it is zero; true when there are as many as can be.
    fn join(&mut self) -> bool {
        let bytes = self.len() / HUGE_BYTES * HUGE_BYTES;
        let memory = &mut self[..bytes];
        // There must be something to begin with in each.
        memory.iter_mut().step_by(HUGE_BYTES).for_each(|first| *first = 0);
        bytes > 0 && huge_pages::join(memory)
    }

    /// Makes one huge page, while it is zero, and gives back its entry in this process's page table.
    fn join_one(&mut self, index: usize) -> bool {
        let start = index * HUGE_BYTES;
        let page = &mut self[start..start + HUGE_BYTES];
        page[0] = 0;
        let is_huge = huge_pages::join(page);
        // SAFETY: a shared mapping of a file has after it what it had before, from the file.
        let _ = unsafe { libc::madvise(page.as_mut_ptr().cast(), page.len(), libc::MADV_DONTNEED) };
        is_huge
    }
}

impl Deref for Writable {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for Writable {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: `start` is valid for `length` bytes until drop, mapped for writing, and the only way to the file's
        // bytes that this process uses while they are borrowed.
        unsafe { std::slice::from_raw_parts_mut(self.0.start.as_ptr(), self.0.length) }
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
    fn long_and_short_files_hold_what_was_copied_into_them() {
        for length in [0, 1, 5000, HUGE_BYTES - 1, HUGE_BYTES, HUGE_BYTES + 1, 3 * HUGE_BYTES + 5000] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let sealed = SealedFile::from_bytes("test", &bytes).unwrap();
            assert_eq!(sealed.len(), length as u64);
            let mapping = sealed.map().unwrap();
            assert!(*mapping == *bytes, "{length}");
            assert!(length < HUGE_BYTES || mapping.as_ptr().addr().is_multiple_of(HUGE_BYTES));
        }
    }

    #[test]
    fn what_is_filled_where_it_lies_is_sealed_with_it() {
        for length in [0, 1, 2 * HUGE_BYTES + 5000] {
            let mut filling = Filling::new("test", length).unwrap();
            assert!(filling.iter().all(|byte| *byte == 0));
            filling.iter_mut().rev().step_by(4099).for_each(|byte| *byte = 7);
            let sealed = filling.seal().unwrap();
            let mapping = sealed.map().unwrap();
            assert_eq!(mapping.len(), length);
            assert!(mapping.iter().rev().step_by(4099).all(|byte| *byte == 7));
            assert_eq!(mapping.iter().filter(|byte| **byte == 7).count(), length.div_ceil(4099));
            let writer = File::from(sealed.as_fd().try_clone_to_owned().unwrap());
            assert!(
                Writable::new(&writer, length).is_err() || length == 0,
                "it cannot be mapped for writing"
            );
        }
    }

    #[test]
    fn a_file_in_huge_pages_is_written_and_sealed_like_any_other() {
        let file = create_in_huge_pages("test", 3).unwrap();
        file.write_all_at(&[7; 5000], HUGE_BYTES as u64 - 2500).unwrap();
        let sealed = SealedFile::seal(file.into()).unwrap();
        let mapping = sealed.map().unwrap();
        assert_eq!(mapping.len(), 3 * HUGE_BYTES);
        assert_eq!(mapping.iter().filter(|byte| **byte == 7).count(), 5000);
        assert_eq!(mapping[HUGE_BYTES - 2500..HUGE_BYTES + 2500], [7; 5000]);
    }

    #[test]
    fn nothing_outside_the_file_is_mapped() {
        let sealed = SealedFile::from_bytes("test", &[7; 5000]).unwrap();
        assert_eq!(&*sealed.map_private(4096, 904).unwrap(), &[7; 904]);
        assert!(sealed.map_private(4096, 905).is_err());
        assert!(sealed.map_private(u64::MAX, 2).is_err());
    }
}
