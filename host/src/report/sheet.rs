//! Files about a whole batch that are written while it runs: JSON, JUnit, a page, a trace.
//!
//! A sheet is told of each attempt, in order, and puts what it has to say into the sections of a [`Spool`]; at the end it
//! writes the file from its own counts and those sections. So none keeps more than counts, bounded samples and what is
//! not over, however many tasks there are.

#![forbid(unsafe_code)]

pub mod html;
pub mod json;
pub mod junit;
pub mod trace;

use std::io::{self, Write};

use super::seen::{End, Seen};

/// Where a sheet puts what it has to say, in sections of which each is a text of its own.
pub trait Spool {
    /// Appends to a section.
    fn put(&mut self, section: usize, bytes: &[u8]);

    /// Writes a section out.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or what was put there could not be kept.
    fn copy(&mut self, section: usize, out: &mut dyn Write) -> io::Result<()>;
}

/// One kind of file.
pub trait Sheet: Send {
    /// An attempt has ended, or an input that never had one.
    fn seen(&mut self, seen: &Seen<'_>, spool: &mut dyn Spool);

    /// Everything has ended: the whole file.
    ///
    /// # Errors
    ///
    /// Those of the spool and of `out`.
    fn write(&mut self, end: &End, spool: &mut dyn Spool, out: &mut dyn Write) -> io::Result<()>;
}

/// The last part of a text that has at most this many bytes, from the beginning of a line where there is one.
#[must_use]
pub fn tail(bytes: &[u8], bytes_max: usize) -> String {
    let from = bytes.len().saturating_sub(bytes_max);
    let mut kept = &bytes[from..];
    if from > 0
        && let Some(line) = kept.iter().position(|byte| *byte == b'\n')
        && line + 1 < kept.len()
    {
        kept = &kept[line + 1..];
    }
    super::terminal::printable(&String::from_utf8_lossy(kept))
}

#[cfg(test)]
pub(super) mod memory {
    //! A spool in memory, and a file as text.

    use super::*;

    #[derive(Debug, Default)]
    pub struct Sections(Vec<Vec<u8>>);

    impl Spool for Sections {
        fn put(&mut self, section: usize, bytes: &[u8]) {
            if self.0.len() <= section {
                self.0.resize(section + 1, Vec::new());
            }
            self.0[section].extend_from_slice(bytes);
        }

        fn copy(&mut self, section: usize, out: &mut dyn Write) -> io::Result<()> {
            out.write_all(self.0.get(section).map_or(&[][..], Vec::as_slice))
        }
    }

    /// Fails unless the file of snapshots has this text; with the variable `WASMPOOL_WRITE_EXPECTED` it is written.
    pub fn expect_snapshot(name: &str, text: &str) {
        let path = format!("{}/src/report/sheet/snapshots/{name}", env!("CARGO_MANIFEST_DIR"));
        if std::env::var_os("WASMPOOL_WRITE_EXPECTED").is_some() {
            std::fs::write(&path, text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        assert_eq!(text, expected, "{name}: WASMPOOL_WRITE_EXPECTED takes what there is");
    }

    /// What a sheet makes of the events of a run.
    pub fn written(sheet: &mut dyn Sheet, run: &super::super::seen::tests::Run) -> String {
        let (mut spool, mut out) = (Sections::default(), Vec::new());
        run.tell(|seen| sheet.seen(seen, &mut spool));
        sheet.write(&run.end, &mut spool, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}
