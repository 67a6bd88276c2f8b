//! Standard output at a task's end.

#![forbid(unsafe_code)]

use std::io::Write;

/// Writes out what is still in the buffer of standard output. Nobody else does at a task's end: a component's export
/// has no `main` whose return would. An error has nobody left to be told.
pub fn flush() {
    let _ = std::io::stdout().flush();
}
