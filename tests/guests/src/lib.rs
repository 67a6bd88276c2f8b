//! Tiny guests for the tests of the host: each task shows one behaviour and is named after it.
//!
//! They are grouped by what the host has to deal with. Tasks that end with `_if` do it for one value only, so that
//! one input of a batch can go wrong among good ones.

#![deny(unsafe_code)]

mod cancelling;
mod ending;
mod files;
mod logging;
mod memory;
mod net;
mod output;
mod outside;
mod secret;
mod selective;
mod state;
mod sync;
mod time;
mod types;
mod values;
mod waiting;

/// Ends the guest with an `unreachable` trap, without a word.
fn trap() -> ! {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_arch = "wasm32"))]
    std::process::abort()
}
