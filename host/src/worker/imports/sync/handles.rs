//! The handles of one instance, and every operation through one.
//!
//! A handle is a number from 1 on. Several handles of one object share its mapping: with the first, the
//! object is told that the task uses it, and with the last that it does not any more. The way of a lock
//! through here is an index into a vector and one call of the object: no allocation, no search, no clock.

#![forbid(unsafe_code)]

use std::cell::{Cell, RefCell};

use wasmtime::format_err;

use super::grants::{Target, a};
use super::waits::{NEVER, ObjectWaits, Patience};
use super::{Session, codes};
use crate::limits::SYNC_HANDLES_MAX;
use crate::protocol::worker::FromWorker;
use crate::sync::{Answer, Item, ObjectKind, Operation, Spec, SyncError};

/// The handles of one instance.
#[derive(Debug, Default)]
pub(super) struct Handles(Vec<Option<Handle>>);

/// One handle.
#[derive(Debug)]
pub(super) struct Handle {
    /// The object's number among the grants.
    pub(super) grant: u32,
    pub(super) kind: ObjectKind,
    target: Target,
    /// Of the item that was taken last.
    pub(super) lease: Cell<u64>,
    pub(super) deliveries: Cell<u32>,
    /// What the last acquisition told.
    pub(super) abandoned_by: Cell<u64>,
    /// What was taken and is not the guest's yet: a leased item of `objects`, or one that did not fit the
    /// buffer of a core module.
    pub(super) kept: RefCell<Option<Item>>,
    /// The same, of a dead letter.
    pub(super) kept_dead: RefCell<Option<Item>>,
}

impl Handles {
    fn get(&self, number: u32) -> Option<&Handle> {
        self.0.get(number.wrapping_sub(1) as usize)?.as_ref()
    }

    /// Whether the task has another handle of this object.
    fn uses(&self, grant: u32) -> bool {
        self.0.iter().flatten().any(|handle| handle.grant == grant)
    }

    fn is_full(&self) -> bool {
        self.0.iter().flatten().count() >= SYNC_HANDLES_MAX
    }

    fn add(&mut self, handle: Handle) -> u32 {
        let at = self.0.iter().position(Option::is_none).unwrap_or_else(|| {
            self.0.push(None);
            self.0.len() - 1
        });
        self.0[at] = Some(handle);
        u32::try_from(at + 1).expect("there are few handles")
    }

    fn remove(&mut self, number: u32) -> Option<Handle> {
        self.0.get_mut(number.wrapping_sub(1) as usize)?.take()
    }
}

impl Session {
    /// A new handle of the object that was granted under this name.
    pub(super) fn open(&mut self, kind: u32, name: &str) -> Result<u32, SyncError> {
        let kind = ObjectKind::from_number(kind)
            .ok_or_else(|| SyncError::WrongKind(format!("there is no kind of number {kind}")))?;
        let at = self.grants.find(kind, name)?;
        if self.handles.is_full() {
            return Err(full());
        }
        let target = self.grants.target(at)?;
        let grant = u32::try_from(at).expect("there are few grants");
        if !self.handles.uses(grant) {
            self.perform_on(&target, grant, Operation::Open, NEVER)?;
        }
        Ok(self.handles.add(Handle::new(grant, kind, target)))
    }

    /// Takes an item as a lease, in a handle of its own; `None` at the end. With that handle, the item is
    /// given back.
    pub(super) fn lease(&mut self, number: u32, timeout_ms: u32) -> Result<Option<u32>, SyncError> {
        if self.handles.is_full() {
            return Err(full());
        }
        let handle = self.handle(number)?;
        let operation = Operation::Get { lease: true };
        let Some(item) = self.take(handle, operation, timeout_ms)? else { return Ok(None) };
        let lease = Handle::new(handle.grant, handle.kind, handle.target.clone());
        lease.remember(&item);
        lease.kept.replace(Some(item));
        Ok(Some(self.handles.add(lease)))
    }

    /// The bytes of a leased item; none once the lease has ended.
    pub(super) fn leased_bytes(&self, number: u32) -> Vec<u8> {
        let Ok(handle) = self.handle(number) else { return Vec::new() };
        handle.kept.borrow().as_ref().map(|item| item.bytes.clone()).unwrap_or_default()
    }

    /// Ends a lease by this operation.
    pub(super) fn end_lease(
        &self,
        number: u32,
        operation: impl FnOnce(u64) -> Operation<'static>,
    ) -> Result<(), SyncError> {
        let handle = self.handle(number)?;
        let lease = handle.lease.take();
        if lease == 0 {
            return Err(SyncError::NotFound("lease".to_owned()));
        }
        handle.kept.take();
        self.perform(handle, operation(lease), NEVER).map(drop)
    }

    /// Gives up a handle. One that there is not is none to give up.
    pub(super) fn release_handle(&mut self, number: u32) {
        let Some(handle) = self.handles.remove(number) else { return };
        if let Some(Item { lease, .. }) = handle.kept.take()
            && lease != 0
        {
            let operation = Operation::GiveBack { lease };
            let _ = self.perform_on(&handle.target, handle.grant, operation, NEVER);
        }
        if self.handles.uses(handle.grant) {
            return;
        }
        self.tell_what_is_left(&handle);
        let task = self.task;
        let is_lock = matches!(handle.kind, ObjectKind::Lock | ObjectKind::RLock | ObjectKind::Condition);
        let last = [is_lock.then_some(Operation::Abandon { task }), Some(Operation::Leave)];
        for operation in last.into_iter().flatten() {
            if let Err(error) = self.perform_on(&handle.target, handle.grant, operation, NEVER) {
                self.failed(error);
            }
        }
    }

    /// What is still held goes back with the handle; the record tells it.
    fn tell_what_is_left(&self, handle: &Handle) {
        let Target::Memory(object) = &handle.target else { return };
        if let Some(held) = object.held_by(self.who) {
            self.link.send(&FromWorker::Left { grant: handle.grant, held }, &[]);
        }
    }

    /// The handle of this number.
    pub(super) fn handle(&self, number: u32) -> Result<&Handle, SyncError> {
        self.handles.get(number).ok_or_else(|| SyncError::NotFound(format!("handle {number}")))
    }

    /// The name and the bounds of a handle's object.
    pub(super) fn described(&self, handle: &Handle) -> (&str, &Spec) {
        self.grants.describe(handle.grant as usize)
    }

    /// Does one operation through a handle.
    pub(super) fn perform(
        &self,
        handle: &Handle,
        operation: Operation<'_>,
        timeout_ms: u32,
    ) -> Result<Answer, SyncError> {
        self.perform_on(&handle.target, handle.grant, operation, timeout_ms)
    }

    fn perform_on(
        &self,
        target: &Target,
        grant: u32,
        operation: Operation<'_>,
        timeout_ms: u32,
    ) -> Result<Answer, SyncError> {
        let Target::Memory(object) = target else { return self.perform_on_dict(grant, operation) };
        // Of all that can be waited for, only a condition ends with taking a lock back.
        let takes_back = matches!(operation, Operation::Wait);
        let patience = Patience::new(self.waiter(), timeout_ms);
        object.perform(self.who, operation, &mut ObjectWaits { patience, grant, takes_back })
    }

    /// What all kinds of objects have in common.
    fn perform_on_dict(&self, grant: u32, operation: Operation<'_>) -> Result<Answer, SyncError> {
        match operation {
            Operation::Open | Operation::Leave => Ok(Answer::Done),
            Operation::Len => self.dict_len(grant).map(Answer::Count),
            other => Err(other.wrong_for(ObjectKind::Dict)),
        }
    }

    /// Does one operation and says so in a code.
    pub(super) fn code(&self, number: u32, operation: Operation<'_>, timeout_ms: u32) -> u32 {
        let done = |handle| match self.perform(handle, operation, timeout_ms)? {
            Answer::Acquired { abandoned_by } => {
                handle.abandoned_by.set(abandoned_by.unwrap_or(0));
                Ok(if abandoned_by.is_some() { codes::ABANDONED } else { codes::DONE })
            }
            Answer::Flag(flag) => Ok(u32::from(flag)),
            Answer::End => Ok(codes::END),
            _ => Ok(codes::DONE),
        };
        self.handle(number).and_then(done).unwrap_or_else(|error| self.failed(error))
    }

    /// Does one operation that answers a number.
    pub(super) fn count(
        &self,
        number: u32,
        operation: Operation<'_>,
        timeout_ms: u32,
    ) -> Result<u64, SyncError> {
        match self.perform(self.handle(number)?, operation, timeout_ms)? {
            Answer::Count(count) | Answer::Word(count) => Ok(count),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes an item, or a dead letter; `None` at the end.
    pub(super) fn take(
        &self,
        handle: &Handle,
        operation: Operation<'_>,
        timeout_ms: u32,
    ) -> Result<Option<Item>, SyncError> {
        match self.perform(handle, operation, timeout_ms)? {
            Answer::Item(item) => Ok(Some(item)),
            Answer::End => Ok(None),
            other => Err(unexpected(&other)),
        }
    }

    /// Takes an item and remembers its lease.
    pub(super) fn get(&self, number: u32, timeout_ms: u32, lease: bool) -> Result<Option<Item>, SyncError> {
        let handle = self.handle(number)?;
        let item = self.take(handle, Operation::Get { lease }, timeout_ms)?;
        if let Some(item) = &item {
            handle.remember(item);
        }
        Ok(item)
    }

    /// The bytes of elements of an array.
    pub(super) fn read(&self, number: u32, start: u64, count: u64) -> Result<Vec<u8>, SyncError> {
        match self.perform(self.handle(number)?, Operation::Read { start, count }, NEVER)? {
            Answer::Bytes(bytes) => Ok(bytes),
            other => Err(unexpected(&other)),
        }
    }

    /// A value's word. A guest that uses another object as a value is wrong, and has no code to be told so.
    pub(super) fn word(&self, number: u32, operation: Operation<'_>) -> wasmtime::Result<u64> {
        let handle = self.handle(number).map_err(|error| format_err!("{error}"))?;
        if handle.kind != ObjectKind::Value {
            let kind = a(handle.kind);
            return Err(format_err!("handle {number} is no value: `{}` is {kind}", self.described(handle).0));
        }
        self.count(number, operation, NEVER).map_err(|error| format_err!("value {number}: {error}"))
    }
}

impl Handle {
    fn new(grant: u32, kind: ObjectKind, target: Target) -> Self {
        Self {
            grant,
            kind,
            target,
            lease: Cell::new(0),
            deliveries: Cell::new(0),
            abandoned_by: Cell::new(0),
            kept: RefCell::default(),
            kept_dead: RefCell::default(),
        }
    }

    pub(super) fn remember(&self, item: &Item) {
        self.lease.set(item.lease);
        self.deliveries.set(item.deliveries);
    }
}

fn full() -> SyncError {
    SyncError::TooMany(format!("{SYNC_HANDLES_MAX} handles are open"))
}

/// An answer that the operation does not have.
fn unexpected(answer: &Answer) -> SyncError {
    SyncError::Damaged(format!("it answered {answer:?}"))
}
