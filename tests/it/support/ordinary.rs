//! Tests for a user who is not root: the same tests once more, with programs that an ordinary user runs.
//!
//! The variable names a folder that such a user can reach, wherever the workspace lies, with copies of the programs,
//! the guests and the modules.

use std::os::unix::fs::{PermissionsExt, chown, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build;

const VARIABLE: &str = "WASMPOOL_TEST_ORDINARY";
/// A user and a group to whom nothing belongs.
const ORDINARY: u32 = 65_533;

/// The folder, in a run for an ordinary user.
pub fn folder() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).map(PathBuf::from)
}

/// Makes a program one of an ordinary user's, in a run for one.
pub fn dress(command: &mut Command) {
    if let Some(folder) = folder() {
        command.uid(ORDINARY).gid(ORDINARY).env("HOME", folder.join("home")).env_remove("XDG_CACHE_HOME");
    }
}

/// Gives a folder and what is in it to the ordinary user, in a run for one.
pub fn give(path: &Path) {
    if folder().is_none() {
        return;
    }
    lchown(path, Some(ORDINARY), Some(ORDINARY)).expect("root gives files away");
    if path.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
        for entry in std::fs::read_dir(path).expect("a folder").flatten() {
            give(&entry.path());
        }
    }
}

/// Fills a folder for an ordinary user.
fn stage() -> tempfile::TempDir {
    let stage = tempfile::tempdir().expect("a folder");
    let open = |path: &Path| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("our own file");
    };
    let copy = |from: &Path, to: &str| {
        let to = stage.path().join(to);
        std::fs::copy(from, &to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
        open(&to);
    };
    open(stage.path());
    copy(build::program(), "wasmpool");
    copy(Path::new(env!("CARGO_BIN_EXE_scenario")), "scenario");
    copy(Path::new(build::guests()), "guests.wasm");
    for form in [build::Form::Core, build::Form::Component] {
        copy(Path::new(&build::command(form)), build::command_copy(form));
    }
    std::fs::create_dir(stage.path().join("wat")).expect("our own folder");
    for entry in std::fs::read_dir(build::root().join("tests/wat")).expect("tests/wat").flatten() {
        copy(&entry.path(), &format!("wat/{}", entry.file_name().to_string_lossy()));
    }
    for folder in ["home", "cache"] {
        std::fs::create_dir(stage.path().join(folder)).expect("our own folder");
        chown(stage.path().join(folder), Some(ORDINARY), Some(ORDINARY)).expect("root gives files away");
    }
    stage
}

/// Runs these tests of this very binary for an ordinary user; root only.
pub fn run_again(tests: &[&str]) {
    let stage = stage();
    let mut again = Command::new(std::env::current_exe().expect("a test knows its own file"));
    again.arg("--exact").args(tests).env(VARIABLE, stage.path());
    let output = again.output().expect("the tests start");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{} passed", tests.len())), "not all of {tests:?} ran: {said}");
}
