//! What the worker's own code said when it panicked. Nothing is printed: the claim carries it.

#![forbid(unsafe_code)]

use std::sync::Mutex;

static LAST: Mutex<String> = Mutex::new(String::new());

/// From here on panics are remembered instead of printed.
pub(crate) fn remember() {
    std::panic::set_hook(Box::new(|info| {
        if let Ok(mut last) = LAST.lock() {
            *last = info.to_string();
        }
    }));
}

/// The last panic's message and place.
pub(crate) fn last() -> String {
    LAST.lock().map(|last| last.clone()).unwrap_or_default()
}
