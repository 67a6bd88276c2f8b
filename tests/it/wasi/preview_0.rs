//! The forerunner of preview 1, `wasi_unstable`: its layouts where they are others.

use crate::support::{ordinary, wasmpool, wat};

#[test]
fn an_older_command_runs_with_files_streams_clocks_and_a_code() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("file"), "hello world").expect("a file");
    ordinary::give(folder.path());
    let dir = format!("{}::/data", folder.path().display());
    let ended =
        wasmpool(["run", "--dir", &dir, "--env", "A=1", &wat("preview_0"), "argument"]).run().expect(7);
    assert_eq!(ended.stdout, "world");
    let left = std::fs::read_dir(folder.path()).expect("it").flatten();
    let mut names: Vec<_> = left.map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["made", "renamed"]);
}
