//! Multiprocessing for code you do not trust.
pub mod exit_code;
pub mod limits;
pub mod module_info;
pub mod outcome;
pub mod policy;

mod os;
mod protocol;
#[cfg(feature = "worker")]
mod worker;
