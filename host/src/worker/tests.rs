//! Real processes of ours, driven by hand: what they say, how they end, what they cannot do.

#![forbid(unsafe_code)]

mod chunks;
mod endings;
mod files;
mod harness;
pub(super) mod hostile;
mod loading;
mod ready;
mod signals;
pub(super) mod sockets;
mod sync;
mod tasks;
pub(super) mod walls;
mod warm;
