//! Single files: with the wall of WASI taken away, and where no directory can be made for them.

#![forbid(unsafe_code)]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use super::harness::*;
use crate::directory::{GrantedDir, GrantedFile};
use crate::policy::DirAccess;
use crate::protocol::worker::Entry;

/// Does nothing: what is tried is tried by native code.
const NOTHING: &str = r#"(module (func (export "_start")))"#;

/// A folder that an ordinary user may use, with a file to grant, and others beside it and above it.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("inside")).unwrap();
    for name in ["inside/granted", "inside/beside", "secret"] {
        fs::write(folder.path().join(name), "a secret of the host").unwrap();
    }
    symlink("../secret", folder.path().join("inside/link")).unwrap();
    for name in ["", "inside", "inside/granted", "inside/beside", "secret"] {
        fs::set_permissions(folder.path().join(name), fs::Permissions::from_mode(0o777)).unwrap();
    }
    folder
}

fn grant(folder: &Path, access: DirAccess) -> GrantedDir {
    GrantedFile::open(folder.join("inside/granted"), "/d/file", access).unwrap().into_grant()
}

#[test]
fn a_native_worker_sees_a_granted_file_and_nothing_beside_it() {
    let artifact = compile(NOTHING);
    for user in [User::Ours, User::Ordinary] {
        for fault in ["", ",layer-landlock:missing"] {
            for access in [DirAccess::ReadWrite, DirAccess::ReadOnly] {
                let folder = folder();
                let fault = format!("before-finished:escape{fault}");
                let dirs = [grant(folder.path(), access)];
                let (server, layers) = serve_dirs(user, &artifact, &dirs, Some(&fault));
                layers.unwrap();
                let worker = fork(&server);
                worker.start(start(Entry::Command), &[]);
                let said = worker.story().said;
                let answers = logged(&said);
                let row = format!("{user:?} {fault} {access:?}: {answers:?}");
                assert_eq!(answers[0], ("inside", "Ok(())"), "{row}");
                assert_eq!(&answers[2..4], [("refused", "true"), ("reached", "0")], "{row}");
                assert_ne!(answers[4], ("moved", "None"), "{row}");
                assert_ne!(answers[5], ("linked", "None"), "{row}");
                // Nothing is made beside it, whatever it was granted for.
                assert_ne!(answers[6], ("written", "Ok(())"), "{row}");
                let names = fs::read_dir(folder.path().join("inside")).unwrap().count();
                assert_eq!(names, 3, "{row}");
            }
        }
    }
}

#[test]
fn a_file_is_not_granted_without_an_empty_root() {
    let artifact = compile(NOTHING);
    for user in [User::Ours, User::Ordinary] {
        let folder = folder();
        let dirs = [grant(folder.path(), DirAccess::ReadOnly)];
        let (_server, layers) = serve_dirs(user, &artifact, &dirs, Some("layer-namespaces:missing"));
        let refused = layers.unwrap_err();
        assert!(refused.contains("`empty-root`") && refused.contains("cannot be granted alone"), "{refused}");
    }
}

#[test]
fn another_file_under_the_granted_name_is_refused() {
    let artifact = compile(NOTHING);
    let folder = folder();
    let granted = grant(folder.path(), DirAccess::ReadOnly);
    let path = folder.path().join("inside/granted");
    fs::rename(&path, folder.path().join("inside/old")).unwrap();
    fs::write(&path, "another").unwrap();
    let (_server, layers) = serve_dirs(User::Ours, &artifact, &[granted], None);
    let refused = layers.unwrap_err();
    assert!(
        refused.contains("another file stands at") && refused.contains("since it was granted"),
        "{refused}"
    );
}
