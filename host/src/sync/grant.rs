//! Granting an object to a task.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};

use super::SharedObject;
use super::dict::Dictionary;

/// A shared object, as the supervisor holds it.
#[derive(Debug)]
pub(crate) enum Granted {
    /// In shared memory.
    Memory(SharedObject),
    /// A dictionary, which its workers ask the supervisor about.
    Dict(Mutex<Dictionary>),
}

/// The right to use one shared object under a name. Every handle of the host gives one out, by
/// `grant()`; a task is given it with `Task::grant`, or by passing the handle in its arguments.
///
/// As long as anybody outside the supervisor holds a handle or a grant, the host program counts as able to act
/// on the object, and no wait for it is a deadlock.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(crate) name: Arc<str>,
    pub(crate) object: Arc<Granted>,
    /// The end of a pipe.
    pub(crate) end: u8,
}

impl Grant {
    /// The name under which a guest opens it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object) && self.end == other.end
    }
}
