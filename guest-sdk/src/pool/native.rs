//! Submitted tasks under `cargo test`: threads that run what [`Host`](crate::testing::Host) was told.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::{Ended, JoinError};
use crate::error::TaskError;
use crate::native;
use crate::sync::native_room::Room;
use crate::testing::{Ending, Host, TaskFunction};

type Outcome = Result<Vec<u8>, JoinError>;

/// A task that was submitted.
#[derive(Debug, Clone)]
struct Running {
    outcome: Arc<Room<Option<Outcome>>>,
    cancelled: Arc<AtomicBool>,
}

/// Submitted tasks by number, until their results are taken.
static RUNNING: LazyLock<Mutex<HashMap<u64, Running>>> = LazyLock::new(Mutex::default);

fn with_running<R>(action: impl FnOnce(&mut HashMap<u64, Running>) -> R) -> R {
    action(&mut RUNNING.lock().unwrap_or_else(PoisonError::into_inner))
}

pub fn submit(task: &str, args: &[u8]) -> Result<u64, String> {
    static SUBMITTED: AtomicU64 = AtomicU64::new(1000);
    let (function, host) = native::task(task).ok_or_else(|| {
        format!("there is no task `{task}` here; in a test, `testing::Host::task` adds one")
    })?;
    let number = SUBMITTED.fetch_add(1, Ordering::Relaxed);
    let running = Running { outcome: Arc::new(Room::new(None)), cancelled: Arc::default() };
    let host = host.for_submitted(task, number, Arc::clone(&running.cancelled));
    let (outcome, args) = (Arc::clone(&running.outcome), args.to_vec());
    with_running(|all| all.insert(number, running));
    thread::spawn(move || {
        let ended = run(host, &function, args);
        outcome.change(|outcome| *outcome = Some(ended));
    });
    Ok(number)
}

fn run(host: Host, function: &TaskFunction, args: Vec<u8>) -> Outcome {
    let ran = panic::catch_unwind(AssertUnwindSafe(|| host.run(|| function.call(args))));
    let failed = |exit_code, message| Err(JoinError::Failed { exit_code, message });
    // The codes are those of the command line.
    match ran.map(|ran| ran.ending) {
        Ok(Ending::Returned(Ok(bytes))) => Ok(bytes),
        Ok(Ending::Returned(Err(TaskError::Failed(message) | TaskError::Other(message)))) => {
            failed(1, message)
        }
        Ok(Ending::Returned(Err(TaskError::InvalidArguments(message)))) => failed(96, message),
        Ok(Ending::Exited(code)) => {
            failed(u8::try_from(code.min(125)).unwrap_or(125), format!("it called exit({code})"))
        }
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            failed(200, format!("it panicked: {}", text.unwrap_or_default()))
        }
    }
}

pub fn join(number: u64, patience: Option<Duration>) -> Result<Vec<u8>, Ended> {
    let running = with_running(|all| all.get(&number).cloned()).ok_or(JoinError::NotFound)?;
    // Taken from the room: of two that wait for it, one gets it.
    let outcome = running.outcome.wait(patience, Option::take).ok_or(Ended::TimedOut)?;
    with_running(|all| all.remove(&number));
    Ok(outcome?)
}

pub fn cancel(number: u64) {
    if let Some(running) = with_running(|all| all.get(&number).cloned()) {
        running.cancelled.store(true, Ordering::Relaxed);
    }
}
