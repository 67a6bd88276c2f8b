//! `wasmpool:task/flat`: the operations as functions of numbers, for components.
//!
//! Lists of the guest are read where they lie: an item goes from the guest's memory into the shared one
//! in one copy.

#![forbid(unsafe_code)]

use wasmtime::component::{Linker, LinkerInstance, WasmList, WasmStr};
use wasmtime::format_err;

use super::waits::NEVER;
use super::{HostState, Session, Store, codes};
use crate::limits::NAME_BYTES_MAX;
use crate::sync::{Operation, SyncError};

const INTERFACE: &str = "wasmpool:task/flat@0.1.0";

/// The functions whose arguments and answers are numbers, which both flat interfaces have: the name of
/// each for components, its name for core modules, and how it is done.
macro_rules! numeric_functions {
    ($link:ident, $linker:expr) => {
        $link! { $linker;
            "acquire" acquire(timeout_ms: u32) -> u32;
            "release" release() -> u32;
            "abandoned-by" abandoned_by() -> u64;
            "set" set() -> u32;
            "clear" clear() -> u32;
            "is-set" is_set() -> u32;
            "wait" wait(timeout_ms: u32) -> u32;
            "notify" notify(count: u32) -> u32;
            "reset" reset() -> u32;
            "abort" abort() -> u32;
            "len" len() -> u64;
            "load" load() -> u64;
            "store" store(bits: u64) -> u64;
            "add-integer" add_integer(addend: i64) -> i64;
            "add-float" add_float(addend: f64) -> f64;
            "compare-exchange" compare_exchange(expected: u64, new: u64) -> u64;
            "lease" lease() -> u64;
            "deliveries" deliveries() -> u32;
            "acknowledge" acknowledge(lease: u64) -> u32;
            "give-back" give_back(lease: u64) -> u32;
            "close" close() -> u32;
            "wait-empty" wait_empty(timeout_ms: u32) -> u32;
            "dict-clear" dict_clear() -> u32;
        }
    };
}
pub(super) use numeric_functions;

/// The numeric functions. An error of the result ends the guest.
pub(super) mod numeric {
    use super::*;

    type Answer<T> = wasmtime::Result<T>;

    pub(in super::super) fn acquire(session: &Session, handle: u32, timeout_ms: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Acquire, timeout_ms))
    }

    pub(in super::super) fn release(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Release, NEVER))
    }

    pub(in super::super) fn abandoned_by(session: &Session, handle: u32) -> Answer<u64> {
        Ok(session.handle(handle).map_or(0, |handle| handle.abandoned_by.get()))
    }

    pub(in super::super) fn set(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Set, NEVER))
    }

    pub(in super::super) fn clear(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Clear, NEVER))
    }

    pub(in super::super) fn is_set(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::IsSet, NEVER))
    }

    pub(in super::super) fn wait(session: &Session, handle: u32, timeout_ms: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Wait, timeout_ms))
    }

    pub(in super::super) fn notify(session: &Session, handle: u32, count: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Notify(count), NEVER))
    }

    pub(in super::super) fn reset(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Reset, NEVER))
    }

    pub(in super::super) fn abort(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Abort, NEVER))
    }

    /// A handle that has no length is the guest's mistake; an object that cannot tell has none.
    pub(in super::super) fn len(session: &Session, handle: u32) -> Answer<u64> {
        match session.count(handle, Operation::Len, NEVER) {
            Ok(count) => Ok(count),
            Err(error @ (SyncError::NotFound(_) | SyncError::WrongKind(_))) => Err(format_err!("{error}")),
            Err(error) => {
                session.failed(error);
                Ok(0)
            }
        }
    }

    pub(in super::super) fn load(session: &Session, handle: u32) -> Answer<u64> {
        session.word(handle, Operation::Load)
    }

    pub(in super::super) fn store(session: &Session, handle: u32, bits: u64) -> Answer<u64> {
        session.word(handle, Operation::Store(bits))
    }

    pub(in super::super) fn add_integer(session: &Session, handle: u32, addend: i64) -> Answer<i64> {
        session.word(handle, Operation::AddInteger(addend)).map(u64::cast_signed)
    }

    pub(in super::super) fn add_float(session: &Session, handle: u32, addend: f64) -> Answer<f64> {
        session.word(handle, Operation::AddFloat(addend)).map(f64::from_bits)
    }

    pub(in super::super) fn compare_exchange(
        session: &Session,
        handle: u32,
        expected: u64,
        new: u64,
    ) -> Answer<u64> {
        session.word(handle, Operation::CompareExchange { expected, new })
    }

    pub(in super::super) fn lease(session: &Session, handle: u32) -> Answer<u64> {
        Ok(session.handle(handle).map_or(0, |handle| handle.lease.get()))
    }

    pub(in super::super) fn deliveries(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.handle(handle).map_or(0, |handle| handle.deliveries.get()))
    }

    pub(in super::super) fn acknowledge(session: &Session, handle: u32, lease: u64) -> Answer<u32> {
        Ok(session.code(handle, Operation::Acknowledge { lease }, NEVER))
    }

    pub(in super::super) fn give_back(session: &Session, handle: u32, lease: u64) -> Answer<u32> {
        Ok(session.code(handle, Operation::GiveBack { lease }, NEVER))
    }

    pub(in super::super) fn close(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::Close, NEVER))
    }

    pub(in super::super) fn wait_empty(session: &Session, handle: u32, timeout_ms: u32) -> Answer<u32> {
        Ok(session.code(handle, Operation::WaitEmpty, timeout_ms))
    }

    pub(in super::super) fn dict_clear(session: &Session, handle: u32) -> Answer<u32> {
        Ok(session.dict_clear(handle).map_or_else(|error| session.failed(error), |_| codes::DONE))
    }
}

macro_rules! link_numeric {
    ($flat:expr; $($name:literal $function:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {$(
        $flat.func_wrap($name, |store: Store<'_>, (handle, $($argument),*): (u32, $($type),*)| {
            numeric::$function(&store.data().shared, handle, $($argument),*).map(|answer| (answer,))
        })?;
    )*};
}

/// Offers the interface.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut flat = linker.instance(INTERFACE)?;
    numeric_functions!(link_numeric, flat);
    link_handles(&mut flat)?;
    link_bytes(&mut flat)?;
    link_dict(&mut flat)
}

fn link_handles(flat: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    flat.func_wrap("open", |mut store: Store<'_>, (kind, name): (u32, WasmStr)| {
        let name = granted_name(&name.to_str(&store)?);
        let session = &mut store.data_mut().shared;
        let opened = session.open(kind, &name);
        Ok((opened.map_err(|error| session.failed(error)),))
    })?;
    flat.func_wrap("release-handle", |mut store: Store<'_>, (handle,): (u32,)| {
        store.data_mut().shared.release_handle(handle);
        Ok(())
    })?;
    flat.func_wrap("last-error", |store: Store<'_>, ()| Ok((store.data().shared.last_error(),)))?;
    flat.func_wrap("meet", |store: Store<'_>, (handle, timeout_ms): (u32, u32)| {
        Ok((meet(&store.data().shared, handle, timeout_ms),))
    })
}

/// A copy of a name. One that is longer than names are stays longer, and is nobody's.
pub(super) fn granted_name(name: &str) -> String {
    name[..name.floor_char_boundary(2 * NAME_BYTES_MAX)].to_owned()
}

/// The caller's place among the parties of a barrier, or a code.
pub(super) fn meet(session: &Session, handle: u32, timeout_ms: u32) -> Result<u32, u32> {
    let place = session.count(handle, Operation::Wait, timeout_ms);
    // There are fewer parties than a number of 31 bits counts.
    place.map(|place| place as u32 & (u32::MAX >> 1)).map_err(|error| session.failed(error))
}

fn link_bytes(flat: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    flat.func_wrap("read", |store: Store<'_>, (handle, start, count): (u32, u64, u64)| {
        let session = &store.data().shared;
        Ok((session.read(handle, start, count).map_err(|error| session.failed(error)),))
    })?;
    flat.func_wrap("write", |store: Store<'_>, (handle, start, bytes): (u32, u64, WasmList<u8>)| {
        let operation = Operation::Write { start, bytes: bytes.as_le_slice(&store) };
        Ok((store.data().shared.code(handle, operation, NEVER),))
    })?;
    flat.func_wrap("put", |store: Store<'_>, (handle, timeout_ms, item): (u32, u32, WasmList<u8>)| {
        let operation = Operation::Put(item.as_le_slice(&store));
        Ok((store.data().shared.code(handle, operation, timeout_ms),))
    })?;
    flat.func_wrap("get", |store: Store<'_>, (handle, timeout_ms, leased): (u32, u32, bool)| {
        let session = &store.data().shared;
        Ok((match session.get(handle, timeout_ms, leased) {
            Ok(Some(item)) => Ok(item.bytes),
            Ok(None) => Err(codes::END),
            Err(error) => Err(session.failed(error)),
        },))
    })?;
    flat.func_wrap("take-dead", |store: Store<'_>, (handle,): (u32,)| {
        let session = &store.data().shared;
        let taken = session.handle(handle);
        Ok((match taken.and_then(|handle| session.take(handle, Operation::TakeDead, NEVER)) {
            Ok(Some(item)) => Ok(item.bytes),
            Ok(None) => Err(codes::END),
            Err(error) => Err(session.failed(error)),
        },))
    })
}

fn link_dict(flat: &mut LinkerInstance<'_, HostState>) -> wasmtime::Result<()> {
    type Bytes = WasmList<u8>;
    flat.func_wrap("dict-get", |store: Store<'_>, (handle, key): (u32, WasmStr)| {
        let session = &store.data().shared;
        let value = session.dict_get(handle, &key.to_str(&store)?);
        Ok((value.map_err(|error| session.failed(error)),))
    })?;
    flat.func_wrap("dict-set", |store: Store<'_>, (handle, key, value): (u32, WasmStr, Bytes)| {
        let session = &store.data().shared;
        let before = session.dict_set(handle, &key.to_str(&store)?, value.as_le_slice(&store));
        Ok((before.map_err(|error| session.failed(error)),))
    })?;
    flat.func_wrap("dict-remove", |store: Store<'_>, (handle, key): (u32, WasmStr)| {
        let session = &store.data().shared;
        let before = session.dict_remove(handle, &key.to_str(&store)?);
        Ok((before.map_err(|error| session.failed(error)),))
    })?;
    type Swap = (u32, WasmStr, Option<Bytes>, Option<Bytes>);
    flat.func_wrap("dict-swap", |store: Store<'_>, (handle, key, expected, new): Swap| {
        let session = &store.data().shared;
        let key = key.to_str(&store)?;
        let expected = expected.as_ref().map(|bytes| bytes.as_le_slice(&store));
        let new = new.as_ref().map(|bytes| bytes.as_le_slice(&store));
        Ok((match session.dict_swap(handle, &key, expected, new) {
            Ok(true) => codes::DONE,
            Ok(false) => codes::END,
            Err(error) => session.failed(error),
        },))
    })?;
    flat.func_wrap("dict-keys", |store: Store<'_>, (handle, after): (u32, Option<WasmStr>)| {
        let session = &store.data().shared;
        let after = after.as_ref().map(|after| after.to_str(&store)).transpose()?;
        let keys = session.dict_keys(handle, after.as_deref());
        Ok((keys.map_err(|error| session.failed(error)),))
    })
}
