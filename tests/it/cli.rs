//! The command line, run as a user runs it.

mod cache;
mod grants;
mod joblog;
mod map;
mod new;
mod objects;
mod run;
mod shared;
mod signals;
mod terminal;
