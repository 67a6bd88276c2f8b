//! Every raw system call, behind functions that are safe to call.
//!
//! Nothing here knows what a task is. `unsafe` stays in this folder (and the few files that
//! `ARCHITECTURE.md` lists); each block names the invariant it rests on.

pub(crate) mod cgroup;
pub(crate) mod child;
#[cfg(feature = "worker")]
pub(crate) mod fork;
#[cfg(feature = "worker")]
pub(crate) mod hardening;
pub(crate) mod huge_code;
pub(crate) mod huge_pages;
pub(crate) mod memory_file;
#[cfg(feature = "worker")]
pub(crate) mod namespaces;
pub(crate) mod poll;
pub(crate) mod signals;
pub(crate) mod socket;
#[cfg(all(test, feature = "worker"))]
mod test_entry;
#[cfg(all(test, feature = "worker"))]
pub(crate) mod test_hostile;
