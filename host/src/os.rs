//! Every raw system call, behind functions that are safe to call.
//!
//! Nothing here knows what a task is. `unsafe` stays in this folder (and the few files that
//! `ARCHITECTURE.md` lists); each block names the invariant it rests on.

pub(crate) mod memory_file;
pub(crate) mod socket;
