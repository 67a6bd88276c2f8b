//! The packages of `tests/programs`: programs that others wrote, fetched by name, version and digest.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::build;

/// Set, it says that a machine cannot fetch packages, and that the tests which need them are left out.
const VARIABLE: &str = "WASMPOOL_TEST_WITHOUT_PROGRAMS";

/// What the tests of programs need.
pub struct Packages {
    folder: PathBuf,
}

impl Packages {
    /// Fetches them, unless that was done by an earlier run; nothing where the tests that need them are left out.
    ///
    /// # Panics
    ///
    /// When they cannot be had.
    pub fn get() -> Option<Self> {
        if std::env::var_os(VARIABLE).is_some() {
            eprintln!("left out, because {VARIABLE} is set");
            return None;
        }
        static FETCHED: OnceLock<PathBuf> = OnceLock::new();
        Some(Self { folder: FETCHED.get_or_init(fetched).clone() })
    }

    /// A file of a package.
    pub fn file(&self, path: &str) -> PathBuf {
        let path = self.folder.join("node_modules").join(path);
        assert!(path.exists(), "{} was fetched", path.display());
        path
    }

    /// Runs a job file of `tests/programs` in the other engine.
    pub fn expect(&self, plan: &Path) {
        let script = source().join("expect.mjs");
        let output = Command::new("node").args(NODE_OPTIONS).arg(script).arg(plan).output();
        let output = output.expect("node starts");
        assert!(output.status.success(), "node:wasi: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The second is what Node.js 18 asks for; later versions ignore it.
const NODE_OPTIONS: [&str; 2] = ["--no-warnings", "--experimental-wasi-unstable-preview1"];
const HINT: &str = "the programs of tests/programs come with npm and are compared with node:wasi; install Node.js 18 or \
                    later, or set WASMPOOL_TEST_WITHOUT_PROGRAMS to leave their tests out";

/// Where what is asked for is written down.
pub fn source() -> PathBuf {
    build::root().join("tests/programs")
}

/// Where they lie. What was fetched for another lock file is fetched again.
fn fetched() -> PathBuf {
    for tool in ["node", "npm"] {
        let version = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        assert!(version.is_ok(), "{tool} is missing: {HINT}");
    }
    let lock = std::fs::read_to_string(source().join("package-lock.json")).expect("the lock file");
    let folder = build::target_dir().join("programs");
    if std::fs::read_to_string(folder.join("package-lock.json")).ok().as_ref() != Some(&lock) {
        fetch(&folder);
    }
    folder
}

/// Into a folder that gets its name when it is whole. npm compares every package with its digest in the lock file.
fn fetch(folder: &Path) {
    let whole = tempfile::tempdir_in(build::target_dir()).expect("a folder");
    for name in ["package.json", "package-lock.json"] {
        std::fs::copy(source().join(name), whole.path().join(name)).expect("it is copied");
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    let output = npm.current_dir(whole.path()).output().expect("npm starts");
    assert!(output.status.success(), "npm ci: {}\n{HINT}", String::from_utf8_lossy(&output.stderr));
    if folder.exists() {
        std::fs::remove_dir_all(folder).expect("what was there before is removed");
    }
    std::fs::rename(whole.keep(), folder).expect("it gets its name");
}
