//! Directories that a task may use, opened once, where they were granted.
//!
//! What is granted is the directory and not its name: whatever stands under the name later is something else.

#![forbid(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::{DIRS_MAX, NAME_BYTES_MAX};
use crate::policy::{DirAccess, DirRule};

/// A directory of the host, opened, and where a guest sees it. Clones share the descriptor.
///
/// ```no_run
/// use wasmpool::{DirAccess, GrantedDir};
///
/// let data = GrantedDir::open("data", "/data", DirAccess::ReadOnly)?;
/// # Ok::<(), wasmpool::DirGrantError>(())
/// ```
#[derive(Clone, Debug)]
pub struct GrantedDir {
    rule: DirRule,
    file: Arc<File>,
}

/// Why a directory cannot be granted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GrantError {
    /// It cannot be opened as a directory.
    #[error("the directory `{}` cannot be granted: {reason}", path.display())]
    NotOpened {
        /// The path as it was given.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A guest's path is empty, too long, or has a byte that no path has.
    #[error("`{0}` is no path for a guest: a path such as `/data` was expected, of at most 256 bytes")]
    GuestPath(String),
    /// Two directories at one path of the guest.
    #[error("two directories are granted at the guest's path `{0}`")]
    Twice(String),
    /// More than 32.
    #[error("{0} directories are granted, at most 32 can be")]
    TooMany(usize),
}

impl GrantedDir {
    /// Opens the directory `host`, which a guest then sees as `guest`.
    ///
    /// # Errors
    ///
    /// When it is no directory, or may not be opened; when `guest` is no path.
    pub fn open(
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: DirAccess,
    ) -> Result<Self, GrantError> {
        let (path, guest) = (host.as_ref(), guest.into());
        if guest.is_empty() || guest.len() > NAME_BYTES_MAX || guest.contains('\0') {
            return Err(GrantError::GuestPath(guest));
        }
        let opened = || -> io::Result<Self> {
            let host = path.canonicalize()?;
            let file = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_DIRECTORY | libc::O_PATH | libc::O_CLOEXEC)
                .open(&host)?;
            let metadata = file.metadata()?;
            let identity = (metadata.dev(), metadata.ino());
            Ok(Self { rule: DirRule { host, guest: guest.clone(), access, identity }, file: Arc::new(file) })
        };
        opened().map_err(|error| GrantError::NotOpened { path: path.to_owned(), reason: error.to_string() })
    }

    pub(crate) fn rule(&self) -> &DirRule {
        &self.rule
    }
}

impl PartialEq for GrantedDir {
    fn eq(&self, other: &Self) -> bool {
        self.rule == other.rule
    }
}

impl Eq for GrantedDir {}

impl AsFd for GrantedDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// Whether these can be granted together; they are in the order of their guest paths.
pub(crate) fn check(dirs: &[GrantedDir]) -> Result<(), GrantError> {
    if dirs.len() > DIRS_MAX {
        return Err(GrantError::TooMany(dirs.len()));
    }
    match dirs.windows(2).find(|pair| pair[0].rule.guest == pair[1].rule.guest) {
        Some(pair) => Err(GrantError::Twice(pair[0].rule.guest.clone())),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_directory_is_refused_by_name() {
        let open = |host: &str, guest: &str| GrantedDir::open(host, guest, DirAccess::ReadOnly);
        let refused = open("/no/such/place", "/data").unwrap_err().to_string();
        assert!(refused.contains("`/no/such/place`") && refused.contains("No such file"), "{refused}");
        let refused = open("/proc/self/exe", "/data").unwrap_err().to_string();
        assert!(refused.contains("Not a directory"), "{refused}");
        assert_eq!(open("/", "").unwrap_err(), GrantError::GuestPath(String::new()));
    }

    #[test]
    fn one_guest_path_is_one_directory() {
        let folder = tempfile::tempdir().unwrap();
        let open = |guest: &str| GrantedDir::open(folder.path(), guest, DirAccess::ReadWrite).unwrap();
        assert_eq!(check(&[open("/a"), open("/b")]), Ok(()));
        assert_eq!(check(&[open("/a"), open("/a")]), Err(GrantError::Twice("/a".to_owned())));
        let many: Vec<_> = (0..33).map(|number| open(&format!("/{number:02}"))).collect();
        assert_eq!(check(&many), Err(GrantError::TooMany(33)));
    }

    #[test]
    fn another_directory_under_the_same_name_is_another_grant() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data");
        std::fs::create_dir(&path).unwrap();
        let first = GrantedDir::open(&path, "/data", DirAccess::ReadOnly).unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        std::fs::rename(folder.path().join("other"), folder.path().join("gone")).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_ne!(first, GrantedDir::open(&path, "/data", DirAccess::ReadOnly).unwrap());
    }
}
