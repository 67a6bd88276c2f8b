//! The command line, run as a user runs it.

mod batch;
mod cache;
mod grants;
mod map;
mod new;
mod objects;
mod run;
mod shared;
mod signals;
mod terminal;
