//! The shared objects that a task was granted, each under its name.
//!
//! An object is mapped when the task opens it for the first time: most tasks use few of what their pool
//! grants, and a mapping costs page faults. Until then its descriptor is kept.

#![forbid(unsafe_code)]

use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::limits::NAME_BYTES_MAX;
use crate::protocol::worker::GrantedObject;
use crate::sync::{Object, ObjectKind, SharedObject, Spec, SyncError};

/// What a task may use, and the descriptors of those that live in shared memory, in the same order.
#[derive(Debug, Default)]
pub(crate) struct Grants(Vec<Grant>);

/// One granted object.
#[derive(Debug)]
struct Grant {
    name: String,
    spec: Spec,
    end: u8,
    place: Place,
}

/// Where an object is.
#[derive(Debug)]
enum Place {
    /// In this memory file, not mapped yet.
    File(OwnedFd),
    /// Mapped.
    Memory(Arc<dyn Object>),
    /// In the supervisor.
    Supervisor,
    /// In a memory file that could not be mapped: why.
    Lost(String),
}

/// What a handle reaches.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Memory(Arc<dyn Object>),
    /// A dictionary, which the supervisor is asked about.
    Dict,
}

impl Grants {
    /// Takes one descriptor for each object that lives in shared memory; `None` when there are too few.
    pub(crate) fn new(
        granted: Vec<GrantedObject>,
        files: &mut impl Iterator<Item = OwnedFd>,
    ) -> Option<Self> {
        let grant = |granted: GrantedObject| {
            let place = match granted.spec {
                Spec::Dict => Place::Supervisor,
                _ => Place::File(files.next()?),
            };
            Some(Grant { name: granted.name, spec: granted.spec, end: granted.end, place })
        };
        granted.into_iter().map(grant).collect::<Option<Vec<_>>>().map(Self)
    }

    /// Grants an object that lies in no file.
    #[cfg(test)]
    pub(crate) fn add(&mut self, name: &str, object: Arc<dyn Object>) {
        let (name, spec) = (name.to_owned(), *object.spec());
        self.0.push(Grant { name, spec, end: 0, place: Place::Memory(object) });
    }

    /// The number of the object of this kind and name.
    pub(super) fn find(&self, kind: ObjectKind, name: &str) -> Result<usize, SyncError> {
        let named = |grant: &Grant| grant.name == name;
        if let Some(at) = self.0.iter().position(|grant| named(grant) && grant.spec.kind() == kind) {
            return Ok(at);
        }
        match self.0.iter().find(|grant| named(grant)) {
            Some(grant) => {
                Err(SyncError::WrongKind(format!("`{name}` is {}, not {}", a(grant.spec.kind()), a(kind))))
            }
            None => Err(denied(kind, name)),
        }
    }

    /// The object of this number, mapped.
    pub(super) fn target(&mut self, at: usize) -> Result<Target, SyncError> {
        let Grant { name, spec, end, place } = &mut self.0[at];
        if let Place::File(_) = place {
            // The descriptor goes with the mapping, or with its failure.
            let Place::File(file) = std::mem::replace(place, Place::Supervisor) else {
                unreachable!("it was a file one line above")
            };
            *place = match SharedObject::open(*spec, *end, file) {
                Ok(object) => Place::Memory(Arc::new(object)),
                Err(error) => Place::Lost(format!("`{name}` could not be mapped: {error}")),
            };
        }
        match place {
            Place::Memory(object) => Ok(Target::Memory(object.clone())),
            Place::Lost(cause) => Err(SyncError::Unavailable(cause.clone())),
            Place::File(_) | Place::Supervisor => Ok(Target::Dict),
        }
    }

    /// An object's name and what bounds it.
    pub(super) fn describe(&self, at: usize) -> (&str, &Spec) {
        (&self.0[at].name, &self.0[at].spec)
    }
}

/// A kind with its article.
pub(super) fn a(kind: ObjectKind) -> String {
    let label = kind.label();
    let article = if label.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {label}")
}

/// The command line's option that grants an object of this kind, and what follows the name.
fn option(kind: ObjectKind) -> Option<(&'static str, &'static str)> {
    match kind {
        ObjectKind::Queue => Some(("--queue", "")),
        ObjectKind::Lock => Some(("--lock", "")),
        ObjectKind::Semaphore => Some(("--semaphore", ":N")),
        ObjectKind::Event => Some(("--event", "")),
        ObjectKind::Barrier => Some(("--barrier", ":N")),
        _ => None,
    }
}

fn denied(kind: ObjectKind, name: &str) -> SyncError {
    let name = &name[..name.floor_char_boundary(NAME_BYTES_MAX)];
    SyncError::AccessDenied(match option(kind) {
        Some((option, rest)) => format!(
            "`{name}` was not granted: `{option} {name}{rest}` on the command line, or `Task::grant` in a \
             program, grants it"
        ),
        None => format!("`{name}` was not granted: `Task::grant` in a program grants it"),
    })
}
