//! Directories and files that a task may use, opened once, where they were granted.
//!
//! What is granted is the directory and not its name: whatever stands under the name later is something else.
//!
//! Behind the paths of WASI stands Landlock, whose rights add up: what may be written from one directory may be written by
//! every path. So nothing can be read-only inside a directory that may be written, and that is refused here instead of
//! being promised; the reverse holds. A guest that wrote to /proc would change its own process's memory under the
//! engine's feet, so nothing that holds it can be granted for writing.

#![forbid(unsafe_code)]

mod file;

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::limits::{DIRS_MAX, NAME_BYTES_MAX};
use crate::policy::{DirAccess, DirRule};

pub use file::GrantedFile;

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

/// Why a directory or a file cannot be granted.
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
    /// It cannot be opened as a file.
    #[error("the file `{}` cannot be granted: {reason}", path.display())]
    FileNotOpened {
        /// The path as it was given.
        path: PathBuf,
        /// What the system says, or what it is instead.
        reason: String,
    },
    /// A guest's path is empty, too long, or has a byte that no path has.
    #[error("`{0}` is no path for a guest: a path such as `/data` was expected, of at most 256 bytes")]
    GuestPath(String),
    /// Whoever can write to `/proc` can change running processes.
    #[error("`{}` holds the process file system, through which memory of processes can be written: grant it read-only, or \
             what is needed of it", .0.display())]
    Processes(PathBuf),
    /// A directory that is to be read-only is, or lies in, one that may be written.
    #[error("`{}` cannot be granted read-only beside `{}`, in which everything may be written", inner.display(), outer.display())]
    Writable {
        /// The read-only one.
        inner: PathBuf,
        /// The other one.
        outer: PathBuf,
    },
    /// Two directories, or files, at one path of the guest.
    #[error("the guest's path `{0}` is granted twice")]
    Twice(String),
    /// More than 32.
    #[error("{0} directories and files are granted, at most 32 can be")]
    TooMany(usize),
}

impl GrantedDir {
    /// Opens the directory `host`, which a guest then sees as `guest`.
    ///
    /// # Errors
    ///
    /// When it is no directory, or may not be opened; when it holds `/proc` and is to be written; when `guest` is no path.
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
            let rule = DirRule { host, guest: guest.clone(), file: None, access, identity };
            Ok(Self { rule, file: Arc::new(file) })
        };
        let opened = opened()
            .map_err(|error| GrantError::NotOpened { path: path.to_owned(), reason: error.to_string() })?;
        if access == DirAccess::ReadWrite && opened.holds_processes() {
            return Err(GrantError::Processes(path.to_owned()));
        }
        Ok(opened)
    }

    fn holds_processes(&self) -> bool {
        let is_inside =
            rustix::fs::fstatfs(&self.file).is_ok_and(|system| system.f_type == rustix::fs::PROC_SUPER_MAGIC);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        is_inside
            || Path::new("/proc").starts_with(&self.rule.host)
            || are_mounted_in(&self.rule.host, &mounts)
    }

    /// The guest's path as it is compared: `/data`, `data/` and `./data` are one path for a guest, whose current
    /// directory is `/`.
    fn guest_parts(&self) -> impl Iterator<Item = &str> {
        self.rule.guest.split('/').filter(|part| !part.is_empty() && *part != ".")
    }

    /// Whether a guest could not tell them apart by their paths.
    fn has_path_of(&self, other: &Self) -> bool {
        let is_beside =
            matches!((&self.rule.file, &other.rule.file), (Some(one), Some(other)) if one != other);
        self.guest_parts().eq(other.guest_parts()) && !is_beside
    }

    /// Whether what lies in this one can be written because of the other one.
    fn is_writable_by(&self, other: &Self) -> bool {
        let lies_in =
            self.rule.host.starts_with(&other.rule.host) || self.rule.identity == other.rule.identity;
        (self.rule.access, other.rule.access) == (DirAccess::ReadOnly, DirAccess::ReadWrite) && lies_in
    }

    pub(crate) fn rule(&self) -> &DirRule {
        &self.rule
    }
}

/// Whether a process file system is mounted somewhere below this directory, by the text of `mountinfo`: a root of some
/// other system has one of its own.
fn are_mounted_in(host: &Path, mounts: &str) -> bool {
    let written = as_the_kernel_writes(host);
    mounts.lines().filter_map(|line| line.split_once(" - ")).any(|(mount, system)| {
        let point = mount.split(' ').nth(4).map(|point| Path::new(OsStr::new(point)));
        system.starts_with("proc ") && point.is_some_and(|point| point.starts_with(&written))
    })
}

/// A path as `mountinfo` has it: what would part its fields is a backslash and three octal digits.
fn as_the_kernel_writes(path: &Path) -> PathBuf {
    let written = path.as_os_str().as_bytes().iter().flat_map(|byte| match byte {
        b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
        other => vec![*other],
    });
    OsString::from_vec(written.collect()).into()
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

/// Whether these can be granted together.
pub(crate) fn check(dirs: &[GrantedDir]) -> Result<(), GrantError> {
    if dirs.len() > DIRS_MAX {
        return Err(GrantError::TooMany(dirs.len()));
    }
    for (at, dir) in dirs.iter().enumerate() {
        if dirs[..at].iter().any(|other| other.has_path_of(dir)) {
            return Err(GrantError::Twice(dir.rule.guest.clone()));
        }
        if let Some(outer) = dirs.iter().find(|other| dir.is_writable_by(other)) {
            let (inner, outer) = (dir.rule.host.clone(), outer.rule.host.clone());
            return Err(GrantError::Writable { inner, outer });
        }
    }
    Ok(())
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
    fn one_path_of_a_guest_may_be_written_in_several_ways() {
        let folder = tempfile::tempdir().unwrap();
        let open = |guest: &str| GrantedDir::open(folder.path(), guest, DirAccess::ReadWrite).unwrap();
        for (one, other, is_same) in [
            ("/data", "data", true),
            ("/data", "./data/", true),
            ("/a/b", "a//b", true),
            ("/", ".", true),
            ("/data", "/data2", false),
            ("/data", "/data/more", false),
            ("/data", "../data", false),
        ] {
            let refused = check(&[open(one), open(other)]).is_err();
            assert_eq!(refused, is_same, "{one} and {other}");
        }
    }

    #[test]
    fn nothing_is_promised_to_be_read_only_that_can_be_written_by_another_path() {
        let folder = tempfile::tempdir().unwrap();
        let outer = folder.path().canonicalize().unwrap();
        let inner = outer.join("inner");
        std::fs::create_dir(&inner).unwrap();
        std::os::unix::fs::symlink(&inner, outer.join("link")).unwrap();
        let (read, write) = (DirAccess::ReadOnly, DirAccess::ReadWrite);
        let check_both = |one: (&Path, DirAccess), other: (&Path, DirAccess)| {
            let open = |dir: (&Path, DirAccess), guest| GrantedDir::open(dir.0, guest, dir.1).unwrap();
            check(&[open(one, "/a"), open(other, "/b")])
        };
        let refused = |inner: &Path, outer: &Path| {
            Err(GrantError::Writable { inner: inner.to_owned(), outer: outer.to_owned() })
        };
        assert_eq!(check_both((&inner, read), (&outer, write)), refused(&inner, &outer));
        assert_eq!(check_both((&outer, write), (&outer.join("link"), read)), refused(&inner, &outer));
        assert_eq!(check_both((&inner, write), (&inner, read)), refused(&inner, &inner));
        assert_eq!(check_both((&inner, write), (&outer, read)), Ok(()));
        assert_eq!(check_both((&inner, read), (&outer, read)), Ok(()));
        assert_eq!(check_both((&inner, write), (&outer, write)), Ok(()));
        std::fs::create_dir(outer.join("inner2")).unwrap();
        assert_eq!(check_both((&outer.join("inner2"), read), (&inner, write)), Ok(()));
    }

    #[test]
    fn the_process_file_system_is_never_granted_for_writing() {
        for path in ["/proc", "/proc/self", "/proc/sys", "/"] {
            let refused = GrantedDir::open(path, "/x", DirAccess::ReadWrite).unwrap_err();
            assert!(matches!(refused, GrantError::Processes(_)), "{path}: {refused}");
            GrantedDir::open(path, "/x", DirAccess::ReadOnly).unwrap();
        }
    }

    #[test]
    fn a_process_file_system_of_another_root_is_found() {
        let mounts = "22 1 0:21 / /proc rw,nosuid - proc proc rw\n\
                      23 1 0:22 / /srv/other\\040root/proc rw master:1 - proc none rw\n\
                      24 1 0:23 / /srv/data/proc rw - tmpfs proc rw\n";
        for (host, holds) in [
            ("/", true),
            ("/srv", true),
            ("/srv/other root", true),
            ("/srv/other root/proc", true),
            ("/srv/other", false),
            ("/srv/other\\040root", false),
            ("/srv/data", false),
            ("/home", false),
        ] {
            assert_eq!(are_mounted_in(Path::new(host), mounts), holds, "{host}");
        }
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
