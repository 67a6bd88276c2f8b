//! The pieces of a report on disk: sections that grow side by side, in a file that has no name.

#![forbid(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use wasmpool::limits::REPORT_BUFFER_BYTES;
use wasmpool::report::sheet::Spool;

/// The file, and where in it each section is.
#[derive(Debug)]
pub struct FileSpool {
    file: File,
    length: u64,
    sections: Vec<Section>,
    /// Bytes that wait in all sections together.
    waiting: usize,
    /// Why something could not be kept; nothing is written after that.
    error: Option<io::Error>,
}

#[derive(Debug, Default)]
struct Section {
    waiting: Vec<u8>,
    /// Where it begins and how long it is, piece by piece.
    pieces: Vec<(u64, u64)>,
}

impl FileSpool {
    /// Makes the file, and takes its name away.
    pub fn new(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        fs::remove_file(path)?;
        Ok(Self { file, length: 0, sections: Vec::new(), waiting: 0, error: None })
    }

    fn flush(&mut self) -> io::Result<()> {
        for section in &mut self.sections {
            let bytes = std::mem::take(&mut section.waiting);
            if bytes.is_empty() {
                continue;
            }
            self.file.write_all_at(&bytes, self.length)?;
            match section.pieces.last_mut() {
                Some((begin, length)) if *begin + *length == self.length => *length += bytes.len() as u64,
                _ => section.pieces.push((self.length, bytes.len() as u64)),
            }
            self.length += bytes.len() as u64;
        }
        self.waiting = 0;
        Ok(())
    }

    fn flush_or_break(&mut self) {
        if let Err(error) = self.flush() {
            self.error = Some(error);
            self.sections.clear();
        }
    }
}

impl Spool for FileSpool {
    fn put(&mut self, section: usize, bytes: &[u8]) {
        if self.error.is_some() {
            return;
        }
        if self.sections.len() <= section {
            self.sections.resize_with(section + 1, Section::default);
        }
        self.sections[section].waiting.extend_from_slice(bytes);
        self.waiting += bytes.len();
        if self.waiting >= REPORT_BUFFER_BYTES {
            self.flush_or_break();
        }
    }

    fn copy(&mut self, section: usize, out: &mut dyn Write) -> io::Result<()> {
        self.flush_or_break();
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        let mut buffer = vec![0; 64 * 1024];
        for (begin, length) in self.sections.get(section).map_or(&[][..], |section| &section.pieces) {
            let (mut at, end) = (*begin, begin + length);
            while at < end {
                let left = usize::try_from(end - at).unwrap_or(usize::MAX).min(buffer.len());
                self.file.read_exact_at(&mut buffer[..left], at)?;
                out.write_all(&buffer[..left])?;
                at += left as u64;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_that_grow_side_by_side_come_out_whole_and_no_file_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = FileSpool::new(folder.path().join("pieces")).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        let piece = |section: usize, round: usize| format!("{section}:{round};").repeat(1000);
        for round in 0..200 {
            (0..3).for_each(|section| spool.put(section, piece(section, round).as_bytes()));
        }
        for section in 0..3 {
            let mut out = Vec::new();
            spool.copy(section, &mut out).unwrap();
            let whole: String = (0..200).map(|round| piece(section, round)).collect();
            assert!(out == whole.as_bytes(), "section {section}");
        }
        spool.copy(7, &mut io::sink()).unwrap();
    }
}
