//! The record of a task: one line of JSON in the custom section `wasmpool-task`, which says without running
//! the guest what the task is called, takes and returns.
//!
//! The linker joins the records of all tasks of a module into one section; the newline at the end keeps them
//! apart. A reader ignores keys that it does not know; a change that it must not ignore raises `v`.

#![forbid(unsafe_code)]

use crate::signature::{Missing, Param, Task};

/// The custom section that holds the records of a module.
pub const SECTION: &str = "wasmpool-task";

/// The record of `task`, newline included.
pub fn line(task: &Task) -> String {
    let params: Vec<String> = task.params.iter().map(param).collect();
    let error = task.error.as_deref().map(|error| format!(r#","error":{}"#, string(error)));
    format!(
        r#"{{"v":1,"name":{name},"export":{export},"doc":{doc},"params":[{params}],"returns":{returns}{error},"args":{args},"result":{result}}}"#,
        name = string(&task.name),
        export = string(&task.export),
        doc = string(&task.doc),
        params = params.join(","),
        returns = string(&task.returns),
        error = error.unwrap_or_default(),
        args = encoding(task.raw_argument),
        result = encoding(task.raw_result),
    ) + "\n"
}

fn param(param: &Param) -> String {
    let head = format!(
        r#"{{"name":{},"type":{},"optional":{}"#,
        string(&param.name),
        string(&param.shown),
        !matches!(param.missing, Missing::Error),
    );
    match &param.missing {
        Missing::Default { text, .. } => format!(r#"{head},"default":{}}}"#, string(text)),
        Missing::Error | Missing::Null => head + "}",
    }
}

fn encoding(raw: bool) -> &'static str {
    if raw { r#""raw""# } else { r#""json""# }
}

/// `text` as a JSON string.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
