//! `--file`: a single file, and nothing of what lies beside it.

use std::path::Path;

use crate::support::program::Finished;
use crate::support::{guests, ordinary, wasmpool};

/// A folder with `data/a`, `data/secret`, a link to each, and a folder.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(path("data/sub")).expect("a folder");
    std::fs::write(path("data/a"), "alpha").expect("a file");
    std::fs::write(path("data/b"), "beta").expect("a file");
    std::fs::write(path("data/secret"), "secret").expect("a file");
    std::os::unix::fs::symlink("a", path("data/link")).expect("a link");
    ordinary::give(folder.path());
    folder
}

fn run_in(folder: &Path, options: &[&str], task: &[&str]) -> Finished {
    wasmpool([&["run"], options, &[guests(), "-t"], task].concat()).current_dir(folder).run()
}

#[test]
fn a_file_is_granted_alone() {
    let folder = folder();
    let absolute = folder.path().join("data/a").display().to_string();
    for (option, path) in [
        ("data/a", "data/a"),
        ("data/a:ro", "/data/a"),
        ("data/a::/etc/config:ro", "/etc/config"),
        ("data/a::config", "config"),
        ("data/a::/config", "/config"),
        ("data/link:ro", "data/link"),
        (absolute.as_str(), absolute.as_str()),
    ] {
        let ended = run_in(folder.path(), &["--file", option], &["read_file", path]);
        assert_eq!(ended.expect(0).stdout, "\"alpha\"\n", "{option}");
    }
    let grant = ["--file", "data/a::/data/a"];
    assert_eq!(run_in(folder.path(), &grant, &["list_dir", "/data"]).expect(0).stdout, "[\"a\"]\n");
    for path in [
        "/data/secret",
        "/data/b",
        "/data/../data/secret",
        "/data/../secret",
        "/secret",
        "/data/sub",
        "/data/link",
    ] {
        run_in(folder.path(), &grant, &["read_file", path]).expect(1);
        run_in(folder.path(), &grant, &["stat", path]).expect(1);
    }
}

#[test]
fn a_file_is_changed_only_where_it_was_granted_for_writing() {
    let folder = folder();
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
    let read = ["--file", "data/a::/data/a:ro"];
    for task in [
        &["write_file", "/data/a", "x"][..],
        &["append_file", "/data/a", "x"],
        &["truncate_file", "/data/a"],
        &["set_length", "/data/a", "0"],
        &["set_times", "/data/a"],
        &["rename_file", "/data/a", "/data/b"],
        &["remove_file", "/data/a"],
        &["write_file", "/data/new", "x"],
        &["make_dir", "/data/made"],
    ] {
        run_in(folder.path(), &read, task).expect(1);
    }
    assert_eq!(text("data/a"), "alpha");
    let write = ["--file", "data/a::/data/a"];
    run_in(folder.path(), &write, &["append_file", "/data/a", "!"]).expect(0);
    assert_eq!(text("data/a"), "alpha!");
    run_in(folder.path(), &write, &["write_file", "/data/a", "new"]).expect(0);
    assert_eq!(text("data/a"), "new");
    // It is this file: nothing else comes to its place, and nothing beside it.
    for task in [
        &["remove_file", "/data/a"][..],
        &["rename_file", "/data/a", "/data/b"],
        &["write_file", "/data/b", "x"],
        &["make_dir", "/data/made"],
        &["hard_link", "/data/a", "/data/b"],
        &["symlink", "../secret", "/data/link"],
    ] {
        run_in(folder.path(), &write, task).expect(1);
    }
    assert_eq!((text("data/a").as_str(), text("data/b").as_str()), ("new", "beta"));
}

#[test]
fn files_of_one_folder_keep_their_own_modes() {
    let folder = folder();
    let both = ["--file", "data/a::/d/one:ro", "--file", "data/b::/d/two"];
    assert_eq!(run_in(folder.path(), &both, &["list_dir", "/d"]).expect(0).stdout, "[\"one\",\"two\"]\n");
    assert_eq!(run_in(folder.path(), &both, &["read_file", "/d/one"]).expect(0).stdout, "\"alpha\"\n");
    run_in(folder.path(), &both, &["write_file", "/d/two", "changed"]).expect(0);
    for task in [
        &["write_file", "/d/one", "x"][..],
        &["append_file", "/d/one", "x"],
        &["truncate_file", "/d/one"],
        &["set_times", "/d/one"],
    ] {
        run_in(folder.path(), &both, task).expect(1);
    }
    let text = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect("a file");
    assert_eq!((text("data/a").as_str(), text("data/b").as_str()), ("alpha", "changed"));
    let beside = ["--dir", "data/sub::/data:ro", "--file", "data/a::/etc/a:ro"];
    assert_eq!(run_in(folder.path(), &beside, &["read_file", "/etc/a"]).expect(0).stdout, "\"alpha\"\n");
    let mapped = ["map", "--file", "data/a::/in/a:ro", guests(), "-t", "read_file", "/in/a", "/in/a"];
    let ended = wasmpool(mapped).current_dir(folder.path()).run().expect(0);
    assert_eq!(ended.lines(), ["\"alpha\"", "\"alpha\""]);
}

#[test]
fn what_cannot_be_granted_as_a_file_says_what_would_be_right() {
    let folder = folder();
    for (options, says) in [
        (&["--file", "missing"][..], "the file `missing` cannot be granted: No such file"),
        (&["--file", "data"], "it is a directory, which is granted as one; --dir grants a directory"),
        (&["--dir", "data/a"], "Not a directory (os error 20); --file grants a single file"),
        (&["--file", "/dev/null"], "it is no regular file"),
        (&["--file", "data/a:/a"], "HOST and GUEST have two colons between them"),
        (&["--file", "data/a::/x/"], "`/x/` is no path for a guest"),
        (&["--file", "data/a::/x", "--file", "data/b::x"], "is granted twice"),
        (&["--dir", "data", "--file", "data/a::/y/a:ro"], "cannot be granted read-only beside"),
    ] {
        for (command, code) in [("run", 246), ("map", 2)] {
            let args = [&[command], options, &[guests(), "-t", "environment"]].concat();
            let ended = wasmpool(args).current_dir(folder.path()).run().expect(code);
            assert!(ended.stderr.contains(says), "{options:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    // Without a root of its own, what lies beside the file could be seen.
    let off = run_in(folder.path(), &["--sandbox", "off", "--file", "data/a"], &["read_file", "data/a"]);
    assert!(off.expect(247).stderr.contains("cannot be granted alone"), "{}", "it names the reason");
}
