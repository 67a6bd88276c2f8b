//! Queues with their leases, and the ends of pipes.

#![forbid(unsafe_code)]

use wasmtime::component::{Resource, WasmList};

use super::super::Store;
use super::types::{Connection, Queue};
use super::{
    Objects, done_or_error, in_time, link_count, link_done, link_kind, link_resource, link_wait, time,
};
use crate::sync::{ObjectKind, Operation, SyncError};
use crate::worker::engine::{Lease, LeasedItem, ObjectError, TakenItem};
use crate::worker::imports::sync::waits::NEVER;

pub(super) fn link(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Queue>(objects, "queue", ObjectKind::Queue)?;
    link_put::<Queue>(objects, "[method]queue.put")?;
    link_get::<Queue>(objects, "[method]queue.get")?;
    link_done::<Queue>(objects, "[method]queue.close", Operation::Close)?;
    link_wait::<Queue>(objects, "[method]queue.wait-empty", Operation::WaitEmpty)?;
    link_count::<Queue>(objects, "[method]queue.len")?;
    objects.func_wrap("[method]queue.take-dead", |store: Store<'_>, (this,): (Resource<Queue>,)| {
        let session = &store.data().shared;
        let handle = session.handle(this.rep());
        let taken = handle.and_then(|handle| session.take(handle, Operation::TakeDead, NEVER));
        Ok((taken.map(|item| item.map(|item| item.bytes)).map_err(ObjectError::from),))
    })?;
    link_lease(objects)?;

    link_kind::<Connection>(objects, "connection", ObjectKind::Pipe)?;
    link_put::<Connection>(objects, "[method]connection.send")?;
    link_get::<Connection>(objects, "[method]connection.receive")?;
    link_done::<Connection>(objects, "[method]connection.close", Operation::Close)?;
    link_count::<Connection>(objects, "[method]connection.len")
}

fn link_put<T: 'static>(objects: &mut Objects<'_>, name: &str) -> wasmtime::Result<()> {
    type Arguments<T> = (Resource<T>, WasmList<u8>, Option<u32>);
    objects.func_wrap(name, |store: Store<'_>, (this, item, timeout_ms): Arguments<T>| {
        let operation = Operation::Put(item.as_le_slice(&store));
        Ok((in_time(done_or_error(&store.data().shared, this.rep(), operation, time(timeout_ms))),))
    })
}

fn link_get<T: 'static>(objects: &mut Objects<'_>, name: &str) -> wasmtime::Result<()> {
    objects.func_wrap(name, |store: Store<'_>, (this, timeout_ms): (Resource<T>, Option<u32>)| {
        Ok((match store.data().shared.get(this.rep(), time(timeout_ms), false) {
            Ok(Some(item)) => Ok(TakenItem::Item(item.bytes)),
            Ok(None) => Ok(TakenItem::End),
            Err(SyncError::TimedOut) => Ok(TakenItem::TimedOut),
            Err(error) => Err(ObjectError::from(error)),
        },))
    })
}

fn link_lease(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_resource::<Lease>(objects, "lease")?;
    objects.func_wrap(
        "[method]queue.lease",
        |mut store: Store<'_>, (this, timeout_ms): (Resource<Queue>, Option<u32>)| {
            Ok((match store.data_mut().shared.lease(this.rep(), time(timeout_ms)) {
                Ok(Some(handle)) => Ok(LeasedItem::Item(Resource::new_own(handle))),
                Ok(None) => Ok(LeasedItem::End),
                Err(SyncError::TimedOut) => Ok(LeasedItem::TimedOut),
                Err(error) => Err(ObjectError::from(error)),
            },))
        },
    )?;
    objects.func_wrap("[method]lease.item", |store: Store<'_>, (this,): (Resource<Lease>,)| {
        Ok((store.data().shared.leased_bytes(this.rep()),))
    })?;
    objects.func_wrap("[method]lease.deliveries", |store: Store<'_>, (this,): (Resource<Lease>,)| {
        let handle = store.data().shared.handle(this.rep());
        Ok((handle.map_or(0, |handle| handle.deliveries.get()),))
    })?;
    objects.func_wrap("[method]lease.acknowledge", |store: Store<'_>, (this,): (Resource<Lease>,)| {
        let ended = store.data().shared.end_lease(this.rep(), |lease| Operation::Acknowledge { lease });
        Ok((ended.map_err(ObjectError::from),))
    })?;
    objects.func_wrap("[method]lease.give-back", |store: Store<'_>, (this,): (Resource<Lease>,)| {
        let ended = store.data().shared.end_lease(this.rep(), |lease| Operation::GiveBack { lease });
        Ok((ended.map_err(ObjectError::from),))
    })
}
