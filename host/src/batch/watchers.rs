//! Who watches a batch while it runs: its job log, its reports, what shows how far it is.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use super::drive::Ended;
use crate::AttemptEvent;

/// Somebody who is told of every task of a batch.
pub trait Watcher: Send + Sync {
    /// Something happened to an attempt. Called in order, on the thread of the pool's observer, and with an end before
    /// anybody else gets the record. A watcher that waits holds up what has ended, and in the end the whole pool.
    fn attempt(&self, event: &AttemptEvent);

    /// An input ended that never had an attempt: it was bad, or what it depends on failed. Called by whoever
    /// writes the records, before this one is written.
    fn unrun(&self, ended: &Ended) {
        let _ = ended;
    }
}

/// The watchers of a batch, in the order in which they are told.
#[derive(Clone, Default)]
pub struct Watchers(Vec<Arc<dyn Watcher>>);

impl Watchers {
    /// One more, who is told last.
    pub fn push(&mut self, watcher: Arc<dyn Watcher>) {
        self.0.push(watcher);
    }

    /// True when there is nobody to be told.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells everybody.
    pub fn attempt(&self, event: &AttemptEvent) {
        self.0.iter().for_each(|watcher| watcher.attempt(event));
    }

    /// Tells everybody.
    pub fn unrun(&self, ended: &Ended) {
        self.0.iter().for_each(|watcher| watcher.unrun(ended));
    }
}

impl fmt::Debug for Watchers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watchers").field(&self.0.len()).finish()
    }
}
