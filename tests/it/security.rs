//! The table of promises in `host/SECURITY.md`: each row names tests, which exist, and which hold for an ordinary
//! user as for root.

use crate::support::{build, ordinary};

/// The tests that the table names, as `it` or `lib`, and a path.
fn named() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(build::root().join("host/SECURITY.md")).expect("the page");
    let table = text.split("\n## What is promised").nth(1).expect("the section");
    let table = table.split("\n## ").next().expect("its text");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 15, "the table has {} rows", rows.len());
    let mut named = Vec::new();
    for row in rows {
        let shown = row.trim_end_matches('|').rsplit('|').next().expect("a last column");
        let tests = shown.split('`').skip(1).step_by(2);
        let tests: Vec<_> = tests
            .map(|test| test.split_once(": ").unwrap_or_else(|| panic!("`{test}` of {row}")))
            .map(|(binary, path)| (binary.to_owned(), path.to_owned()))
            .collect();
        assert!(!tests.is_empty(), "no test shows: {row}");
        named.extend(tests);
    }
    named
}

#[test]
fn each_promise_names_tests_that_exist() {
    for (binary, path) in named() {
        let (module, name) = path.rsplit_once("::").expect("a path of a test");
        let folder = match binary.as_str() {
            "it" => "tests/it",
            "lib" => "host/src",
            other => panic!("`{other}: {path}` is in no test binary"),
        };
        let module = module.trim_end_matches("::tests").replace("::", "/");
        let candidates = [format!("{folder}/{module}.rs"), format!("{folder}/{module}/tests.rs")];
        let found = candidates.iter().any(|file| {
            let text = std::fs::read_to_string(build::root().join(file)).unwrap_or_default();
            text.contains(&format!("#[test]\nfn {name}("))
                || text.contains(&format!("#[test]\n    fn {name}("))
                || text.contains(&format!("fn {name}(")) && text.contains("proptest!")
        });
        assert!(found, "{path} is not in {candidates:?}");
    }
}

#[test]
fn each_layer_is_described() {
    let text = std::fs::read_to_string(build::root().join("host/SECURITY.md")).expect("the page");
    let section = text.split("\n## The layers").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("the section").lines().filter_map(|line| line.strip_prefix("| `"));
    let described: Vec<&str> = rows.filter_map(|row| row.split('`').next()).collect();
    let layers: Vec<&str> = wasmpool::policy::Layer::ALL.iter().map(|layer| layer.label()).collect();
    assert_eq!(described, layers);
}

/// The tests of this binary that the table names, once more with programs of an ordinary user. Those of the
/// library's binary do both by themselves.
#[test]
fn every_promise_holds_for_an_ordinary_user() {
    let named = named();
    let tests: Vec<&str> =
        named.iter().filter(|(binary, _)| binary == "it").map(|(_, path)| path.as_str()).collect();
    if rustix::process::geteuid().is_root() {
        let distinct: std::collections::BTreeSet<&str> = tests.into_iter().collect();
        ordinary::run_again(&distinct.into_iter().collect::<Vec<_>>());
    } else {
        // They ran as this user already, which is an ordinary one.
        assert!(!tests.is_empty());
    }
}
