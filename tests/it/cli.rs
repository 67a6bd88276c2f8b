//! The command line, run as a user runs it.

mod batch;
mod cache;
mod files;
mod grants;
mod invoke;
mod joblog;
mod loading;
mod map;
mod new;
mod objects;
mod reports;
mod results;
mod run;
mod shared;
mod signals;
mod terminal;
