//! A state that several threads change and wait for.

#![forbid(unsafe_code)]

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::sync::handle::Patience;

/// A state, and a way to wait until it is right.
#[derive(Debug, Default)]
pub(crate) struct Room<S> {
    state: Mutex<S>,
    changed: Condvar,
}

impl<S> Room<S> {
    pub(crate) fn new(state: S) -> Self {
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    /// Looks at the state or changes it, and lets everybody who waits look again.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Tries until there is a result; `None` when the time is over first. It is tried at least once.
    pub(crate) fn wait<R>(
        &self,
        patience: Patience,
        mut attempt: impl FnMut(&mut S) -> Option<R>,
    ) -> Option<R> {
        // A time that the clock cannot hold is without limit.
        let until = patience.and_then(|time| Instant::now().checked_add(time));
        let mut state = self.lock();
        loop {
            if let Some(result) = attempt(&mut state) {
                self.changed.notify_all();
                return Some(result);
            }
            state = match until {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return None;
                    }
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Nothing in here panics halfway through a change, so a poisoned state is as good as any.
    fn lock(&self) -> MutexGuard<'_, S> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
