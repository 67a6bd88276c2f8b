//! Dictionaries.

#![forbid(unsafe_code)]

use wasmtime::component::{Resource, WasmList, WasmStr};

use super::super::Store;
use super::types::Dict;
use super::{Objects, link_count, link_kind};
use crate::sync::ObjectKind;
use crate::worker::engine::ObjectError;

type Bytes = WasmList<u8>;

pub(super) fn link(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Dict>(objects, "dict", ObjectKind::Dict)?;
    link_count::<Dict>(objects, "[method]dict.len")?;
    objects.func_wrap("[method]dict.get", |store: Store<'_>, (this, key): (Resource<Dict>, WasmStr)| {
        let value = store.data().shared.dict_get(this.rep(), &key.to_str(&store)?);
        Ok((value.map_err(ObjectError::from),))
    })?;
    type Set = (Resource<Dict>, WasmStr, Bytes);
    objects.func_wrap("[method]dict.set", |store: Store<'_>, (this, key, value): Set| {
        let (session, key) = (&store.data().shared, key.to_str(&store)?);
        let before = session.dict_set(this.rep(), &key, value.as_le_slice(&store));
        Ok((before.map_err(ObjectError::from),))
    })?;
    objects.func_wrap(
        "[method]dict.remove",
        |store: Store<'_>, (this, key): (Resource<Dict>, WasmStr)| {
            let before = store.data().shared.dict_remove(this.rep(), &key.to_str(&store)?);
            Ok((before.map_err(ObjectError::from),))
        },
    )?;
    type Swap = (Resource<Dict>, WasmStr, Option<Bytes>, Option<Bytes>);
    objects.func_wrap("[method]dict.swap", |store: Store<'_>, (this, key, expected, new): Swap| {
        let key = key.to_str(&store)?;
        let expected = expected.as_ref().map(|bytes| bytes.as_le_slice(&store));
        let new = new.as_ref().map(|bytes| bytes.as_le_slice(&store));
        let swapped = store.data().shared.dict_swap(this.rep(), &key, expected, new);
        Ok((swapped.map_err(ObjectError::from),))
    })?;
    type Keys = (Resource<Dict>, Option<WasmStr>);
    objects.func_wrap("[method]dict.keys", |store: Store<'_>, (this, after): Keys| {
        let after = after.as_ref().map(|after| after.to_str(&store)).transpose()?;
        let keys = store.data().shared.dict_keys(this.rep(), after.as_deref());
        Ok((keys.map_err(ObjectError::from),))
    })?;
    objects.func_wrap("[method]dict.clear", |store: Store<'_>, (this,): (Resource<Dict>,)| {
        let cleared = store.data().shared.dict_clear(this.rep());
        Ok((cleared.map(drop).map_err(ObjectError::from),))
    })
}
