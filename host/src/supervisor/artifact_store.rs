//! Artifacts: compiled modules, by content.
//!
//! An artifact file is what the compile worker wrote (`protocol::compile`). In the cache it lies in a
//! folder that only its owner can enter, under a name made of the module's digest, the engine's version
//! and the settings, behind its own digest; an entry that is damaged, foreign or a link is ignored.

#![forbid(unsafe_code)]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::limits::ARTIFACT_BYTES_MAX;
use crate::module_info::ModuleInfo;
use crate::os::memory_file::{self, SealedFile};
use crate::protocol::compile::{ArtifactHeader, decode_info};

/// A SHA-256 digest.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    pub(super) fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Names an artifact: the module, and whether its code counts fuel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactKey {
    pub(super) module: Digest,
    pub(super) fuel: bool,
}

/// An artifact at hand: sealed, with its description read.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(super) file: SealedFile,
    pub(super) header: ArtifactHeader,
    pub(super) info: ModuleInfo,
}

impl Artifact {
    /// Takes in a sealed artifact file.
    pub(super) fn open(file: SealedFile) -> Result<Self, String> {
        let mut header = [0; ArtifactHeader::BYTES];
        file.read_exact_at(&mut header, 0).map_err(|error| format!("its header cannot be read: {error}"))?;
        let header = ArtifactHeader::read(&header, file.len()).map_err(|error| error.to_string())?;
        let length = usize::try_from(header.info_bytes).map_err(|error| error.to_string())?;
        let mut info = vec![0; length];
        file.read_exact_at(&mut info, header.info_offset())
            .map_err(|error| format!("its description cannot be read: {error}"))?;
        let info = decode_info(&info).map_err(|error| error.to_string())?;
        Ok(Self { file, header, info })
    }
}

/// The folder of artifacts; `None` keeps nothing.
#[derive(Clone, Debug)]
pub(super) struct ArtifactStore {
    folder: Option<PathBuf>,
}

impl ArtifactStore {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    /// `wasmpool` in the user's cache folder.
    pub(super) fn default_folder() -> Option<PathBuf> {
        use etcetera::BaseStrategy;
        etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("wasmpool"))
    }

    /// The artifact, if the cache has it whole.
    pub(super) fn get(&self, key: ArtifactKey) -> Option<Artifact> {
        let path = self.path(key)?;
        match read(&path) {
            Ok(artifact) => Some(artifact),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a cache entry is ignored");
                None
            }
        }
    }

    /// Keeps the artifact. A cache that cannot be written is no error: the next run compiles again.
    pub(super) fn put(&self, key: ArtifactKey, artifact: &Artifact) {
        let Some(path) = self.path(key) else { return };
        if let Err(error) = write(&path, artifact) {
            tracing::warn!(path = %path.display(), %error, "an artifact was not kept in the cache");
        }
    }

    fn path(&self, key: ArtifactKey) -> Option<PathBuf> {
        let fuel = if key.fuel { "-fuel" } else { "" };
        let name = format!("{}-{}{fuel}", key.module.to_hex(), env!("CARGO_PKG_VERSION"));
        self.folder.as_ref().map(|folder| folder.join(format!("{name}-{}", build_id())))
    }
}

/// Tells builds of this program apart: an artifact of another engine or with other settings is another file.
fn build_id() -> &'static str {
    static ID: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    ID.get_or_init(|| {
        let wire = crate::protocol::frame::VERSION;
        let mut text = format!("protocol {wire}, engine {}", crate::ENGINE_VERSION);
        if let Ok(cpu) = std::fs::read_to_string("/proc/cpuinfo") {
            // What the compiler may use of this processor.
            text.extend(cpu.lines().find(|line| line.starts_with("flags")));
        }
        Digest::of(text.as_bytes()).to_hex()[..16].to_owned()
    })
}

fn read(path: &Path) -> io::Result<Artifact> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut file =
        OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.uid() != rustix::process::geteuid().as_raw() {
        return Err(invalid("it is not a file of this user".to_owned()));
    }
    if metadata.len() > ARTIFACT_BYTES_MAX {
        return Err(invalid("it is larger than an artifact may be".to_owned()));
    }
    let mut digest = [0; 32];
    file.read_exact(&mut digest)?;
    let mut copy = memory_file::create("wasmpool-artifact")?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            break;
        }
        hash.update(&buffer[..length]);
        copy.write_all(&buffer[..length])?;
    }
    if digest != <[u8; 32]>::from(hash.finalize()) {
        return Err(invalid("its digest is not that of its bytes".to_owned()));
    }
    Artifact::open(SealedFile::seal(copy.into())?).map_err(invalid)
}

fn write(path: &Path, artifact: &Artifact) -> io::Result<()> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!("new-{}-{unique}", std::process::id()));
    let written =
        File::options().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
            let bytes = artifact.file.map()?;
            file.write_all(&Digest::of(&bytes).0)?;
            file.write_all(&bytes)?;
            std::fs::rename(&temporary, path)
        });
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module_info::ModuleKind;
    use crate::protocol::compile::encode_info;

    fn artifact(code: &[u8]) -> Artifact {
        let info = ModuleInfo {
            kind: ModuleKind::CoreModule,
            is_command: true,
            is_reactor: false,
            tasks: Vec::new(),
            exports: Vec::new(),
            imports: Vec::new(),
        };
        let description = encode_info(&info).unwrap();
        let header = ArtifactHeader { info_bytes: description.len() as u64, code_bytes: code.len() as u64 };
        let mut bytes = header.to_bytes().to_vec();
        bytes.extend_from_slice(&description);
        bytes.resize(usize::try_from(header.code_offset()).unwrap(), 0);
        bytes.extend_from_slice(code);
        Artifact::open(SealedFile::from_bytes("test", &bytes).unwrap()).unwrap()
    }

    fn key(byte: u8) -> ArtifactKey {
        ArtifactKey { module: Digest([byte; 32]), fuel: false }
    }

    #[test]
    fn what_was_kept_comes_back_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(Some(folder.path().join("cache")));
        assert!(store.get(key(1)).is_none());
        store.put(key(1), &artifact(b"code"));
        let back = store.get(key(1)).unwrap();
        assert_eq!(back.header.code_bytes, 4);
        assert!(store.get(key(2)).is_none());
        let mode = std::fs::metadata(folder.path().join("cache")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_tampered_or_linked_entry_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let store = ArtifactStore::new(Some(folder.path().to_owned()));
        store.put(key(1), &artifact(b"code"));
        let path = store.path(key(1)).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(store.get(key(1)).is_none());
        store.put(key(2), &artifact(b"code"));
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(store.path(key(2)).unwrap(), &path).unwrap();
        assert!(store.get(key(1)).is_none());
    }
}
