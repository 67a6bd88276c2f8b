//! Builds a folder with a `Cargo.toml` into a component, with the user's own cargo.
//!
//! Cargo says in its messages which file it made; guessing paths would be wrong with a shared target
//! folder, a workspace or another profile name.

#![forbid(unsafe_code)]

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use wasmpool::exit_code;

use crate::failure::Failure;

const TARGET: &str = "wasm32-wasip2";

/// Builds the crate in `folder` and returns the path of its component.
///
/// # Errors
///
/// Code 126: cargo could not be started, failed, or made no single component.
pub fn build(folder: &Path, quiet: bool) -> Result<PathBuf, Failure> {
    let shown = folder.display();
    let fail =
        |message: String| Failure::new(exit_code::CANNOT_RUN, format!("cannot build `{shown}`: {message}"));
    let manifest = folder.join("Cargo.toml").canonicalize().map_err(|error| fail(error.to_string()))?;
    let folder = manifest.parent().expect("a file is in a folder");
    add_missing_target(folder, quiet).map_err(fail)?;

    let mut cargo = tool("CARGO", "cargo", folder);
    cargo.args(["build", "--release", "--target", TARGET, "--message-format=json-render-diagnostics"]);
    cargo.arg("--manifest-path").arg(&manifest).stdout(Stdio::piped()).stdin(Stdio::null());
    if quiet {
        cargo.arg("--quiet");
    }
    let mut child = cargo.spawn().map_err(|error| fail(format!("cargo could not be started: {error}")))?;
    let stdout = child.stdout.take().expect("standard output is a pipe");
    let mut made = Made::default();
    for line in BufReader::new(stdout).lines() {
        made.take(&line.map_err(|error| fail(error.to_string()))?, &manifest);
    }
    let status = child.wait().map_err(|error| fail(error.to_string()))?;
    if !status.success() {
        return Err(fail(format!("cargo ended with {status}; what it said stands above")));
    }
    made.component().map_err(fail)
}

/// Asks rustup for the target when the compiler does not have it.
fn add_missing_target(folder: &Path, quiet: bool) -> Result<(), String> {
    let libraries = tool("RUSTC", "rustc", folder)
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::null())
        .output();
    // A compiler that cannot be asked is cargo's to complain about.
    let Ok(libraries) = libraries else { return Ok(()) };
    let path = String::from_utf8_lossy(&libraries.stdout);
    if !libraries.status.success() || Path::new(path.trim()).is_dir() {
        return Ok(());
    }
    let mut rustup = tool("RUSTUP", "rustup", folder);
    rustup.args(["target", "add", TARGET]).stdout(Stdio::null()).stdin(Stdio::null());
    if quiet {
        rustup.stderr(Stdio::null());
    }
    match rustup.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`rustup target add {TARGET}` ended with {status}")),
        Err(error) => Err(format!(
            "the Rust target {TARGET} is missing, and rustup, which adds it, could not be started: {error}"
        )),
    }
}

/// A program of the Rust toolchain, in the folder whose toolchain file it is to follow.
fn tool(variable: &str, name: &str, folder: &Path) -> Command {
    let program = std::env::var_os(variable).filter(|program| !program.is_empty());
    let mut command = Command::new(program.unwrap_or_else(|| OsString::from(name)));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| is_leftover(name)) {
        command.env_remove(name);
    }
    command
}

/// What `cargo run`, `cargo test` and `cargo clippy` leave in the environment of a program, and flags that
/// were meant for another target. The user's own choices (`CARGO_TARGET_DIR`, proxies, registries) stay.
fn is_leftover(name: &OsStr) -> bool {
    const NAMES: &[&str] = &[
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_CRATE_NAME",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_MANIFEST_DIR",
        "CARGO_MANIFEST_PATH",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_TARGET_TMPDIR",
        "LD_LIBRARY_PATH",
        "OUT_DIR",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ];
    name.to_str().is_some_and(|name| {
        NAMES.contains(&name) || name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_BIN_")
    })
}

/// The components of one package that cargo made.
#[derive(Debug, Default)]
struct Made {
    libraries: Vec<PathBuf>,
    programs: Vec<PathBuf>,
}

/// The parts of cargo's messages that are read.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    target: Option<Target>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    kind: Vec<String>,
}

impl Made {
    /// Takes one line of cargo's standard output. What is no message was printed by a build script.
    fn take(&mut self, line: &str, manifest: &Path) {
        let Ok(message) = serde_json::from_str::<Message>(line) else { return };
        let Some(target) = message.target else { return };
        if message.reason != "compiler-artifact" || message.manifest_path != manifest {
            return;
        }
        let is = |kind: &str| target.kind.iter().any(|one| one == kind);
        let files = message.filenames.into_iter().filter(|file| file.extension() == Some(OsStr::new("wasm")));
        if is("cdylib") {
            self.libraries.extend(files);
        } else if is("bin") {
            self.programs.extend(files);
        }
    }

    /// A plugin's library, or else its only program.
    fn component(self) -> Result<PathBuf, String> {
        let files = if self.libraries.is_empty() { self.programs } else { self.libraries };
        match <[PathBuf; 1]>::try_from(files) {
            Ok([file]) => Ok(file),
            Err(files) if files.is_empty() => {
                Err("it makes no component: a plugin has `crate-type = [\"cdylib\"]` under [lib], a program a main.rs; \
                     of a workspace, give the folder of one package"
                    .to_owned())
            }
            Err(files) => {
                let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                Err(format!("it makes several programs, so give one of them as MODULE: {}", names.join(", ")))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn artifact(manifest: &str, kind: &str, file: &str) -> String {
        serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": manifest,
            "target": { "kind": [kind] },
            "filenames": [file],
        })
        .to_string()
    }

    fn component(lines: &[String]) -> Result<PathBuf, String> {
        let mut made = Made::default();
        lines.iter().for_each(|line| made.take(line, Path::new("/p/Cargo.toml")));
        made.component()
    }

    #[test]
    fn the_component_of_the_package_itself_is_found() {
        let lines = [
            "printed by a build script".to_owned(),
            artifact("/p/dep/Cargo.toml", "cdylib", "/t/dep.wasm"),
            artifact("/p/Cargo.toml", "custom-build", "/t/build-script"),
            artifact("/p/Cargo.toml", "cdylib", "/t/plugin.wasm"),
            artifact("/p/Cargo.toml", "bin", "/t/tool.wasm"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ];
        assert_eq!(component(&lines), Ok(PathBuf::from("/t/plugin.wasm")));
    }

    #[test]
    fn none_and_several_are_errors_that_say_what_to_do() {
        assert!(component(&[]).unwrap_err().contains("cdylib"));
        let two = ["a", "b"].map(|name| artifact("/p/Cargo.toml", "bin", &format!("/t/{name}.wasm")));
        assert!(component(&two).unwrap_err().contains("/t/a.wasm, /t/b.wasm"));
    }

    #[test]
    fn leftovers_of_an_outer_cargo_go_and_the_users_choices_stay() {
        for name in ["CARGO_PKG_NAME", "CARGO_MANIFEST_DIR", "RUSTFLAGS", "CARGO_BIN_EXE_x"] {
            assert!(is_leftover(OsStr::new(name)), "{name}");
        }
        for name in
            ["CARGO", "CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "RUSTUP_TOOLCHAIN", "PATH"]
        {
            assert!(!is_leftover(OsStr::new(name)), "{name}");
        }
    }
}
