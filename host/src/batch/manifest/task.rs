//! One `[[task]]` of a manifest.

#![forbid(unsafe_code)]

use std::ops::Range;

use serde_json::Value;

use super::mistake::At;
use super::reader::{Node, Reader, described, in_order, json};
use super::settings::{self, Settings};

/// One task of a manifest, or as many as its matrix or its file of inputs make of it.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskEntry {
    /// Its name.
    pub name: At<String>,
    /// The module's file or folder, from the manifest's folder on.
    pub module: At<String>,
    /// What is called.
    pub call: CallEntry,
    /// How many tasks it is.
    pub inputs: Inputs,
    /// Tasks that must have succeeded before.
    pub after: Vec<At<String>>,
    /// The group that it counts in.
    pub group: Option<At<String>>,
    /// Whether it ends with the batch.
    pub daemon: bool,
    /// How many of its tasks run at one time.
    pub workers: Option<usize>,
    /// What it may use and touch.
    pub settings: Settings,
    /// Where it stands.
    pub span: Range<usize>,
}

/// What is called.
#[derive(Clone, Debug, PartialEq)]
pub enum CallEntry {
    /// A task or an export; the module's only task, or its command, when no name is given.
    Task {
        /// Its name.
        name: Option<At<String>>,
        /// Arguments by position.
        args: Option<At<Vec<Value>>>,
        /// Arguments by name.
        kwargs: Vec<(At<String>, Value)>,
    },
    /// A WASI command with these arguments.
    Command(At<Vec<At<String>>>),
    /// A plain export, as `--invoke` calls it.
    Invoke(At<String>),
}

/// How many tasks an entry is.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// One.
    One,
    /// One for each combination.
    Matrix(At<Vec<AxisEntry>>),
    /// One for each line of a file.
    From {
        /// The file.
        file: At<String>,
        /// Whether each line is an array of all arguments.
        starmap: bool,
    },
}

/// One axis of a matrix.
#[derive(Clone, Debug, PartialEq)]
pub struct AxisEntry {
    /// What its places are called.
    pub name: At<String>,
    /// What it goes over.
    pub values: AxisValues,
}

/// What an axis goes over.
#[derive(Clone, Debug, PartialEq)]
pub enum AxisValues {
    /// These values.
    List(Vec<At<Value>>),
    /// The files that match one of these patterns.
    Glob(Vec<At<String>>),
    /// The whole numbers from one to another, both included.
    Range(At<(i64, i64)>),
}

const AXIS: &str = "[1, 2, 3], { glob = \"in/*.txt\" } or { from = 1, to = 100 }";

/// Reads one task; `None` when it has no name or module to go on with.
pub(super) fn read(mut reader: Reader<'_, '_>) -> Option<TaskEntry> {
    let (name, module) = (name(&mut reader), reader.string("module"));
    let named = name.as_ref().map_or("the task".to_owned(), |name| format!("the task `{}`", name.value));
    if module.is_none() && reader.node("module").is_none() {
        let span = name.as_ref().map_or(reader.span(), |name| name.span.clone());
        reader.wrong(&span, format!("{named} has no module: module = \"plugin.wasm\""));
    }
    let inputs = inputs(&mut reader);
    let call = call(&mut reader, &inputs);
    let entry = TaskEntry {
        call,
        inputs,
        after: reader.strings("after"),
        group: reader.string("group"),
        daemon: reader.boolean("daemon").is_some_and(|at| at.value),
        workers: reader.number("workers", 1, 1 << 20).and_then(|at| usize::try_from(at.value).ok()),
        settings: settings::read(&mut reader),
        span: reader.span(),
        name: name.unwrap_or_else(|| At::new(String::new(), reader.span())),
        module: module.clone().unwrap_or_else(|| At::new(String::new(), reader.span())),
    };
    reader.finish(|key| match key {
        "argv" | "cmd" | "arguments" => Some(
            "; the arguments of a WASI command are command = [\"-v\", \"in.txt\"], those of a task args = [1, 2]".to_owned(),
        ),
        "depends_on" | "needs" | "depends" => Some("; what must have succeeded before is after = [\"other\"]".to_owned()),
        "memory" => Some(", did you mean `max_memory`?".to_owned()),
        "queue" | "queues" | "lock" | "locks" | "grants" | "uses" => {
            Some("; what a task may open of [queues], [locks] and so on is shared = [\"jobs\"]".to_owned())
        }
        _ => None,
    });
    (!entry.name.value.is_empty() && module.is_some()).then_some(entry)
}

fn name(reader: &mut Reader<'_, '_>) -> Option<At<String>> {
    if reader.node("name").is_none() {
        let span = reader.span();
        reader.wrong(&span, "the task has no name: name = \"resize\"");
        return None;
    }
    let name = reader.string("name")?;
    let is_bad = name.value.is_empty()
        || name.value.len() > NAME_BYTES_MAX
        || name.value.contains(|c: char| c.is_control() || c.is_whitespace() || "(),*?[]".contains(c));
    if is_bad {
        let message = format!(
            "a name has 1 to {NAME_BYTES_MAX} bytes, and no space, comma, `*`, `?`, parenthesis or bracket: \
             those are for --only and for the names that a matrix makes"
        );
        reader.wrong(&name.span, message);
        return None;
    }
    Some(name)
}

/// Bytes of a task's name: what a matrix adds to it must have room too.
const NAME_BYTES_MAX: usize = 100;

fn call(reader: &mut Reader<'_, '_>, inputs: &Inputs) -> CallEntry {
    let task = reader.string("task");
    let has_args = reader.node("args").is_some() || reader.node("kwargs").is_some();
    let has_command = reader.node("command").is_some();
    let args = args(reader);
    let kwargs = kwargs(reader);
    if let Some(expression) = reader.string("invoke") {
        if task.is_some() || has_args || has_command {
            let message =
                "`invoke` is a whole call with its arguments: `task`, `args`, `kwargs` and `command` must go";
            reader.wrong(&expression.span, message);
        } else if matches!(inputs, Inputs::From { starmap: true, .. }) {
            let message = "`starmap` does not go with `invoke`: each line stands where `{}` is";
            reader.wrong(&expression.span, message);
        }
        return CallEntry::Invoke(expression);
    }
    if has_command {
        let span = reader.node("command").map_or(reader.span(), Node::span);
        let command = reader.strings("command");
        if task.is_some() || has_args {
            let message = "`command` is for a WASI command, `task`, `args` and `kwargs` are for a task: \
                           a task has one of the two";
            reader.wrong(&span, message);
        }
        return CallEntry::Command(At::new(command, span));
    }
    if let (Some(args), Inputs::From { .. }) = (&args, inputs) {
        let message = "with `from`, each line of the file is the argument (with `starmap = true`, all of them); \
                       `kwargs` go to every call, `args` must go";
        reader.wrong(&args.span.clone(), message);
    }
    CallEntry::Task { name: task, args, kwargs }
}

fn args(reader: &mut Reader<'_, '_>) -> Option<At<Vec<Value>>> {
    let list = reader.list("args")?;
    let mut values = Vec::new();
    for node in list.value {
        match json(node) {
            Ok(value) => values.push(value),
            Err(mistake) => reader.mistakes().push(mistake),
        }
    }
    Some(At::new(values, list.span))
}

fn kwargs(reader: &mut Reader<'_, '_>) -> Vec<(At<String>, Value)> {
    let Some(table) = reader.table("kwargs", "kwargs = { width = 100 }") else { return Vec::new() };
    let mut values = Vec::new();
    for (name, node) in in_order(table.value) {
        match json(node) {
            Ok(value) => values.push((name.map(str::to_owned), value)),
            Err(mistake) => reader.mistakes().push(mistake),
        }
    }
    values
}

fn inputs(reader: &mut Reader<'_, '_>) -> Inputs {
    let (matrix, from, starmap) = (matrix(reader), reader.string("from"), reader.boolean("starmap"));
    match (matrix, from) {
        (Some(matrix), Some(from)) => {
            reader.wrong(
                &from.span,
                "a task has `matrix` or `from`, not both: write the combinations into the file",
            );
            Inputs::Matrix(matrix)
        }
        (Some(matrix), None) => Inputs::Matrix(matrix),
        (None, Some(file)) => Inputs::From { file, starmap: starmap.is_some_and(|at| at.value) },
        (None, None) => {
            if let Some(starmap) = starmap {
                reader.wrong(
                    &starmap.span,
                    "`starmap` goes with `from`: it spreads each line over the parameters",
                );
            }
            Inputs::One
        }
    }
}

fn matrix(reader: &mut Reader<'_, '_>) -> Option<At<Vec<AxisEntry>>> {
    let table = reader.table("matrix", "matrix = { size = [1, 2], file = { glob = \"in/*.txt\" } }")?;
    let mut axes = Vec::new();
    for (name, node) in in_order(table.value) {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.value.is_empty() || !name.value.chars().all(is_name) {
            reader.wrong(&name.span, "an axis has a name of letters a to z, digits, `_` and `-`");
            continue;
        }
        if let Some(values) = axis(reader, name.value, node) {
            axes.push(AxisEntry { name: name.map(str::to_owned), values });
        }
    }
    if table.value.is_empty() {
        reader.wrong(&table.span, format!("the matrix has no axis: matrix = {{ size = {AXIS} }}"));
    }
    Some(At::new(axes, table.span))
}

fn axis(reader: &mut Reader<'_, '_>, name: &str, node: &Node<'_>) -> Option<AxisValues> {
    if let Some(list) = node.get_ref().as_array() {
        let mut values = Vec::new();
        for node in list.iter() {
            match json(node) {
                Ok(value) => values.push(At::new(value, node.span())),
                Err(mistake) => reader.mistakes().push(mistake),
            }
        }
        if list.is_empty() {
            reader.wrong(&node.span(), format!("`{name}` has no value, so there would be no task: {AXIS}"));
        }
        return Some(AxisValues::List(values));
    }
    let Some(table) = node.get_ref().as_table() else {
        let found = described(node.get_ref());
        reader.wrong(
            &node.span(),
            format!("the axis `{name}` is {found}, where one of these was expected: {AXIS}"),
        );
        return None;
    };
    let mut inner = Reader::new(table, node.span(), reader.mistakes());
    let glob = match inner.node("glob").map(|node| node.get_ref().as_array().is_some()) {
        None => None,
        Some(true) => Some(inner.strings("glob")),
        Some(false) => Some(inner.string("glob").into_iter().collect()),
    };
    let from = inner.number("from", i64::MIN, i64::MAX);
    let to = inner.number("to", i64::MIN, i64::MAX);
    let values = match (glob, from, to) {
        (Some(patterns), None, None) => Some(AxisValues::Glob(patterns)),
        (None, Some(from), Some(to)) if from.value <= to.value => {
            Some(AxisValues::Range(At::new((from.value, to.value), node.span())))
        }
        _ => {
            inner.wrong(&node.span(), format!("the axis `{name}` goes over one of these: {AXIS}"));
            None
        }
    };
    inner.finish(|_| None);
    values
}
