//! How other threads reach the dispatcher: a queue of events, and a flag that wakes it.

#![forbid(unsafe_code)]

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::event::Event;
use super::observer::Bells;
use crate::os::poll::Waker;

/// The dispatcher's inbox.
#[derive(Debug)]
pub(super) struct Inbox {
    events: Mutex<Option<VecDeque<Event>>>,
    /// Numbers tasks and pools: for the library's callers and for tasks that submit tasks.
    next_task: AtomicU64,
    pub(super) waker: Waker,
    /// Who is to be woken when what happened together was handled.
    pub(super) bells: Bells,
}

impl Inbox {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            events: Mutex::new(Some(VecDeque::new())),
            next_task: AtomicU64::new(1),
            waker: Waker::new()?,
            bells: Bells::default(),
        })
    }

    /// A number that no other task or pool of this supervisor has.
    pub(super) fn new_task(&self) -> u64 {
        self.next_task.fetch_add(1, Ordering::Relaxed)
    }

    /// Gives an event to the dispatcher; one that has ended drops it, and with it any reply it carries.
    pub(super) fn post(&self, event: Event) {
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(events) = events.as_mut() {
            events.push_back(event);
            if events.len() == 1 {
                self.waker.wake();
            }
        }
    }

    /// Takes everything out.
    pub(super) fn take(&self) -> VecDeque<Event> {
        self.waker.clear();
        let mut events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes everything out for the last time.
    pub(super) fn close(&self) -> VecDeque<Event> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default()
    }
}
