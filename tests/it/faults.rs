//! The list of faults: each test is named after what must hold, and says which row it shows.
//!
//! Each runs a scenario in a host program of its own, which ends with the oracles of
//! `tests/src/scenario/oracle.rs`: one outcome for each task, no process, descriptor or thread left.

mod batches;
mod cgroups;
mod chaos;
mod deaths;
mod garbage;
mod generated;
mod host_death;
mod hostile;
mod locks;
mod many;
mod neighbours;
mod queues;
mod resume;
mod retries;
mod starting;
mod stopping;
mod transfer;
mod waiting;
