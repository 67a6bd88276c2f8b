//! Every function of every interface, on real objects, called through real guests.

#![forbid(unsafe_code)]

mod component;
mod core;
mod harness;
mod objects;
mod passing;
mod pool;
mod waiting;
