//! Builds the program and the guests, each once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::SystemTime;

use super::ordinary;

/// The workspace's folder.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

/// Where cargo puts what it builds.
pub fn target_dir() -> PathBuf {
    let own = std::env::current_exe().expect("a test knows its own file");
    // target/debug/deps/it-...
    own.ancestors().nth(3).expect("tests lie three folders deep").to_owned()
}

/// The artifact cache of the scenarios.
pub fn cache() -> PathBuf {
    if let Some(folder) = ordinary::folder() {
        return folder.join("cache");
    }
    target_dir().join("scenario-cache")
}

fn cargo() -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in std::env::vars_os() {
        // What the outer cargo said to this test is not for the inner one.
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST") {
            cargo.env_remove(&name);
        }
    }
    cargo
}

fn succeed(command: &mut Command, what: &str) {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(output.status.success(), "{what}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A program of the workspace. `cargo test` builds it together with the tests, because its package has a
/// test of its own; where only some tests were asked for and it is older than its sources, it is built here.
fn host_program(package: &str, folder: &str) -> PathBuf {
    let target = target_dir();
    let program = target.join("debug").join(package);
    let sources = [root().join("host/src"), root().join(folder).join("src")];
    let changed = sources.iter().filter_map(|folder| newest_change(folder)).max();
    let built = std::fs::metadata(&program).and_then(|metadata| metadata.modified()).ok();
    if built < changed {
        let mut build = cargo();
        // With the features of the whole workspace, or the engine would be built once more.
        build.current_dir(root()).args(["build", "--workspace", "--bin", package, "--target-dir"]);
        succeed(build.arg(&target), &format!("{package} is built"));
    }
    program
}

/// When a file below this folder was changed last.
fn newest_change(folder: &Path) -> Option<SystemTime> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let change = |entry: std::fs::DirEntry| match entry.path() {
        path if path.is_dir() => newest_change(&path),
        path => std::fs::metadata(path).and_then(|metadata| metadata.modified()).ok(),
    };
    entries.filter_map(change).max()
}

/// The `wasmpool` program.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match ordinary::folder() {
        Some(folder) => folder.join("wasmpool"),
        None => host_program("wasmpool", "host"),
    })
}

/// The host program of the scenarios.
pub fn scenario() -> PathBuf {
    ordinary::folder().map_or_else(|| env!("CARGO_BIN_EXE_scenario").into(), |folder| folder.join("scenario"))
}

/// The targets of guests.
const COMPONENT: &str = "wasm32-wasip2";
const CORE: &str = "wasm32-wasip1";

fn ensure_targets() {
    static ENSURED: OnceLock<()> = OnceLock::new();
    ENSURED.get_or_init(|| {
        let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
        let installed =
            installed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for target in [COMPONENT, CORE] {
            if !installed.lines().any(|line| line == target) {
                succeed(Command::new("rustup").args(["target", "add", target]), "the target is added");
            }
        }
    });
}

/// Builds the guest crate in this folder and gives its module.
fn guest(folder: &str, name: &str) -> PathBuf {
    guest_for(COMPONENT, folder, name)
}

fn guest_for(triple: &str, folder: &str, name: &str) -> PathBuf {
    ensure_targets();
    let target = target_dir().join("guests");
    let mut build = cargo();
    build.current_dir(root().join(folder)).args(["build", "--release", "--target", triple]);
    succeed(build.arg("--target-dir").arg(&target), &format!("{folder} is built"));
    target.join(format!("{triple}/release/{name}.wasm"))
}

/// What the command of `tests/commands` is built as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Core,
    Component,
}

/// The command of `tests/commands`.
pub fn command(form: Form) -> String {
    static COMMANDS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
    let (index, triple) = match form {
        Form::Core => (0, CORE),
        Form::Component => (1, COMPONENT),
    };
    let built = || match ordinary::folder() {
        Some(folder) => folder.join(command_copy(form)),
        None => guest_for(triple, "tests/commands", "commands"),
    };
    COMMANDS[index].get_or_init(|| built().display().to_string()).clone()
}

/// What it is called in an ordinary user's folder.
pub fn command_copy(form: Form) -> &'static str {
    match form {
        Form::Core => "command-core.wasm",
        Form::Component => "command-component.wasm",
    }
}

/// The module of `tests/guests`: one task a behaviour.
pub fn guests() -> &'static str {
    static GUESTS: OnceLock<String> = OnceLock::new();
    GUESTS.get_or_init(|| {
        let guests = ordinary::folder()
            .map_or_else(|| guest("tests/guests", "guests"), |folder| folder.join("guests.wasm"));
        guests.display().to_string()
    })
}

/// The module of an example.
pub fn example(name: &str) -> String {
    guest(&format!("examples/{name}"), name).display().to_string()
}

/// A host program of `examples/`.
pub fn host_example(name: &str) -> PathBuf {
    static BUILDING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILDING.lock().unwrap_or_else(PoisonError::into_inner);
    host_program(name, &format!("examples/{name}"))
}

/// Runs the tests of an example's guest crate, natively, as its author does.
pub fn test_natively(name: &str) {
    let mut test = cargo();
    test.current_dir(root().join("examples").join(name)).args(["test", "--quiet", "--target-dir"]);
    succeed(test.arg(target_dir().join("guests")), &format!("the tests of {name}"));
}

/// A module of `tests/wat`.
pub fn wat(name: &str) -> String {
    let folder = ordinary::folder().unwrap_or_else(|| root().join("tests"));
    let path = folder.join("wat").join(format!("{name}.wat"));
    assert!(path.exists(), "{} exists", path.display());
    path.display().to_string()
}
