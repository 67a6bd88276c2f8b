//! `after`: what it names exists, ends, and does not wait for itself.

#![forbid(unsafe_code)]

use super::find;
use crate::batch::manifest::Manifest;
use crate::batch::manifest::mistake::{At, Mistake, did_you_mean};

pub(super) fn check(manifest: &Manifest, mistakes: &mut Vec<Mistake>) {
    let names = || manifest.tasks.iter().map(|task| task.name.value.as_str());
    for name in manifest.tasks.iter().flat_map(|task| &task.after) {
        match find(manifest, &name.value) {
            None => {
                let hint = match did_you_mean(&name.value, names()) {
                    nothing if nothing.is_empty() => {
                        format!("; the tasks are {}", names().take(20).collect::<Vec<_>>().join(", "))
                    }
                    hint => hint,
                };
                mistakes.push(Mistake::at(&name.span, format!("there is no task `{}`{hint}", name.value)));
            }
            Some(other) if manifest.tasks[other].daemon => {
                let message = format!(
                    "`{}` is a daemon, which ends with the batch: nothing can run after it",
                    name.value
                );
                mistakes.push(Mistake::at(&name.span, message));
            }
            Some(_) => {}
        }
    }
    if let Some((span, cycle)) = cycle(manifest) {
        let message = format!("`{}` waits for itself: {}", cycle[0], cycle.join(" after "));
        mistakes.push(Mistake::at(&span.span, message));
    }
}

/// A cycle, as names that end with the first one again, and the `after` that closes it.
fn cycle(manifest: &Manifest) -> Option<(At<String>, Vec<String>)> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        Not,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::Not; manifest.tasks.len()];
    for root in 0..manifest.tasks.len() {
        // The path from the root, each with the next of its `after` to look at: no recursion, whatever the depth.
        let mut path = vec![(root, 0)];
        while let Some((task, next)) = path.last_mut() {
            if seen[*task] == Seen::Done {
                path.pop();
                continue;
            }
            seen[*task] = Seen::OnPath;
            let Some(name) = manifest.tasks[*task].after.get(*next) else {
                seen[*task] = Seen::Done;
                continue;
            };
            *next += 1;
            let Some(other) = find(manifest, &name.value) else { continue };
            if seen[other] == Seen::OnPath {
                let start = path.iter().position(|(task, _)| *task == other)?;
                let of = |(task, _): &(usize, usize)| manifest.tasks[*task].name.value.clone();
                let mut names: Vec<String> = path[start..].iter().map(of).collect();
                names.push(names[0].clone());
                return Some((name.clone(), names));
            }
            if seen[other] == Seen::Not {
                path.push((other, 0));
            }
        }
    }
    None
}
