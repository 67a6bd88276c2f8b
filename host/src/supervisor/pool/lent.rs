//! How many tasks of a pool wait in host imports and have given their places back: as much further may tasks
//! be taken from a stream, or those that the waiting ones wait for would never begin.

#![forbid(unsafe_code)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::Context;

use futures_util::task::AtomicWaker;

/// The dispatcher counts, streams of records look.
#[derive(Debug, Default)]
pub(in crate::supervisor) struct Lent {
    places: AtomicUsize,
    /// Who is to be polled again when there are more.
    streams: Mutex<Vec<Weak<AtomicWaker>>>,
}

impl Lent {
    /// A waiting task gave its place back.
    pub(in crate::supervisor) fn lend(&self) {
        self.places.fetch_add(1, Ordering::Relaxed);
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.iter().filter_map(Weak::upgrade).for_each(|stream| stream.wake());
    }

    /// It goes on.
    pub(in crate::supervisor) fn take_back(&self) {
        self.places.fetch_sub(1, Ordering::Relaxed);
    }

    /// What a stream looks with.
    pub(super) fn look(self: &Arc<Self>) -> Look {
        let stream = Arc::new(AtomicWaker::new());
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.retain(|other| other.strong_count() > 0);
        streams.push(Arc::downgrade(&stream));
        Look { lent: Arc::clone(self), stream }
    }
}

/// A stream's look at the places.
#[derive(Debug)]
pub(super) struct Look {
    lent: Arc<Lent>,
    stream: Arc<AtomicWaker>,
}

impl Look {
    /// How many there are.
    pub(super) fn places(&self) -> usize {
        self.lent.places.load(Ordering::Relaxed)
    }

    /// The stream waits, and is polled again when there are more than it has `seen`; true when there are already.
    pub(super) fn waits(&self, cx: &Context<'_>, seen: usize) -> bool {
        self.stream.register(cx.waker());
        self.places() > seen
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use std::task::{Wake, Waker};

    /// Counts how often it is woken.
    #[derive(Default)]
    pub(in super::super) struct Woken(pub(in super::super) AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_stream_is_polled_again_when_a_place_is_lent() {
        let (lent, woken) = (Arc::new(Lent::default()), Arc::new(Woken::default()));
        let stream = lent.look();
        let waker = Waker::from(Arc::clone(&woken));
        let cx = Context::from_waker(&waker);
        assert!(!stream.waits(&cx, 0) && !stream.waits(&cx, 0));
        lent.lend();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "once, however often it looked");
        assert_eq!(stream.places(), 1);
        assert!(stream.waits(&cx, 0) && !stream.waits(&cx, 1));
        lent.take_back();
        assert_eq!(stream.places(), 0);
    }

    #[test]
    fn streams_that_are_gone_are_forgotten() {
        let lent = Arc::new(Lent::default());
        for _ in 0..100 {
            lent.look();
        }
        let last = lent.look();
        assert_eq!(lent.streams.lock().unwrap().len(), 1);
        drop(last);
    }
}
