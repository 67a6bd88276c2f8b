//! The fault kit: named points at which a test makes a process of ours misbehave.
//!
//! The environment variable `WASMPOOL_FAULT` chooses it, as `<point>:<action>`, and is read once at
//! the start of a child process, before the environment is cleared. It exists in builds with debug
//! assertions only; in others every point is empty.
//!
//! | point | where |
//! |---|---|
//! | `before-ready` | fork server: sandbox entered, artifact not loaded |
//! | `fork-server-after-clone` | fork server: a worker was forked and not yet handed over |
//! | `compile-before-done` | compile worker: artifact written, not announced |
//! | `before-started` | worker: start frame read, not acknowledged |
//! | `after-started` | worker: acknowledged, guest not yet instantiated |
//! | `before-finished` | worker: call ended, claim not sent |
//! | `after-finished` | worker: claim sent |
//!
//! | action | what the process does |
//! |---|---|
//! | `kill` | dies by SIGSEGV (a process in the sandbox cannot send itself a SIGKILL) |
//! | `exit0`, `exit7` | exits with that code |
//! | `hang` | sleeps for ever |
//! | `garbage` | sends bytes that are no frame, and goes on |
//! | `panic` | panics |
//!
//! A point may be given a number of passes to let by: `before-finished:kill:3` acts on the fourth.

#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::os::child::FAULT_VARIABLE;
use crate::os::hardening::exit_now;
use crate::os::signals;

static CHOSEN: OnceLock<Fault> = OnceLock::new();
static PASSES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct Fault {
    point: String,
    action: String,
    passes: u32,
}

/// Reads the choice from the environment.
pub(crate) fn read_environment() {
    if !cfg!(debug_assertions) {
        return;
    }
    let Ok(value) = std::env::var(FAULT_VARIABLE) else { return };
    let mut parts = value.split(':').map(str::to_owned);
    let (Some(point), Some(action)) = (parts.next(), parts.next()) else { return };
    let passes = parts.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    // A second start in the same process keeps the first choice.
    let _ = CHOSEN.set(Fault { point, action, passes });
}

/// Misbehaves if this point was chosen. `send` sends bytes to the supervisor as they are.
pub(crate) fn point(name: &str, send: impl Fn(&[u8])) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(fault) = CHOSEN.get().filter(|fault| fault.point == name) else { return };
    if PASSES.fetch_add(1, Ordering::Relaxed) < fault.passes {
        return;
    }
    match fault.action.as_str() {
        "kill" => signals::die(),
        "exit0" => exit_now(0),
        "exit7" => exit_now(7),
        "hang" => loop {
            std::thread::park();
        },
        "garbage" => send(b"\xff\xfe not a frame of ours"),
        #[cfg(test)]
        "hostile" => crate::worker::tests::hostile::attack(send),
        "panic" => panic!("the fault kit asked for a panic at {name}"),
        _ => {}
    }
}
