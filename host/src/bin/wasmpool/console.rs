//! The program's standard streams: whole pieces only, and never through the middle of the progress bar.
//!
//! Results, guests' lines, our messages and log records come from different threads; each piece is
//! written under the lock of its stream. What passes a terminal waits for the display besides; what goes to a file or a
//! pipe does not, so that nobody waits for a reader but who writes to it.

#![forbid(unsafe_code)]

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use wasmpool::batch::live::Live;
use wasmpool::report::human::{Terminals, Written};
use wasmpool::report::terminal;

use crate::arguments::{CommonOptions, Progress};
use crate::live::display;
use crate::live::screen::{self, Screen};
use crate::live::status::Document;

/// Where everything that a person reads goes through.
#[derive(Debug)]
pub struct Console {
    terminals: Terminals,
    is_quiet: bool,
    progress: Mutex<Shown>,
}

/// How far a batch is, and how that is shown.
#[derive(Debug, Default)]
struct Shown {
    screen: Screen,
    live: Option<Arc<Live>>,
    how: How,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum How {
    #[default]
    Nothing,
    Block,
    /// A line each time; the next one when the batch is this old.
    Lines {
        next: Duration,
    },
}

/// When the first line comes, if nobody asked for lines.
const FIRST_LINE: Duration = Duration::from_secs(10);
/// When it comes, if somebody did.
const FIRST_ASKED_LINE: Duration = Duration::from_secs(1);
/// The time between two lines doubles up to this.
const LINE_PAUSE_MAX: Duration = Duration::from_secs(600);

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
            progress: Mutex::default(),
        }
    }

    #[cfg(test)]
    pub fn quiet() -> Self {
        Self { terminals: Terminals::default(), is_quiet: true, progress: Mutex::default() }
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
        let both = || {
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
        };
        // What goes to a file passes no terminal, and the end of a task that wrote nothing is a piece too.
        let is_seen = !written.stderr.is_empty() || self.terminals.stdout && !written.stdout.is_empty();
        if is_seen { self.aside(both) } else { both() }
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
        self.aside(|| drop(writeln!(anstream::stderr(), "{style}error:{style:#} {message}")));
    }

    /// A message as standard error may show it: names of files and of what a module exports are in it.
    fn shown<'a>(&self, message: &'a str) -> Cow<'a, str> {
        if self.terminals.stderr { terminal::printable(message).into() } else { message.into() }
    }

    /// Bytes for standard error.
    pub fn write_error(&self, bytes: &[u8]) {
        self.aside(|| drop(io::stderr().lock().write_all(bytes)));
    }

    /// Shows how far a batch is, from now on.
    pub fn begin_progress(&self, progress: Progress, live: &Arc<Live>) {
        // Where nothing can be drawn, lines say it.
        let can_draw = self.terminals.stderr && std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let how = match progress {
            Progress::None => How::Nothing,
            Progress::Lines => How::Lines { next: FIRST_ASKED_LINE },
            Progress::Bar if can_draw => How::Block,
            Progress::Auto if self.is_quiet => How::Nothing,
            Progress::Auto if can_draw => How::Block,
            Progress::Auto | Progress::Bar => How::Lines { next: FIRST_LINE },
        };
        *self.progress() = Shown { screen: Screen::default(), live: Some(Arc::clone(live)), how };
    }

    /// Takes what is shown away.
    pub fn end_progress(&self) {
        let mut shown = self.progress();
        shown.screen.clear();
        (shown.live, shown.how) = (None, How::Nothing);
    }

    /// Time has gone by.
    pub fn tick(&self) {
        let mut shown = self.progress();
        let Shown { screen, live: Some(live), how } = &mut *shown else { return };
        match how {
            How::Nothing => {}
            How::Block => {
                let (columns, rows) = screen::size();
                screen.draw(display::block(&live.status(), columns, rows));
            }
            How::Lines { next } => {
                let status = live.status();
                if status.elapsed >= *next {
                    *next = after_line(status.elapsed);
                    // Nobody can be told that standard error cannot be written.
                    let _ = writeln!(io::stderr(), "{}", display::line(&status));
                }
            }
        }
    }

    /// True while lines are drawn on the terminal that results go to.
    pub fn is_drawn_over(&self) -> bool {
        self.terminals.stdout && self.progress().how == How::Block
    }

    /// The program was stopped for a while, and another one had the terminal.
    pub fn come_back(&self) {
        self.progress().screen.forget();
        self.tick();
    }

    /// Says how the batch stands, with everything that runs.
    pub fn tell_status(&self) {
        let live = self.progress().live.clone();
        let text = live.map_or_else(|| "no batch runs\n".to_owned(), |live| Document::of(&live).text());
        self.write_error(text.as_bytes());
    }

    /// Writes to standard error, with what is drawn there out of the way.
    fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.progress().screen.aside(write)
    }

    fn progress(&self) -> MutexGuard<'_, Shown> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The age of the batch at the line after this one.
fn after_line(elapsed: Duration) -> Duration {
    elapsed + elapsed.min(LINE_PAUSE_MAX)
}

/// True when standard output is a pipe or socket whose other end is closed.
fn stdout_has_no_reader() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut polled = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut polled, Some(&at_once)).is_ok() && polled[0].revents().contains(PollFlags::ERR)
}
