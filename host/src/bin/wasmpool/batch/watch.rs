//! `--watch`: runs a batch again when something that it is made of has changed.
//!
//! It looks at the files' times and sizes twice a second. That works on every file system and through every way in which
//! editors and builds replace files; a notification from the kernel does not.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use wasmpool::batch::manifest::Manifest;
use wasmpool::batch::manifest::task::{AxisValues, Inputs, TaskEntry};
use wasmpool::batch::plan::World as _;
use wasmpool::exit_code::batch;

use super::world::World;
use super::{Source, once};
use crate::arguments::Batch;
use crate::console::Console;
use crate::failure::Failure;
use crate::interrupt::Signals;
use crate::session;

/// Between two looks.
const LOOK_TIME: Duration = Duration::from_millis(500);
/// Files below one folder that are looked at.
const FOLDER_FILES_MAX: usize = 10_000;

/// What a file is as far as it was looked at: when it was changed, its size, and which file it is.
type Stamp = (i64, i64, u64, u64);

/// Runs the batch, and again after each change, until a signal comes.
pub fn watch(args: &Batch, source: &Source<'_>, console: &Arc<Console>) -> Result<u8, Failure> {
    // Also between two runs, when no batch listens: what came then is told by the next wait.
    let mut signals = session::block_on(async { Signals::listen() }).map_err(session::not_set_up)?;
    loop {
        // What changes while the batch runs makes it run again.
        let before = look(source);
        match once(args, source, console) {
            Ok(code @ (batch::INTERRUPTED | batch::TERMINATED)) => return Ok(code),
            Err(failure) if matches!(failure.code, batch::INTERRUPTED | batch::TERMINATED) => {
                return Err(failure);
            }
            Ok(batch::SUCCESS) => console.say("done; waiting for a change"),
            Ok(code) => console.say(&format!("ended with code {code}; waiting for a change")),
            Err(failure) => {
                console.error(&failure.to_string());
                console.say("waiting for a change");
            }
        }
        if let Some(code) = session::block_on(change(source, &before, &mut signals))? {
            return Ok(code);
        }
    }
}

/// Waits until something is not as it was; a signal's code, if one comes first.
async fn change(
    source: &Source<'_>,
    before: &BTreeMap<PathBuf, Option<Stamp>>,
    signals: &mut Signals,
) -> Result<Option<u8>, Failure> {
    loop {
        if look(source) != *before {
            return Ok(None);
        }
        tokio::select! {
            signal = signals.next() => return Ok(Some(signal.exit_code())),
            () = tokio::time::sleep(LOOK_TIME) => {}
        }
    }
}

/// Everything that the batch is made of, as it is.
fn look(source: &Source<'_>) -> BTreeMap<PathBuf, Option<Stamp>> {
    let mut seen = BTreeMap::new();
    add(source.path, &mut seen);
    let Ok(manifest) = source.read().and_then(|text| {
        Manifest::parse(&text).map_err(|mistakes| source.mistakes(batch::USAGE, &mistakes, &text))
    }) else {
        return seen;
    };
    let world = World::new(source.folder());
    for file in manifest.defaults.env_files.iter().chain(&manifest.defaults.stdin) {
        add(&world.path(&file.value), &mut seen);
    }
    for task in &manifest.tasks {
        add_task(task, &world, &mut seen);
    }
    seen
}

fn add_task(task: &TaskEntry, world: &World, seen: &mut BTreeMap<PathBuf, Option<Stamp>>) {
    let module = world.path(&task.module.value);
    if module.is_dir() {
        add_folder(&module, &mut 0, seen);
    } else {
        add(&module, seen);
    }
    for file in task.settings.env_files.iter().chain(&task.settings.stdin) {
        add(&world.path(&file.value), seen);
    }
    match &task.inputs {
        Inputs::One => {}
        Inputs::From { file, .. } => add(&world.path(&file.value), seen),
        Inputs::Matrix(axes) => {
            for axis in &axes.value {
                let AxisValues::Glob(patterns) = &axis.values else { continue };
                let files =
                    patterns.iter().flat_map(|pattern| world.files(&pattern.value).unwrap_or_default());
                files.for_each(|file| add(&world.path(&file), seen));
            }
        }
    }
}

fn add(path: &Path, seen: &mut BTreeMap<PathBuf, Option<Stamp>>) {
    let stamp = path.metadata().ok().map(|file| (file.mtime(), file.mtime_nsec(), file.size(), file.ino()));
    seen.insert(path.to_owned(), stamp);
}

/// The sources of a crate, without what is built of them.
fn add_folder(folder: &Path, count: &mut usize, seen: &mut BTreeMap<PathBuf, Option<Stamp>>) {
    let Ok(entries) = folder.read_dir() else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        // A build writes its lock file and its target folder itself.
        let is_built = name == "target" || name == "Cargo.lock" || name.as_encoded_bytes().starts_with(b".");
        if is_built || *count >= FOLDER_FILES_MAX {
            continue;
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_folder(&entry.path(), count, seen);
        } else {
            *count += 1;
            add(&entry.path(), seen);
        }
    }
}
