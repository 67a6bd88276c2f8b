//! The records of tasks that the SDK leaves in a custom section: one line of JSON each.

#![forbid(unsafe_code)]

use serde::Deserialize;
use wasmparser::{Parser, Payload};

use crate::module_info::{ParamInfo, TaskInfo};
use crate::outcome::Encoding;

/// The interfaces that a guest asks about its tasks.
const GUEST_PACKAGE: &str = "wasmpool:task/";
/// The custom section's name.
const SECTION: &str = "wasmpool-task";
/// The version of the records that this program reads; a reader ignores keys that it does not know.
const VERSION: u32 = 1;

#[derive(Deserialize)]
struct Version {
    v: u32,
}

#[derive(Deserialize)]
struct Record {
    name: String,
    export: String,
    #[serde(default)]
    doc: String,
    params: Vec<Param>,
    #[serde(default)]
    returns: String,
    args: Travels,
    result: Travels,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(rename = "type", default)]
    ty: String,
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    default: Option<String>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Travels {
    Json,
    Raw,
}

impl From<Travels> for Encoding {
    fn from(travels: Travels) -> Self {
        match travels {
            Travels::Json => Self::Json,
            Travels::Raw => Self::Raw,
        }
    }
}

impl From<Record> for TaskInfo {
    fn from(record: Record) -> Self {
        let param = |param: Param| ParamInfo {
            name: param.name,
            ty: param.ty,
            optional: param.optional,
            default: param.default,
        };
        Self {
            name: record.name,
            export: record.export,
            doc: record.doc,
            params: record.params.into_iter().map(param).collect(),
            returns: record.returns,
            args: record.args.into(),
            result: record.result.into(),
        }
    }
}

/// Every task of a module and of the modules inside it, by name.
pub(super) fn read(wasm: &[u8]) -> Result<Vec<TaskInfo>, String> {
    let mut tasks = Vec::new();
    for payload in Parser::new(0).parse_all(wasm) {
        // The engine has validated the module; what it accepts and this parser does not is skipped.
        let Ok(Payload::CustomSection(section)) = payload else { continue };
        if section.name() == SECTION {
            for line in section.data().split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                tasks.push(record(line)?);
            }
        }
    }
    tasks.sort_by(|a, b| a.name.cmp(&b.name));
    tasks.dedup_by(|a, b| a.export == b.export);
    Ok(tasks)
}

/// Whether a component inside of this one imports what a guest asks about its tasks.
pub(super) fn is_composed(wasm: &[u8]) -> bool {
    let mut depth = 0_usize;
    Parser::new(0).parse_all(wasm).map_while(Result::ok).any(|payload| {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth > 1 => {
                let asks = |name: &str| name.starts_with(GUEST_PACKAGE);
                return imports.into_iter().any(|import| import.is_ok_and(|import| asks(import.name.name)));
            }
            _ => {}
        }
        false
    })
}

fn record(line: &[u8]) -> Result<TaskInfo, String> {
    let unreadable = |error: serde_json::Error| format!("a record of a task cannot be read: {error}");
    let Version { v } = serde_json::from_slice(line).map_err(unreadable)?;
    if v != VERSION {
        return Err(format!(
            "the module's tasks are recorded in version {v}, this program reads version {VERSION}"
        ));
    }
    serde_json::from_slice::<Record>(line).map(TaskInfo::from).map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"v":1,"name":"count_primes","export":"count-primes","doc":"Counts.","params":[{"name":"lo","type":"u64","optional":false},{"name":"hi","type":"u64","optional":true,"default":"10"}],"returns":"u64","error":"String","args":"json","result":"raw"}"#;

    #[test]
    fn a_component_that_is_made_of_plugins_is_told_apart() {
        let import = |name: &str| format!("(import \"{name}\" (instance))");
        let (asks, other) = (import("wasmpool:task/chunk@0.1.0"), import("wasi:cli/stdout@0.2.6"));
        for (wat, expected) in [
            (format!("(component {asks})"), false),
            (format!("(component {asks} (core module) (component {other}))"), false),
            (format!("(component {asks} (component {asks}))"), true),
            (format!("(component (component) (component (component {asks})))"), true),
            ("(module)".to_owned(), false),
        ] {
            assert_eq!(is_composed(&wat::parse_str(&wat).unwrap()), expected, "{wat}");
        }
    }

    #[test]
    fn records_of_nested_modules_are_found() {
        let escaped = format!("{LINE}\n").replace('"', "\\\"").replace('\n', "\\0a");
        let wat = format!("(component (core module (@custom \"wasmpool-task\" \"{escaped}\")))");
        let tasks = read(&wat::parse_str(&wat).unwrap()).unwrap();
        assert_eq!(tasks.len(), 1);
        assert_eq!((tasks[0].name.as_str(), tasks[0].export.as_str()), ("count_primes", "count-primes"));
        assert_eq!(tasks[0].params[1].default.as_deref(), Some("10"));
        assert_eq!((tasks[0].args, tasks[0].result), (Encoding::Json, Encoding::Raw));
    }

    #[test]
    fn a_record_of_another_version_is_refused_by_its_number() {
        assert!(record(br#"{"v":2,"anything":[]}"#).unwrap_err().contains("version 2"));
        assert!(record(b"not json").unwrap_err().contains("cannot be read"));
    }
}
