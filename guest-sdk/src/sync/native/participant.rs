//! A thread as a participant: its number, and what it holds.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use super::Object;

/// A thread that uses shared objects.
struct Participant {
    number: u64,
    /// Each object as often as something of it is held.
    held: RefCell<Vec<Weak<Object>>>,
}

impl Drop for Participant {
    /// The thread ends: what it still holds is given back, as after the end of a task.
    fn drop(&mut self) {
        for object in self.held.take() {
            if let Some(object) = object.upgrade() {
                object.leave(self.number);
            }
        }
    }
}

thread_local! {
    static ME: Participant = {
        static THREADS: AtomicU64 = AtomicU64::new(1);
        Participant { number: THREADS.fetch_add(1, Ordering::Relaxed), held: RefCell::default() }
    };
}

/// The number of this thread. All threads that are just ending are 0.
pub(super) fn who() -> u64 {
    ME.try_with(|me| me.number).unwrap_or(0)
}

/// Notes that this thread holds something of the object.
pub(super) fn hold(object: &Arc<Object>) {
    // Fails in a thread that is just ending, which nobody can help any more.
    let _ = ME.try_with(|me| me.held.borrow_mut().push(Arc::downgrade(object)));
}

/// Notes that it holds less of it.
pub(super) fn give_up(object: &Arc<Object>) {
    let _ = ME.try_with(|me| {
        let mut held = me.held.borrow_mut();
        if let Some(place) = held.iter().rposition(|held| std::ptr::eq(held.as_ptr(), Arc::as_ptr(object))) {
            held.swap_remove(place);
        }
    });
}
