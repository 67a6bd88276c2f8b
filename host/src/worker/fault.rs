//! The fault kit: named points at which a test makes a process of ours misbehave.
//!
//! The environment variable `WASMPOOL_FAULT` chooses it, as `<point>:<action>` (several with commas), and is read once at
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
//! | `short`, `empty` | the same with one byte, and with none |
//! | `length`, `version` | the same with a header that promises 4 GiB, and with one of another version |
//! | `large` | the same with more bytes than a frame may have |
//! | `stranger` | sends the result of a task that it does not run, and goes on |
//! | `result` | sends a result of its own task, and goes on: there may be a second one |
//! | `flood`, `flood-output` | sends progress, or output without a byte, for ever |
//! | `panic` | panics |
//!
//! Besides, a layer of the sandbox can be made missing: the point `layer-` with its label, the action `missing`.
//!
//! A point may be given a number of passes to let by: `before-finished:kill:3` acts on the fourth.

#![forbid(unsafe_code)]

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::limits::FRAME_BYTES_MAX;
use crate::os::child::FAULT_VARIABLE;
use crate::os::hardening::exit_now;
use crate::os::signals;
use crate::outcome::Encoding;
use crate::policy::Layer;
use crate::protocol::frame;
use crate::protocol::worker::{Body, Claim, FromWorker, Stream};

static CHOSEN: OnceLock<Vec<Fault>> = OnceLock::new();
static PASSES: AtomicU32 = AtomicU32::new(0);

#[derive(Debug)]
struct Fault {
    point: String,
    action: String,
    passes: u32,
}

impl Fault {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':').map(str::to_owned);
        let (point, action) = (parts.next()?, parts.next()?);
        Some(Self { point, action, passes: parts.next().and_then(|number| number.parse().ok()).unwrap_or(0) })
    }
}

fn chosen() -> &'static [Fault] {
    CHOSEN.get().map_or(&[], Vec::as_slice)
}

/// Reads the choice from the environment.
pub(crate) fn read_environment() {
    if !cfg!(debug_assertions) {
        return;
    }
    #[cfg(test)]
    crate::os::test_hostile::remember_family();
    let Ok(value) = std::env::var(FAULT_VARIABLE) else { return };
    // A second start in the same process keeps the first choice.
    let _ = CHOSEN.set(value.split(',').filter_map(Fault::parse).collect());
}

/// Misbehaves if this point was chosen. `send` sends bytes to the supervisor as they are.
pub(crate) fn point(name: &str, send: impl Fn(&[u8])) {
    point_of_task(name, 0, send);
}

/// The same while a task runs.
pub(crate) fn point_of_task(name: &str, task: u64, send: impl Fn(&[u8])) {
    if !cfg!(debug_assertions) {
        return;
    }
    let Some(fault) = chosen().iter().find(|fault| fault.point == name) else { return };
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
        "flood" => loop {
            send(&encoded(&FromWorker::Progress { done: 1, total: None }));
        },
        "flood-output" => loop {
            send(&encoded(&FromWorker::Output { stream: Stream::Stdout, bytes: Vec::new() }));
        },
        #[cfg(test)]
        "hostile" => crate::worker::tests::hostile::attack(task, send),
        #[cfg(test)]
        "open-everything" => crate::os::test_hostile::open_until_refused(),
        #[cfg(test)]
        "sockets" => crate::worker::tests::sockets::attack(task, send),
        #[cfg(test)]
        "escape" => crate::worker::tests::walls::escape(send),
        "panic" => panic!("the fault kit asked for a panic at {name}"),
        other => {
            if let Some(bytes) = forged(other, task) {
                send(&bytes);
            }
        }
    }
}

/// Whether a layer of the sandbox is to be there.
pub(crate) fn layer(layer: Layer) -> Result<(), String> {
    let points = chosen().iter().filter(|_| cfg!(debug_assertions)).map(|fault| fault.point.as_str());
    match points.filter_map(|point| point.strip_prefix("layer-")).any(|label| label == layer.label()) {
        true => Err("the fault kit made it missing".to_owned()),
        false => Ok(()),
    }
}

/// One packet that the supervisor must not believe.
fn forged(action: &str, task: u64) -> Option<Vec<u8>> {
    let result = |task| {
        let claim = Claim::Returned { encoding: Encoding::Json, body: Body::Inline(b"\"forged\"".to_vec()) };
        encoded(&FromWorker::Finished { task, index: 0, claim, took: Duration::ZERO })
    };
    Some(match action {
        "garbage" => b"\xff\xfe not a frame of ours".to_vec(),
        "short" => vec![b'w'],
        "empty" => Vec::new(),
        "length" => [&encoded(&())[..4], &u32::MAX.to_le_bytes()].concat(),
        "version" => [b'w', b'p', frame::VERSION + 1, 0, 0, 0, 0, 0].to_vec(),
        "large" => vec![b'w'; FRAME_BYTES_MAX + 1],
        "stranger" => result(task + 1_000_000),
        "result" => result(task),
        _ => return None,
    })
}

fn encoded<T: serde::Serialize>(message: &T) -> Vec<u8> {
    frame::encode(message).expect("what is forged here fits into a frame")
}
