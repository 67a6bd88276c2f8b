//! Values and arrays.

#![forbid(unsafe_code)]

use wasmtime::component::{Resource, WasmList};

use super::super::{Store, flat::numeric};
use super::types::{Array, Value};
use super::{Objects, done, link_count, link_kind};
use crate::sync::{ObjectKind, Operation};
use crate::worker::engine::ObjectError;
use crate::worker::imports::sync::waits::NEVER;

pub(super) fn link(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Value>(objects, "value", ObjectKind::Value)?;
    objects.func_wrap("[method]value.load", |store: Store<'_>, (this,): (Resource<Value>,)| {
        numeric::load(&store.data().shared, this.rep()).map(|bits| (bits,))
    })?;
    objects.func_wrap("[method]value.store", |store: Store<'_>, (this, bits): (Resource<Value>, u64)| {
        numeric::store(&store.data().shared, this.rep(), bits).map(|before| (before,))
    })?;
    objects.func_wrap(
        "[method]value.add-integer",
        |store: Store<'_>, (this, addend): (Resource<Value>, i64)| {
            numeric::add_integer(&store.data().shared, this.rep(), addend).map(|before| (before,))
        },
    )?;
    objects.func_wrap(
        "[method]value.add-float",
        |store: Store<'_>, (this, addend): (Resource<Value>, f64)| {
            numeric::add_float(&store.data().shared, this.rep(), addend).map(|before| (before,))
        },
    )?;
    objects.func_wrap(
        "[method]value.compare-exchange",
        |store: Store<'_>, (this, expected, new): (Resource<Value>, u64, u64)| {
            let session = &store.data().shared;
            numeric::compare_exchange(session, this.rep(), expected, new).map(|before| (before,))
        },
    )?;
    link_array(objects)
}

fn link_array(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Array>(objects, "array", ObjectKind::Array)?;
    link_count::<Array>(objects, "[method]array.len")?;
    objects.func_wrap(
        "[method]array.read",
        |store: Store<'_>, (this, start, count): (Resource<Array>, u64, u64)| {
            let bytes = store.data().shared.read(this.rep(), start, count);
            Ok((bytes.map_err(ObjectError::from),))
        },
    )?;
    objects.func_wrap(
        "[method]array.write",
        |store: Store<'_>, (this, start, bytes): (Resource<Array>, u64, WasmList<u8>)| {
            let operation = Operation::Write { start, bytes: bytes.as_le_slice(&store) };
            Ok((done(&store.data().shared, this.rep(), operation, NEVER),))
        },
    )
}
