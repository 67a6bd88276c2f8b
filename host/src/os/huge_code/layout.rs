//! Where a program's code and constants lie, by its ELF headers, and whether huge pages can stand in for them.

#![forbid(unsafe_code)]

use crate::limits::HUGE_CODE_BYTES_MAX;
use crate::os::huge_pages::HUGE_BYTES;

/// Bytes at the beginning of a program's file that its headers must lie within.
pub(super) const HEADER_BYTES: usize = 4096;

const PAGE: u64 = 4096;
const HUGE: u64 = HUGE_BYTES as u64;

/// What a 64-bit program for x86-64 that may lie anywhere begins with: `e_ident`, and `e_type` with `e_machine`.
const IDENTITY: &[u8] = b"\x7fELF\x02\x01\x01";
const KIND: &[u8] = &[3, 0, 62, 0];
/// Of each segment: `PT_LOAD`, `PF_X` and `PF_W`.
const LOADED: u64 = 1;
const EXECUTABLE: u64 = 1;
const WRITABLE: u64 = 2;

/// A segment that is mapped, by addresses from the program's first one on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) address: u64,
    pub(super) bytes: u64,
    /// Where its bytes are in the program's file.
    pub(super) file_offset: u64,
    pub(super) is_code: bool,
    is_writable: bool,
}

impl Segment {
    /// The small pages that it has: the address of the first, and the one behind the last.
    #[cfg(feature = "worker")]
    pub(super) fn pages(&self) -> (u64, u64) {
        self.rounded(PAGE)
    }

    /// The same for huge pages, which have whatever lies around the segment.
    pub(super) fn huge_pages(&self) -> (u64, u64) {
        self.rounded(HUGE)
    }

    fn rounded(&self, to: u64) -> (u64, u64) {
        (self.address / to * to, (self.address + self.bytes).next_multiple_of(to))
    }
}

/// The segments of a program that huge pages can stand in for, one after the other: nobody writes to them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) segments: Vec<Segment>,
    /// Where the table of segments is mapped, from the program's first address on.
    #[cfg_attr(not(feature = "worker"), expect(dead_code, reason = "only who maps the copy looks for it"))]
    pub(super) table_address: u64,
}

impl Layout {
    /// Reads the beginning of a program's file. `None` for one that was not linked for it: each segment must have its huge
    /// pages to itself, wherever the program lies.
    pub(super) fn read(header: &[u8; HEADER_BYTES]) -> Option<Self> {
        if !header.starts_with(IDENTITY) || header[16..20] != *KIND {
            return None;
        }
        let table_address = number(header, 32, 8)?;
        let (row_bytes, rows) = (number(header, 54, 2)?, number(header, 56, 2)?);
        let mut loaded = Vec::new();
        for row in 0..rows {
            let at = usize::try_from(table_address.checked_add(row * row_bytes)?).ok()?;
            if number(header, at, 4)? != LOADED {
                continue;
            }
            let field = |offset| number(header, at.checked_add(offset)?, 8);
            let (flags, in_file) = (number(header, at.checked_add(4)?, 4)?, field(32)?);
            let segment = Segment {
                address: field(16)?,
                bytes: field(40)?,
                file_offset: field(8)?,
                is_code: flags & EXECUTABLE != 0,
                is_writable: flags & WRITABLE != 0,
            };
            let end = segment.address.checked_add(segment.bytes)?.checked_add(HUGE)?;
            let is_whole = segment.is_writable || in_file == segment.bytes;
            // The largest of these is what the kernel places the program by.
            if end > HUGE_CODE_BYTES_MAX || !is_whole || field(48)? < HUGE {
                return None;
            }
            loaded.push(segment);
        }
        let is_apart = loaded.windows(2).all(|pair| pair[0].huge_pages().1 <= pair[1].huge_pages().0);
        // The table, and what else the kernel tells a program of itself, is where it is in the file.
        let first = loaded.first()?;
        let begins = (first.address, first.file_offset) == (0, 0) && first.bytes >= HEADER_BYTES as u64;
        let segments: Vec<_> = loaded.iter().copied().filter(|segment| !segment.is_writable).collect();
        let has_code = segments.iter().any(|segment| segment.is_code);
        (is_apart && begins && has_code).then_some(Self { segments, table_address })
    }

    /// Bytes of all huge pages together.
    pub(super) fn bytes(&self) -> u64 {
        let huge_pages = self.segments.iter().map(Segment::huge_pages);
        huge_pages.map(|(start, end)| end - start).sum()
    }

    /// The segments, each with where its huge pages begin among those of all.
    pub(super) fn placed(&self) -> impl Iterator<Item = (&Segment, u64)> {
        let mut next = 0;
        self.segments.iter().map(move |segment| {
            let (start, end) = segment.huge_pages();
            let place = next;
            next += end - start;
            (segment, place)
        })
    }
}

/// The number of this many bytes at this place, if it is there.
fn number(header: &[u8], at: usize, bytes: usize) -> Option<u64> {
    let read = header.get(at..at.checked_add(bytes)?)?;
    Some(read.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const R: u64 = 4;
    const RX: u64 = 5;
    const RW: u64 = 6;

    /// A row: flags, place in the file, address, bytes in the file, bytes in memory, alignment.
    type Row = [u64; 6];

    /// As the linker lays out a program for huge pages.
    const LINKED: [Row; 3] = [
        [R, 0, 0, 0x7b_0350, 0x7b_0350, HUGE],
        [RX, 0x7b_0350, 0x9b_1350, 0x12a_b1a0, 0x12a_b1a0, HUGE],
        [RW, 0x1a5_b4f0, 0x1e5_d4f0, 0xa_da70, 0xa_db10, HUGE],
    ];

    fn header(rows: &[Row]) -> [u8; HEADER_BYTES] {
        let mut header = [0; HEADER_BYTES];
        let mut put = |at: usize, bytes: usize, number: u64| {
            header[at..at + bytes].copy_from_slice(&number.to_le_bytes()[..bytes]);
        };
        put(32, 8, 64);
        put(54, 2, 56);
        put(56, 2, rows.len() as u64);
        for (row, [flags, offset, address, in_file, in_memory, align]) in rows.iter().enumerate() {
            let at = 64 + 56 * row;
            put(at, 4, LOADED);
            put(at + 4, 4, *flags);
            for (field, value) in [(8, offset), (16, address), (32, in_file), (40, in_memory), (48, align)] {
                put(at + field, 8, *value);
            }
        }
        header[..7].copy_from_slice(IDENTITY);
        header[16..20].copy_from_slice(KIND);
        header
    }

    #[test]
    fn code_and_constants_have_their_huge_pages_one_after_the_other() {
        let layout = Layout::read(&header(&LINKED)).unwrap();
        let placed: Vec<_> = layout.placed().collect();
        let huge: Vec<_> =
            placed.iter().map(|(segment, place)| (segment.huge_pages(), segment.is_code, *place)).collect();
        assert_eq!(huge, [((0, 0x80_0000), false, 0), ((0x80_0000, 0x1e0_0000), true, 0x80_0000)]);
        assert_eq!(placed[1].0.pages(), (0x9b_1000, 0x1c5_d000));
        assert_eq!((layout.bytes(), layout.table_address), (0x1e0_0000, 64));
    }

    #[test]
    fn a_program_that_was_not_linked_for_it_has_none() {
        let with = |row: usize, field: usize, value: u64| {
            let mut rows = LINKED;
            rows[row][field] = value;
            Layout::read(&header(&rows))
        };
        assert!(with(1, 5, HUGE).is_some());
        for (row, field, value, what) in [
            (1, 2, 0x7b_1350, "two segments in one huge page"),
            (2, 2, 0x1c5_d4f0, "data in the last huge page of code"),
            (1, 5, PAGE, "placed by small pages"),
            (1, 3, 5, "code that is not all in the file"),
            (1, 4, u64::MAX, "no end"),
            (1, 2, u64::MAX, "no address"),
            (2, 4, HUGE_CODE_BYTES_MAX, "too long"),
            (0, 1, PAGE, "headers elsewhere"),
            (1, 0, R, "no code"),
        ] {
            assert_eq!(with(row, field, value), None, "{what}");
        }
        assert_eq!(Layout::read(&header(&[])), None);
        assert_eq!(Layout::read(&[0; HEADER_BYTES]), None);
        for at in 0..64 {
            // Whatever the header says, reading it ends.
            let mut wrong = header(&LINKED);
            wrong[at] ^= 0xff;
            let _ = Layout::read(&wrong);
        }
    }
}
