//! The wire types between supervisor, fork server, worker and compile worker.
//!
//! Every connection is a `SOCK_SEQPACKET` Unix socket, so a frame arrives whole or not at all: a peer
//! that is killed in the middle of a send leaves nothing half-read behind. What does not fit into a
//! frame travels as a descriptor of a memory file beside it. This module knows bytes and types, no
//! sockets and no engine.

#![forbid(unsafe_code)]

pub(crate) mod compile;
pub(crate) mod fork_server;
pub(crate) mod frame;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
pub(crate) mod worker;
