//! Tasks that submit tasks, for core modules.

#![forbid(unsafe_code)]

use wasmtime::Linker;

use super::super::{HostState, codes};
use super::memory::{Failure, Guest, Window};
use super::{Code, Core, MODULE, code, refused, too_large};
use crate::sync::SyncError;
use crate::worker::engine::JoinError;

/// Offers the functions.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "pool_submit",
        |mut caller: Core<'_>,
         task: u32,
         length: u32,
         args: u32,
         args_length: u32|
         -> wasmtime::Result<i64> {
            let guest = Guest::of(&mut caller)?;
            let submit = || {
                let (task, args) = (guest.text(task, length)?, guest.slice(args, args_length)?);
                let submitted = guest.session.submit(task, args);
                submitted.map_err(|why| Failure::from(SyncError::Unavailable(why)))
            };
            Ok(submit().map_or_else(|failure| refused(guest.failed(failure)), u64::cast_signed))
        },
    )?;
    linker.func_wrap(
        MODULE,
        "pool_join",
        |mut caller: Core<'_>, task: u64, timeout_ms: u32, at: u32, capacity: u32, out: u32| -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                join(guest, task, timeout_ms, window)
            })
        },
    )?;
    linker.func_wrap(MODULE, "pool_cancel", |caller: Core<'_>, task: u64| {
        caller.data().shared.cancel(task);
    })?;
    Ok(())
}

/// A result that does not fit is kept for the next join of the same task.
fn join(guest: &mut Guest<'_>, task: u64, timeout_ms: u32, window: Window) -> Result<u32, Failure> {
    let session = guest.session;
    let kept = session.take_kept(task);
    let result = match kept {
        Some(result) => result,
        None => session.join(task, timeout_ms).map_err(|error| failure(task, error))?,
    };
    if result.len() > window.capacity as usize {
        let bytes = result.len();
        session.keep(task, result);
        guest.tell_length(window, bytes)?;
        return Err(too_large(bytes, &window));
    }
    guest.give(window, &result)?;
    Ok(codes::DONE)
}

fn failure(task: u64, error: JoinError) -> Failure {
    match error {
        JoinError::Failed(failure) => Failure::TaskEnded(failure.exit_code, failure.message),
        JoinError::TimedOut => SyncError::TimedOut.into(),
        JoinError::NotFound => SyncError::NotFound(format!("submitted task {task}")).into(),
        JoinError::Cancelled => SyncError::Cancelled.into(),
        JoinError::Deadlock(cycle) => SyncError::Deadlock(cycle).into(),
        JoinError::Other(text) => SyncError::Unavailable(text).into(),
    }
}
