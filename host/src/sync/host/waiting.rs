//! Waiting from async code, and tokens that belong to no thread.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::sync::{Deadline, Stop, SyncError, Token, WaitFor, Waits, tokens};

/// How soon a wait that nobody wants any more ends.
pub(super) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A token that no thread has. It is free again when it is dropped, and by then holds nothing.
#[derive(Debug)]
pub(super) struct OwnToken(Token);

impl OwnToken {
    pub(super) fn take() -> Self {
        Self(tokens::take_for_the_host())
    }

    pub(super) fn get(&self) -> Token {
        self.0
    }
}

impl Drop for OwnToken {
    fn drop(&mut self) {
        tokens::give_back(self.0);
    }
}

/// Waits until nobody wants the result any more.
struct Wanted(Arc<AtomicBool>);

impl Waits for Wanted {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        if self.0.load(Ordering::Relaxed) { Ok(LOOK_AGAIN) } else { Err(Stop::Cancelled) }
    }
}

/// Says that the result is not wanted any more.
struct Unwanted(Arc<AtomicBool>);

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Tries `operation` at once and, if it would have to wait, goes on as [`wait_elsewhere`].
pub(super) async fn wait<R: Send + 'static>(
    mut operation: impl FnMut(&mut dyn Waits) -> Result<R, SyncError> + Send + 'static,
) -> Result<R, SyncError> {
    match operation(&mut Deadline::after(Duration::ZERO)) {
        Err(SyncError::TimedOut) => wait_elsewhere(operation).await,
        other => other,
    }
}

/// Does `operation` on a thread of tokio's blocking pool.
///
/// When the future is dropped, that thread ends within 50 ms, and what it got in that time is dropped: what
/// `operation` gives must then give itself back.
pub(super) async fn wait_elsewhere<R: Send + 'static>(
    operation: impl FnOnce(&mut dyn Waits) -> Result<R, SyncError> + Send + 'static,
) -> Result<R, SyncError> {
    let wanted = Arc::new(AtomicBool::new(true));
    let _unwanted = Unwanted(Arc::clone(&wanted));
    let waiting = tokio::task::spawn_blocking(move || operation(&mut Wanted(wanted)));
    match waiting.await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        // The runtime is shutting down.
        Err(_) => Err(SyncError::Cancelled),
    }
}
