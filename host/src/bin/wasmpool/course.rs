//! What `map` and `batch` do from their first task to the last record: drive, write, and hear what is asked.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use wasmpool::batch::drive::{Ended, Request};
use wasmpool::batch::joblog::JobLog;
use wasmpool::batch::tally::{Interruption, Tally};
use wasmpool::batch::watchers::Watchers;
use wasmpool::exit_code::batch;
use wasmpool::report::digest::Digest;
use wasmpool::report::human::{Terminals, Written};

use crate::arguments::MapFormat;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::{Signals, Wish};
use crate::joblog;
use crate::results::Results;
use crate::writer::Writer;

/// Pieces that may wait for the thread that writes them: one, while another is written.
const WAITING_REPORTS_MAX: usize = 1;
/// Requests that may wait for the batch: two of a person, two for a failure and two for a job log that cannot go on.
const REQUESTS_MAX: usize = 6;

/// How what runs is watched and written.
pub struct Course<'a> {
    pub console: &'a Arc<Console>,
    pub format: MapFormat,
    /// How a record is written as text.
    pub text: fn(&Ended, Terminals, &mut Written),
    /// Whether records carry captured output.
    pub with_output: bool,
    pub log: Option<Arc<JobLog>>,
    pub watchers: Watchers,
    /// What a person reads at the end.
    pub digest: Arc<Mutex<Digest>>,
    /// Where results are kept besides.
    pub results: Option<Results>,
    /// Called when everything is to end at once.
    pub on_kill: &'a dyn Fn(),
}

/// The ends of the channels that the driving loop has.
pub struct Ends {
    pub reports: mpsc::Sender<Vec<Ended>>,
    pub requests: mpsc::Receiver<Request>,
}

impl Course<'_> {
    /// Runs what `drive` makes of the channels to its end. When `failing` answers, nobody can read what all this is for, and
    /// it ends early. The second result says whether all records could be written.
    pub async fn run<D: Future<Output = Tally>>(
        self,
        signals: &mut Signals,
        failing: impl Future<Output = ()>,
        drive: impl FnOnce(Ends) -> D,
    ) -> (Tally, io::Result<()>) {
        let (reports, records) = mpsc::channel(WAITING_REPORTS_MAX);
        let (ask, requests) = mpsc::channel(REQUESTS_MAX);
        let ask = |request| {
            // What has ended has no use for requests, and there is room for all that can come.
            let _ = ask.try_send(request);
        };
        let give_up = |interruption| {
            ask(Request::Finish { interruption });
            ask(Request::Kill);
        };
        let mut written = self.start_writer(records);
        let (mut tally, mut is_log_lost, mut has_failed) = (None, false, false);
        let mut driving = std::pin::pin!(drive(Ends { reports, requests }));
        let mut failing = std::pin::pin!(failing);
        let written = loop {
            tokio::select! {
                ended = &mut driving, if tally.is_none() => tally = Some(ended),
                // A writer that is gone without a word has panicked, and its message is on the screen.
                result = &mut written => break result.unwrap_or(Ok(())),
                () = &mut failing, if !has_failed => {
                    has_failed = true;
                    give_up(Interruption::OutputClosed);
                }
                error = joblog::lost(self.log.as_ref(), is_log_lost) => {
                    is_log_lost = true;
                    self.console.error(&format!("{error}; nothing more runs"));
                    give_up(Interruption::LogLost);
                }
                wish = signals.next_wish() => ask(self.request(wish, signals)),
            }
        };
        let tally = match tally {
            Some(tally) => tally,
            None => driving.await,
        };
        (tally, written)
    }

    fn request(&self, wish: Wish, signals: &Signals) -> Request {
        let signal = signals.first().expect("a wish comes from a signal");
        match wish {
            Wish::Finish => {
                self.console.say(&format!(
                    "{signal}: nothing more starts, running tasks have their grace period to finish; once more kills them"
                ));
                Request::Finish { interruption: signal.interruption() }
            }
            Wish::Kill => {
                (self.on_kill)();
                Request::Kill
            }
        }
    }

    /// Writes records on a thread of its own: standard output may block for ever.
    fn start_writer(&self, records: mpsc::Receiver<Vec<Ended>>) -> oneshot::Receiver<io::Result<()>> {
        let (report, written) = oneshot::channel();
        let writer = Writer {
            console: Arc::clone(self.console),
            format: self.format,
            text: self.text,
            with_output: self.with_output,
            log: self.log.clone(),
            watchers: self.watchers.clone(),
            digest: Arc::clone(&self.digest),
            results: self.results.clone(),
            runtime: Handle::current(),
        };
        // A command that has ended does not ask any more.
        std::thread::spawn(move || drop(report.send(writer.write_all(records))));
        written
    }
}

/// Notes in the tally what [`all_written`] will tell, for the reports.
pub fn note_unwritten(written: &io::Result<()>, tally: &mut Tally) {
    if written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::BrokenPipe) {
        tally.interrupt(Interruption::ResultLost);
    }
}

/// The failure to write to standard output, unless its reader has left.
///
/// # Errors
///
/// Code 106.
pub fn all_written(written: io::Result<()>) -> Result<(), Failure> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::new(batch::INCOMPLETE, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Says what there is to say besides the counts.
pub fn say_digest(digest: &Mutex<Digest>, verbose: u8, console: &Console) {
    let text = digest.lock().unwrap_or_else(PoisonError::into_inner).text(verbose);
    if !text.is_empty() {
        console.say(text.trim_end());
    }
}

/// True when there is something to say about how it went: not all went well, or `-v` asks for it.
pub fn is_summary_wanted(tally: &Tally, verbose: u8) -> bool {
    let is_quiet_end = tally.interruption() == Some(Interruption::OutputClosed);
    (tally.exit_code() != batch::SUCCESS || verbose > 0) && !is_quiet_end
}
