//! How far a batch is and what runs: a function of the events of its attempts and of the time.
//!
//! [`Live`] is one of the batch's watchers; the progress display, `wasmpool ps` and the metrics look at it. What it keeps
//! does not grow with the batch: an entry for each attempt that runs, and counts.

#![forbid(unsafe_code)]

mod pace;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use super::drive::{Ended, Ending};
use super::watchers::Watcher;
use crate::AttemptEvent;

pub use pace::{BUCKETS, Durations};
pub use state::{Counts, RunningTask, State, Status};

/// A batch as it stands, for those who look at it from other threads.
#[derive(Debug)]
pub struct Live {
    begun: Instant,
    begun_at: SystemTime,
    state: Mutex<State>,
}

impl Live {
    /// A batch that begins now, with this many inputs if that is known.
    #[must_use]
    pub fn new(total: Option<u64>) -> Self {
        Self { begun: Instant::now(), begun_at: SystemTime::now(), state: Mutex::new(State::new(total)) }
    }

    /// When it began.
    #[must_use]
    pub fn begun_at(&self) -> SystemTime {
        self.begun_at
    }

    /// An input that an earlier run has finished.
    pub fn keep(&self) {
        self.state().keep();
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        self.state().status(self.begun.elapsed())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watcher for Live {
    fn attempt(&self, event: &AttemptEvent) {
        let now = self.begun.elapsed();
        self.state().attempt(event, now);
    }

    fn unrun(&self, ended: &Ended) {
        let now = self.begun.elapsed();
        match &ended.ending {
            Ending::Ran(record) => self.state().end(&record.outcome, now),
            Ending::Bad(_) => self.state().refuse(now),
        }
    }
}
