//! That what tasks share is there, that somebody may open it, and that each end of a pipe has one holder.

#![forbid(unsafe_code)]

use crate::batch::manifest::Manifest;
use crate::batch::manifest::mistake::{At, Mistake, did_you_mean};
use crate::batch::manifest::objects::{Kind, Object};
use crate::batch::manifest::task::Inputs;

pub(super) fn check(manifest: &Manifest, mistakes: &mut Vec<Mistake>) {
    let named = || {
        let of_tasks = manifest.tasks.iter().flat_map(|task| &task.settings.shared);
        manifest.defaults.shared.iter().chain(of_tasks)
    };
    let known: Vec<String> = manifest.objects.iter().flat_map(Object::opened_as).collect();
    for name in named().filter(|name| !known.contains(&name.value)) {
        mistakes.push(Mistake::at(&name.span, unknown(manifest, &name.value, &known)));
    }
    for object in &manifest.objects {
        for opened in object.opened_as() {
            if named().any(|used| used.value == opened) {
                continue;
            }
            let what = match object.kind {
                Kind::Pipe { .. } => "name each end of a pipe where it is used",
                _ => "name it where it is used",
            };
            let message = format!(
                "no task may open `{opened}`: {what}, with shared = [\"{opened}\"] in a task or in [defaults]"
            );
            mistakes.push(Mistake::at(&object.name.span, message));
        }
        if matches!(object.kind, Kind::Pipe { .. }) {
            object.opened_as().iter().for_each(|end| check_end(manifest, end, mistakes));
        }
    }
}

fn unknown(manifest: &Manifest, name: &str, known: &[String]) -> String {
    let is_pipe = |object: &&Object| object.name.value == name && matches!(object.kind, Kind::Pipe { .. });
    if manifest.objects.iter().any(|object| is_pipe(&object)) {
        return format!(
            "`{name}` is a pipe, which is opened by its ends: one task `{name}.0`, another one `{name}.1`"
        );
    }
    let hint = match did_you_mean(name, known.iter().map(String::as_str)) {
        nothing if nothing.is_empty() => {
            format!(": make it with [queues.{name}], [locks.{name}] or the like")
        }
        hint => hint,
    };
    format!("there is no queue, lock or the like `{name}`{hint}")
}

/// An end belongs to the first task that opens it, so every other one would only get an error.
fn check_end(manifest: &Manifest, end: &str, mistakes: &mut Vec<Mistake>) {
    let message =
        || format!("the end `{end}` of a pipe belongs to one task: name it in the `shared` of that one");
    let is_end = |name: &&At<String>| name.value == end;
    if let Some(name) = manifest.defaults.shared.iter().find(is_end) {
        mistakes.push(Mistake::at(&name.span, message()));
    }
    let holders =
        manifest.tasks.iter().filter_map(|task| Some((task, task.settings.shared.iter().find(is_end)?)));
    for (at, (task, name)) in holders.enumerate() {
        if at > 0 || !matches!(task.inputs, Inputs::One) {
            mistakes.push(Mistake::at(&name.span, message()));
        }
    }
}
