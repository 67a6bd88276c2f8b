//! How many tasks of a pool wait in host imports and have given their places back: as much further may tasks
//! be taken from a stream, or those that the waiting ones wait for would never begin.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

/// The dispatcher counts, streams of records look.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Lent {
    places: AtomicUsize,
    /// Streams that wait for more places or for records.
    streams: Mutex<Vec<Waker>>,
}

impl Lent {
    /// A waiting task gave its place back.
    pub(in crate::supervisor) fn lend(&self) {
        self.places.fetch_add(1, Ordering::Relaxed);
        let wakers = std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner));
        wakers.into_iter().for_each(Waker::wake);
    }

    /// It goes on.
    pub(in crate::supervisor) fn take_back(&self) {
        self.places.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are; the stream is polled again when there are more.
    pub(super) fn places(&self, cx: &Context<'_>) -> usize {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if !streams.iter().any(|waker| waker.will_wake(cx.waker())) {
            streams.push(cx.waker().clone());
        }
        self.places.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::task::Wake;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_stream_is_polled_again_when_a_place_is_lent() {
        let (lent, woken) = (Lent::default(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert_eq!((lent.places(&cx), lent.places(&cx)), (0, 0));
        lent.lend();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "once, however often it looked");
        assert_eq!(lent.places(&cx), 1);
        lent.take_back();
        assert_eq!(lent.places(&cx), 0);
    }
}
