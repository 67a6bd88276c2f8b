//! Takes items for async callers.
//!
//! A queue can be waited for only by taking from it. If each future had a thread of its own that waits, one that is dropped
//! would leave a thread behind that takes the next item, gives it back, and has used up one of its
//! deliveries; a `select!` loop makes a dead letter of every item like that. So all futures of one handle
//! share a thread, which serves whoever wants an item when one comes. It lives as long as somebody waits, and
//! 50 ms longer at most.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use super::lease::RawLease;
use super::waiting::LOOK_AGAIN;
use super::{Base, unless_timed_out};
use crate::sync::{Deadline, Stop, SyncError, WaitFor, Waits};

/// A leased item with its bytes, or `None` at the end.
type Taken = Result<Option<(RawLease, Vec<u8>)>, SyncError>;

/// What the futures of one handle and its clones share.
#[derive(Debug, Default)]
pub(super) struct Taker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Those that wait, the first one first.
    wanted: VecDeque<oneshot::Sender<Taken>>,
    /// There is a thread that serves them.
    is_served: bool,
}

impl Taker {
    /// Waits for an item. Dropping the future leaves it to others.
    pub(super) async fn take(self: Arc<Self>, base: Base) -> Taken {
        let at_once = RawLease::take(&base, &mut Deadline::after(Duration::ZERO));
        if let Some(taken) = unless_timed_out(at_once)? {
            return Ok(taken);
        }
        let (sender, receiver) = oneshot::channel();
        if self.want(sender) {
            let serving = Serving { taker: Arc::clone(&self), is_done: false };
            let thread = std::thread::Builder::new().name("wasmpool-take".to_owned());
            thread.spawn(move || serving.serve(&base)).map_err(|error| {
                SyncError::Unavailable(format!("there can be no thread that waits: {error}"))
            })?;
        }
        // Without an answer the thread has panicked, and its message is told.
        receiver.await.unwrap_or(Err(SyncError::Cancelled))
    }

    /// Enters somebody; whether a thread must be started.
    fn want(&self, sender: oneshot::Sender<Taken>) -> bool {
        let mut state = self.state();
        state.wanted.push_back(sender);
        !std::mem::replace(&mut state.is_served, true)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each line leaves it whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread's duty. When it is dropped undone, because there is no thread or it panics, nobody goes on waiting for it.
struct Serving {
    taker: Arc<Taker>,
    is_done: bool,
}

impl Serving {
    /// Serves until nobody wants anything any more.
    fn serve(mut self, base: &Base) {
        while !self.is_done {
            let taken = RawLease::take(base, &mut Wanted(&self.taker));
            let mut state = self.taker.state();
            if matches!(taken, Err(SyncError::Cancelled)) && !state.wanted.is_empty() {
                // Somebody came after the last one had gone.
                continue;
            }
            let is_last = !matches!(taken, Ok(Some(_)));
            give(taken, &mut state.wanted);
            if is_last || state.wanted.is_empty() {
                // In the same breath as the look: whoever comes after it starts another thread.
                state.is_served = false;
                self.is_done = true;
            }
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        if !self.is_done {
            let mut state = self.taker.state();
            state.is_served = false;
            state.wanted.clear();
        }
    }
}

/// Gives an item to the first that still wants it, and everything else to all. What nobody wants is dropped, and goes
/// back with that.
fn give(taken: Taken, wanted: &mut VecDeque<oneshot::Sender<Taken>>) {
    let mut taken = match taken {
        Ok(Some(item)) => Ok(Some(item)),
        Ok(None) => return wanted.drain(..).for_each(|sender| drop(sender.send(Ok(None)))),
        Err(error) => return wanted.drain(..).for_each(|sender| drop(sender.send(Err(error.clone())))),
    };
    while let Some(sender) = wanted.pop_front() {
        match sender.send(taken) {
            Ok(()) => return,
            Err(refused) => taken = refused,
        }
    }
}

/// Waits as long as somebody wants something.
struct Wanted<'a>(&'a Taker);

impl Waits for Wanted<'_> {
    fn sleep_at_most(&mut self, _: WaitFor) -> Result<Duration, Stop> {
        let mut state = self.0.state();
        state.wanted.retain(|sender| !sender.is_closed());
        if state.wanted.is_empty() { Err(Stop::Cancelled) } else { Ok(LOOK_AGAIN) }
    }
}
