//! What a panic does in a guest: its message and place go to the host, then the task ends with a trap.
//!
//! The standard hook would print the message too; the host shows it once, with the task's name.

#![forbid(unsafe_code)]

use std::panic::{self, PanicHookInfo};
use std::sync::Once;

use crate::{host, output};

/// Installs the hook, once for an instance. A hook that the task sets replaces it.
pub fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| panic::set_hook(Box::new(report)));
}

fn report(info: &PanicHookInfo<'_>) {
    output::flush();
    let message = info.payload_as_str().unwrap_or("a value that is not text");
    let (file, line, column) =
        info.location().map_or(("", 0, 0), |place| (place.file(), place.line(), place.column()));
    host::panicked(message, file, line, column);
    // Trapping here, not in `abort` after the hook, keeps the backtrace short.
    core::arch::wasm32::unreachable()
}
