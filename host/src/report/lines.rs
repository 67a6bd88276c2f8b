//! Output of many tasks on one stream, in whole lines, each with its task's name in front.

#![forbid(unsafe_code)]

use std::collections::HashMap;

use super::terminal::{self, TerminalFilter};

/// Bytes after which a line that does not end is broken, so that a guest cannot fill our memory with one.
pub const LINE_BYTES_MAX: usize = 16 * 1024;

/// The unfinished lines of all tasks that are running.
#[derive(Debug)]
pub struct PrefixedLines {
    /// By task and stream.
    unfinished: HashMap<(u64, Stream), Unfinished>,
    to_terminal: bool,
}

/// Which stream a piece of output comes from: lines of the two are never joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

#[derive(Debug)]
struct Unfinished {
    line: Vec<u8>,
    filter: Option<TerminalFilter>,
}

impl PrefixedLines {
    /// `to_terminal`: whether escape sequences are to be filtered.
    #[must_use]
    pub fn new(to_terminal: bool) -> Self {
        Self { unfinished: HashMap::new(), to_terminal }
    }

    /// Takes a piece of a task's output; the lines that it completes are appended to `out`.
    pub fn push(&mut self, task: u64, name: &str, stream: Stream, bytes: &[u8], out: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        let filter = || self.to_terminal.then(TerminalFilter::without_returns);
        let unfinished = self
            .unfinished
            .entry((task, stream))
            .or_insert_with(|| Unfinished { line: Vec::new(), filter: filter() });
        for piece in bytes.split_inclusive(|&byte| byte == b'\n') {
            for part in piece.chunks(LINE_BYTES_MAX) {
                unfinished.add(part);
                if unfinished.line.ends_with(b"\n") || unfinished.line.len() >= LINE_BYTES_MAX {
                    unfinished.write(name, out);
                }
            }
        }
    }

    /// The task ended: what it left without a newline is a line too.
    pub fn end(&mut self, task: u64, name: &str, out: &mut Vec<u8>) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            if let Some(mut unfinished) = self.unfinished.remove(&(task, stream))
                && !unfinished.line.is_empty()
            {
                unfinished.write(name, out);
            }
        }
    }
}

impl Unfinished {
    fn add(&mut self, part: &[u8]) {
        match &mut self.filter {
            Some(filter) => filter.filter(part, &mut self.line),
            None => self.line.extend_from_slice(part),
        }
    }

    fn write(&mut self, name: &str, out: &mut Vec<u8>) {
        out.extend_from_slice(terminal::one_line(name).as_bytes());
        out.extend_from_slice(b"| ");
        out.append(&mut self.line);
        if !out.ends_with(b"\n") {
            out.push(b'\n');
        }
    }
}

/// Captured output as whole lines: filtered for a terminal, and with a newline at its end.
pub fn whole(bytes: &[u8], to_terminal: bool, out: &mut Vec<u8>) {
    let start = out.len();
    if to_terminal {
        TerminalFilter::default().filter(bytes, out);
    } else {
        out.extend_from_slice(bytes);
    }
    if out.len() > start && !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(out: &[u8]) -> String {
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn lines_of_two_tasks_are_never_mixed() {
        let mut lines = PrefixedLines::new(false);
        let mut out = Vec::new();
        lines.push(1, "a", Stream::Stdout, b"one ", &mut out);
        lines.push(2, "b", Stream::Stdout, b"two\nthr", &mut out);
        lines.push(1, "a", Stream::Stderr, b"oops\n", &mut out);
        lines.push(1, "a", Stream::Stdout, b"line\n\n", &mut out);
        assert_eq!(text(&out), "b| two\na| oops\na| one line\na| \n");
        out.clear();
        lines.end(2, "b", &mut out);
        lines.end(1, "a", &mut out);
        assert_eq!(text(&out), "b| thr\n");
        assert!(lines.unfinished.is_empty());
    }

    #[test]
    fn a_line_without_an_end_is_broken() {
        let mut lines = PrefixedLines::new(false);
        let mut out = Vec::new();
        for _ in 0..40 {
            lines.push(1, "a", Stream::Stdout, &[b'x'; 1000], &mut out);
        }
        lines.push(1, "a", Stream::Stdout, &vec![b'y'; 3 * LINE_BYTES_MAX], &mut out);
        lines.end(1, "a", &mut out);
        let longest = text(&out).lines().map(str::len).max().unwrap();
        assert!(longest <= 2 * LINE_BYTES_MAX + 3, "{longest}");
        assert_eq!(out.iter().filter(|&&byte| byte == b'x').count(), 40_000);
        assert_eq!(out.iter().filter(|&&byte| byte == b'y').count(), 3 * LINE_BYTES_MAX);
    }

    #[test]
    fn a_terminal_gets_no_escapes_and_no_returns() {
        let mut out = Vec::new();
        let mut lines = PrefixedLines::new(true);
        lines.push(1, "a", Stream::Stdout, b"\rfake| \x1b[2", &mut out);
        lines.push(1, "a", Stream::Stdout, b"Jdone\r\n", &mut out);
        assert_eq!(text(&out), "a| fake| done\n");
    }

    #[test]
    fn captured_output_ends_with_a_newline() {
        let mut out = Vec::new();
        whole(b"a\nb", false, &mut out);
        whole(b"", false, &mut out);
        whole(b"c\x1b[1m\n", true, &mut out);
        assert_eq!(text(&out), "a\nb\nc\n");
    }
}
