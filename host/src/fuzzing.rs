//! What the fuzz targets in `host/fuzz` call. It exists only in builds of cargo fuzz, which sets `cfg(fuzzing)`.

#![forbid(unsafe_code)]

pub use crate::protocol::fuzz::fuzz_frame as frame;
pub use crate::sync::fuzz_recovery as recovery;
#[cfg(feature = "worker")]
pub use crate::worker::fuzz::{calls, imports, module};
