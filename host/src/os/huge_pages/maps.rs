//! Huge pages for what a fork server has initialised.
//!
//! A fork copies a page-table entry for each page that a process has. Fifty megabytes of a guest's memory are 12 800 of
//! them, or 25 when they are huge pages.

use std::fs::File;
use std::io::{self, Read};
use std::ptr;

use rustix::mm::Advice;

use super::{HUGE_BYTES, MADV_COLLAPSE};

/// Where this process has memory, as the kernel lists it. Opened before the sandbox is entered, which has no such file.
#[derive(Debug)]
pub(crate) struct Maps(File);

impl Maps {
    pub(crate) fn open() -> io::Result<Self> {
        File::open("/proc/self/maps").map(Self)
    }

    /// Makes huge pages of all memory without a name that is long enough, as far as the machine has some.
    pub(crate) fn join_pages(mut self) {
        let mut list = Vec::new();
        // What cannot be read stays as it is: that costs time, and nothing else.
        if self.0.read_to_end(&mut list).is_err() {
            return;
        }
        for line in list.split(|byte| *byte == b'\n') {
            let Some((start, bytes)) = std::str::from_utf8(line).ok().and_then(huge) else { continue };
            let start = ptr::without_provenance_mut(start);
            // SAFETY: neither advice changes what the memory holds, whoever uses it. Both may be refused.
            unsafe {
                let _ = rustix::mm::madvise(start, bytes, Advice::LinuxHugepage);
                libc::madvise(start, bytes, MADV_COLLAPSE);
            }
        }
    }
}

/// The part of a mapping that huge pages can be made of: where it begins, and its bytes. `None` for what has a file or a
/// name, is not written to, or is too short.
fn huge(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_plain = fields.next()? == "rw-p" && fields.nth(2)? == "0" && fields.next().is_none();
    let address = |text| usize::from_str_radix(text, 16).ok();
    let start = address(start)?.checked_next_multiple_of(HUGE_BYTES)?;
    let end = address(end)? / HUGE_BYTES * HUGE_BYTES;
    (is_plain && start < end).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_memory_without_a_name_is_made_huge_pages_of() {
        for (line, expected) in [
            ("7f0000000000-7f0000400000 rw-p 00000000 00:00 0 ", Some((0x7f00_0000_0000, 4 << 20))),
            ("7f0000001000-7f0000401000 rw-p 00000000 00:00 0", Some((0x7f00_0020_0000, 2 << 20))),
            ("7f0000001000-7f0000201000 rw-p 00000000 00:00 0", None),
            ("7f0000000000-7f0000400000 r--p 00000000 00:00 0", None),
            ("7f0000000000-7f0000400000 ---p 00000000 00:00 0", None),
            ("7f0000000000-7f0000400000 rw-p 00000000 00:01 17 /memfd:x (deleted)", None),
            ("7f0000000000-7f0000400000 rw-p 00000000 00:00 0 [heap]", None),
            ("ffffffffffffffff-ffffffffffffffff rw-p 00000000 00:00 0", None),
            ("nothing of the kind", None),
            ("", None),
        ] {
            assert_eq!(huge(line), expected, "{line}");
        }
    }

    #[test]
    fn it_keeps_what_memory_holds() {
        let mut bytes = vec![0_u8; 8 << 20];
        bytes.iter_mut().step_by(4096).for_each(|byte| *byte = 7);
        Maps::open().unwrap().join_pages();
        assert!(bytes.iter().step_by(4096).all(|byte| *byte == 7));
        assert!(bytes.iter().skip(1).step_by(4096).all(|byte| *byte == 0));
    }
}
