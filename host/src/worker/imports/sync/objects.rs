//! `wasmpool:task/objects`: the operations as methods of resources, for generated bindings.
//!
//! A resource's representation is a handle, and a lease is a handle of its queue with the leased item in it.
//! So dropping a resource is giving up its handle, whatever it is.

#![forbid(unsafe_code)]

mod dict;
mod items;
mod locks;
mod values;

use wasmtime::component::{Linker, LinkerInstance, Resource, ResourceType, WasmStr};

use super::waits::NEVER;
use super::{HostState, Session, Store, flat};
use crate::sync::{Answer, ObjectKind, Operation, SyncError};
use crate::worker::engine::{Acquisition, ObjectError};

const INTERFACE: &str = "wasmpool:task/objects@0.1.0";

type Objects<'a> = LinkerInstance<'a, HostState>;
/// What a method answers.
type Answered<T> = Result<T, ObjectError>;

/// The types of the resources. None has a value: a resource is a number.
pub(in crate::worker) mod types {
    macro_rules! types {
        ($($name:ident)*) => {$(
            #[derive(Debug)]
            pub(in crate::worker) enum $name {}
        )*};
    }
    types!(Lock RLock Semaphore Event Condition Barrier Value Array Queue Connection Dict);
}

/// Offers the interface.
pub(super) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut objects = linker.instance(INTERFACE)?;
    locks::link(&mut objects)?;
    values::link(&mut objects)?;
    items::link(&mut objects)?;
    dict::link(&mut objects)
}

/// A resource type, which ends with its handle.
fn link_resource<T: 'static>(objects: &mut Objects<'_>, name: &str) -> wasmtime::Result<()> {
    objects.resource(name, ResourceType::host::<T>(), |mut store, handle| {
        store.data_mut().shared.release_handle(handle);
        Ok(())
    })
}

/// A resource type of granted objects, with the function that opens one.
fn link_kind<T: 'static>(objects: &mut Objects<'_>, name: &str, kind: ObjectKind) -> wasmtime::Result<()> {
    link_resource::<T>(objects, name)?;
    objects.func_wrap(&format!("[static]{name}.open"), move |mut store: Store<'_>, (granted,): (WasmStr,)| {
        let granted = flat::granted_name(&granted.to_str(&store)?);
        let opened = store.data_mut().shared.open(kind as u32, &granted);
        Ok((opened.map(Resource::<T>::new_own).map_err(ObjectError::from),))
    })
}

fn time(timeout_ms: Option<u32>) -> u32 {
    timeout_ms.unwrap_or(NEVER)
}

/// Offers a method that only does something.
fn link_done<T: 'static>(
    objects: &mut Objects<'_>,
    name: &str,
    operation: Operation<'static>,
) -> wasmtime::Result<()> {
    objects.func_wrap(name, move |store: Store<'_>, (this,): (Resource<T>,)| {
        Ok((done(&store.data().shared, this.rep(), operation, NEVER),))
    })
}

/// Offers a method that answers a count.
fn link_count<T: 'static>(objects: &mut Objects<'_>, name: &str) -> wasmtime::Result<()> {
    objects.func_wrap(name, |store: Store<'_>, (this,): (Resource<T>,)| {
        let count = store.data().shared.count(this.rep(), Operation::Len, NEVER);
        Ok((count.map_err(ObjectError::from),))
    })
}

/// Offers a method that answers a flag.
fn link_flag<T: 'static>(objects: &mut Objects<'_>, name: &str) -> wasmtime::Result<()> {
    objects.func_wrap(name, |store: Store<'_>, (this,): (Resource<T>,)| {
        let flag = answer(&store.data().shared, this.rep(), Operation::IsSet, NEVER);
        Ok((flag.map(|answer| answer == Answer::Flag(true)).map_err(ObjectError::from),))
    })
}

/// Offers a method that takes something, or waits for it.
fn link_acquire<T: 'static>(
    objects: &mut Objects<'_>,
    name: &str,
    operation: Operation<'static>,
) -> wasmtime::Result<()> {
    objects.func_wrap(name, move |store: Store<'_>, (this, timeout_ms): (Resource<T>, Option<u32>)| {
        let acquired = answer(&store.data().shared, this.rep(), operation, time(timeout_ms));
        Ok((match acquired {
            Ok(Answer::Acquired { abandoned_by: Some(task) }) => Ok(Acquisition::Abandoned(task)),
            Ok(_) => Ok(Acquisition::Taken),
            Err(SyncError::TimedOut) => Ok(Acquisition::TimedOut),
            Err(error) => Err(ObjectError::from(error)),
        },))
    })
}

/// Offers a method that waits, and is false when the time was over.
fn link_wait<T: 'static>(
    objects: &mut Objects<'_>,
    name: &str,
    operation: Operation<'static>,
) -> wasmtime::Result<()> {
    objects.func_wrap(name, move |store: Store<'_>, (this, timeout_ms): (Resource<T>, Option<u32>)| {
        Ok((in_time(done_or_error(&store.data().shared, this.rep(), operation, time(timeout_ms))),))
    })
}

fn answer(
    session: &Session,
    handle: u32,
    operation: Operation<'_>,
    timeout_ms: u32,
) -> Result<Answer, SyncError> {
    session.perform(session.handle(handle)?, operation, timeout_ms)
}

fn done_or_error(
    session: &Session,
    handle: u32,
    operation: Operation<'_>,
    timeout_ms: u32,
) -> Result<(), SyncError> {
    answer(session, handle, operation, timeout_ms).map(drop)
}

fn done(session: &Session, handle: u32, operation: Operation<'_>, timeout_ms: u32) -> Answered<()> {
    done_or_error(session, handle, operation, timeout_ms).map_err(ObjectError::from)
}

/// False when the time was over.
fn in_time(done: Result<(), SyncError>) -> Answered<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(SyncError::TimedOut) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

impl From<SyncError> for ObjectError {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Closed => Self::Closed,
            SyncError::AccessDenied(text) => Self::AccessDenied(text),
            SyncError::NotOwner => Self::NotOwner,
            SyncError::AlreadyOwned => Self::AlreadyOwned,
            SyncError::Broken => Self::Broken,
            SyncError::TooLarge { .. } => Self::TooLarge(error.to_string()),
            SyncError::OutOfRange(text) => Self::OutOfRange(text),
            SyncError::WrongKind(text) => Self::WrongKind(text),
            SyncError::TooMany(text) => Self::TooMany(text),
            SyncError::NotFound(text) => Self::NotFound(text),
            SyncError::Deadlock(cycle) => Self::Deadlock(cycle),
            SyncError::Cancelled => Self::Cancelled,
            SyncError::Damaged(text) => Self::Damaged(text),
            SyncError::Unavailable(text) | SyncError::Unreadable(text) => Self::Unavailable(text),
            SyncError::TimedOut => Self::Other(error.to_string()),
        }
    }
}
