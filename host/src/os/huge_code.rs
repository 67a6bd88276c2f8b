//! A program's code and constants in huge pages, one copy for all processes that run it.
//!
//! A process that was just forked has no page of the program's file mapped. It takes a fault for every sixteen small
//! pages that it touches, and gives as many entries back when it ends; of huge pages it needs about ten. No kernel is
//! asked to keep the program's file itself in them, because most cannot: a sealed memory file has the same bytes, and is
//! mapped over the program, at the same addresses, by a process that is to be forked.
//!
//! That needs a program whose segments have their huge pages to themselves, which its linker is told by
//! `-z max-page-size=0x200000`. Where that, or anything else, is not so, nothing is mapped, and all works as before.

mod layout;

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use crate::os::huge_pages::HUGE_BYTES;
use crate::os::memory_file::{self, SealedFile};
use layout::{HEADER_BYTES, Layout};

#[cfg(feature = "worker")]
pub(crate) use here::stand_in;

/// Bytes that are copied at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// What tells one program's file from another, and from what it was before it was changed.
pub(crate) type ProgramId = [u64; 7];

/// The copy of a program's code and constants.
#[derive(Debug)]
pub(crate) struct HugeCode {
    pub(crate) file: SealedFile,
    pub(crate) program: ProgramId,
}

impl HugeCode {
    /// Copies them from the program's file.
    ///
    /// # Errors
    ///
    /// When it was not linked for it, cannot be read, or there are no huge pages.
    pub(crate) fn of(program: &Path) -> io::Result<Self> {
        let file = File::open(program)?;
        let id = program_id(&file.metadata()?);
        let (_, layout) = read_layout(&file)?;
        let copy = memory_file::create_in_huge_pages("wasmpool-code", layout.bytes() as usize / HUGE_BYTES)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        for (segment, place) in layout.placed() {
            let start = place + segment.address - segment.huge_pages().0;
            for at in (0..segment.bytes).step_by(BUFFER_BYTES) {
                let piece = &mut buffer[..(segment.bytes - at).min(BUFFER_BYTES as u64) as usize];
                file.read_exact_at(piece, segment.file_offset + at)?;
                copy.write_all_at(piece, start + at)?;
            }
        }
        Ok(Self { file: SealedFile::seal(copy.into())?, program: id })
    }
}

fn read_layout(program: &File) -> io::Result<([u8; HEADER_BYTES], Layout)> {
    let mut header = [0; HEADER_BYTES];
    program.read_exact_at(&mut header, 0)?;
    let layout = Layout::read(&header).ok_or(io::ErrorKind::Unsupported)?;
    Ok((header, layout))
}

fn program_id(of: &Metadata) -> ProgramId {
    let times = [of.mtime(), of.mtime_nsec(), of.ctime(), of.ctime_nsec()].map(i64::cast_unsigned);
    [of.dev(), of.ino(), of.size(), times[0], times[1], times[2], times[3]]
}

/// In the process that is to be forked.
#[cfg(feature = "worker")]
mod here {
    use std::ffi::c_void;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::ptr;

    use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous, munmap};

    use super::*;

    /// Maps the copy over this program's own code and constants.
    ///
    /// # Errors
    ///
    /// When it is not this program's, or cannot be mapped: then everything is as before.
    pub(crate) fn stand_in(copy: OwnedFd, id: &ProgramId) -> io::Result<()> {
        let own = File::open("/proc/self/exe")?;
        if program_id(&own.metadata()?) != *id {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (header, layout) = read_layout(&own)?;
        let copy = SealedFile::seal(copy)?;
        let mut copied = [0; HEADER_BYTES];
        copy.read_exact_at(&mut copied, 0)?;
        if copy.len() != layout.bytes() || copied != header {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let first = first_address(&layout)?;
        let copy = copy.as_fd();
        // A system may forbid code in memory files. It says so here, where nothing depends on it.
        let trial = map(ptr::null_mut(), HEADER_BYTES, true, MapFlags::empty(), copy, 0)?;
        // SAFETY: what was mapped just before, which nobody else knows of.
        unsafe { munmap(trial, HEADER_BYTES)? };
        for (segment, place) in layout.placed() {
            let (start, end) = segment.huge_pages();
            let around = Around::reserve(first, [(start, segment.pages().0), (segment.pages().1, end)])?;
            let at = address(first, start);
            map(at, (end - start) as usize, segment.is_code, MapFlags::FIXED, copy, place)?;
            std::mem::forget(around);
        }
        Ok(())
    }

    /// Where this program begins, which must be where a huge page may.
    fn first_address(layout: &Layout) -> io::Result<usize> {
        // SAFETY: it only reads what the kernel told this process at its start.
        let table = unsafe { libc::getauxval(libc::AT_PHDR) };
        let first = table.checked_sub(layout.table_address).filter(|first| *first > 0);
        let first = first.and_then(|first| usize::try_from(first).ok());
        first.filter(|first| first.is_multiple_of(HUGE_BYTES)).ok_or(io::ErrorKind::Unsupported.into())
    }

    fn address(first: usize, offset: u64) -> *mut c_void {
        ptr::with_exposed_provenance_mut(first + offset as usize)
    }

    /// What is around a segment within its huge pages, while it is reserved: nothing else may be there.
    struct Around([(*mut c_void, usize); 2]);

    impl Around {
        fn reserve(first: usize, ranges: [(u64, u64); 2]) -> io::Result<Self> {
            let mut around = Self([(ptr::null_mut(), 0); 2]);
            for (slot, (start, end)) in around.0.iter_mut().zip(ranges) {
                let (at, bytes) = (address(first, start), (end - start) as usize);
                if bytes > 0 {
                    let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
                    // SAFETY: a mapping that replaces nothing, or else is refused.
                    unsafe { mmap_anonymous(at, bytes, ProtFlags::empty(), flags)? };
                    *slot = (at, bytes);
                }
            }
            Ok(around)
        }
    }

    impl Drop for Around {
        fn drop(&mut self) {
            for (at, bytes) in self.0.into_iter().filter(|(_, bytes)| *bytes > 0) {
                // SAFETY: what `reserve` mapped, and nobody uses.
                let _ = unsafe { munmap(at, bytes) };
            }
        }
    }

    fn map(
        at: *mut c_void,
        bytes: usize,
        is_code: bool,
        flags: MapFlags,
        copy: BorrowedFd<'_>,
        offset: u64,
    ) -> io::Result<*mut c_void> {
        let protection = if is_code { ProtFlags::READ | ProtFlags::EXEC } else { ProtFlags::READ };
        // SAFETY: where `stand_in` gives an address, this replaces a segment of this program that is never written to by the
        // same bytes of a file that cannot change, at the same address and with the same protection, at one stroke, and
        // what else is in the range is reserved for it. Elsewhere the kernel chooses an address, where nothing is.
        Ok(unsafe { mmap(at, bytes, protection, flags | MapFlags::PRIVATE, copy, offset)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// This program is linked as its package's build script says, so that it can be tried on.
    const OWN: &str = "/proc/self/exe";

    #[test]
    fn the_copy_has_the_bytes_of_the_programs_code_and_constants() {
        let code = HugeCode::of(Path::new(OWN)).unwrap();
        let own = File::open(OWN).unwrap();
        assert_eq!(code.program, program_id(&own.metadata().unwrap()));
        let (_, layout) = read_layout(&own).unwrap();
        assert_eq!(code.file.len(), layout.bytes());
        let copy = code.file.map().unwrap();
        // What is around them is nothing.
        let mut expected = vec![0; copy.len()];
        for (segment, place) in layout.placed() {
            let start = place + segment.address - segment.huge_pages().0;
            let range = start as usize..(start + segment.bytes) as usize;
            own.read_exact_at(&mut expected[range], segment.file_offset).unwrap();
        }
        assert!(*copy == *expected);
    }

    #[test]
    fn what_is_no_program_or_is_linked_otherwise_has_no_copy() {
        let kind = |path: &Path| HugeCode::of(path).unwrap_err().kind();
        assert_eq!(kind(Path::new("/no/such/program")), io::ErrorKind::NotFound);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        std::fs::write(&path, [7; 100]).unwrap();
        assert_eq!(kind(&path), io::ErrorKind::UnexpectedEof);
        std::fs::write(&path, [7; 10_000]).unwrap();
        assert_eq!(kind(&path), io::ErrorKind::Unsupported);
    }

    #[test]
    fn a_changed_program_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("program");
        let id = || program_id(&std::fs::metadata(&path).unwrap());
        std::fs::write(&path, [7; 100]).unwrap();
        let before = id();
        assert_eq!(before, id());
        std::fs::write(&path, [7; 101]).unwrap();
        assert_ne!(before, id());
    }
}
