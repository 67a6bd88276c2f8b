//! A block of lines at the bottom of the terminal behind standard error, that other output never tears.
//!
//! The cursor stays behind the block's last line, so that a `^C` which the terminal echoes stands there and goes with it.
//! Nothing about the terminal is changed for longer than one write: whoever stops or kills the program finds it as it was.

#![forbid(unsafe_code)]

use std::fmt::Write as _;
use std::io::{self, Write as _};

use rustix::termios::{tcgetpgrp, tcgetwinsize};

/// What is believed of a terminal that does not say how large it is.
const COLUMNS: usize = 80;
const ROWS: usize = 24;

/// The block that is drawn.
#[derive(Debug, Default)]
pub struct Screen {
    block: Vec<String>,
}

impl Screen {
    /// Draws a block in place of the one before, unless another program has the terminal.
    pub fn draw(&mut self, block: Vec<String>) {
        if !is_in_front() {
            // What stands there by now is not ours.
            return self.forget();
        }
        let text = format!("{}{}", erasing(&self.block, size().0), painting(&block));
        self.block = block;
        send(text.as_bytes());
    }

    /// Takes the block away.
    pub fn clear(&mut self) {
        let text = erasing(&std::mem::take(&mut self.block), size().0);
        send(text.as_bytes());
    }

    /// Leaves what is drawn where it is, because something else was written behind it.
    pub fn forget(&mut self) {
        self.block.clear();
    }

    /// Writes something to the terminal, with the block out of its way.
    pub fn aside<T>(&mut self, write: impl FnOnce() -> T) -> T {
        if self.block.is_empty() {
            return write();
        }
        send(erasing(&self.block, size().0).as_bytes());
        let done = write();
        send(painting(&self.block).as_bytes());
        done
    }
}

/// Columns and rows of the terminal.
pub fn size() -> (usize, usize) {
    let size = tcgetwinsize(io::stderr()).ok();
    let or = |told: Option<u16>, default| told.map(usize::from).filter(|told| *told > 0).unwrap_or(default);
    (or(size.map(|size| size.ws_col), COLUMNS), or(size.map(|size| size.ws_row), ROWS))
}

/// False in the background of a shell. A terminal that is not the one of our session does not tell, and is ours.
fn is_in_front() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |front| front == rustix::process::getpgrp())
}

/// Goes to the block's beginning and clears what is behind. A terminal that has become narrower has broken lines that do
/// not fit any more.
fn erasing(block: &[String], columns: usize) -> String {
    if block.is_empty() {
        return String::new();
    }
    let rows: usize = block.iter().map(|line| line.chars().count().div_ceil(columns).max(1)).sum();
    match rows - 1 {
        0 => "\r\x1b[J".to_owned(),
        up => format!("\r\x1b[{up}A\x1b[J"),
    }
}

/// The lines, without wrapping as long as they are written.
fn painting(block: &[String]) -> String {
    let mut text = String::new();
    if !block.is_empty() {
        write!(text, "\x1b[?7l{}\x1b[?7h", block.join("\r\n")).expect("a string takes everything");
    }
    text
}

fn send(bytes: &[u8]) {
    if !bytes.is_empty() {
        // Nobody can be told that a display cannot be drawn.
        let _ = io::stderr().lock().write_all(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_erased_by_the_rows_that_it_takes_by_now() {
        let block = ["x".repeat(79), "short".to_owned()];
        assert_eq!(erasing(&block, 80), "\r\x1b[1A\x1b[J");
        assert_eq!(erasing(&block, 40), "\r\x1b[2A\x1b[J");
        assert_eq!(erasing(&block[1..], 40), "\r\x1b[J");
        assert_eq!(erasing(&[], 40), "");
        assert_eq!(erasing(&[String::new()], 40), "\r\x1b[J");
    }

    #[test]
    fn a_block_is_painted_without_a_line_break_behind_it() {
        assert_eq!(painting(&["a".to_owned(), "b".to_owned()]), "\x1b[?7la\r\nb\x1b[?7h");
        assert_eq!(painting(&[]), "");
    }
}
