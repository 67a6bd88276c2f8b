//! Granting an object to a task.
//!
//! A handle among a task's arguments grants itself: serializing it writes its name and tells the collector of
//! the scope that is open on this thread. Outside of such a scope only the name is written.

#![forbid(unsafe_code)]

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::dict::Dictionary;
use super::{Deadline, Object, Operation, SharedObject, Spec, tokens};
use crate::limits::GRANTS_MAX;

/// A shared object, as the supervisor holds it.
#[derive(Debug)]
pub(crate) enum Granted {
    /// In shared memory.
    Memory(SharedObject),
    /// A dictionary, which its workers ask the supervisor about.
    Dict(Mutex<Dictionary>),
}

impl Granted {
    /// What it is and what bounds it.
    pub(crate) fn spec(&self) -> Spec {
        match self {
            Self::Memory(object) => *object.spec(),
            Self::Dict(_) => Spec::Dict,
        }
    }
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
    /// Of a pipe: what closes the end when nobody can use it any more.
    pub(super) end_keeper: Option<Arc<EndKeeper>>,
}

impl Grant {
    pub(super) fn new(name: Arc<str>, object: Granted) -> Self {
        Self { name, object: Arc::new(object), end: 0, end_keeper: None }
    }

    /// The name under which a guest opens it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.object, &other.object) && self.end == other.end
    }
}

/// Two grants are equal when they give the same object (and end of a pipe) under the same name.
impl PartialEq for Grant {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.is_same(other)
    }
}

impl Eq for Grant {}

impl From<&Self> for Grant {
    fn from(grant: &Self) -> Self {
        grant.clone()
    }
}

/// Shared by everything that may still lead to a holder of one end of a pipe. With the last of them an end
/// that nobody holds is closed, so that the other end does not wait for ever.
#[derive(Debug)]
pub(super) struct EndKeeper(pub(super) SharedObject);

impl Drop for EndKeeper {
    fn drop(&mut self) {
        /// It is free at once, unless a participant that was taken over keeps it.
        const PATIENCE: Duration = Duration::from_millis(10);
        let token = tokens::take_for_the_host();
        // Whoever holds the end closes it by leaving; then it cannot be opened here.
        if self.0.perform(token, Operation::Open, &mut Deadline::after(Duration::ZERO)).is_ok() {
            let left = self.0.perform(token, Operation::Leave, &mut Deadline::after(PATIENCE));
            if left.is_err() {
                // The end is still this token's.
                tokens::retire(token);
            }
        }
        tokens::give_back(token);
    }
}

/// Why a task cannot be granted what it was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrantError {
    #[error("two different objects are granted under the name `{0}`: give one of them another name")]
    SameName(String),
    #[error("{0} queues, locks and the like are granted to one task, and {GRANTS_MAX} may be")]
    TooMany(usize),
}

/// All of them together, by name, each once.
pub(crate) fn merge<'a>(grants: impl Iterator<Item = &'a Grant>) -> Result<Vec<Grant>, GrantError> {
    let mut merged: Vec<Grant> = Vec::new();
    for grant in grants {
        match merged.binary_search_by(|other| other.name.cmp(&grant.name)) {
            Ok(at) if merged[at].is_same(grant) => {}
            Ok(_) => return Err(GrantError::SameName(grant.name.to_string())),
            Err(at) => merged.insert(at, grant.clone()),
        }
    }
    if merged.len() > GRANTS_MAX { Err(GrantError::TooMany(merged.len())) } else { Ok(merged) }
}

thread_local! {
    /// The handles that were serialized in the innermost open scope of this thread.
    static COLLECTED: RefCell<Option<Vec<Grant>>> = const { RefCell::new(None) };
}

/// An open scope. Dropping it opens the one around it again, also when serializing panics.
struct Scope {
    outer: Option<Vec<Grant>>,
}

impl Drop for Scope {
    fn drop(&mut self) {
        COLLECTED.replace(self.outer.take());
    }
}

/// Runs `serialize`, and gives the grants of all handles that it serialized.
pub(crate) fn collect<R>(serialize: impl FnOnce() -> R) -> (R, Vec<Grant>) {
    let _scope = Scope { outer: COLLECTED.replace(Some(Vec::new())) };
    let result = serialize();
    let collected = COLLECTED.take().unwrap_or_default();
    (result, collected)
}

/// Tells the open scope, if there is one, that this handle was serialized.
pub(super) fn note(grant: &Grant) {
    COLLECTED.with_borrow_mut(|collected| {
        if let Some(collected) = collected
            && !collected.contains(grant)
        {
            collected.push(grant.clone());
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::{Event, Lock, Pipe};

    #[test]
    fn grants_are_merged_by_name_each_once() {
        let (a, b) = (Lock::named("a").unwrap().grant(), Event::named("b").unwrap().grant());
        assert_eq!(merge([&b, &a, &b.clone()].into_iter()), Ok(vec![a.clone(), b]));
        let other = Lock::named("a").unwrap().grant();
        assert_eq!(merge([&a, &other].into_iter()), Err(GrantError::SameName("a".to_owned())));
        let (left, right) = Pipe::connect_raw().unwrap();
        assert_eq!(merge([&left.grant(), &right.grant()].into_iter()).map(|both| both.len()), Ok(2));
    }

    #[test]
    fn so_many_are_granted_and_no_more() {
        let many: Vec<Grant> = (0..=GRANTS_MAX).map(|_| Lock::new().unwrap().grant()).collect();
        assert_eq!(merge(many[1..].iter()).map(|merged| merged.len()), Ok(GRANTS_MAX));
        assert_eq!(merge(many.iter()), Err(GrantError::TooMany(GRANTS_MAX + 1)));
    }

    #[test]
    fn a_scope_inside_another_keeps_its_grants_to_itself() {
        let (outer, inner) = (Lock::new().unwrap(), Lock::new().unwrap());
        let (inside, collected) = collect(|| {
            note(&outer.grant());
            let inside = collect(|| note(&inner.grant())).1;
            note(&outer.grant());
            inside
        });
        assert_eq!((inside, collected), (vec![inner.grant()], vec![outer.grant()]));
        note(&outer.grant());
        assert_eq!(collect(|| ()).1, []);
    }

    #[test]
    fn a_scope_ends_with_a_panic() {
        let lock = Lock::new().unwrap();
        let panicked = std::panic::catch_unwind(|| collect(|| panic!("a Serialize of somebody else's")));
        assert!(panicked.is_err());
        note(&lock.grant());
        assert!(COLLECTED.take().is_none(), "no scope is open");
    }
}
