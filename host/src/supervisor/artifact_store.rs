//! Artifacts: compiled modules, by content.
//!
//! An artifact file is what the compile worker wrote (`protocol::compile`). Loading one is loading native code, so the
//! cache gives back only what this very program put there for this very machine: the entry's name is made of the
//! module's digest, the engine's version, the settings, the processor's features and the identity of the worker program,
//! and the entry begins with a digest of that name and of its bytes. Whatever else is found under the name is ignored,
//! and replaced after the module was compiled again.
//!
//! A cache is never needed: without one, or with one that cannot be used, every module is compiled.

#![forbid(unsafe_code)]

mod folder;

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use self::folder::Folder;
use crate::feature::Features;
use crate::limits::ARTIFACT_BYTES_MAX;
use crate::module_info::{ModuleInfo, Want};
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

/// Names an artifact: the module, whether its code counts fuel, and which features it may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ArtifactKey {
    pub(super) module: Digest,
    pub(super) fuel: bool,
    pub(super) features: Features,
}

/// An artifact at hand: sealed, with its description read.
#[derive(Debug)]
pub(crate) struct Artifact {
    pub(super) file: SealedFile,
    pub(super) header: ArtifactHeader,
    pub(super) info: ModuleInfo,
    /// Its tasks may submit tasks.
    pub(super) may_submit: bool,
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
        let may_submit = info.may_want(Want::Tasks);
        Ok(Self { file, header, info, may_submit })
    }
}

/// Bytes of an entry's digest, which stands before the artifact file.
const DIGEST_BYTES: usize = 32;

/// Where artifacts are kept, and how much of them.
#[derive(Clone, Debug)]
pub(super) struct CacheSettings {
    /// `None` keeps nothing.
    pub(super) folder: Option<PathBuf>,
    pub(super) bytes_max: u64,
}

/// The artifact cache. Clones share its folder.
#[derive(Clone, Debug)]
pub(super) struct ArtifactStore(Arc<Store>);

#[derive(Debug)]
struct Store {
    settings: CacheSettings,
    /// Part of each name; `None` when it cannot be known, and then nothing is kept.
    build: Option<String>,
    /// Opened and checked by the first use.
    folder: OnceLock<Option<Folder>>,
}

impl ArtifactStore {
    /// `program` is what workers are started from.
    pub(super) fn new(settings: CacheSettings, program: &Path) -> Self {
        let build = build_id(program);
        if let (Err(error), Some(_)) = (&build, &settings.folder) {
            tracing::warn!(%error, "compiled modules are not kept: what they depend on cannot be read");
        }
        Self(Arc::new(Store { settings, build: build.ok(), folder: OnceLock::new() }))
    }

    /// `wasmpool` in the user's cache folder.
    pub(super) fn default_folder() -> Option<PathBuf> {
        use etcetera::BaseStrategy;
        etcetera::choose_base_strategy().ok().map(|base| base.cache_dir().join("wasmpool"))
    }

    /// The artifact, if the cache has it whole.
    pub(super) fn get(&self, key: ArtifactKey) -> Option<Artifact> {
        let (folder, name) = (self.folder()?, self.name(key)?);
        match read(folder, &name) {
            Ok(artifact) => Some(artifact),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(entry = name, %error, "a cache entry is ignored and made again");
                None
            }
        }
    }

    /// Keeps the artifact. A cache that cannot be written is no error: the next run compiles again.
    pub(super) fn put(&self, key: ArtifactKey, artifact: &Artifact) {
        let (Some(folder), Some(name)) = (self.folder(), self.name(key)) else { return };
        let bytes_max = self.0.settings.bytes_max;
        if artifact.file.len() + DIGEST_BYTES as u64 > bytes_max {
            tracing::info!(entry = name, "an artifact is larger than the whole cache may be");
            return;
        }
        let kept = artifact.file.map().and_then(|bytes| {
            let digest = entry_digest(&name).chain_update(&*bytes).finalize();
            folder.put(&name, &[&digest, &bytes], bytes_max)
        });
        if let Err(error) = kept {
            tracing::warn!(entry = name, %error, "an artifact was not kept in the cache");
        }
    }

    fn folder(&self) -> Option<&Folder> {
        let path = self.0.settings.folder.as_ref().filter(|_| self.0.settings.bytes_max > 0)?;
        let opened = self.0.folder.get_or_init(|| match Folder::open(path) {
            Ok(folder) => Some(folder),
            Err(error) => {
                let path = path.display();
                tracing::warn!(%path, %error, "the cache folder is not used, modules are compiled each time");
                None
            }
        });
        opened.as_ref()
    }

    fn name(&self, key: ArtifactKey) -> Option<String> {
        let fuel = if key.fuel { "-fuel" } else { "" };
        let features: String = key.features.iter().map(|feature| format!("-{feature}")).collect();
        let build = self.0.build.as_ref()?;
        Some(format!("{}-{}{fuel}{features}-{build}", key.module.to_hex(), env!("CARGO_PKG_VERSION")))
    }
}

/// Tells apart what makes another artifact of the same module.
///
/// The program that compiles is known by its file and not by its version: a build with other features or another
/// toolchain has the same version. Reading it whole would cost more than compiling a small module.
fn build_id(program: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(program)?;
    let cpu = std::fs::read_to_string("/proc/cpuinfo")?;
    // What the compiler may use of this processor.
    let features = cpu.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let features = features.ok_or_else(|| io::Error::other("the processor's features are not told"))?;
    let wire = crate::protocol::frame::VERSION;
    let mut text = format!("protocol {wire}, engine {}, {features}", crate::ENGINE_VERSION);
    let file = [metadata.dev(), metadata.ino(), metadata.len()];
    let times = [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()];
    write!(text, ", program {file:?} {times:?}").expect("a string takes everything");
    Ok(Digest::of(text.as_bytes()).to_hex()[..16].to_owned())
}

/// The digest of an entry begins with its name, so that an entry under another's name is found out.
fn entry_digest(name: &str) -> Sha256 {
    Sha256::new().chain_update(name).chain_update([0])
}

fn read(folder: &Folder, name: &str) -> io::Result<Artifact> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
    let mut file = folder.entry(name)?;
    if file.metadata()?.len() > ARTIFACT_BYTES_MAX {
        return Err(invalid("it is larger than an artifact may be".to_owned()));
    }
    let mut digest = [0; DIGEST_BYTES];
    file.read_exact(&mut digest)?;
    let (copy, found) = copied(&mut file, entry_digest(name))?;
    if digest != found {
        return Err(invalid("its digest is not that of its name and bytes".to_owned()));
    }
    Folder::touch(&file);
    Artifact::open(SealedFile::seal(copy.into())?).map_err(invalid)
}

/// A copy of the rest of a file, and its digest. What is judged must be what is used, and the file could change.
fn copied(file: &mut File, mut digest: Sha256) -> io::Result<(File, [u8; DIGEST_BYTES])> {
    let mut copy = memory_file::create("wasmpool-artifact")?;
    let mut buffer = vec![0; 1 << 18];
    let mut left = ARTIFACT_BYTES_MAX;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok((copy, digest.finalize().into()));
        }
        left = left.checked_sub(length as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        digest.update(&buffer[..length]);
        copy.write_all(&buffer[..length])?;
    }
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
            is_composed: false,
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
        ArtifactKey { module: Digest([byte; 32]), fuel: false, features: Features::NONE }
    }

    fn store(folder: &Path) -> ArtifactStore {
        let settings = CacheSettings { folder: Some(folder.to_owned()), bytes_max: 1 << 30 };
        ArtifactStore::new(settings, Path::new("/proc/self/exe"))
    }

    #[test]
    fn what_was_kept_comes_back_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(&folder.path().join("cache"));
        assert!(store.get(key(1)).is_none());
        store.put(key(1), &artifact(b"code"));
        let back = store.get(key(1)).unwrap();
        assert_eq!(back.header.code_bytes, 4);
        assert!(store.get(key(2)).is_none());
        let mode = std::fs::metadata(folder.path().join("cache")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn an_artifact_for_other_features_is_another_entry() {
        let folder = tempfile::tempdir().unwrap();
        let store = store(folder.path());
        store.put(key(1), &artifact(b"code"));
        let features = Features::NONE.with(crate::feature::Feature::Memory64);
        assert!(store.get(ArtifactKey { features, ..key(1) }).is_none());
        let name = store.name(ArtifactKey { features, ..key(1) }).unwrap();
        assert!(name.contains("-memory64-"), "{name}");
    }

    #[test]
    fn another_program_has_other_entries() {
        let folder = tempfile::tempdir().unwrap();
        store(folder.path()).put(key(1), &artifact(b"code"));
        let program = folder.path().join("program");
        std::fs::write(&program, "another").unwrap();
        let settings = CacheSettings { folder: Some(folder.path().to_owned()), bytes_max: 1 << 30 };
        assert!(ArtifactStore::new(settings.clone(), &program).get(key(1)).is_none());
        let nobody = ArtifactStore::new(settings, Path::new("/no/such/program"));
        nobody.put(key(2), &artifact(b"code"));
        assert!(nobody.get(key(2)).is_none());
        assert!(store(folder.path()).get(key(1)).is_some());
    }

    /// What stands in an entry's place instead of what was kept.
    type Damage = fn(&Path, &Path);

    const DAMAGES: &[(&str, Damage)] = &[
        ("tampered", |path, _| {
            let mut bytes = std::fs::read(path).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            std::fs::write(path, &bytes).unwrap();
        }),
        ("truncated", |path, _| File::options().write(true).open(path).unwrap().set_len(100).unwrap()),
        ("empty", |path, _| File::options().write(true).open(path).unwrap().set_len(0).unwrap()),
        ("another's", |path, other| {
            std::fs::copy(other, path).unwrap();
        }),
        ("a link", |path, other| {
            std::fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink(other, path).unwrap();
        }),
        ("a hard link", |path, _| std::fs::hard_link(path, path.with_extension("again")).unwrap()),
        ("a named pipe", |path, _| {
            std::fs::remove_file(path).unwrap();
            let kind = rustix::fs::FileType::Fifo;
            rustix::fs::mknodat(rustix::fs::CWD, path, kind, rustix::fs::Mode::RUSR, 0).unwrap();
        }),
        ("a folder", |path, _| {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }),
        ("open to others", |path, _| {
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
            std::fs::set_permissions(path, mode).unwrap();
        }),
        ("another user's", |path, other| {
            let another = rustix::process::geteuid().as_raw() + 1;
            // Only root can give a file away; for others another owner is one that tampers.
            if std::os::unix::fs::chown(path, Some(another), None).is_err() {
                std::fs::copy(other, path).unwrap();
            }
        }),
    ];

    #[test]
    fn whatever_is_not_what_was_kept_is_ignored_and_made_again() {
        for (what, damage) in DAMAGES {
            let folder = tempfile::tempdir().unwrap();
            let store = store(folder.path());
            let path = |byte| folder.path().join(store.name(key(byte)).unwrap());
            store.put(key(1), &artifact(b"code"));
            store.put(key(2), &artifact(b"other code"));
            damage(&path(1), &path(2));
            assert!(store.get(key(1)).is_none(), "{what}");
            store.put(key(1), &artifact(b"code"));
            assert_eq!(store.get(key(1)).expect(what).header.code_bytes, 4);
            assert_eq!(store.get(key(2)).expect(what).header.code_bytes, 10);
        }
    }

    #[test]
    fn an_artifact_larger_than_the_cache_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let settings = CacheSettings { folder: Some(folder.path().to_owned()), bytes_max: 4096 };
        let store = ArtifactStore::new(settings, Path::new("/proc/self/exe"));
        store.put(key(1), &artifact(b"code"));
        assert!(store.get(key(1)).is_none());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
