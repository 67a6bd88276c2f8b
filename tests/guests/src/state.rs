//! What an instance keeps between the calls that it serves: a fresh one has nothing.

#![forbid(unsafe_code)]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use wasmpool_guest::task;

static CALLS: AtomicU64 = AtomicU64::new(0);
static INITIALIZED: AtomicBool = AtomicBool::new(false);
static NOTES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// How often it was called in this instance: 1 in a fresh one.
#[task]
fn static_counter() -> u64 {
    CALLS.fetch_add(1, Ordering::Relaxed) + 1
}

/// Keeps a text, and returns all that this instance has kept.
#[task]
fn keep(text: String) -> Vec<String> {
    let mut notes = NOTES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    notes.push(text);
    notes.clone()
}

/// An initializer that succeeds.
#[task]
fn init_ok() {
    INITIALIZED.store(true, Ordering::Relaxed);
}

/// An initializer that takes an argument, and returns an error for `false`.
#[task]
fn init_if(good: bool) -> Result<(), String> {
    if !good {
        return Err("the initializer was told to fail".to_owned());
    }
    INITIALIZED.store(true, Ordering::Relaxed);
    Ok(())
}

/// An initializer that returns an error.
#[task]
fn init_fails() -> Result<(), String> {
    Err("the initializer failed".to_owned())
}

/// An initializer that panics.
#[task]
fn init_panics() {
    panic!("the initializer panicked");
}

/// Whether an initializer has succeeded in this instance.
#[task]
fn initialized() -> bool {
    INITIALIZED.load(Ordering::Relaxed)
}
