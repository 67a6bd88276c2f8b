//! A batch as a file: its text becomes values, each with the place where it stands.
//!
//! Pure: nothing is looked up here but the text. What is wrong is collected, with line, column and what would be right,
//! so that a manifest is put right in one go. What the values mean together with the files that they name is the business
//! of [`plan`](super::plan).

#![forbid(unsafe_code)]

pub mod mistake;
pub mod objects;
mod reader;
pub mod schema;
pub mod settings;
pub mod task;

use toml::de::DeTable;

use crate::limits::{GRANTS_MAX, MANIFEST_BYTES_MAX, MANIFEST_TASKS_MAX};
use mistake::{At, Mistake, Mistakes};
use objects::Object;
use reader::{Reader, described, in_order};
use settings::Settings;
use task::TaskEntry;

/// What a manifest says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Manifest {
    /// `[batch]`.
    pub batch: BatchTable,
    /// `[defaults]`.
    pub defaults: Settings,
    /// Every `[[task]]` in order.
    pub tasks: Vec<TaskEntry>,
    /// `[groups]`.
    pub groups: Vec<Group>,
    /// Queues, locks and the like.
    pub objects: Vec<Object>,
}

/// How the batch as a whole is run, unless the command line says otherwise.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchTable {
    /// Tasks that run at the same time.
    pub workers: Option<usize>,
    /// When it gives up.
    pub halt: Option<super::halt::Halt>,
    /// Bytes that the memory limits of running tasks add up to, at most.
    pub memory_budget: Option<u64>,
}

/// Tasks of which only so many run at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: At<String>,
    /// How many run at one time.
    pub max_parallel: usize,
}

impl Manifest {
    /// Reads the text of a manifest.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Mistakes> {
        if text.len() > MANIFEST_BYTES_MAX {
            let message = format!(
                "the manifest has {} bytes, more than {MANIFEST_BYTES_MAX}: many inputs belong into a file, which a task \
                 reads with `from`",
                text.len()
            );
            return Err(Mistakes(vec![Mistake::at(&(0..0), message)]));
        }
        let document = DeTable::parse(text).map_err(|error| Mistakes(vec![syntax(&error, text)]))?;
        let mut mistakes = Vec::new();
        let mut reader = Reader::new(document.get_ref(), 0..0, &mut mistakes);
        let manifest = Self {
            batch: batch(&mut reader),
            defaults: defaults(&mut reader),
            tasks: tasks(&mut reader),
            groups: groups(&mut reader),
            objects: objects::read(&mut reader),
        };
        if let Some(extra) = manifest.objects.get(GRANTS_MAX) {
            let message = format!("there are more than {GRANTS_MAX} queues, locks and the like");
            reader.wrong(&extra.name.span.clone(), message);
        }
        reader.finish(|key| match key {
            "tasks" => Some("; each task begins with [[task]]".to_owned()),
            "default" => Some(", did you mean `defaults`?".to_owned()),
            _ => None,
        });
        if mistakes.is_empty() { Ok(manifest) } else { Err(Mistakes(mistakes)) }
    }
}

/// What is no TOML.
fn syntax(error: &toml::de::Error, text: &str) -> Mistake {
    let span = error.span().unwrap_or(text.len()..text.len());
    let message = error.message().lines().next().unwrap_or("unexpected text");
    // The commonest cause, which the parser's words do not name.
    let hint = if message.contains("quoted") || message.contains("string values must be") {
        ""
    } else if text.get(span.clone()).is_some_and(|found| found.starts_with('/') || found.contains(".wasm")) {
        "; a text stands in quotes"
    } else {
        ""
    };
    Mistake::at(&span, format!("not TOML: {message}{hint}"))
}

fn batch(reader: &mut Reader<'_, '_>) -> BatchTable {
    let Some(table) = reader.table("batch", "[batch]") else { return BatchTable::default() };
    let mut inner = Reader::new(table.value, table.span, reader.mistakes());
    let workers = inner.number("workers", 1, 1 << 20);
    let halt = inner.string("halt").and_then(|text| match text.value.parse() {
        Ok(halt) => Some(halt),
        Err(error) => {
            inner.wrong(&text.span, format!("`halt` is `{}`: {error}", text.value));
            None
        }
    });
    let memory_budget = inner.size("memory_budget").map(|at| at.value);
    inner.finish(|_| None);
    BatchTable { workers: workers.and_then(|at| usize::try_from(at.value).ok()), halt, memory_budget }
}

fn defaults(reader: &mut Reader<'_, '_>) -> Settings {
    let Some(table) = reader.table("defaults", "[defaults]") else { return Settings::default() };
    let mut inner = Reader::new(table.value, table.span, reader.mistakes());
    let settings = settings::read(&mut inner);
    inner.finish(|key| match key {
        "memory" => Some(", did you mean `max_memory`?".to_owned()),
        "workers" | "halt" => Some("; how the whole batch is run stands in [batch]".to_owned()),
        "module" | "task" | "args" | "kwargs" | "command" | "after" | "group" | "matrix" => {
            Some(format!("; `{key}` stands in each [[task]]"))
        }
        _ => None,
    });
    settings
}

fn tasks(reader: &mut Reader<'_, '_>) -> Vec<TaskEntry> {
    let Some(node) = reader.node("task") else {
        reader.wrong(&(0..0), "the manifest has no task: begin one with [[task]]");
        return Vec::new();
    };
    let Some(list) = node.get_ref().as_array() else {
        reader.wrong(&node.span(), "a task begins with [[task]], in two pairs of brackets");
        return Vec::new();
    };
    let mut tasks: Vec<TaskEntry> = Vec::new();
    for node in list.iter() {
        let Some(table) = node.get_ref().as_table() else {
            let found = described(node.get_ref());
            reader.wrong(&node.span(), format!("{found} stands among the tasks; each begins with [[task]]"));
            continue;
        };
        tasks.extend(task::read(Reader::new(table, node.span(), reader.mistakes())));
    }
    if let Some(extra) = tasks.get(MANIFEST_TASKS_MAX) {
        let message = format!(
            "there are more than {MANIFEST_TASKS_MAX} [[task]]s: `matrix` and `from` make many tasks of one"
        );
        reader.wrong(&extra.span.clone(), message);
    }
    tasks
}

fn groups(reader: &mut Reader<'_, '_>) -> Vec<Group> {
    let example = "[groups.disk] with max_parallel = 2";
    let Some(table) = reader.table("groups", example) else { return Vec::new() };
    let mut groups = Vec::new();
    for (name, node) in in_order(table.value) {
        let Some(table) = node.get_ref().as_table() else {
            let found = described(node.get_ref());
            let message =
                format!("`{}` is {found}, where a group such as {example} was expected", name.value);
            reader.wrong(&node.span(), message);
            continue;
        };
        let mut inner = Reader::new(table, name.span.clone(), reader.mistakes());
        if inner.node("max_parallel").is_none() {
            inner.wrong(&name.span, format!("the group `{}` has no bound: max_parallel = 2", name.value));
        }
        let max = inner.number("max_parallel", 1, 1 << 20);
        inner.finish(|_| None);
        if let Some(max_parallel) = max.and_then(|at| usize::try_from(at.value).ok()) {
            groups.push(Group { name: name.map(str::to_owned), max_parallel });
        }
    }
    groups
}

#[cfg(test)]
mod tests;
