//! From a manifest and the files that it names to tasks that can run: everything that a person can get wrong is checked
//! here, before anything runs, and each mistake has its place in the manifest.
//!
//! What lies outside of the manifest is asked of a [`World`], so that this is a function of its arguments.

#![forbid(unsafe_code)]

mod calls;
mod inputs;
pub mod instances;
mod order;
pub mod places;
pub mod select;
mod shared;

use std::ops::Range;
use std::sync::Arc;

use crate::batch::manifest::mistake::{At, Mistake, Mistakes, did_you_mean};
use crate::batch::manifest::objects::Object;
use crate::batch::manifest::settings::{Bounds, Settings};
use crate::batch::manifest::task::TaskEntry;
use crate::batch::manifest::{Group, Manifest};
use crate::limits::{DAEMONS_MAX, MATRIX_TASKS_MAX};
use crate::module_info::ModuleInfo;
pub use calls::Call;
pub use inputs::{Axis, Inputs, Values};

/// What a plan asks of the machine. Paths are those of the manifest, from its folder on.
pub trait World {
    /// What the module says of itself; `None` for one that cannot be loaded, which is told elsewhere.
    fn module(&self, path: &str) -> Option<&ModuleInfo>;

    /// The files that match a pattern, in order.
    ///
    /// # Errors
    ///
    /// What is wrong with the pattern or with a name.
    fn files(&self, pattern: &str) -> Result<Vec<String>, String>;

    /// Whether there is such a file that can be read.
    ///
    /// # Errors
    ///
    /// Why not.
    fn file(&self, path: &str) -> Result<(), String>;
}

/// Tasks that can run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The tasks of the manifest, in order.
    pub entries: Vec<Arc<Entry>>,
    /// The groups that they count in.
    pub groups: Vec<Group>,
    /// What they share.
    pub objects: Vec<Object>,
}

/// One task of the manifest: as many tasks as its inputs make of it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Where it stands in the manifest.
    pub span: Range<usize>,
    /// Its module, as it is written.
    pub module: At<String>,
    /// What is called.
    pub call: Call,
    /// How many tasks it is.
    pub inputs: Inputs,
    /// The entries that must have succeeded before, by their place among the entries.
    pub after: Vec<usize>,
    /// The group that it counts in.
    pub group: Option<usize>,
    /// How many of its tasks run at one time.
    pub workers: Option<usize>,
    /// Higher starts first.
    pub priority: i32,
    /// Whether it ends with the batch.
    pub daemon: bool,
    /// Its limits: its own, else the command line's, else those of `[defaults]`.
    pub bounds: Bounds,
    /// What it may touch: its own and that of `[defaults]`.
    pub grants: Settings,
}

impl Entry {
    /// Bytes of memory that one of its tasks may use.
    #[must_use]
    pub fn memory_bytes(&self) -> u64 {
        self.bounds.max_memory.unwrap_or(crate::limits::Limits::default().memory_bytes)
    }

    /// How many tasks it is; `None` when a file says so.
    #[must_use]
    pub fn tasks(&self) -> Option<u64> {
        self.inputs.count()
    }
}

/// Resolves a manifest. `bounds` are those of the command line.
///
/// # Errors
///
/// Everything that is wrong.
pub fn resolve(manifest: &Manifest, world: &dyn World, bounds: Bounds) -> Result<Plan, Mistakes> {
    let mut mistakes = Vec::new();
    check_names(manifest, &mut mistakes);
    shared::check(manifest, &mut mistakes);
    order::check(manifest, &mut mistakes);
    let mut files_left = crate::limits::GLOB_FILES_MAX;
    let mut entries = Vec::new();
    for task in &manifest.tasks {
        let inputs = inputs::resolve(task, world, &mut files_left, &mut mistakes);
        let call = calls::resolve(task, &manifest.defaults, world, &inputs, &mut mistakes);
        check_files(task, &manifest.defaults, &inputs, world, &mut mistakes);
        let after = task.after.iter().filter_map(|name| find(manifest, &name.value)).collect();
        let group = task
            .group
            .as_ref()
            .and_then(|group| manifest.groups.iter().position(|known| known.name.value == group.value));
        let Some(call) = call else { continue };
        entries.push(Arc::new(Entry {
            name: task.name.value.clone(),
            span: task.name.span.clone(),
            module: task.module.clone(),
            call,
            inputs,
            after,
            group,
            workers: task.workers,
            priority: task.settings.priority.or(manifest.defaults.priority).unwrap_or(0),
            daemon: task.daemon,
            bounds: Bounds {
                // Whoever starts the batch has the last word about what stands around its guests.
                sandbox: bounds.sandbox.or(task.settings.bounds.sandbox).or(manifest.defaults.bounds.sandbox),
                ..task.settings.bounds.or(bounds).or(manifest.defaults.bounds)
            },
            grants: together(&task.settings, &manifest.defaults),
        }));
    }
    check_counts(&entries, &mut mistakes);
    if mistakes.is_empty() {
        Ok(Plan { entries, groups: manifest.groups.clone(), objects: manifest.objects.clone() })
    } else {
        Err(Mistakes(mistakes))
    }
}

fn find(manifest: &Manifest, name: &str) -> Option<usize> {
    manifest.tasks.iter().position(|task| task.name.value == name)
}

/// A task has its own grants and those of `[defaults]`; of what it can have only one of, its own.
fn together(own: &Settings, defaults: &Settings) -> Settings {
    let mut shared = own.shared.clone();
    for name in &defaults.shared {
        if !shared.iter().any(|known| known.value == name.value) {
            shared.push(name.clone());
        }
    }
    Settings {
        bounds: Bounds::default(),
        priority: None,
        stdin: own.stdin.clone().or_else(|| defaults.stdin.clone()),
        argv0: own.argv0.clone().or_else(|| defaults.argv0.clone()),
        dirs: defaults.dirs.iter().chain(&own.dirs).cloned().collect(),
        files: defaults.files.iter().chain(&own.files).cloned().collect(),
        nets: defaults.nets.iter().chain(&own.nets).cloned().collect(),
        env: defaults.env.iter().chain(&own.env).cloned().collect(),
        env_files: defaults.env_files.iter().chain(&own.env_files).cloned().collect(),
        inherit_env: own.inherit_env || defaults.inherit_env,
        shared,
    }
}

fn check_names(manifest: &Manifest, mistakes: &mut Vec<Mistake>) {
    for (at, task) in manifest.tasks.iter().enumerate() {
        let name = &task.name;
        if let Some(first) = find(manifest, &name.value).filter(|first| *first < at) {
            mistakes.push(Mistake::at(&name.span, format!("two tasks have the name `{}`", name.value)));
            mistakes.push(Mistake::at(&manifest.tasks[first].name.span, "the first one is here"));
        }
        if task.daemon && (task.group.is_some() || task.workers.is_some()) {
            let message =
                "a daemon runs from when it may to the end of the batch: it has no `group` and no `workers`";
            mistakes.push(Mistake::at(&name.span, message));
        }
        let Some(group) = &task.group else { continue };
        let groups = || manifest.groups.iter().map(|group| group.name.value.as_str());
        if !groups().any(|known| known == group.value) {
            let hint = match did_you_mean(&group.value, groups()) {
                nothing if nothing.is_empty() => format!(": [groups.{}] with max_parallel = 2", group.value),
                hint => hint,
            };
            mistakes.push(Mistake::at(&group.span, format!("there is no group `{}`{hint}", group.value)));
        }
    }
}

/// The files that tasks read, as far as their names are known.
fn check_files(
    task: &TaskEntry,
    defaults: &Settings,
    inputs: &Inputs,
    world: &dyn World,
    mistakes: &mut Vec<Mistake>,
) {
    let settings = &task.settings;
    for file in settings.env_files.iter().chain(&defaults.env_files) {
        if let Err(reason) = world.file(&file.value) {
            mistakes.push(Mistake::at(&file.span, format!("cannot read `{}`: {reason}", file.value)));
        }
    }
    let Some(stdin) = settings.stdin.as_ref().or(defaults.stdin.as_ref()) else { return };
    let axes = inputs.axes();
    if let Err(reason) = inputs.with_places(|| places::check(&stdin.value, &axes)) {
        mistakes.push(Mistake::at(&stdin.span, reason));
    } else if (!inputs.is_many() || !stdin.value.contains('{'))
        && let Err(reason) = world.file(&stdin.value)
    {
        mistakes.push(Mistake::at(&stdin.span, format!("cannot read `{}`: {reason}", stdin.value)));
    }
}

fn check_counts(entries: &[Arc<Entry>], mistakes: &mut Vec<Mistake>) {
    let (mut tasks, mut daemons) = (0_u64, 0_u64);
    for entry in entries {
        let count = entry.tasks();
        if entry.daemon {
            daemons = daemons.saturating_add(count.unwrap_or(u64::MAX));
        }
        let before = tasks;
        tasks = tasks.saturating_add(count.unwrap_or(0));
        if before <= MATRIX_TASKS_MAX && tasks > MATRIX_TASKS_MAX {
            let message = format!(
                "the manifest makes more than {MATRIX_TASKS_MAX} tasks: more inputs than that belong into a file, which \
                 a task reads with `from`"
            );
            mistakes.push(Mistake::at(&entry.span, message));
        }
        if entry.daemon && daemons > DAEMONS_MAX as u64 {
            let message = format!(
                "a batch has at most {DAEMONS_MAX} daemons, and no daemon reads its inputs `from` a file"
            );
            mistakes.push(Mistake::at(&entry.span, message));
            daemons = 0;
        }
    }
}

#[cfg(test)]
mod tests;
