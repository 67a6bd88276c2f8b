//! The progress bar, drawn so that the terminal's own echo cannot tear it.
//!
//! indicatif fills its line with spaces up to the terminal's edge. The `^C` that a terminal echoes would
//! then begin another line, and clearing "the line" would leave the bar above it behind. [`Line`] leaves
//! the filling out, so that the echo stands behind the bar and goes with it, and keeps a line that is too
//! long for a narrow terminal from wrapping.

#![forbid(unsafe_code)]

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle, TermLike};

/// Draws a second.
const DRAWS_PER_SECOND: u8 = 10;

/// A bar on standard error for `inputs` inputs, or a count when their number is not known.
pub fn show(inputs: Option<u64>) -> ProgressBar {
    let (bar, template) = match inputs {
        Some(inputs) => {
            (ProgressBar::new(inputs), "{elapsed_precise} [{bar:30}] {pos}/{len}, {rate}, {eta} left{msg}")
        }
        None => (ProgressBar::no_length(), "{elapsed_precise} {spinner} {pos} done, {rate}{msg}"),
    };
    bar.set_draw_target(ProgressDrawTarget::term_like_with_hz(Box::new(Line), DRAWS_PER_SECOND));
    let style = ProgressStyle::with_template(template).expect("the template is one of the two above");
    bar.set_style(style.with_key("rate", |state: &ProgressState, out: &mut dyn fmt::Write| {
        // Nobody can be told that a bar cannot be drawn.
        let _ = write!(out, "{:.1}/s", state.per_sec());
    }));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// The last line of standard error's terminal.
#[derive(Debug)]
struct Line;

impl Line {
    /// Columns that are more than any bar of ours has.
    const COLUMNS: u16 = 200;

    fn send(&self, text: fmt::Arguments<'_>) -> io::Result<()> {
        io::stderr().lock().write_fmt(text)
    }

    fn move_cursor(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.send(format_args!("\x1b[{n}{direction}")) }
    }
}

impl TermLike for Line {
    fn width(&self) -> u16 {
        Self::COLUMNS
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.move_cursor(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)?;
        self.send(format_args!("\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if text.trim_matches(' ').is_empty() {
            return Ok(());
        }
        // Without wrapping, as long as this line is written.
        self.send(format_args!("\x1b[?7l{text}\x1b[?7h"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.send(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }
}
