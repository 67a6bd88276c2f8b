//! The command line, run as a user runs it.

mod map;
mod new;
mod run;
mod shared;
mod signals;
