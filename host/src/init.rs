//! How a child process finds out that it is one.
//!
//! Children are this same program, executed again with a marker in their environment. [`init`] sees the
//! marker and becomes the child; any other use of the library in a marked process ends it at once, so
//! that a program that forgot `init` never runs its own `main` again in a child.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::os::child::ROLE_VARIABLE;

/// Whether [`init`] was called in this process.
static CALLED: AtomicBool = AtomicBool::new(false);

/// Names the installed `wasmpool` program for embedders that cannot call [`init`].
const PROGRAM_VARIABLE: &str = "WASMPOOL_PROGRAM";
/// The code of a marked process that does not know what to be.
const NO_CHILD_OF_OURS: i32 = crate::exit_code::VERSION_MISMATCH as i32;

/// Must be the first line of `main` in a program that starts tasks: in a child process it does not
/// return, but becomes the fork server or worker that it was started as.
///
/// ```no_run
/// wasmpool::init();
/// // The program's own work.
/// ```
pub fn init() {
    let Ok(role) = std::env::var(ROLE_VARIABLE) else {
        CALLED.store(true, Ordering::Release);
        return;
    };
    become_child(&role);
}

#[cfg(feature = "worker")]
fn become_child(role: &str) -> ! {
    match crate::worker::Role::from_name(role) {
        Some(role) => crate::worker::child_main(role),
        None => std::process::exit(NO_CHILD_OF_OURS),
    }
}

#[cfg(not(feature = "worker"))]
fn become_child(_role: &str) -> ! {
    std::process::exit(NO_CHILD_OF_OURS)
}

/// Ends a process that is a child and did not become one.
pub(crate) fn refuse_in_child() {
    if std::env::var_os(ROLE_VARIABLE).is_some() {
        std::process::exit(NO_CHILD_OF_OURS);
    }
}

/// The program that children are started from, if one is known.
pub(crate) fn program() -> Option<PathBuf> {
    if let Some(program) = std::env::var_os(PROGRAM_VARIABLE) {
        return Some(program.into());
    }
    let own = cfg!(feature = "worker") && CALLED.load(Ordering::Acquire);
    // Also when the program's file was replaced since it was started, this is what runs.
    own.then(|| PathBuf::from("/proc/self/exe"))
}
