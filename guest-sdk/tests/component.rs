//! What the toolchain makes of a plugin: the component has an export for each task, in its top level, and its core
//! module still has the records of the tasks.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use wasmparser::{Parser, Payload, Validator};

/// The one target directory of all guests of the repository, beside that of this test.
fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().join("guests")
}

/// Builds the guest crate in `folder` of this repository.
fn cargo_build(folder: &str) -> Output {
    Command::new(env!("CARGO"))
        .args(["build", "--release", "--target", "wasm32-wasip2", "--quiet", "--target-dir"])
        .arg(target())
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(folder))
        .output()
        .unwrap()
}

/// The component that the crate `name` in `folder` becomes.
fn build(folder: &str, name: &str) -> Vec<u8> {
    let built = cargo_build(folder);
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{folder} does not build:\n{said}");
    std::fs::read(target().join("wasm32-wasip2/release").join(name).with_extension("wasm")).unwrap()
}

/// What the tests look at.
#[derive(Default)]
struct Found {
    imports: Vec<String>,
    exports: Vec<String>,
    /// The records, and how many modules deep they were.
    records: Vec<(usize, String)>,
    sections: Vec<String>,
}

fn find(component: &[u8]) -> Found {
    let mut found = Found::default();
    let mut depth = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) if depth > 0 => depth -= 1,
            Payload::ComponentImportSection(section) if depth == 0 => {
                found.imports.extend(section.into_iter().map(|import| import.unwrap().name.name.to_owned()));
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                found.exports.extend(section.into_iter().map(|export| export.unwrap().name.name.to_owned()));
            }
            Payload::CustomSection(section) if section.name() == "wasmpool-task" => {
                let text = std::str::from_utf8(section.data()).unwrap();
                found.records.extend(text.lines().map(|line| (depth, line.to_owned())));
            }
            Payload::CustomSection(section) => found.sections.push(section.name().to_owned()),
            _ => {}
        }
    }
    found
}

#[test]
fn each_task_is_an_export_and_a_record() {
    let component = build("examples/squares", "squares");
    Validator::new().validate_all(&component).unwrap();
    let mut found = find(&component);
    // The linker's order is its own.
    found.exports.sort();
    found.records.sort();
    assert_eq!(found.exports, ["deliver", "divide", "greet", "square", "summarize"]);
    for interface in ["types", "context", "log", "chunk"] {
        let name = format!("wasmpool:task/{interface}@0.1.0");
        assert!(found.imports.contains(&name), "{name} is not among {:?}", found.imports);
    }

    let square = r#"{"v":1,"name":"square","export":"square","doc":"The square of a number.","params":[{"name":"n","type":"i64","optional":false}],"returns":"i64","args":"json","result":"json"}"#;
    let divide = r#"{"v":1,"name":"divide","export":"divide","doc":"How often `b` fits into `a`.","params":[{"name":"a","type":"i64","optional":false},{"name":"b","type":"i64","optional":false}],"returns":"i64","error":"String","args":"json","result":"json"}"#;
    assert_eq!(found.records.len(), found.exports.len());
    for record in [divide, square] {
        assert!(
            found.records.contains(&(1, record.to_owned())),
            "inside the core module: {:?}",
            found.records
        );
    }

    assert!(found.sections.contains(&"name".to_owned()), "names of functions, for backtraces");
    let leftover = found.sections.iter().find(|section| section.starts_with("component-type"));
    assert_eq!(leftover, None, "the component linker has not seen this type");
}

#[test]
fn two_tasks_of_one_name_are_an_error_at_the_second() {
    let built = cargo_build("guest-sdk/tests/clash");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(!built.status.success(), "the linker chose one of them");
    assert!(said.contains("symbol `cm32p2||count-words` is already defined"), "{said}");
    assert!(said.contains("--> src/lib.rs:13:5"), "{said}");
}
