//! The program's standard streams: whole pieces only, and never through the middle of the progress bar.
//!
//! Results, guests' lines, our messages and log records come from different threads; each piece is
//! written under one lock.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anstyle::{AnsiColor, Style};
use indicatif::ProgressBar;
use wasmpool::report::human::{Terminals, Written};
use wasmpool::report::terminal;

use crate::arguments::{CommonOptions, Progress};
use crate::bar;

/// Where everything that a person reads goes through.
#[derive(Debug)]
pub struct Console {
    terminals: Terminals,
    is_quiet: bool,
    bar: Mutex<ProgressBar>,
}

impl Console {
    /// The console of a command.
    pub fn new(common: &CommonOptions) -> Self {
        let choice = match common.color {
            clap::ColorChoice::Auto => anstream::ColorChoice::Auto,
            clap::ColorChoice::Always => anstream::ColorChoice::Always,
            clap::ColorChoice::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        Self {
            terminals: Terminals { stdout: io::stdout().is_terminal(), stderr: io::stderr().is_terminal() },
            is_quiet: common.quiet,
            bar: Mutex::new(ProgressBar::hidden()),
        }
    }

    #[cfg(test)]
    pub fn quiet() -> Self {
        Self { terminals: Terminals::default(), is_quiet: true, bar: Mutex::new(ProgressBar::hidden()) }
    }

    pub fn terminals(&self) -> Terminals {
        self.terminals
    }

    /// Writes results: first what goes to standard error.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written. Nobody can be told that standard error cannot; but when
    /// its reader is gone, standard output is looked at too, which may have had the same one.
    pub fn write(&self, written: &Written) -> io::Result<()> {
        self.suspended(|| {
            if !written.stderr.is_empty()
                && let Err(error) = io::stderr().lock().write_all(&written.stderr)
                && error.kind() == io::ErrorKind::BrokenPipe
                && stdout_has_no_reader()
            {
                return Err(error);
            }
            if written.stdout.is_empty() {
                return Ok(());
            }
            let mut stdout = io::stdout().lock();
            stdout.write_all(&written.stdout)?;
            stdout.flush()
        })
    }

    /// A message of ours, unless `-q`.
    pub fn say(&self, message: &str) {
        if !self.is_quiet {
            self.write_error(format!("{}\n", self.shown(message)).as_bytes());
        }
    }

    /// `error: ...`
    pub fn error(&self, message: &str) {
        let style = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let message = self.shown(message);
        self.suspended(|| drop(writeln!(anstream::stderr(), "{style}error:{style:#} {message}")));
    }

    /// A message as standard error may show it: names of files and of what a module exports are in it.
    fn shown<'a>(&self, message: &'a str) -> Cow<'a, str> {
        if self.terminals.stderr { terminal::printable(message).into() } else { message.into() }
    }

    /// Bytes for standard error.
    pub fn write_error(&self, bytes: &[u8]) {
        self.suspended(|| drop(io::stderr().lock().write_all(bytes)));
    }

    /// Shows a bar for `inputs` inputs, or a count when their number is not known.
    pub fn begin_progress(&self, progress: Progress, inputs: Option<u64>) {
        let is_shown = match progress {
            Progress::Auto => self.terminals.stderr && !self.is_quiet,
            Progress::Bar => self.terminals.stderr,
            Progress::None => false,
        };
        if is_shown {
            *self.bar() = bar::show(inputs);
        }
    }

    /// More inputs ended.
    pub fn progress(&self, ended: u64, failed_in_all: u64) {
        let bar = self.bar();
        bar.inc(ended);
        if failed_in_all > 0 {
            bar.set_message(format!(", {failed_in_all} failed"));
        }
    }

    /// Takes the bar away.
    pub fn end_progress(&self) {
        let bar = std::mem::replace(&mut *self.bar(), ProgressBar::hidden());
        bar.finish_and_clear();
    }

    fn suspended<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar().suspend(write)
    }

    fn bar(&self) -> MutexGuard<'_, ProgressBar> {
        self.bar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True when standard output is a pipe or socket whose other end is closed.
fn stdout_has_no_reader() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().contains(PollFlags::ERR)
}
