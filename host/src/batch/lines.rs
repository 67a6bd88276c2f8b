//! Inputs that are read one line at a time, so that a file of any length costs the memory of one line.

#![forbid(unsafe_code)]

use std::io::{self, BufRead, BufReader, Read};

/// One line of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// What stands in it, without the line's end.
    pub text: Result<Vec<u8>, TooLong>,
}

/// The line holds more bytes than an argument may have. It was skipped to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the line is longer than {bytes_max} bytes, the limit for one argument")]
pub struct TooLong {
    /// The limit.
    pub bytes_max: usize,
}

/// Reads lines that end with `\n` (or with the file).
#[derive(Debug)]
pub struct Lines<R> {
    reader: BufReader<R>,
    number: u64,
    bytes_max: usize,
}

impl<R: Read> Lines<R> {
    /// Lines of at most `bytes_max` bytes.
    pub fn new(reader: BufReader<R>, bytes_max: usize) -> Self {
        Self { reader, number: 0, bytes_max }
    }

    /// True when the next line is there already: reading it cannot wait for anybody.
    #[must_use]
    pub fn has_line_at_hand(&self) -> bool {
        self.reader.buffer().contains(&b'\n')
    }

    /// The next line; `None` at the end.
    ///
    /// # Errors
    ///
    /// When the file cannot be read on.
    pub fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut text = Vec::new();
        let mut is_too_long = false;
        let mut is_empty = true;
        loop {
            let buffer = match self.reader.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let end = buffer.iter().position(|&byte| byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            is_empty &= buffer.is_empty();
            is_too_long |= text.len() + part.len() > self.bytes_max;
            if is_too_long {
                text = Vec::new();
            } else {
                text.extend_from_slice(part);
            }
            let is_end = buffer.is_empty() || end.is_some();
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if is_end {
                break;
            }
        }
        if is_empty {
            return Ok(None);
        }
        self.number += 1;
        let text = if is_too_long { Err(TooLong { bytes_max: self.bytes_max }) } else { Ok(text) };
        Ok(Some(Line { number: self.number, text }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str, buffer_bytes: usize, bytes_max: usize) -> Vec<Result<String, TooLong>> {
        let mut lines = Lines::new(BufReader::with_capacity(buffer_bytes, text.as_bytes()), bytes_max);
        let mut out = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            assert_eq!(line.number, out.len() as u64 + 1);
            out.push(line.text.map(|text| String::from_utf8(text).unwrap()));
        }
        out
    }

    fn owned(lines: &[&str]) -> Vec<Result<String, TooLong>> {
        lines.iter().map(|&line| Ok(line.to_owned())).collect()
    }

    #[test]
    fn lines_end_with_a_newline_or_with_the_file() {
        for buffer_bytes in [1, 2, 3, 100] {
            assert_eq!(all("a\nbc\n\nd", buffer_bytes, 10), owned(&["a", "bc", "", "d"]));
            assert_eq!(all("a\n", buffer_bytes, 10), owned(&["a"]));
            assert_eq!(all("", buffer_bytes, 10), owned(&[]));
            assert_eq!(all("\n", buffer_bytes, 10), owned(&[""]));
        }
    }

    #[test]
    fn only_whole_lines_are_at_hand() {
        let mut lines = Lines::new(BufReader::new(&b"a\nb\nc"[..]), 10);
        assert!(!lines.has_line_at_hand());
        lines.next_line().unwrap();
        assert!(lines.has_line_at_hand());
        lines.next_line().unwrap();
        assert!(!lines.has_line_at_hand());
    }

    #[test]
    fn a_line_over_the_limit_is_skipped_and_the_next_one_is_read() {
        for buffer_bytes in [1, 3, 100] {
            let lines = all("123456\n1234\n", buffer_bytes, 4);
            assert_eq!(lines, [Err(TooLong { bytes_max: 4 }), Ok("1234".to_owned())]);
        }
    }
}
