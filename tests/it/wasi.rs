//! WASI preview 1 as a command sees it through the whole sandbox, a group of functions a file.
//!
//! `tests/commands` is the command, as a core module and as a component. It looks at what WASI answers from the inside; these
//! tests give it what it needs, and look at what it did from the outside.

mod files;
mod given;
mod polling;
mod preview_0;
mod streams;

use std::path::{Path, PathBuf};

use crate::support::program::{Finished, Run};
use crate::support::{build, ordinary, wasmpool};

/// Both forms of the command.
const FORMS: [build::Form; 2] = [build::Form::Core, build::Form::Component];

/// One run of the command, with a folder of its own that it is granted as `/data`.
struct Data {
    folder: tempfile::TempDir,
    form: build::Form,
    mode: &'static str,
    options: Vec<String>,
}

impl Data {
    fn new(form: build::Form) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), form, mode: "", options: Vec::new() }
    }

    /// Granted for reading only.
    fn read_only(self) -> Self {
        Self { mode: ":ro", ..self }
    }

    /// More options of `wasmpool run`.
    fn options(self, options: &[&str]) -> Self {
        Self { options: options.iter().map(|option| (*option).to_owned()).collect(), ..self }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The run of a behaviour, ready to start.
    fn command(&self, behaviour: &[&str]) -> Run {
        ordinary::give(self.folder.path());
        let grant = format!("{}::/data{}", self.folder.path().display(), self.mode);
        let own = ["run", "--dir", &grant];
        let options = self.options.iter().map(String::as_str);
        let module = build::command(self.form);
        let line: Vec<&str> = own
            .into_iter()
            .chain(options)
            .chain([module.as_str()])
            .chain(behaviour.iter().copied())
            .collect();
        wasmpool(line)
    }

    /// Runs a behaviour, which must find everything as it should be.
    fn run(&self, behaviour: &[&str]) -> Finished {
        let ended = self.command(behaviour).run();
        assert_eq!(ended.code, Some(0), "{:?} {behaviour:?}: {}", self.form, ended.stderr);
        ended
    }
}

/// Runs a behaviour in both forms, each in a fresh folder, and lets the outside be looked at.
fn both(behaviour: &str, look: impl Fn(&Data)) {
    for form in FORMS {
        let data = Data::new(form);
        data.run(&[behaviour]);
        look(&data);
    }
}

/// Runs behaviours of which everything is seen from the inside.
fn inside(behaviours: &[&str]) {
    for behaviour in behaviours {
        both(behaviour, |_| {});
    }
}

/// The tests of these files, once more with programs of an ordinary user.
#[test]
fn every_group_works_for_an_ordinary_user() {
    if !rustix::process::geteuid().is_root() {
        // They ran as this user already, which is an ordinary one.
        return;
    }
    let mut tests = Vec::new();
    for file in ["files", "given", "polling", "preview_0", "streams"] {
        let path = build::root().join(format!("tests/it/wasi/{file}.rs"));
        let text = std::fs::read_to_string(path).expect("a source file");
        let names = text.split("#[test]\nfn ").skip(1).filter_map(|rest| rest.split('(').next());
        tests.extend(names.map(|name| format!("wasi::{file}::{name}")));
    }
    assert!(tests.len() > 15, "{tests:?}");
    ordinary::run_again(&tests.iter().map(String::as_str).collect::<Vec<_>>());
}
