//! Writes what a batch reports, several records with one call when they are there.

#![forbid(unsafe_code)]

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TryRecvError;
use tokio::time::Instant;
use wasmpool::batch::drive::{Ended, Ending};
use wasmpool::batch::joblog::JobLog;
use wasmpool::batch::watchers::Watchers;
use wasmpool::report::digest::Digest;
use wasmpool::report::human::{Terminals, Written};
use wasmpool::report::json_lines;
use wasmpool::report::terminal::TerminalFilter;

use crate::arguments::MapFormat;
use crate::console::Console;
use crate::results::Results;

/// Writes the records of a batch.
#[derive(Debug)]
pub struct Writer {
    pub console: Arc<Console>,
    pub format: MapFormat,
    /// How a record is written as text.
    pub text: fn(&Ended, Terminals, &mut Written),
    /// Whether records carry captured output.
    pub with_output: bool,
    /// The job log, which is ahead of what is written here.
    pub log: Option<Arc<JobLog>>,
    /// Who is told of what never had an attempt.
    pub watchers: Watchers,
    /// What a person reads at the end.
    pub digest: Arc<Mutex<Digest>>,
    /// Where results are kept besides.
    pub results: Option<Results>,
    /// Runs until the last record is written, and has the clock.
    pub runtime: Handle,
}

impl Writer {
    /// Bytes that are written with one call when several records are there at once.
    const PIECE_BYTES: usize = 64 * 1024;
    /// How long a piece waits for more, where the display has to go out of its way and come back.
    const GATHER_TIME: Duration = Duration::from_millis(50);

    /// Writes records as they come, until there are no more.
    ///
    /// # Errors
    ///
    /// When standard output cannot be written; nothing is received after that.
    pub fn write_all(&self, mut records: mpsc::Receiver<Vec<Ended>>) -> io::Result<()> {
        while let Some(first) = records.blocking_recv() {
            let mut written = Written::default();
            let until = self.console.is_drawn_over().then(|| Instant::now() + Self::GATHER_TIME);
            let mut next = Some(first);
            while let Some(piece) = next {
                piece.iter().for_each(|ended| self.add(ended, &mut written));
                let has_room = written.stdout.len() + written.stderr.len() < Self::PIECE_BYTES;
                next = if has_room { self.next_of_piece(&mut records, until) } else { None };
            }
            self.console.write(&written)?;
        }
        Ok(())
    }

    fn add(&self, ended: &Ended, written: &mut Written) {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).add(ended);
        // What the job log does not hold is not shown: the next run would do it again.
        if self.is_logged(ended) {
            self.write(ended, written);
            if let Some(Err(error)) = self.results.as_ref().map(|results| results.keep(ended)) {
                self.console.error(&error);
            }
        }
    }

    /// What is there, or comes until then.
    fn next_of_piece(
        &self,
        records: &mut mpsc::Receiver<Vec<Ended>>,
        until: Option<Instant>,
    ) -> Option<Vec<Ended>> {
        match (records.try_recv(), until) {
            (Ok(piece), _) => Some(piece),
            (Err(TryRecvError::Empty), Some(until)) => {
                let next = async { tokio::time::timeout_at(until, records.recv()).await };
                self.runtime.block_on(next).ok().flatten()
            }
            _ => None,
        }
    }

    /// False when the job log, which is ahead of what is written here, could not be written on.
    fn is_logged(&self, ended: &Ended) -> bool {
        // What had no attempt was seen by nobody else.
        let had_none = match &ended.ending {
            Ending::Bad(_) => true,
            Ending::Ran(record) => record.attempt == 0,
        };
        if had_none {
            self.watchers.unrun(ended);
        }
        !self.log.as_ref().is_some_and(|log| log.is_broken())
    }

    fn write(&self, ended: &Ended, written: &mut Written) {
        let terminals = self.console.terminals();
        match self.format {
            MapFormat::Text => (self.text)(ended, terminals, written),
            MapFormat::Jsonl => {
                let line = json_lines::line(ended, self.with_output);
                if terminals.stdout {
                    TerminalFilter::default().filter(&line, &mut written.stdout);
                } else {
                    written.stdout.extend_from_slice(&line);
                }
            }
        }
    }
}
