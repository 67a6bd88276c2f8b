//! `wasmpool new`: a plugin that builds, passes its tests and runs as it is.

use std::process::Command;

use crate::support::{build, wasmpool};

#[test]
fn a_new_plugin_builds_passes_its_tests_and_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let said = wasmpool(["new", "demo"]).current_dir(folder.path()).run().expect(0);
    assert!(said.stderr.contains("sdk") || said.stdout.contains("sdk"), "it says which SDK it points at");
    let demo = folder.path().join("demo");
    let target = build::target_dir().join("guests").display().to_string();
    let tested = Command::new("cargo")
        .args(["test", "--quiet"])
        .current_dir(&demo)
        .env("CARGO_TARGET_DIR", &target)
        .output()
        .expect("cargo runs");
    assert!(tested.status.success(), "{}", String::from_utf8_lossy(&tested.stderr));
    let run =
        wasmpool(["run", ".", "41"]).current_dir(&demo).env("CARGO_TARGET_DIR", &target).run().expect(0);
    assert_eq!(run.stdout, "42\n");
}

#[test]
fn a_plugin_is_never_written_over() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("taken")).expect("a folder");
    for name in ["taken", "not a name", "1st"] {
        let ended = wasmpool(["new", name]).current_dir(folder.path()).run();
        assert_ne!(ended.code, Some(0), "{name}");
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
    }
}
