//! The import module `wasmpool`: the flat functions for core modules, with pointers and lengths.
//!
//! `guest-sdk/include/wasmpool.h` is their documentation; a test holds each signature against it. Every
//! pointer and length is checked before anything is allocated, read or done.
//!
//! What a function gives back goes into a buffer of the guest. Whatever does not fit is not lost: it is
//! kept for the next call, see [`bytes`].

#![forbid(unsafe_code)]

mod bytes;
mod dict;
mod memory;
mod pool;

use wasmtime::{Caller, Linker};

use self::memory::{Failure, Guest, Window};
use super::HostState;
use super::flat::{self, numeric, numeric_functions};
use crate::sync::SyncError;

/// The import module's name.
pub(in crate::worker::imports) const MODULE: &str = "wasmpool";

type Core<'a> = Caller<'a, HostState>;
/// A code. An error of it ends the guest.
type Code = wasmtime::Result<u32>;

macro_rules! link_numeric {
    ($linker:expr; $($name:literal $function:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $linker.func_wrap(
            MODULE,
            stringify!($function),
            |caller: Core<'_>, handle: u32, $($argument: $type),*| -> wasmtime::Result<$answer> {
                numeric::$function(&caller.data().shared, handle, $($argument),*)
            },
        )?;
    )*};
}

/// Offers the module.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    numeric_functions!(link_numeric, linker);
    link_handles(linker)?;
    bytes::link(linker)?;
    dict::link(linker)?;
    pool::link(linker)
}

fn link_handles(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "open", |mut caller: Core<'_>, kind: u32, name: u32, length: u32| {
        let name = {
            let guest = Guest::of(&mut caller)?;
            match guest.text(name, length) {
                Ok(name) => flat::granted_name(name),
                Err(failure) => return Ok(refused(guest.failed(failure))),
            }
        };
        let session = &mut caller.data_mut().shared;
        let opened = session.open(kind, &name);
        Ok(opened.map_or_else(|error| refused(session.failed(error)), i64::from))
    })?;
    linker.func_wrap(MODULE, "release_handle", |mut caller: Core<'_>, handle: u32| {
        caller.data_mut().shared.release_handle(handle);
    })?;
    linker.func_wrap(MODULE, "meet", |caller: Core<'_>, handle: u32, timeout_ms: u32| {
        flat::meet(&caller.data().shared, handle, timeout_ms).map_or_else(refused, i64::from)
    })?;
    linker.func_wrap(
        MODULE,
        "last_error",
        |mut caller: Core<'_>, buffer: u32, capacity: u32| -> wasmtime::Result<i32> {
            let mut guest = Guest::of(&mut caller)?;
            let text = guest.session.last_error();
            // The buffer takes what fits, cut at a character's border.
            let fits = &text[..text.floor_char_boundary(capacity as usize)];
            let written = guest.slice_mut(buffer, capacity).map(|to| {
                to[..fits.len()].copy_from_slice(fits.as_bytes());
            });
            Ok(match written {
                Ok(()) => i32::try_from(text.len()).unwrap_or(i32::MAX),
                Err(failure) => -guest.failed(failure).cast_signed(),
            })
        },
    )?;
    Ok(())
}

/// A code in the place of a number.
fn refused(code: u32) -> i64 {
    -i64::from(code)
}

/// Does what a function does, and says in a code how it went.
fn code(caller: &mut Core<'_>, function: impl FnOnce(&mut Guest<'_>) -> Result<u32, Failure>) -> Code {
    let mut guest = Guest::of(caller)?;
    Ok(function(&mut guest).unwrap_or_else(|failure| guest.failed(failure)))
}

/// Bytes that do not fit.
fn too_large(bytes: usize, window: &Window) -> Failure {
    SyncError::TooLarge { bytes: bytes as u64, limit: window.capacity.into() }.into()
}
