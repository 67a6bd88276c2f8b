//! Locks, semaphores, events, conditions and barriers.

#![forbid(unsafe_code)]

use wasmtime::component::Resource;

use super::super::Store;
use super::types::{Barrier, Condition, Event, Lock, RLock, Semaphore};
use super::{Objects, done, link_acquire, link_count, link_done, link_flag, link_kind, link_wait, time};
use crate::sync::{ObjectKind, Operation, SyncError};
use crate::worker::engine::ObjectError;
use crate::worker::imports::sync::waits::NEVER;

pub(super) fn link(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Lock>(objects, "lock", ObjectKind::Lock)?;
    link_acquire::<Lock>(objects, "[method]lock.acquire", Operation::Acquire)?;
    link_done::<Lock>(objects, "[method]lock.release", Operation::Release)?;

    link_kind::<RLock>(objects, "rlock", ObjectKind::RLock)?;
    link_acquire::<RLock>(objects, "[method]rlock.acquire", Operation::Acquire)?;
    link_done::<RLock>(objects, "[method]rlock.release", Operation::Release)?;

    link_kind::<Semaphore>(objects, "semaphore", ObjectKind::Semaphore)?;
    link_acquire::<Semaphore>(objects, "[method]semaphore.acquire", Operation::Acquire)?;
    link_done::<Semaphore>(objects, "[method]semaphore.release", Operation::Release)?;
    link_count::<Semaphore>(objects, "[method]semaphore.available")?;

    link_kind::<Event>(objects, "event", ObjectKind::Event)?;
    link_done::<Event>(objects, "[method]event.set", Operation::Set)?;
    link_done::<Event>(objects, "[method]event.clear", Operation::Clear)?;
    link_flag::<Event>(objects, "[method]event.is-set")?;
    link_wait::<Event>(objects, "[method]event.wait", Operation::Wait)?;

    link_condition(objects)?;
    link_barrier(objects)
}

fn link_condition(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Condition>(objects, "condition", ObjectKind::Condition)?;
    link_acquire::<Condition>(objects, "[method]condition.acquire", Operation::Acquire)?;
    link_done::<Condition>(objects, "[method]condition.release", Operation::Release)?;
    link_acquire::<Condition>(objects, "[method]condition.wait", Operation::Wait)?;
    objects.func_wrap(
        "[method]condition.notify",
        |store: Store<'_>, (this, count): (Resource<Condition>, u32)| {
            Ok((done(&store.data().shared, this.rep(), Operation::Notify(count), NEVER),))
        },
    )
}

fn link_barrier(objects: &mut Objects<'_>) -> wasmtime::Result<()> {
    link_kind::<Barrier>(objects, "barrier", ObjectKind::Barrier)?;
    link_done::<Barrier>(objects, "[method]barrier.reset", Operation::Reset)?;
    link_done::<Barrier>(objects, "[method]barrier.abort", Operation::Abort)?;
    link_flag::<Barrier>(objects, "[method]barrier.is-broken")?;
    link_count::<Barrier>(objects, "[method]barrier.waiting")?;
    objects.func_wrap(
        "[method]barrier.wait",
        |store: Store<'_>, (this, timeout_ms): (Resource<Barrier>, Option<u32>)| {
            let place = store.data().shared.count(this.rep(), Operation::Wait, time(timeout_ms));
            Ok((match place {
                Ok(place) => Ok(Some(place)),
                Err(SyncError::TimedOut) => Ok(None),
                Err(error) => Err(ObjectError::from(error)),
            },))
        },
    )
}
