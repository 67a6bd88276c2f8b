//! The worker side: fork server, worker, compile worker. Assume hostile once a guest runs.
//!
//! Never names `supervisor`, `batch` or `report`: what these processes need arrives in frames.

pub(crate) mod link;
