//! What a module is and offers: the description that the compile worker made of it.
//!
//! It is the module's word about itself, read without running it.

#![forbid(unsafe_code)]

use serde::{Deserialize, Serialize};

use crate::outcome::Encoding;

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
    /// The functions that were marked as tasks, in the order of their names.
    pub tasks: Vec<TaskInfo>,
    /// Every exported function.
    pub exports: Vec<ExportInfo>,
    /// Everything it imports.
    pub imports: Vec<ImportInfo>,
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
    /// What must be granted for it beyond the defaults; `None` when it is always there.
    pub needs_grant: Option<String>,
    /// False when the host offers nothing by that name.
    pub known: bool,
}
