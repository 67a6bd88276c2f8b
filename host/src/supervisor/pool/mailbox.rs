//! What is on its way from the dispatcher to others: records to a stream of them, attempts to who watches them.
//!
//! They are put in one by one and taken out all at once, and whoever waits is woken when there is something in it again:
//! thousands of short calls wake it a few times.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use futures_util::task::AtomicWaker;

use crate::limits::MAILBOX_ROOM_MAX;
use crate::outcome::Record;

/// What is put in by one side and taken out by the other.
#[derive(Debug)]
pub(in crate::supervisor) struct Mailbox<T> {
    /// `None` once nobody wants any.
    letters: Mutex<Option<VecDeque<T>>>,
    waker: AtomicWaker,
}

/// Records of a stream, each with the index of its task.
pub(in crate::supervisor) type RecordMail = Mailbox<(u64, Record)>;

/// Where the records of one chunk go. Its calls share a count of their own: one that each call of the stream counts at would
/// be changed by two threads all the time.
#[derive(Debug)]
pub(in crate::supervisor) struct ChunkMail(Arc<RecordMail>);

impl ChunkMail {
    pub(in crate::supervisor) fn new(mail: &Arc<RecordMail>) -> Self {
        Self(Arc::clone(mail))
    }

    /// As [`Mailbox::put`]; the mailbox that is to be rung.
    #[must_use]
    pub(in crate::supervisor) fn put(&self, index: u64, record: Record) -> Option<&Arc<RecordMail>> {
        self.0.put((index, record)).then_some(&self.0)
    }
}

impl<T> Mailbox<T> {
    pub(in crate::supervisor) fn new() -> Self {
        Self { letters: Mutex::new(Some(VecDeque::new())), waker: AtomicWaker::new() }
    }

    fn letters(&self) -> MutexGuard<'_, Option<VecDeque<T>>> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one in. True when it is the first one: then [`ring`](Self::ring) is to be called, at once or after some more.
    #[must_use]
    pub(in crate::supervisor) fn put(&self, letter: T) -> bool {
        let mut letters = self.letters();
        let Some(letters) = &mut *letters else { return false };
        letters.push_back(letter);
        letters.len() == 1
    }

    /// Wakes whoever waits.
    pub(in crate::supervisor) fn ring(&self) {
        self.waker.wake();
    }

    /// Takes everything out, in the order in which it came. Where there was nothing, `waker` will be woken. `to` is empty, and
    /// its memory is used for what comes next: one side would give back what the other one made.
    pub(in crate::supervisor) fn take(&self, waker: &Waker, to: &mut VecDeque<T>) {
        // Before it is looked: what comes after the look wakes.
        self.waker.register(waker);
        debug_assert!(to.is_empty(), "nothing is put in twice");
        if to.capacity() > MAILBOX_ROOM_MAX {
            *to = VecDeque::new();
        }
        if let Some(letters) = &mut *self.letters() {
            std::mem::swap(letters, to);
        }
    }

    /// Waits until there is something, and takes everything out.
    pub(in crate::supervisor) fn arrived(&self, to: &mut VecDeque<T>) -> impl Future<Output = ()> {
        poll_fn(|context| {
            self.take(context.waker(), to);
            if to.is_empty() { Poll::Pending } else { Poll::Ready(()) }
        })
    }

    /// Whatever is in it, and comes later, goes.
    pub(in crate::supervisor) fn close(&self) {
        let letters = self.letters().take();
        drop(letters);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::super::lent::tests::Woken;
    use super::*;

    #[test]
    fn what_is_put_in_comes_out_in_order_and_wakes_once() {
        let (mailbox, woken) = (Mailbox::<u64>::new(), Arc::new(Woken::default()));
        let waker = Waker::from(Arc::clone(&woken));
        let take = || {
            let mut letters = VecDeque::new();
            mailbox.take(&waker, &mut letters);
            letters
        };
        assert!(take().is_empty());
        let first: Vec<bool> = (0..3).map(|letter| mailbox.put(letter)).collect();
        assert_eq!(first, [true, false, false]);
        mailbox.ring();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!(take(), [0, 1, 2]);
        assert!(mailbox.put(3), "it was empty");
        mailbox.close();
        assert!(!mailbox.put(4), "nobody wants it");
        assert!(take().is_empty());
    }
}
