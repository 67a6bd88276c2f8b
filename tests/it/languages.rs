//! Plugins in other languages, each built by the commands of its own README, and called as the Rust one is.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::support::build::{root, target_dir};
use crate::support::{Finished, example, packages, wasmpool};

/// An interpreter as a module is compiled for half a minute, longer where much else is built.
const PATIENCE: Duration = Duration::from_secs(300);

/// The lines of a README's shell blocks.
fn commands(folder: &Path) -> Vec<String> {
    let readme = fs::read_to_string(folder.join("README.md")).expect("a README");
    let blocks = readme.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.flat_map(str::lines).map(str::to_owned).collect()
}

/// Fetches what the README says is to be installed: folders with programs, and npm's, if there is one.
fn install(commands: &[String]) -> (Vec<PathBuf>, Option<PathBuf>) {
    let (mut programs, mut modules) = (Vec::new(), None);
    for line in commands {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["pip", "install", ref names @ ..] => programs.push(packages::pypi(names).join("bin")),
            ["npm", "install", ref names @ ..] => modules = Some(packages::npm(names).join("node_modules")),
            ["cargo", "install", ref args @ ..] => programs.push(packages::cargo_install(args).join("bin")),
            _ => {}
        }
    }
    (programs, modules)
}

/// Builds the plugin in this folder as its README says.
fn build(folder: &Path) {
    let commands = commands(folder);
    let (mut paths, modules) = install(&commands);
    if let Some(modules) = modules {
        std::os::unix::fs::symlink(modules, folder.join("node_modules")).expect("a link");
    }
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path: OsString = std::env::join_paths(paths).expect("paths");
    let others = ["pip ", "npm ", "cargo ", "wasmpool ", "apt-get "];
    for line in commands.iter().filter(|line| !others.iter().any(|other| line.starts_with(other))) {
        let mut command = Command::new("sh");
        command.args(["-c", line]).current_dir(folder).env("PATH", &path);
        // What zig makes of its libc is kept.
        command.env("ZIG_GLOBAL_CACHE_DIR", target_dir().join("packages/zig"));
        packages::run(&mut command, line);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn run(module: &str, args: &[&str]) -> Finished {
    let grants = ["run", "--queue", "jobs:8", "--lock", "turn"];
    wasmpool([&grants[..], &[module], args].concat()).patience(PATIENCE).run()
}

/// Builds an example of another language, and compares every call with the same one of `examples/squares`.
fn answers_as_rust_does(name: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    copy(&root().join("examples").join(name), folder.path());
    build(folder.path());
    let (ours, theirs) = (example("squares"), folder.path().join("squares.wasm").display().to_string());
    let calls: [(i32, &[&str]); 14] = [
        (0, &["-t", "square", "-5"]),
        (0, &["-t", "square", "3037000499"]),
        (200, &["-t", "square", "9223372036854775807"]),
        (0, &["-t", "divide", "7", "-2"]),
        (0, &["-t", "divide", "-7", "-k", "b=2"]),
        (1, &["-t", "divide", "1", "0"]),
        (1, &["-t", "divide", "-9223372036854775808", "-1"]),
        (0, &["-t", "greet", "Ada"]),
        (0, &["-t", "greet", "\u{1f389} \"é\""]),
        (0, &["-t", "summarize", "[3, -1, 4, 2]"]),
        (0, &["-t", "summarize", "[]"]),
        (0, &["-t", "deliver", "jobs", "turn", r#"["a", "b\"c\\", "é"]"#]),
        (1, &["-t", "deliver", "jobs", "another", "[]"]),
        (1, &["-t", "square", "x"]),
    ];
    for (code, args) in calls {
        let (ours, theirs) = (run(&ours, args).expect(code), run(&theirs, args).expect(code));
        assert_eq!(ours.stdout, theirs.stdout, "{name}: {args:?}");
        if args[1] == "divide" {
            assert_eq!(ours.stderr, theirs.stderr, "{name}: {args:?}");
        }
        if args.contains(&"another") {
            assert!(theirs.stderr.contains("--lock another"), "{name}: {}", theirs.stderr);
        }
    }
    let words = r#"["queue", "turn", ["a", "b\"c\\", "é"]]"#.replace("queue", "jobs");
    let drain = ["map", "--queue", "jobs:8", "--lock", "turn", "--drain", "jobs", &theirs, "-t", "deliver"];
    let run = wasmpool([&drain[..], &["--starmap", &words]].concat()).patience(PATIENCE).run().expect(0);
    let mut lines = run.lines();
    lines.retain(|line| *line != "3");
    assert_eq!(lines, [r#""a""#, r#""b\"c\\""#, r#""é""#], "{name}");
}

#[test]
fn python_answers_as_rust_does() {
    answers_as_rust_does("squares_python");
}

#[test]
fn javascript_answers_as_rust_does() {
    answers_as_rust_does("squares_js");
}

#[test]
fn c_answers_as_rust_does() {
    answers_as_rust_does("squares_c");
}

/// `wasmpool new`, its README's commands, and a call.
fn new_plugin_runs(language: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    wasmpool(["new", "demo", "--lang", language]).current_dir(folder.path()).run().expect(0);
    let demo = folder.path().join("demo");
    build(&demo);
    let ran =
        wasmpool(["run", "plugin.wasm", "-t", "answer", "-43"]).current_dir(&demo).patience(PATIENCE).run();
    assert_eq!(ran.expect(0).stdout, "-42\n");
}

#[test]
fn a_new_python_plugin_builds_and_runs() {
    new_plugin_runs("python");
}

#[test]
fn a_new_javascript_plugin_builds_and_runs() {
    new_plugin_runs("js");
}

#[test]
fn a_new_c_plugin_builds_and_runs() {
    new_plugin_runs("c");
}

#[test]
fn a_missing_toolchain_is_named_with_what_installs_it_and_the_files_are_written() {
    for (language, install) in [
        ("python", "pip install componentize-py=="),
        ("js", "npm install @bytecodealliance/componentize-js@"),
        ("c", "pip install ziglang=="),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let new = wasmpool(["new", "demo", "--lang", language]).current_dir(folder.path());
        let said = new.env("PATH", "").run().expect(0).stderr;
        assert!(said.contains(install), "{said}");
        assert!(folder.path().join("demo/wit/plugin.wit").exists(), "{said}");
    }
}

#[test]
fn the_interface_in_the_examples_is_the_one_of_the_sdk() {
    for name in ["squares_python", "squares_js", "squares_c"] {
        for file in ["task.wit", "sync.wit"] {
            let copy = root().join(format!("examples/{name}/wit/deps/wasmpool-task/{file}"));
            let sdk = root().join("guest-sdk/wit").join(file);
            assert!(fs::read(&copy).ok() == fs::read(sdk).ok(), "{} is not a copy", copy.display());
        }
        let plugin = |name: &str| fs::read(root().join(format!("examples/{name}/wit/plugin.wit"))).ok();
        assert!(plugin(name) == plugin("squares_js"), "{name} has another world");
    }
}
