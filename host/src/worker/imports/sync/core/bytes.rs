//! Items and elements, through buffers of the guest.
//!
//! An item that does not fit stays: a plain `get` whose buffer is smaller than an item may be takes a
//! lease first, which it acknowledges when the item has reached the guest. So a guest that dies with a
//! buffer that was too small has lost nothing. A pipe has no leases, and one reader; what does not fit
//! there, and a dead letter, is kept for the next call with the same handle.

#![forbid(unsafe_code)]

use std::cell::RefCell;

use wasmtime::Linker;

use super::super::waits::NEVER;
use super::super::{HostState, codes};
use super::memory::{Failure, Guest, Window};
use super::{Code, Core, MODULE, code, too_large};
use crate::sync::{Item, Operation, Spec};

/// Offers the functions.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "read",
        |mut caller: Core<'_>,
         handle: u32,
         start: u64,
         count: u64,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                read(guest, handle, start, count, window)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "write",
        |mut caller: Core<'_>, handle: u32, start: u64, bytes: u32, length: u32| -> Code {
            code(&mut caller, |guest| {
                let operation = Operation::Write { start, bytes: guest.slice(bytes, length)? };
                Ok(guest.session.code(handle, operation, NEVER))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "put",
        |mut caller: Core<'_>, handle: u32, timeout_ms: u32, item: u32, length: u32| -> Code {
            code(&mut caller, |guest| {
                let operation = Operation::Put(guest.slice(item, length)?);
                Ok(guest.session.code(handle, operation, timeout_ms))
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "get",
        |mut caller: Core<'_>,
         handle: u32,
         timeout_ms: u32,
         leased: u32,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                get(guest, handle, timeout_ms, leased != 0, window)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "take_dead",
        |mut caller: Core<'_>, handle: u32, at: u32, capacity: u32, out: u32| -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                take_dead(guest, handle, window)
            })
        },
    )?;
    Ok(())
}

fn read(guest: &mut Guest<'_>, handle: u32, start: u64, count: u64, window: Window) -> Result<u32, Failure> {
    let session = guest.session;
    if let (_, Spec::Array { element, .. }) = session.described(session.handle(handle)?) {
        let bytes = count.saturating_mul(element.bytes());
        if bytes > window.capacity.into() {
            let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
            guest.tell_length(window, bytes)?;
            return Err(too_large(bytes, &window));
        }
    }
    let bytes = session.read(handle, start, count)?;
    guest.give(window, &bytes)?;
    Ok(codes::DONE)
}

fn get(
    guest: &mut Guest<'_>,
    number: u32,
    timeout_ms: u32,
    leased: bool,
    window: Window,
) -> Result<u32, Failure> {
    let session = guest.session;
    let handle = session.handle(number)?;
    let kept = handle.kept.take();
    let item = match kept {
        Some(item) => item,
        None => {
            let (_, spec) = session.described(handle);
            let may_not_fit = matches!(spec, Spec::Queue(queue) if window.capacity < queue.item_bytes_max);
            let operation = Operation::Get { lease: leased || may_not_fit };
            match session.take(handle, operation, timeout_ms)? {
                Some(item) => item,
                None => return Ok(codes::END),
            }
        }
    };
    let item = fitting(guest, item, &handle.kept, window)?;
    if leased {
        handle.remember(&item);
        return Ok(codes::DONE);
    }
    handle.remember(&Item { lease: 0, ..item });
    match item.lease {
        0 => Ok(codes::DONE),
        lease => Ok(session.code(number, Operation::Acknowledge { lease }, NEVER)),
    }
}

fn take_dead(guest: &mut Guest<'_>, number: u32, window: Window) -> Result<u32, Failure> {
    let session = guest.session;
    let handle = session.handle(number)?;
    let kept = handle.kept_dead.take();
    let item = match kept {
        Some(item) => Some(item),
        None => session.take(handle, Operation::TakeDead, NEVER)?,
    };
    let Some(item) = item else { return Ok(codes::END) };
    fitting(guest, item, &handle.kept_dead, window)?;
    Ok(codes::DONE)
}

/// Gives an item to the guest; one that does not fit is kept.
fn fitting(
    guest: &mut Guest<'_>,
    item: Item,
    kept: &RefCell<Option<Item>>,
    window: Window,
) -> Result<Item, Failure> {
    let bytes = item.bytes.len();
    if bytes > window.capacity as usize {
        kept.replace(Some(item));
        guest.tell_length(window, bytes)?;
        return Err(too_large(bytes, &window));
    }
    guest.give(window, &item.bytes)?;
    Ok(item)
}
