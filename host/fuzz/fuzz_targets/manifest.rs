//! Manifests of batches: read, and planned against a machine that has whatever they name.
//!
//! What is wrong has a place within the text; what is planned makes its tasks.

#![no_main]

use std::io;
use std::sync::Arc;

use wasmpool::batch::manifest::Manifest;
use wasmpool::batch::manifest::mistake::Mistakes;
use wasmpool::batch::manifest::settings::Bounds;
use wasmpool::batch::plan::instances::{Instances, source};
use wasmpool::batch::plan::select::Select;
use wasmpool::batch::plan::{World, resolve};
use wasmpool::module_info::{ModuleInfo, ModuleKind, ParamInfo, TaskInfo};
use wasmpool::outcome::Encoding;

/// Tasks of one entry that are made.
const TASKS_MAX: usize = 50;

/// Has every module, each with the same tasks, and two files for each pattern.
struct Anything(ModuleInfo);

impl World for Anything {
    fn module(&self, _: &str) -> Option<&ModuleInfo> {
        Some(&self.0)
    }

    fn files(&self, pattern: &str) -> Result<Vec<String>, String> {
        Ok(vec![format!("{pattern}/a"), "é".to_owned()])
    }

    fn file(&self, _: &str) -> Result<(), String> {
        Ok(())
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let manifest = match Manifest::parse(text) {
        Ok(manifest) => manifest,
        Err(mistakes) => return is_within(&mistakes, text),
    };
    let plan = match resolve(&manifest, &Anything(module()), Bounds::default()) {
        Ok(plan) => plan,
        Err(mistakes) => return is_within(&mistakes, text),
    };
    let select = Arc::new(Select::default());
    let open = |_: &str| -> io::Result<_> { Ok(source(&b"1\n[2]\n\xff\n"[..], 10)) };
    for entry in &plan.entries {
        let mut tasks = Instances::new(entry, &select, &open).expect("it can be opened");
        for _ in 0..TASKS_MAX {
            let Some(task) = tasks.next_task().expect("a slice can be read") else { break };
            assert!(task.name.starts_with(&entry.name) && task.name.len() <= 256, "{}", task.name);
        }
    }
});

fn is_within(mistakes: &Mistakes, text: &str) {
    assert!(!mistakes.0.is_empty());
    for mistake in &mistakes.0 {
        let (line, column) = mistake.place(text);
        let found = text.split('\n').nth(line - 1).expect("a line of the text");
        assert!(column <= found.chars().count() + 1, "{mistake:?}");
    }
    assert!(!mistakes.render("batch.toml", text).is_empty());
}

fn module() -> ModuleInfo {
    let param = |name: &str, optional| ParamInfo {
        name: name.to_owned(),
        ty: "i64".to_owned(),
        optional,
        default: None,
    };
    let task = |name: &str, args| TaskInfo {
        name: name.to_owned(),
        export: name.to_owned(),
        doc: String::new(),
        params: vec![param("a", false), param("b", true)],
        returns: String::new(),
        args,
        result: Encoding::Json,
    };
    ModuleInfo {
        kind: ModuleKind::Component,
        is_command: true,
        is_reactor: false,
        is_composed: false,
        tasks: vec![task("json", Encoding::Json), task("raw", Encoding::Raw)],
        exports: Vec::new(),
        imports: Vec::new(),
    }
}
