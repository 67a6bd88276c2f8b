//! The library as an embedding program sees it: processes, pools, outcomes.
//!
//! Each test runs a scenario in a host program of its own.

mod cpu_time;
mod embedding;
mod endings;
mod features;
mod grants;
mod huge_code;
pub mod modules;
mod nets;
mod output;
mod pools;
mod processes;
mod shared_bytes;
mod sharing;
