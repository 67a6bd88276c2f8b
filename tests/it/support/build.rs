//! Builds the program and the guests, each once for all tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

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

/// The `wasmpool` program, built as `cargo build` builds it.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let target = target_dir();
        let mut build = cargo();
        build.current_dir(root()).args(["build", "--package", "wasmpool", "--bin", "wasmpool"]);
        succeed(build.arg("--target-dir").arg(&target), "the program is built");
        target.join("debug/wasmpool")
    })
}

fn ensure_target() {
    static ENSURED: OnceLock<()> = OnceLock::new();
    ENSURED.get_or_init(|| {
        let installed = Command::new("rustup").args(["target", "list", "--installed"]).output();
        let has =
            installed.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("wasm32-wasip2"));
        if !has {
            succeed(Command::new("rustup").args(["target", "add", "wasm32-wasip2"]), "the target is added");
        }
    });
}

/// Builds the guest crate in this folder and gives its module.
fn guest(folder: &str, name: &str) -> PathBuf {
    ensure_target();
    let target = target_dir().join("guests");
    let mut build = cargo();
    build.current_dir(root().join(folder)).args(["build", "--release", "--target", "wasm32-wasip2"]);
    succeed(build.arg("--target-dir").arg(&target), &format!("{folder} is built"));
    target.join(format!("wasm32-wasip2/release/{name}.wasm"))
}

/// The module of `tests/guests`: one task a behaviour.
pub fn guests() -> &'static str {
    static GUESTS: OnceLock<String> = OnceLock::new();
    GUESTS.get_or_init(|| guest("tests/guests", "guests").display().to_string())
}

/// The module of an example.
pub fn example(name: &str) -> String {
    guest(&format!("examples/{name}"), name).display().to_string()
}

/// A host program of `examples/`.
pub fn host_example(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let target = target_dir();
    BUILT.get_or_init(|| {
        let mut build = cargo();
        // Built together with the program, so that one library serves all of them.
        build.current_dir(root()).args(["build", "--package", "wasmpool", "--package", "embed"]);
        build.args(["--package", "tutorial_host", "--bins", "--target-dir"]).arg(&target);
        succeed(&mut build, "the host programs are built");
    });
    target.join("debug").join(name)
}

/// Runs the tests of an example's guest crate, natively, as its author does.
pub fn test_natively(name: &str) {
    let mut test = cargo();
    test.current_dir(root().join("examples").join(name)).args(["test", "--quiet", "--target-dir"]);
    succeed(test.arg(target_dir().join("guests")), &format!("the tests of {name}"));
}

/// A module of `tests/wat`.
pub fn wat(name: &str) -> String {
    let path = root().join("tests/wat").join(format!("{name}.wat"));
    assert!(path.exists(), "{} exists", path.display());
    path.display().to_string()
}
