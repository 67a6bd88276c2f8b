//! The rules of `host/ARCHITECTURE.md` that a test can keep: who imports whom, and what is absent.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::build::root;

/// A source file with its path relative to `host/src`.
struct Source {
    path: String,
    text: String,
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn host() -> Vec<Source> {
    let folder = root().join("host/src");
    let read = |path: PathBuf| Source {
        text: std::fs::read_to_string(&path).expect("a source file"),
        path: path.strip_prefix(&folder).expect("below host/src").display().to_string(),
    };
    sources(&folder).into_iter().map(read).filter(|source| !is_test(&source.path)).collect()
}

/// Files that only a test build has.
fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/") || path.ends_with("test_entry.rs")
}

/// The code of a file, without comments and without its tests.
fn code(source: &Source) -> String {
    let lines = source.text.lines().take_while(|line| *line != "#[cfg(test)]");
    lines.map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The part of the library that a file belongs to.
fn part(path: &str) -> &str {
    let name = path.split('/').next().unwrap_or(path).trim_end_matches(".rs");
    match name {
        "os" | "protocol" | "sync" | "supervisor" | "worker" | "batch" | "report" | "bin" => name,
        "lib" | "init" | "blocking" | "fuzzing" => "face",
        "task" | "directory" | "net" => "arguments",
        "limits" | "shared_bytes" => name,
        _ => "values",
    }
}

/// Who may import whom; a part may always import itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("os", &["limits"]),
    // Bytes that cannot change are a value; that they lie in a file is how they travel.
    ("shared_bytes", &["limits", "os"]),
    ("values", &["limits", "shared_bytes"]),
    ("protocol", &["values", "limits", "sync"]),
    ("sync", &["values", "limits", "os"]),
    // Arguments carry the shared objects that are among them.
    ("arguments", &["values", "limits", "shared_bytes", "sync"]),
    ("supervisor", &["values", "limits", "shared_bytes", "os", "protocol", "sync", "arguments", "face"]),
    ("worker", &["values", "limits", "os", "protocol", "sync"]),
    ("batch", &["values", "limits", "sync", "arguments", "supervisor", "face"]),
    ("report", &["values", "limits", "sync", "arguments", "supervisor", "batch", "face"]),
    (
        "face",
        &[
            "values",
            "limits",
            "shared_bytes",
            "os",
            "sync",
            "arguments",
            "supervisor",
            "worker",
            "protocol",
            "batch",
            "report",
        ],
    ),
];

/// The parts that a file names by `crate::part` or `super::…`.
fn imported(source: &Source) -> BTreeSet<String> {
    let text = code(source);
    let names = text.split("crate::").skip(1);
    let names =
        names.map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default());
    names.map(|name| part(name).to_owned()).collect()
}

#[test]
fn imports_point_one_way() {
    let rules: BTreeMap<_, _> = MAY_IMPORT.iter().copied().collect();
    let mut wrong = Vec::new();
    for source in host().iter().filter(|source| part(&source.path) != "bin") {
        let own = part(&source.path);
        let allowed = rules.get(own).unwrap_or_else(|| panic!("no rule for {own}"));
        for other in imported(source) {
            let known = rules.contains_key(other.as_str());
            if known && other != own && !allowed.contains(&other.as_str()) && other != "values" {
                wrong.push(format!("{} imports {other}", source.path));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_supervisor_never_names_the_engine_or_the_worker() {
    for source in host().iter().filter(|source| part(&source.path) == "supervisor") {
        let text = code(source);
        assert!(!text.contains("wasmtime"), "{} names wasmtime", source.path);
        assert!(!text.contains("crate::worker"), "{} names worker", source.path);
    }
}

#[test]
fn the_worker_never_names_what_stands_above_it() {
    for source in host().iter().filter(|source| part(&source.path) == "worker") {
        let text = code(source);
        for above in ["crate::supervisor", "crate::batch", "crate::report"] {
            assert!(!text.contains(above), "{} names {above}", source.path);
        }
    }
}

#[test]
fn unsafe_code_is_fenced() {
    let fenced = |path: &str| {
        path.starts_with("os") || ["sync/memory.rs", "worker/engine.rs", "worker/stack.rs"].contains(&path)
    };
    // A module that declares a fenced one cannot forbid what its child may do.
    let parents = ["lib.rs", "os.rs", "sync.rs", "worker.rs"];
    for source in host().iter().filter(|source| !fenced(&source.path)) {
        if parents.contains(&source.path.as_str()) {
            let text = code(source);
            assert!(!text.contains("unsafe {") && !text.contains("unsafe fn"), "{} is unsafe", source.path);
        } else {
            assert!(
                source.text.contains("#![forbid(unsafe_code)]"),
                "{} does not forbid unsafe code",
                source.path
            );
        }
    }
    let sdk = root().join("guest-sdk/src");
    let raw = |path: &Path| path.ends_with("raw.rs");
    for path in sources(&sdk).iter().filter(|path| !raw(path) && !path.ends_with("lib.rs")) {
        let text = std::fs::read_to_string(path).expect("a source file");
        assert!(text.contains("#![forbid(unsafe_code)]"), "{} does not forbid unsafe code", path.display());
    }
}

#[test]
fn the_engine_is_configured_in_one_place() {
    let host = host();
    let configures = |source: &&Source| code(source).contains("Config::new()");
    let places: Vec<_> = host.iter().filter(configures).map(|source| source.path.as_str()).collect();
    assert_eq!(places, ["worker/engine.rs"]);
}

#[test]
fn only_reports_and_the_program_print() {
    for source in host().iter().filter(|source| !matches!(part(&source.path), "report" | "bin")) {
        let text = code(source);
        for print in ["println!", "print!(", "eprintln!", "eprint!("] {
            assert!(!text.contains(print), "{} prints", source.path);
        }
    }
}

#[test]
fn no_part_imports_another_that_imports_it() {
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in host() {
        let own = part(&source.path).to_owned();
        edges.entry(own).or_default().extend(imported(&source));
    }
    let parts = [
        "limits",
        "os",
        "shared_bytes",
        "values",
        "protocol",
        "sync",
        "supervisor",
        "worker",
        "batch",
        "report",
    ];
    for a in parts {
        for b in parts.into_iter().filter(|b| *b > a) {
            let imports = |x: &str, y: &str| edges.get(x).is_some_and(|to| to.contains(y));
            assert!(!(imports(a, b) && imports(b, a)), "{a} and {b} import each other");
        }
    }
}

#[test]
fn files_stay_small_and_every_unsafe_block_says_why() {
    for source in host() {
        let lines = source.text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines", source.path);
        let blocks = source.text.matches("unsafe {").count() + source.text.matches("unsafe impl").count();
        let reasons = source.text.matches("SAFETY").count();
        assert!(reasons >= blocks, "{} has {blocks} unsafe blocks and {reasons} reasons", source.path);
    }
}

#[test]
fn every_tiny_guest_has_a_test() {
    let mut tests = String::new();
    for folder in ["tests/it", "tests/src"] {
        for path in sources(&root().join(folder)) {
            tests += &std::fs::read_to_string(path).expect("a source file");
        }
    }
    for entry in std::fs::read_dir(root().join("tests/wat")).expect("tests/wat") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(tests.contains(&format!("\"{name}\"")), "no test uses tests/wat/{name}.wat");
    }
    let commands = std::fs::read_to_string(root().join("tests/commands/src/main.rs")).expect("a source file");
    let behaviours: Vec<_> =
        commands.lines().filter_map(|line| line.strip_prefix("    (\"")?.split('"').next()).collect();
    assert!(behaviours.len() > 30, "{behaviours:?}");
    for name in behaviours {
        assert!(
            tests.contains(&format!("\"{name}\"")),
            "no test uses the behaviour `{name}` of tests/commands"
        );
    }
    for path in sources(&root().join("tests/guests/src")) {
        let text = std::fs::read_to_string(&path).expect("a source file");
        for after in text.split("#[task]").skip(1) {
            let name =
                after.split("fn ").nth(1).and_then(|rest| rest.split(['(', '<']).next()).unwrap_or_default();
            assert!(
                tests.contains(&format!("\"{name}\"")),
                "no test uses the task `{name}` of {}",
                path.display()
            );
        }
    }
}
