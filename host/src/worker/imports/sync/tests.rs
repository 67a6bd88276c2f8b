//! Every function of both flat interfaces, on real objects, called through real guests.

#![forbid(unsafe_code)]

mod component;
mod core;
mod harness;
mod pool;
mod waiting;
