//! Tools from npm, PyPI and crates.io: each of an exact version, fetched once, into a folder below cargo's target folder.
//!
//! A test that needs one fails where npm or Python is missing, and says what to install: a test that skips itself
//! is no test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::build::target_dir;

/// A virtual environment of Python with these packages (`name==version`); its programs lie in its `bin`.
pub fn pypi(packages: &[&str]) -> PathBuf {
    once("pypi", packages, |folder| {
        let missing = "python3 with venv is missing: `apt-get install python3 python3-venv`";
        run(Command::new("python3").args(["-m", "venv"]).arg(folder), missing);
        let pip = [&["install", "--quiet", "--disable-pip-version-check"], packages].concat();
        run(Command::new(folder.join("bin/pip")).args(pip), "PyPI is not reached");
    })
}

/// A folder with these packages of npm (`name@version`); their programs lie in its `node_modules/.bin`.
pub fn npm(packages: &[&str]) -> PathBuf {
    once("npm", packages, |folder| {
        let missing = "node or npm is missing: `apt-get install nodejs npm`";
        run(Command::new("node").arg("--version"), missing);
        let options = ["--ignore-scripts", "--no-audit", "--no-fund", "--save-exact", "--prefix"];
        run(Command::new("npm").arg("install").args(options).arg(folder).args(packages), missing);
    })
}

/// A folder with what `cargo install` makes of these arguments; its programs lie in its `bin`.
pub fn cargo_install(args: &[&str]) -> PathBuf {
    once("cargo", &args[..1], |folder| {
        // A debug build is made in half of the time.
        let mut install = Command::new("cargo");
        install.arg("install").args(args).args(["--debug", "--root"]).arg(folder);
        run(&mut install, "crates.io is not reached");
    })
}

/// Fills a folder that is named after the packages, unless an earlier run, or another process, has done so.
fn once(registry: &str, packages: &[&str], fill: impl FnOnce(&Path)) -> PathBuf {
    let all = target_dir().join("packages");
    let name = format!("{registry}-{}", packages.join("+").replace('/', "_"));
    let (folder, lock) = (all.join(&name), all.join(format!("{name}.lock")));
    fs::create_dir_all(&all).expect("the target folder can be written to");
    let lock = File::create(lock).expect("the target folder can be written to");
    lock.lock().expect("a file can be locked");
    let whole = folder.join("whole");
    if !whole.exists() {
        // What an interrupted run left is not built upon.
        drop(fs::remove_dir_all(&folder));
        fs::create_dir(&folder).expect("the target folder can be written to");
        fill(&folder);
        File::create(whole).expect("the target folder can be written to");
    }
    folder
}

/// Runs a command to its success; `missing` says what is the matter when there is no such program.
pub fn run(command: &mut Command, missing: &str) {
    let name = Path::new(command.get_program()).file_name().map(OsStr::to_owned).unwrap_or_default();
    let output = command.output().unwrap_or_else(|error| panic!("{}: {error}: {missing}", name.display()));
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{} failed: {missing}\n{said}", name.display());
}
