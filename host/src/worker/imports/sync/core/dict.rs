//! Dictionaries, through buffers of the guest.

#![forbid(unsafe_code)]

use wasmtime::Linker;

use super::super::{HostState, codes};
use super::memory::{Failure, Guest, Window};
use super::{Code, Core, MODULE, code, too_large};

/// Offers the functions.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "dict_get",
        |mut caller: Core<'_>,
         handle: u32,
         key: u32,
         length: u32,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                let value = guest.session.dict_get(handle, guest.text(key, length)?)?;
                let Some(value) = value else { return Ok(codes::NONE) };
                whole(guest, &value, window)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "dict_set",
        |mut caller: Core<'_>,
         handle: u32,
         key: u32,
         length: u32,
         value: u32,
         value_length: u32,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                let (key, value) = (guest.text(key, length)?, guest.slice(value, value_length)?);
                let before = guest.session.dict_set(handle, key, value)?;
                part(guest, before.as_deref(), window)
            })
        },
    )?;
    linker.func_wrap(
        MODULE,
        "dict_remove",
        |mut caller: Core<'_>,
         handle: u32,
         key: u32,
         length: u32,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                let before = guest.session.dict_remove(handle, guest.text(key, length)?)?;
                part(guest, before.as_deref(), window)
            })
        },
    )?;
    link_swap(linker)?;
    linker.func_wrap(
        MODULE,
        "dict_keys",
        |mut caller: Core<'_>,
         handle: u32,
         after: u32,
         length: u32,
         at: u32,
         capacity: u32,
         out: u32|
         -> Code {
            code(&mut caller, |guest| {
                let window = guest.window(at, capacity, out)?;
                let after = if after == 0 { None } else { Some(guest.text(after, length)?) };
                let keys = guest.session.dict_keys(handle, after)?;
                give_keys(guest, &keys, window)
            })
        },
    )?;
    Ok(())
}

fn link_swap(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(
        MODULE,
        "dict_swap",
        |mut caller: Core<'_>,
         handle: u32,
         key: u32,
         length: u32,
         expected: u32,
         expected_length: u32,
         new: u32,
         new_length: u32|
         -> Code {
            code(&mut caller, |guest| {
                let expected = guest.optional(expected, expected_length)?;
                let new = guest.optional(new, new_length)?;
                let swapped = guest.session.dict_swap(handle, guest.text(key, length)?, expected, new)?;
                Ok(if swapped { codes::DONE } else { codes::END })
            })
        },
    )?;
    Ok(())
}

/// Gives a value that is still there, should it not fit.
fn whole(guest: &mut Guest<'_>, value: &[u8], window: Window) -> Result<u32, Failure> {
    if value.len() > window.capacity as usize {
        guest.tell_length(window, value.len())?;
        return Err(too_large(value.len(), &window));
    }
    guest.give(window, value)?;
    Ok(codes::DONE)
}

/// Gives what fits of a value that is gone from the dictionary, and its whole length.
fn part(guest: &mut Guest<'_>, value: Option<&[u8]>, window: Window) -> Result<u32, Failure> {
    let Some(value) = value else { return Ok(codes::NONE) };
    guest.give(window, &value[..value.len().min(window.capacity as usize)])?;
    guest.tell_length(window, value.len())?;
    Ok(codes::DONE)
}

/// Gives as many keys as fit, each behind its length in four bytes.
fn give_keys(guest: &mut Guest<'_>, keys: &[String], window: Window) -> Result<u32, Failure> {
    let mut packed = Vec::new();
    for key in keys {
        let length = u32::try_from(key.len()).expect("a key is shorter than a frame");
        if packed.len() + 4 + key.len() > window.capacity as usize {
            if packed.is_empty() {
                guest.tell_length(window, 4 + key.len())?;
                return Err(too_large(4 + key.len(), &window));
            }
            break;
        }
        packed.extend_from_slice(&length.to_le_bytes());
        packed.extend_from_slice(key.as_bytes());
    }
    guest.give(window, &packed)?;
    Ok(codes::DONE)
}
