//! Single files that a task may use.
//!
//! WASI knows granted directories only. So a guest sees a directory that holds the file, the other files that were granted
//! at the same place, and nothing else: in the worker's empty root it is a directory of that root, with the file mounted in
//! it. What lies beside the file on the host is not there. Without an empty root no such directory can be made, and the
//! task does not run.

#![forbid(unsafe_code)]

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::{GrantError, GrantedDir};
use crate::limits::NAME_BYTES_MAX;
use crate::policy::{DirAccess, DirRule};

/// A file of the host, opened, and where a guest sees it. Clones share the descriptor. It can be changed where it was
/// granted for writing, but not replaced, renamed or removed.
///
/// ```no_run
/// use wasmpool::{DirAccess, GrantedFile};
///
/// let config = GrantedFile::open("app.toml", "/etc/app.toml", DirAccess::ReadOnly)?;
/// # Ok::<(), wasmpool::DirGrantError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedFile(GrantedDir);

impl GrantedFile {
    /// Opens the file `host`, which a guest then sees as `guest`.
    ///
    /// # Errors
    ///
    /// When it is no regular file, or may not be opened; when it belongs to `/proc` and is to be written; when `guest` is
    /// no path of a file.
    pub fn open(
        host: impl AsRef<Path>,
        guest: impl Into<String>,
        access: DirAccess,
    ) -> Result<Self, GrantError> {
        let (path, guest) = (host.as_ref(), guest.into());
        let Some((directory, name)) = place(&guest) else { return Err(GrantError::GuestPath(guest)) };
        let refuse = |reason: String| GrantError::FileNotOpened { path: path.to_owned(), reason };
        let opened = || -> io::Result<GrantedDir> {
            let host = path.canonicalize()?;
            let flags = libc::O_PATH | libc::O_CLOEXEC | libc::O_NOFOLLOW;
            let file = OpenOptions::new().read(true).custom_flags(flags).open(&host)?;
            let metadata = file.metadata()?;
            if metadata.is_dir() {
                return Err(io::Error::other("it is a directory, which is granted as one"));
            }
            if !metadata.is_file() {
                return Err(io::Error::other("it is no regular file"));
            }
            let identity = (metadata.dev(), metadata.ino());
            let rule = DirRule { host, guest: directory, file: Some(name), access, identity };
            Ok(GrantedDir { rule, file: Arc::new(file) })
        };
        let opened = opened().map_err(|error| refuse(error.to_string()))?;
        if access == DirAccess::ReadWrite && opened.holds_processes() {
            return Err(GrantError::Processes(path.to_owned()));
        }
        Ok(Self(opened))
    }

    pub(crate) fn into_grant(self) -> GrantedDir {
        self.0
    }
}

/// The directory and the name of a guest's file: `/etc/app.toml` is `app.toml` in `/etc`, as `etc/./app.toml` is.
fn place(guest: &str) -> Option<(String, String)> {
    if guest.len() > NAME_BYTES_MAX || guest.contains('\0') || guest.ends_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = guest.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    let name = parts.pop()?;
    if name == ".." || parts.contains(&"..") || guest.ends_with("/.") {
        return None;
    }
    Some((format!("/{}", parts.join("/")), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    fn open(host: &Path, guest: &str, access: DirAccess) -> Result<GrantedDir, GrantError> {
        GrantedFile::open(host, guest, access).map(GrantedFile::into_grant)
    }

    #[test]
    fn a_file_has_a_directory_and_a_name() {
        let owned = |(directory, name): (&str, &str)| Some((directory.to_owned(), name.to_owned()));
        for (guest, found) in [
            ("/etc/app.toml", Some(("/etc", "app.toml"))),
            ("etc/./app.toml", Some(("/etc", "app.toml"))),
            ("app.toml", Some(("/", "app.toml"))),
            ("/app.toml", Some(("/", "app.toml"))),
            ("a//b/c", Some(("/a/b", "c"))),
            ("", None),
            ("/", None),
            (".", None),
            ("a/", None),
            ("a/.", None),
            ("..", None),
            ("../a", None),
            ("a/../b", None),
        ] {
            assert_eq!(place(guest), found.and_then(owned), "{guest}");
        }
    }

    #[test]
    fn what_is_no_file_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let read = DirAccess::ReadOnly;
        let refused = |path: &Path| open(path, "/x", read).unwrap_err().to_string();
        assert!(refused(folder.path()).contains("it is a directory, which is granted as one"));
        assert!(refused(Path::new("/dev/null")).contains("no regular file"));
        assert!(
            refused(Path::new("/no/such")).contains("the file `/no/such` cannot be granted: No such file")
        );
        let file = folder.path().join("a");
        std::fs::write(&file, "a").unwrap();
        assert_eq!(open(&file, "/x/", read).unwrap_err(), GrantError::GuestPath("/x/".to_owned()));
        let write = open(Path::new("/proc/self/mem"), "/x", DirAccess::ReadWrite).unwrap_err();
        assert!(matches!(write, GrantError::Processes(_)), "{write}");
    }

    #[test]
    fn files_lie_beside_each_other_and_not_in_granted_directories() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        for path in [&one, &two] {
            std::fs::write(path, "text").unwrap();
        }
        let (read, write) = (DirAccess::ReadOnly, DirAccess::ReadWrite);
        let file = |host: &Path, guest: &str, access| open(host, guest, access).unwrap();
        let dir = |guest: &str, access| GrantedDir::open(folder.path(), guest, access).unwrap();
        assert_eq!(check(&[file(&one, "/etc/a", read), file(&two, "etc/b", write)]), Ok(()));
        let twice = Err(GrantError::Twice("/etc".to_owned()));
        assert_eq!(check(&[file(&one, "/etc/a", read), file(&two, "/etc/a", read)]), twice);
        assert_eq!(check(&[dir("/etc", read), file(&two, "/etc/a", read)]), twice);
        assert_eq!(check(&[dir("/data", read), file(&two, "/etc/a", write)]), Ok(()));
        // What may be written by one path cannot be read-only by another.
        for (inner, outer) in
            [(file(&one, "/a", read), dir("/data", write)), (file(&one, "/a", read), file(&one, "/b", write))]
        {
            assert!(matches!(check(&[inner, outer]), Err(GrantError::Writable { .. })));
        }
    }
}
