//! The folder of the artifact cache: files that come and go while any number of processes use it.
//!
//! Nobody locks the folder, so no process ever waits for another one, or for a stopped one:
//!
//! - A file is written under a name of its own and renamed to its place, so a name stands for a whole file or for none.
//! - A file under a writer's name belongs to whoever holds its lock (`flock`), which the kernel takes from a dead process.
//!   One that nobody holds is a leftover, and is removed.
//! - Whoever has added a file removes those that were used longest ago until the rest fits. Two that do it at once choose
//!   the same files. A reader that has opened a file keeps it.
//!
//! All of it happens below a descriptor of the folder that was checked: a folder that is put in its place later is not
//! touched, and of what lies in it only what is named like ours.

#![forbid(unsafe_code)]

use std::ffi::CStr;
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::{
    AtFlags, Dir, FileType, FlockOperation, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT,
};
use rustix::io::Errno;

/// How a file is named while it is written.
const UNFINISHED: &str = "new-";
/// Hexadecimal digits at the beginning of an entry's name: a SHA-256.
const DIGEST_DIGITS: usize = 64;
/// Write permission of group and others.
const OTHERS_WRITE: u32 = 0o022;

/// A folder that only this user can write to.
#[derive(Debug)]
pub(super) struct Folder(OwnedFd);

impl Folder {
    /// Opens the folder, and makes it if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let (metadata, own) = (folder.metadata()?, rustix::process::geteuid().as_raw());
        let refused = |reason: String| Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        if metadata.uid() != own {
            return refused(format!("it belongs to the user {}, not to {own}", metadata.uid()));
        }
        if metadata.mode() & OTHERS_WRITE != 0 {
            return refused(format!("others may write to it (mode {:03o})", metadata.mode() & 0o777));
        }
        Ok(Self(folder.into()))
    }

    /// Opens an entry for reading. Whatever is no plain file of this user alone is refused by name.
    pub(super) fn entry(&self, name: &str) -> io::Result<File> {
        // Without NONBLOCK, opening a named pipe would wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.0, name, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        let flaw = if !metadata.is_file() {
            "it is no file"
        } else if metadata.uid() != rustix::process::geteuid().as_raw() {
            "it belongs to another user"
        } else if metadata.mode() & OTHERS_WRITE != 0 {
            "others may write to it"
        } else if metadata.nlink() > 1 {
            "it has another name elsewhere"
        } else {
            return Ok(file);
        };
        Err(io::Error::new(io::ErrorKind::InvalidData, flaw))
    }

    /// Notes that an entry is in use. It is no matter whether that can be noted.
    pub(super) fn touch(file: &File) {
        let time = |tv_nsec| Timespec { tv_sec: 0, tv_nsec };
        let times = Timestamps { last_access: time(UTIME_OMIT), last_modification: time(UTIME_NOW) };
        let _ = rustix::fs::futimens(file, &times);
    }

    /// Puts a file in its place, whatever stood there, and then keeps the folder within `bytes_max`.
    pub(super) fn put(&self, name: &str, parts: &[&[u8]], bytes_max: u64) -> io::Result<()> {
        let unfinished = format!("{UNFINISHED}{:016x}", random());
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let mut file =
            File::from(rustix::fs::openat(&self.0, unfinished.as_str(), flags, Mode::RUSR | Mode::WUSR)?);
        let written = rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(io::Error::from)
            .and_then(|()| parts.iter().try_for_each(|part| file.write_all(part)))
            .and_then(|()| self.rename(&unfinished, name));
        if written.is_err() {
            let _ = self.remove(&unfinished);
        }
        // Also after a failure: a full disk may have room then.
        self.clean(bytes_max)?;
        written
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        match rustix::fs::renameat(&self.0, from, &self.0, to) {
            // A folder under an entry's name goes if it is empty; a full one is not ours to judge.
            Err(Errno::ISDIR) => {
                rustix::fs::unlinkat(&self.0, to, AtFlags::REMOVEDIR)?;
                Ok(rustix::fs::renameat(&self.0, from, &self.0, to)?)
            }
            other => Ok(other?),
        }
    }

    fn remove(&self, name: &str) -> Result<(), Errno> {
        rustix::fs::unlinkat(&self.0, name, AtFlags::empty())
    }

    /// Removes leftovers, and what was used longest ago until the rest has at most `bytes_max`.
    fn clean(&self, bytes_max: u64) -> io::Result<()> {
        let mut entries = Vec::new();
        let mut sum = 0_u64;
        for found in Dir::read_from(&self.0)? {
            let found = found?;
            let Some(name) = name_of(found.file_name()) else { continue };
            if name.starts_with(UNFINISHED) {
                self.sweep(name);
            } else if is_entry(name)
                && let Ok(status) = rustix::fs::statat(&self.0, name, AtFlags::SYMLINK_NOFOLLOW)
                && FileType::from_raw_mode(status.st_mode) == FileType::RegularFile
            {
                // What it takes up, which for a file with holes is less than its length.
                let bytes = u64::try_from(status.st_blocks).unwrap_or(0).saturating_mul(512);
                sum = sum.saturating_add(bytes);
                entries.push((status.st_mtime, status.st_mtime_nsec, name.to_owned(), bytes));
            }
        }
        entries.sort();
        for (_, _, name, bytes) in entries {
            if sum <= bytes_max {
                break;
            }
            match self.remove(&name) {
                // Somebody else's choice was the same.
                Ok(()) | Err(Errno::NOENT) => sum -= bytes,
                Err(error) => tracing::warn!(entry = name, %error, "a cache entry cannot be removed"),
            }
        }
        Ok(())
    }

    /// Removes an unfinished file if its writer is gone.
    fn sweep(&self, name: &str) {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let Ok(file) = rustix::fs::openat(&self.0, name, flags, Mode::empty()) else { return };
        if rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = self.remove(name);
        }
    }
}

fn name_of(name: &CStr) -> Option<&str> {
    name.to_str().ok()
}

/// Whether a file is named like an artifact, of whichever version.
fn is_entry(name: &str) -> bool {
    let digest = name.as_bytes().first_chunk::<DIGEST_DIGITS>();
    digest.is_some_and(|digest| digest.iter().all(u8::is_ascii_hexdigit))
        && name.as_bytes().get(DIGEST_DIGITS) == Some(&b'-')
}

/// A number that no other writer has: processes in containers may share a folder and have the same ids.
fn random() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one((std::process::id(), SystemTime::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const KIB: u64 = 1024;

    fn name(byte: u8) -> String {
        format!("{}-1", format!("{byte:02x}").repeat(32))
    }

    fn names(path: &Path) -> Vec<String> {
        let mut names: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn used_at(path: &Path, byte: u8, hours_ago: u64) {
        let file = File::options().write(true).open(path.join(name(byte))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600 * hours_ago)).unwrap();
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let bytes = vec![7; 64 * 1024];
        for byte in 1..=3 {
            folder.put(&name(byte), &[&bytes], 1 << 30).unwrap();
            used_at(place.path(), byte, 10 + u64::from(byte));
        }
        Folder::touch(&folder.entry(&name(3)).unwrap());
        folder.put(&name(4), &[&bytes], 3 * 64 * KIB).unwrap();
        assert_eq!(names(place.path()), [name(1), name(3), name(4)]);
        folder.put(&name(5), &[&bytes], 100 * KIB).unwrap();
        assert_eq!(names(place.path()), [name(5)]);
    }

    #[test]
    fn only_what_is_named_like_ours_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        std::fs::write(place.path().join("notes.txt"), "mine").unwrap();
        std::fs::create_dir(place.path().join(name(1))).unwrap();
        folder.put(&name(2), &[b"code"], 0).unwrap();
        assert_eq!(names(place.path()), [name(1), "notes.txt".to_owned()]);
    }

    #[test]
    fn leftovers_of_the_dead_are_swept_and_what_is_being_written_is_not() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        std::fs::write(place.path().join("new-0001"), "half an artif").unwrap();
        let writing = File::create(place.path().join("new-0002")).unwrap();
        writing.lock().unwrap();
        rustix::fs::mknodat(
            rustix::fs::CWD,
            place.path().join("new-0003"),
            FileType::Fifo,
            Mode::RUSR | Mode::WUSR,
            0,
        )
        .unwrap();
        folder.put(&name(1), &[b"code"], 1 << 30).unwrap();
        assert_eq!(names(place.path()), [name(1), "new-0002".to_owned()]);
        drop(writing);
        folder.put(&name(1), &[b"code"], 1 << 30).unwrap();
        assert_eq!(names(place.path()), [name(1)]);
    }

    #[test]
    fn a_folder_that_others_can_write_to_or_that_is_none_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().unwrap();
        let refusal = |path: &Path| Folder::open(path).unwrap_err().to_string();
        for mode in [0o777, 0o770, 0o702] {
            std::fs::set_permissions(place.path(), PermissionsExt::from_mode(mode)).unwrap();
            assert!(refusal(place.path()).starts_with("others may write to it (mode 7"));
        }
        std::fs::set_permissions(place.path(), PermissionsExt::from_mode(0o755)).unwrap();
        Folder::open(place.path()).unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        refusal(&place.path().join("file"));
        // A folder of another user: one that root has, or one that root gave away.
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(place.path(), Some(65_534), None).unwrap();
            assert_eq!(refusal(place.path()), "it belongs to the user 65534, not to 0");
        } else {
            assert!(refusal(Path::new("/usr")).starts_with("it belongs to the user 0, not to "));
        }
    }
}
