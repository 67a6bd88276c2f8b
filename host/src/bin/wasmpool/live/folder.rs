//! The folder of this user in which each running batch has a socket, named after its process.
//!
//! Nobody else may enter it, so whoever can connect is this user, or root; who is connected to is looked at again. A
//! socket whose process is gone is a leftover, and removed by whoever finds it.

#![forbid(unsafe_code)]

use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::{Pid, geteuid, test_kill_process};

/// Sockets that are looked at.
const SOCKETS_MAX: usize = 1000;

/// A folder that only this user can use.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Where it is, if it is there.
    ///
    /// # Errors
    ///
    /// When it is not, or when others can use it.
    pub fn find() -> io::Result<Self> {
        let path = place();
        check(&path)?;
        Ok(Self(path))
    }

    /// Makes it, if it is not there.
    ///
    /// # Errors
    ///
    /// When it cannot be made, or when others can use it.
    pub fn make() -> io::Result<Self> {
        match std::fs::DirBuilder::new().mode(0o700).create(place()) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Self::find(),
        }
    }

    /// The socket of a process.
    pub fn socket(&self, pid: u32) -> PathBuf {
        self.0.join(format!("{pid}.sock"))
    }

    /// The processes that have a socket here, in order. What the dead left is removed.
    pub fn processes(&self) -> Vec<u32> {
        let Ok(entries) = self.0.read_dir() else { return Vec::new() };
        let names =
            entries.take(SOCKETS_MAX).flatten().filter_map(|entry| entry.file_name().into_string().ok());
        let pids = names.filter_map(|name| name.strip_suffix(".sock")?.parse::<u32>().ok());
        let (mut alive, dead): (Vec<u32>, Vec<u32>) = pids.partition(|pid| is_alive(*pid));
        for pid in dead {
            // Somebody else may have been faster.
            let _ = std::fs::remove_file(self.socket(pid));
        }
        alive.sort_unstable();
        alive
    }
}

/// The runtime folder of the session, if it is one, or else a place where temporary files are.
fn place() -> PathBuf {
    let of_session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match of_session.filter(|path| path.is_absolute() && check(path).is_ok()) {
        Some(path) => path.join("wasmpool"),
        None => std::env::temp_dir().join(format!("wasmpool-{}", geteuid().as_raw())),
    }
}

/// Nobody else may have made it, or may enter it.
fn check(path: &Path) -> io::Result<()> {
    let found = path.symlink_metadata()?;
    let is_ours = found.is_dir() && found.uid() == geteuid().as_raw();
    if is_ours && found.permissions().mode() & 0o077 == 0 {
        return Ok(());
    }
    let reason = format!("`{}` is not a folder of this user that nobody else can enter", path.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, reason))
}

fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_others_can_enter_and_a_link_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("open");
        std::fs::create_dir(&path).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        let refused = check(&path).unwrap_err().to_string();
        assert!(refused.contains("nobody else can enter"), "{refused}");
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        check(&path).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(check(&link).is_err());
    }

    #[test]
    fn the_sockets_of_the_dead_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let own = std::process::id();
        let names = [
            format!("{own}.sock"),
            "4194304999.sock".to_owned(),
            "2147483646.sock".to_owned(),
            "note".to_owned(),
        ];
        names.iter().for_each(|name| std::fs::write(folder.path().join(name), "").unwrap());
        assert_eq!(Folder(folder.path().to_owned()).processes(), [own]);
        let left = folder.path().read_dir().unwrap().count();
        assert_eq!(left, 2);
    }
}
