//! The memory of an object: atomic words and runs of bytes that other processes change at the same time.
//!
//! The one place of `sync` with unsafe code. No reference to shared bytes ever exists: words are atomics,
//! runs of bytes are copied through raw pointers, and what was copied is only trusted as bytes.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags};
use rustix::mm::{MapFlags, ProtFlags};
use rustix::thread::futex;

use super::SyncError;

/// What the protocols need of shared memory. Offsets are in bytes; a word's is a multiple of its size.
///
/// What lies outside reads as zero and is never written, so no index from the memory can do harm. Loads
/// acquire, stores release, and the read-modify-write operations do both. The explorer in the tests is a
/// second implementation, for which each call is a step at which another participant may go on or this one
/// may die.
pub(super) trait Memory {
    fn load32(&self, at: u64) -> u32;
    fn store32(&self, at: u64, value: u32);
    /// Stores `new` if the word is `expected`; the word as it was.
    fn swap32_if(&self, at: u64, expected: u32, new: u32) -> u32;
    fn swap32(&self, at: u64, value: u32) -> u32;
    fn load64(&self, at: u64) -> u64;
    fn store64(&self, at: u64, value: u64);
    fn swap64(&self, at: u64, value: u64) -> u64;
    fn swap64_if(&self, at: u64, expected: u64, new: u64) -> u64;
    fn add64(&self, at: u64, value: u64) -> u64;
    /// Copies bytes out; another participant that writes them meanwhile makes them a mixture.
    fn copy_out(&self, at: u64, to: &mut [u8]);
    fn copy_in(&self, at: u64, from: &[u8]);
    /// Sleeps while the word is `expected`, at most this long. May return early.
    fn sleep(&self, at: u64, expected: u32, time: Duration);
    /// Wakes this many that sleep on the word, and tells how many there were.
    fn wake(&self, at: u64, count: u32) -> u32;
    /// A thread of this process is about to go inside a guard of this memory.
    fn coming(&self) {}
    /// It is outside again, or did not get in.
    fn went(&self) {}
    /// Whether a thread of this process may be inside a guard. Unlike a guard's word, nobody else can forge it.
    fn may_be_inside(&self) -> bool {
        true
    }
    /// Lets a neighbouring hardware thread go first, in a loop that spins.
    fn pause(&self) {
        std::hint::spin_loop();
    }
    /// How often [`spin`] looks before it gives up. A change that takes no system call is over by then.
    fn looks(&self) -> u32 {
        7
    }
}

/// For [`Memory::wake`]: all that sleep.
pub(super) const EVERYBODY: u32 = u32::MAX;

/// Looks again for a moment, ever more rarely so that the cache line stays with who works on it.
pub(super) fn spin<T>(memory: &impl Memory, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    for round in 0..memory.looks() {
        if let Some(found) = look() {
            return Some(found);
        }
        for _ in 0..1u32 << round {
            memory.pause();
        }
    }
    look()
}

/// Changes a word to what `new` makes of it, or leaves it with `None`; the word as it was.
///
/// Somebody hostile could change the word for ever, so the attempts are counted. Honest participants that
/// meet here each need one.
pub(super) fn update32(
    memory: &impl Memory,
    at: u64,
    new: impl Fn(u32) -> Option<u32>,
) -> Result<u32, SyncError> {
    const ATTEMPTS: u32 = 100_000;
    for _ in 0..ATTEMPTS {
        let found = memory.load32(at);
        let Some(new) = new(found) else { return Ok(found) };
        if memory.swap32_if(at, found, new) == found {
            return Ok(found);
        }
        memory.pause();
    }
    Err(SyncError::Damaged("a word of it never stands still".to_owned()))
}

/// A memory file of fixed size, mapped for reading and writing by everybody who was given it.
#[derive(Debug)]
pub(super) struct SharedMemory {
    file: OwnedFd,
    start: NonNull<u8>,
    length: u64,
    /// How many threads of this process are inside a guard, or about to be.
    inside: AtomicU32,
}

// SAFETY: all access goes through atomics and raw copies, from any thread.
unsafe impl Send for SharedMemory {}
// SAFETY: as above; no reference into the memory is ever given out.
unsafe impl Sync for SharedMemory {}

impl SharedMemory {
    /// New memory, all zero. No page is used before it is touched.
    pub(super) fn create(length: u64) -> io::Result<Self> {
        let file =
            rustix::fs::memfd_create("wasmpool-shared", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        rustix::fs::ftruncate(&file, length)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Self::open(file, length)
    }

    /// Maps memory that another process made, which must have this length for good.
    pub(super) fn open(file: OwnedFd, length: u64) -> io::Result<Self> {
        let seals = rustix::fs::fcntl_get_seals(&file)?;
        let found = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
        let fixed = seals.contains(SealFlags::SHRINK | SealFlags::GROW);
        let bytes = usize::try_from(length).ok().filter(|_| fixed && found == length && length > 0);
        let bytes = bytes.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        // SAFETY: a new mapping at an address that the kernel chooses overlaps nothing.
        let start = unsafe {
            let protection = ProtFlags::READ | ProtFlags::WRITE;
            rustix::mm::mmap(std::ptr::null_mut(), bytes, protection, MapFlags::SHARED, &file, 0)?
        };
        let start = NonNull::new(start.cast()).expect("mmap never returns null on success");
        Ok(Self { file, start, length, inside: AtomicU32::new(0) })
    }

    /// The place of `bytes` bytes at `at`, if they are inside and aligned to `alignment`.
    fn place(&self, at: u64, bytes: u64, alignment: u64) -> Option<NonNull<u8>> {
        let inside = at.checked_add(bytes).is_some_and(|end| end <= self.length);
        if !inside || !at.is_multiple_of(alignment) {
            return None;
        }
        // SAFETY: `at` is inside the mapping, whose length fitted a `usize`.
        Some(unsafe { self.start.add(at as usize) })
    }

    fn word32(&self, at: u64) -> Option<&AtomicU32> {
        // SAFETY: four aligned bytes of a mapping that lives as long as `self`, only ever used atomically or
        // copied raw; the size of the file is sealed, so the page is there.
        self.place(at, 4, 4).map(|place| unsafe { AtomicU32::from_ptr(place.as_ptr().cast()) })
    }

    fn word64(&self, at: u64) -> Option<&AtomicU64> {
        // SAFETY: as in `word32`, with eight bytes.
        self.place(at, 8, 8).map(|place| unsafe { AtomicU64::from_ptr(place.as_ptr().cast()) })
    }
}

impl Memory for SharedMemory {
    fn load32(&self, at: u64) -> u32 {
        self.word32(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn store32(&self, at: u64, value: u32) {
        if let Some(word) = self.word32(at) {
            word.store(value, Ordering::Release);
        }
    }

    fn swap32_if(&self, at: u64, expected: u32, new: u32) -> u32 {
        let Some(word) = self.word32(at) else { return 0 };
        word.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire)
            .unwrap_or_else(|found| found)
    }

    fn swap32(&self, at: u64, value: u32) -> u32 {
        self.word32(at).map_or(0, |word| word.swap(value, Ordering::AcqRel))
    }

    fn load64(&self, at: u64) -> u64 {
        self.word64(at).map_or(0, |word| word.load(Ordering::Acquire))
    }

    fn store64(&self, at: u64, value: u64) {
        if let Some(word) = self.word64(at) {
            word.store(value, Ordering::Release);
        }
    }

    fn swap64(&self, at: u64, value: u64) -> u64 {
        self.word64(at).map_or(0, |word| word.swap(value, Ordering::AcqRel))
    }

    fn swap64_if(&self, at: u64, expected: u64, new: u64) -> u64 {
        let Some(word) = self.word64(at) else { return 0 };
        word.compare_exchange(expected, new, Ordering::AcqRel, Ordering::Acquire)
            .unwrap_or_else(|found| found)
    }

    fn add64(&self, at: u64, value: u64) -> u64 {
        self.word64(at).map_or(0, |word| word.fetch_add(value, Ordering::AcqRel))
    }

    fn copy_out(&self, at: u64, to: &mut [u8]) {
        match self.place(at, to.len() as u64, 1) {
            // SAFETY: the source is inside the mapping, the destination is a slice of ours elsewhere. A racing
            // writer makes the copied bytes a mixture, and they are only ever taken for bytes.
            Some(from) => unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.as_mut_ptr(), to.len()) },
            None => to.fill(0),
        }
    }

    fn copy_in(&self, at: u64, from: &[u8]) {
        if let Some(to) = self.place(at, from.len() as u64, 1) {
            // SAFETY: the destination is inside the mapping, to which nothing in this process holds a reference.
            unsafe { std::ptr::copy_nonoverlapping(from.as_ptr(), to.as_ptr(), from.len()) }
        }
    }

    fn sleep(&self, at: u64, expected: u32, time: Duration) {
        let Some(word) = self.word32(at) else { return };
        let time = rustix::time::Timespec::try_from(time).ok();
        // Woken, changed before, interrupted by a signal, or over: the caller looks for itself.
        let _ = futex::wait(word, futex::Flags::empty(), expected, time.as_ref());
    }

    fn wake(&self, at: u64, count: u32) -> u32 {
        let Some(word) = self.word32(at) else { return 0 };
        let woken = futex::wake(word, futex::Flags::empty(), count.min(i32::MAX as u32));
        woken.map_or(0, |woken| u32::try_from(woken).unwrap_or(u32::MAX))
    }

    fn coming(&self) {
        self.inside.fetch_add(1, Ordering::SeqCst);
    }

    fn went(&self) {
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn may_be_inside(&self) -> bool {
        self.inside.load(Ordering::SeqCst) != 0
    }
}

impl AsFd for SharedMemory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for SharedMemory {
    fn drop(&mut self) {
        // SAFETY: exactly the range that `open` mapped, and no reference into it is left.
        let unmapped = unsafe { rustix::mm::munmap(self.start.as_ptr().cast(), self.length as usize) };
        debug_assert!(unmapped.is_ok(), "a mapping of our own can be unmapped");
    }
}
