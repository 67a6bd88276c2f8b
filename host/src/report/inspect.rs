//! A module's description of itself, as text and as JSON.

#![forbid(unsafe_code)]

use serde_json::{Value, json};

use super::terminal::printable;
use crate::module_info::{INIT_EXPORT, ImportInfo, ModuleInfo, ModuleKind, ParamInfo, TaskInfo, Want};
use crate::outcome::Encoding;

/// A module as it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Inspected<'a> {
    /// What the user called it.
    pub name: &'a str,
    /// The SHA-256 of its bytes in hexadecimal digits.
    pub digest: &'a str,
    /// What it says about itself.
    pub info: &'a ModuleInfo,
}

/// The description for a person.
#[must_use]
pub fn text(module: Inspected<'_>) -> String {
    let info = module.info;
    let mut out = format!("{}: {}\n", module.name, kind(info));
    out.push_str(&format!("sha256 {}\n", module.digest));
    section(&mut out, "tasks", info.tasks.iter().map(task_text));
    let first = info.exports.iter().filter(|export| export.name == INIT_EXPORT);
    section(
        &mut out,
        "runs once, before the first task",
        first.map(|export| entry(&export.name, &export.signature)),
    );
    let plain = info.callable_exports().filter(|export| !is_task(info, &export.name));
    section(&mut out, "other exports", plain.map(|export| entry(&export.name, &export.signature)));
    section(&mut out, "imports", info.imports.iter().map(import_text));
    section(&mut out, "may want (nothing is granted by itself)", info.wants().iter().map(want_text));
    // The names and texts are the module's own words.
    printable(&out)
}

fn section(out: &mut String, title: &str, entries: impl Iterator<Item = String>) {
    let entries: String = entries.collect();
    if !entries.is_empty() {
        out.push_str(&format!("\n{title}\n{entries}"));
    }
}

fn kind(info: &ModuleInfo) -> String {
    let kind = match info.kind {
        ModuleKind::Component => "component",
        ModuleKind::CoreModule => "core module",
    };
    let mut traits = Vec::new();
    match info.tasks.len() {
        0 => {}
        1 => traits.push("1 task".to_owned()),
        count => traits.push(format!("{count} tasks")),
    }
    if info.is_command {
        traits.push("a WASI command".to_owned());
    }
    if info.is_reactor {
        traits.push("a reactor".to_owned());
    }
    if traits.is_empty() { kind.to_owned() } else { format!("{kind}, {}", traits.join(", ")) }
}

fn task_text(task: &TaskInfo) -> String {
    let mut out = format!("  {}\n", task.signature());
    for line in task.doc.lines() {
        out.push_str(format!("      {line}").trim_end());
        out.push('\n');
    }
    let raw = |encoding| encoding == Encoding::Raw;
    match (raw(task.args), raw(task.result)) {
        (true, true) => out.push_str("      takes and returns raw bytes\n"),
        (true, false) => out.push_str("      takes raw bytes\n"),
        (false, true) => out.push_str("      returns raw bytes\n"),
        (false, false) => {}
    }
    let optional: Vec<&str> = task
        .params
        .iter()
        .filter(|param| param.optional && param.default.is_none())
        .map(|param| param.name.as_str())
        .collect();
    if !optional.is_empty() {
        out.push_str(&format!("      may be left out: {}\n", optional.join(", ")));
    }
    out
}

fn entry(name: &str, signature: &str) -> String {
    if signature.is_empty() { format!("  {name}\n") } else { format!("  {name}: {signature}\n") }
}

fn import_text(import: &ImportInfo) -> String {
    let mut out = entry(&import.name, &import.signature);
    if !import.known {
        out.insert_str(out.len() - 1, "   (there is nothing by that name: the module cannot run)");
    }
    out
}

fn is_task(info: &ModuleInfo, export: &str) -> bool {
    info.tasks.iter().any(|task| task.export == export)
}

/// `files: --dir HOST or --file HOST   (wasi:filesystem/types@0.2.6)`; without an option, what there is.
fn want_text((want, because): &(Want, Vec<String>)) -> String {
    let how = want.option().unwrap_or_else(|| want.without());
    let shown = because.len().min(REASONS_MAX);
    let more = match because.len() - shown {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("  {}: {how}   ({}{more})\n", want.label(), because[..shown].join(", "))
}

/// Reasons for one want that a person is shown.
const REASONS_MAX: usize = 3;

fn want_json((want, because): (Want, Vec<String>)) -> Value {
    json!({ "what": want.label(), "option": want.option(), "without": want.without(), "because": because })
}

/// The options that grant what the module may want, each once.
fn options(info: &ModuleInfo) -> Vec<&'static str> {
    info.wants().iter().filter_map(|(want, _)| want.option()).collect()
}

/// The description for a program, as one JSON object. Fields are added, never renamed.
#[must_use]
pub fn json(module: Inspected<'_>) -> Value {
    let info = module.info;
    json!({
        "name": module.name,
        "sha256": module.digest,
        "kind": match info.kind {
            ModuleKind::Component => "component",
            ModuleKind::CoreModule => "core_module",
        },
        "is_command": info.is_command,
        "is_reactor": info.is_reactor,
        "tasks": info.tasks.iter().map(task_json).collect::<Vec<_>>(),
        "has_init": info.has_init(),
        "exports": info.callable_exports().map(|export| json!({
            "name": export.name,
            "signature": export.signature,
        })).collect::<Vec<_>>(),
        "imports": info.imports.iter().map(|import| json!({
            "name": import.name,
            "signature": import.signature,
            "needs_grant": import.needs_grant,
            "known": import.known,
        })).collect::<Vec<_>>(),
        "wants": info.wants().into_iter().map(want_json).collect::<Vec<_>>(),
        "options": options(info),
    })
}

fn task_json(task: &TaskInfo) -> Value {
    let param = |param: &ParamInfo| {
        json!({
            "name": param.name,
            "type": param.ty,
            "optional": param.optional,
            "default": param.default,
        })
    };
    json!({
        "name": task.name,
        "export": task.export,
        "doc": task.doc,
        "params": task.params.iter().map(param).collect::<Vec<_>>(),
        "returns": task.returns,
        "args": encoding(task.args),
        "result": encoding(task.result),
    })
}

fn encoding(encoding: Encoding) -> &'static str {
    match encoding {
        Encoding::Json => "json",
        Encoding::Raw => "raw",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module_info::ExportInfo;

    fn param(name: &str, ty: &str, optional: bool, default: Option<&str>) -> ParamInfo {
        ParamInfo { name: name.to_owned(), ty: ty.to_owned(), optional, default: default.map(str::to_owned) }
    }

    fn info() -> ModuleInfo {
        let import = |name: &str, needs_grant: Option<&str>, known| ImportInfo {
            name: name.to_owned(),
            signature: "interface".to_owned(),
            needs_grant: needs_grant.map(str::to_owned),
            known,
        };
        let export = |name: &str, signature: &str| ExportInfo {
            name: name.to_owned(),
            signature: signature.to_owned(),
        };
        ModuleInfo {
            kind: ModuleKind::Component,
            is_command: false,
            is_reactor: false,
            is_composed: false,
            tasks: vec![TaskInfo {
                name: "count_primes".to_owned(),
                export: "count-primes".to_owned(),
                doc: "Counts primes.\n\nSlowly.\x1b[2J".to_owned(),
                params: vec![
                    param("lo", "u64", false, None),
                    param("hi", "u64", true, Some("100")),
                    param("step", "Option<u64>", true, None),
                ],
                returns: "u64".to_owned(),
                args: Encoding::Json,
                result: Encoding::Raw,
            }],
            exports: vec![
                export("count-primes", "func(args: list<u8>)"),
                export("add", "func(a: s32) -> s32"),
            ],
            imports: vec![
                import("wasi:cli/stdout@0.2.6", None, true),
                import("wasi:filesystem/preopens@0.2.6", Some("--dir HOST or --file HOST"), true),
                import("acme:thing/x", None, false),
            ],
        }
    }

    #[test]
    fn a_person_reads_tasks_imports_and_grants() {
        let info = info();
        let text = text(Inspected { name: "primes.wasm", digest: "ab12", info: &info });
        assert_eq!(
            text,
            "\
primes.wasm: component, 1 task
sha256 ab12

tasks
  count_primes(lo: u64, hi: u64 = 100, step: Option<u64>) -> u64
      Counts primes.

      Slowly.
      returns raw bytes
      may be left out: step

other exports
  add: func(a: s32) -> s32

imports
  wasi:cli/stdout@0.2.6: interface
  wasi:filesystem/preopens@0.2.6: interface
  acme:thing/x: interface   (there is nothing by that name: the module cannot run)

may want (nothing is granted by itself)
  files: --dir HOST or --file HOST   (wasi:filesystem/preopens@0.2.6)
"
        );
    }

    #[test]
    fn a_program_reads_the_same() {
        let info = info();
        let json = json(Inspected { name: "primes.wasm", digest: "ab12", info: &info });
        assert_eq!(json["tasks"][0]["params"][1]["default"], "100");
        assert_eq!(json["tasks"][0]["result"], "raw");
        assert_eq!(json["options"], json!(["--dir HOST or --file HOST"]));
        assert_eq!(json["wants"][0]["what"], "files");
        assert_eq!(json["wants"][0]["because"], json!(["wasi:filesystem/preopens@0.2.6"]));
        assert_eq!(json["imports"][2]["known"], false);
        assert_eq!(json["kind"], "component");
    }
}
