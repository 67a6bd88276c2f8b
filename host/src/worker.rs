//! The worker side: fork server, worker, compile worker. Assume hostile once a guest runs.
//!
//! Never names `supervisor`, `batch` or `report`: what these processes need arrives in frames.
//! `unsafe` is allowed in `engine` alone.

mod body;
mod calls;
mod child;
mod compile;
mod control;
mod convert;
mod dynamic;
mod engine;
mod fault;
mod fork_server;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod imports;
mod instance;
mod limiter;
pub(crate) mod link;
mod missing;
mod panics;
mod ready;
mod run;
mod sandbox;
mod stack;
mod trap;
mod warm;
mod wit_types;

#[cfg(test)]
mod tests;

pub(crate) use child::{Role, child_main};
