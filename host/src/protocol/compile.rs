//! What supervisor and compile worker say to each other.
//!
//! The compile worker writes an *artifact file* into a memory file that the supervisor made:
//! a header, the module's description, and the compiled code from a page boundary on. The supervisor
//! looks at it only after the compile worker was reaped and the file was sealed. The same bytes are
//! what the cache keeps.

#![forbid(unsafe_code)]

mod description;

use serde::{Deserialize, Serialize};

use crate::limits::{CompileLimits, MODULE_INFO_BYTES_MAX};
use crate::outcome::StartFailure;
use crate::policy::SandboxMode;
use crate::protocol::fork_server::EngineSettings;

/// The one frame to a compile worker. Descriptors: the module's bytes, sealed; the file for the artifact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Compile {
    pub(crate) module_bytes: u64,
    pub(crate) engine: EngineSettings,
    pub(crate) limits: CompileLimits,
    pub(crate) sandbox: SandboxMode,
}

/// The one frame from a compile worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Compiled {
    /// The artifact file is written.
    Done,
    /// The module was refused: as what, and why.
    Refused { kind: StartFailure, detail: String },
}

pub(crate) use description::{decode_info, encode_info};

const MAGIC: [u8; 8] = *b"wpart\0\0\x01";
const HEADER_BYTES: u64 = 24;
/// Compiled code begins at a multiple of this, so that it can be mapped.
pub(crate) const CODE_ALIGNMENT: u64 = 4096;

/// Why bytes are no artifact file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an artifact file: {0}")]
pub(crate) struct ArtifactFileError(&'static str);

/// Where the parts of an artifact file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ArtifactHeader {
    pub(crate) info_bytes: u64,
    pub(crate) code_bytes: u64,
}

impl ArtifactHeader {
    pub(crate) const BYTES: usize = HEADER_BYTES as usize;

    pub(crate) fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.info_bytes.to_le_bytes());
        bytes[16..].copy_from_slice(&self.code_bytes.to_le_bytes());
        bytes
    }

    /// Reads the header of a file of `file_bytes` bytes; every length is checked against it.
    pub(crate) fn read(bytes: &[u8; Self::BYTES], file_bytes: u64) -> Result<Self, ArtifactFileError> {
        let word = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| bytes[at + i]));
        if bytes[..8] != MAGIC {
            return Err(ArtifactFileError("it begins with other magic bytes"));
        }
        let header = Self { info_bytes: word(8), code_bytes: word(16) };
        if header.info_bytes > MODULE_INFO_BYTES_MAX {
            return Err(ArtifactFileError("its module description is over the limit"));
        }
        let end = header.code_offset().checked_add(header.code_bytes);
        if end != Some(file_bytes) {
            return Err(ArtifactFileError("its length is not what its header says"));
        }
        Ok(header)
    }

    pub(crate) fn info_offset(self) -> u64 {
        HEADER_BYTES
    }

    pub(crate) fn code_offset(self) -> u64 {
        (HEADER_BYTES + self.info_bytes).next_multiple_of(CODE_ALIGNMENT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_comes_back_and_lengths_are_checked() {
        let header = ArtifactHeader { info_bytes: 100, code_bytes: 5000 };
        let file_bytes = header.code_offset() + 5000;
        assert_eq!(ArtifactHeader::read(&header.to_bytes(), file_bytes), Ok(header));
        assert!(ArtifactHeader::read(&header.to_bytes(), file_bytes - 1).is_err());
        let huge = ArtifactHeader { info_bytes: u64::MAX, code_bytes: 1 };
        assert!(ArtifactHeader::read(&huge.to_bytes(), file_bytes).is_err());
        let wrapping = ArtifactHeader { info_bytes: 0, code_bytes: u64::MAX };
        assert!(ArtifactHeader::read(&wrapping.to_bytes(), file_bytes).is_err());
    }
}
