//! Queues, locks and the like as guests import them: three interfaces over one table of handles.
//!
//! `flat` and the core module `wasmpool` are the same functions for components and core modules, a number
//! for an object and a number for an answer. `objects` has them as resources. All that any of them does
//! is to read its arguments in the guest's memory, compare them with the limits, and hand one operation to
//! the object that the handle names; what that object is, they do not know.
//!
//! Nothing here gives back what a dying guest held. That is the supervisor's work, which sees how it died.

#![forbid(unsafe_code)]

mod codes;
mod core;
mod dict;
mod flat;
mod grants;
mod handles;
mod objects;
mod pool;
mod waits;

#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::sync::Arc;

use wasmtime::StoreContextMut;

pub(crate) use self::grants::Grants;
use self::handles::Handles;
use self::waits::Waiter;
use super::HostState;
use crate::sync::{SyncError, Token};
use crate::worker::engine;
use crate::worker::link::Link;

type Store<'a> = StoreContextMut<'a, HostState>;

/// What one instance has to do with shared objects. What an operation changes is in cells, so that it can
/// read its argument in the guest's memory, which the store owns as it owns this.
pub(super) struct Session {
    who: Token,
    task: u64,
    link: Arc<Link>,
    /// What [`engine::interrupts`] said when the assignment began.
    interrupts: Cell<u32>,
    grants: Grants,
    handles: Handles,
    joins: RefCell<pool::Joins>,
    /// Bytes of one result.
    result_bytes: u64,
    /// In words only when the guest asks.
    last_error: RefCell<Option<SyncError>>,
}

/// Who a task is among those that share objects, and what it may use.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) who: Token,
    pub(crate) grants: Grants,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("who", &self.who).finish_non_exhaustive()
    }
}

impl Session {
    pub(super) fn new(shared: Shared, task: u64, link: Arc<Link>, result_bytes: u64) -> Self {
        Self {
            who: shared.who,
            task,
            link,
            interrupts: Cell::new(engine::interrupts()),
            grants: shared.grants,
            handles: Handles::default(),
            joins: RefCell::default(),
            result_bytes,
            last_error: RefCell::default(),
        }
    }

    /// Interrupts until now were for earlier assignments.
    pub(super) fn forget_interrupts(&self) {
        self.interrupts.set(engine::interrupts());
    }

    fn waiter(&self) -> Waiter<'_> {
        Waiter { link: &self.link, task: self.task, interrupts: self.interrupts.get() }
    }

    /// The code of an error, whose words are kept.
    fn failed(&self, error: SyncError) -> u32 {
        let code = codes::of(&error);
        self.last_error.replace(Some(error));
        code
    }

    /// What the last error was about, if a message was too large.
    pub(super) fn refused_message(&self) -> Option<String> {
        let error = self.last_error.borrow();
        error.as_ref().filter(|error| matches!(error, SyncError::TooLarge { .. })).map(ToString::to_string)
    }

    /// What the last error was about; empty before the first.
    fn last_error(&self) -> String {
        self.last_error.borrow().as_ref().map(ToString::to_string).unwrap_or_default()
    }
}

/// The core module that offers the same as functions.
pub(super) const CORE_MODULE: &str = core::MODULE;

/// Offers components every interface.
pub(super) fn link_component(linker: &mut wasmtime::component::Linker<HostState>) -> wasmtime::Result<()> {
    flat::link(linker)?;
    objects::link(linker)?;
    pool::link(linker)
}

/// Offers core modules the same.
pub(super) fn link_core(linker: &mut wasmtime::Linker<HostState>) -> wasmtime::Result<()> {
    core::link(linker)
}
