//! The command line, run as a user runs it.

mod batch;
mod cache;
mod files;
mod grants;
mod invoke;
mod joblog;
mod live;
mod loading;
mod logs;
mod map;
mod new;
mod objects;
mod reports;
mod results;
mod run;
mod settings;
mod shared;
mod signals;
mod terminal;
mod warm;
