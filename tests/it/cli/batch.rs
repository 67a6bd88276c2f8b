//! `wasmpool batch`: manifests, from a folder of files to a finished batch.

mod ending;
mod planning;
mod resuming;
mod running;

use std::path::Path;

use tempfile::TempDir;

use crate::support::{Finished, Run, ordinary, wasmpool};

/// A folder with a manifest and files.
struct Folder(TempDir);

impl Folder {
    /// `GUESTS` in the manifest stands for the module of the tests.
    fn new(manifest: &str) -> Self {
        let folder = Self(tempfile::tempdir().expect("a folder"));
        folder.write("batch.toml", &manifest.replace("GUESTS", crate::support::guests()));
        ordinary::give(folder.path());
        folder
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file, whole at once.
    fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a file is in a folder"))
            .expect("the folder can be written");
        let unfinished = path.with_extension("unfinished");
        std::fs::write(&unfinished, text).expect("the folder can be written");
        std::fs::rename(unfinished, path).expect("the folder can be written");
    }

    fn with(self, name: &str, text: &str) -> Self {
        self.write(name, text);
        self
    }

    fn batch(&self, options: &[&str]) -> Run {
        let manifest = self.path().join("batch.toml").display().to_string();
        wasmpool([&["batch"], options, &[&manifest]].concat())
    }
}

/// The names of the records in the order in which tasks started.
fn started(ended: &Finished) -> Vec<String> {
    let of = |record: &serde_json::Value| {
        (
            record["started_at"].as_f64().expect("it started"),
            record["name"].as_str().expect("a name").to_owned(),
        )
    };
    let mut started: Vec<(f64, String)> = ended.records().iter().map(of).collect();
    started.sort_by(|one, other| one.0.total_cmp(&other.0));
    started.into_iter().map(|(_, name)| name).collect()
}

/// The lines of standard output, sorted: tasks end in any order.
fn sorted(ended: &Finished) -> Vec<&str> {
    let mut lines = ended.lines();
    lines.sort_unstable();
    lines
}
