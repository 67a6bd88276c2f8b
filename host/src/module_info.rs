//! What a module is and offers: the description that the compile worker made of it.
//!
//! It is the module's word about itself, read without running it.

#![forbid(unsafe_code)]

mod wants;

use serde::{Deserialize, Serialize};

use crate::outcome::Encoding;

pub use wants::Want;

/// The export that a module's `#[init]` function is.
pub(crate) const INIT_EXPORT: &str = "wasmpool-init";

/// The kind of a module file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ModuleKind {
    /// A component of the component model.
    Component,
    /// A core module.
    CoreModule,
}

/// A module's description.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModuleInfo {
    /// Component or core module.
    pub kind: ModuleKind,
    /// True when it has an entry of its own: `_start` or `wasi:cli/run`.
    pub is_command: bool,
    /// True when it exports `_initialize`.
    pub is_reactor: bool,
    /// True when it is made of components that ask their host about tasks each for itself, as when plugins were composed
    /// into one.
    pub is_composed: bool,
    /// The functions that were marked as tasks, in the order of their names.
    pub tasks: Vec<TaskInfo>,
    /// Every exported function.
    pub exports: Vec<ExportInfo>,
    /// Everything it imports.
    pub imports: Vec<ImportInfo>,
}

impl ModuleInfo {
    /// True when something of it is to run once before its first task: an `#[init]` function (an export with the name
    /// `wasmpool-init`), or the `_initialize` of a reactor.
    #[must_use]
    pub fn has_init(&self) -> bool {
        self.is_reactor || self.exports.iter().any(|export| export.name == INIT_EXPORT)
    }

    /// The exported functions that can be called: all but the one that runs once before the first task.
    pub fn callable_exports(&self) -> impl Iterator<Item = &ExportInfo> {
        self.exports.iter().filter(|export| export.name != INIT_EXPORT)
    }

    /// An exported function by its name. One of an exported interface is `interface#function` or `interface.function`,
    /// with the interface's whole name (`acme:math/ops@1.0.0`), without its version, or with its last part (`ops`); the
    /// function's name alone is enough where only one interface has it.
    #[must_use]
    pub fn export(&self, name: &str) -> Option<&ExportInfo> {
        if let Some(export) = self.exports.iter().find(|export| export.name == name) {
            return Some(export);
        }
        match self.exports_called(name).as_slice() {
            [export] => Some(export),
            _ => None,
        }
    }

    /// Every function that a shorter name could mean.
    pub(crate) fn exports_called(&self, name: &str) -> Vec<&ExportInfo> {
        self.exports.iter().filter(|export| export.is_called(name)).collect()
    }
}

impl ExportInfo {
    /// Whether a shorter name means it.
    fn is_called(&self, name: &str) -> bool {
        let Some((interface, function)) = self.name.split_once('#') else { return false };
        if name == function {
            return true;
        }
        let Some(wanted) = name.strip_suffix(function).and_then(|rest| rest.strip_suffix(['#', '.'])) else {
            return false;
        };
        let unversioned = interface.split('@').next().unwrap_or(interface);
        let last = unversioned.rsplit('/').next().unwrap_or(unversioned);
        [interface, unversioned, last].contains(&wanted)
    }
}

impl TaskInfo {
    /// The task as one would declare it: `divide(a: i64, b: i64 = 1) -> i64`.
    #[must_use]
    pub fn signature(&self) -> String {
        let param = |param: &ParamInfo| match &param.default {
            Some(default) => format!("{}: {} = {default}", param.name, param.ty),
            None => format!("{}: {}", param.name, param.ty),
        };
        let params = self.params.iter().map(param).collect::<Vec<_>>().join(", ");
        match self.returns.as_str() {
            "" | "()" => format!("{}({params})", self.name),
            returns => format!("{}({params}) -> {returns}", self.name),
        }
    }
}

/// A function that was marked with `#[task]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskInfo {
    /// The function's name as it was written: `count_primes`.
    pub name: String,
    /// The name of the export: `count-primes`.
    pub export: String,
    /// Its documentation; empty when it has none.
    pub doc: String,
    /// Its parameters in order.
    pub params: Vec<ParamInfo>,
    /// The type it returns, as it was written.
    pub returns: String,
    /// How its arguments travel.
    pub args: Encoding,
    /// How its result travels.
    pub result: Encoding,
}

/// A parameter of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParamInfo {
    /// Its name.
    pub name: String,
    /// Its type, as it was written.
    pub ty: String,
    /// True when a call may leave it out.
    pub optional: bool,
    /// Its default, as it was written.
    pub default: Option<String>,
}

/// An exported function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportInfo {
    /// Its name; `interface#function` for a function of an exported interface.
    pub name: String,
    /// Its type in WIT or in the text format's words.
    pub signature: String,
}

/// One import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportInfo {
    /// Its name: `wasi:io/streams@0.2.6`, or `module.field` for a core module.
    pub name: String,
    /// What it is: `interface`, `func (i32) -> i32`.
    pub signature: String,
    /// The option that grants what it is for; `None` when it is always there.
    pub needs_grant: Option<String>,
    /// False when the host offers nothing by that name.
    pub known: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(exports: &[&str]) -> ModuleInfo {
        let export = |name: &&str| ExportInfo { name: (*name).to_owned(), signature: "func()".to_owned() };
        ModuleInfo {
            kind: ModuleKind::Component,
            is_command: false,
            is_reactor: false,
            is_composed: false,
            tasks: Vec::new(),
            exports: exports.iter().map(export).collect(),
            imports: Vec::new(),
        }
    }

    #[test]
    fn a_function_of_an_interface_has_several_names() {
        let info = info(&["run", "acme:math/ops@1.2.0#add", "acme:math/more#add", "acme:math/more#sub-all"]);
        let found = |name: &str| info.export(name).map(|export| export.name.as_str());
        for (name, export) in [
            ("run", Some("run")),
            ("acme:math/ops@1.2.0#add", Some("acme:math/ops@1.2.0#add")),
            ("acme:math/ops@1.2.0.add", Some("acme:math/ops@1.2.0#add")),
            ("acme:math/ops#add", Some("acme:math/ops@1.2.0#add")),
            ("ops.add", Some("acme:math/ops@1.2.0#add")),
            ("more#add", Some("acme:math/more#add")),
            ("sub-all", Some("acme:math/more#sub-all")),
            // Two interfaces have it.
            ("add", None),
            ("math/ops.add", None),
            (".add", None),
            ("all", None),
            ("", None),
        ] {
            assert_eq!(found(name), export, "{name}");
        }
    }
}
