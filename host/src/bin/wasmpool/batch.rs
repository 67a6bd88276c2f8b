//! `wasmpool batch`: a manifest of many modules and tasks, on one pool.

#![forbid(unsafe_code)]

mod conduct;
mod objects;
mod prepare;
mod tasks;
mod watch;
mod world;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wasmpool::batch::halt::{Failures, Halt, HaltMode};
use wasmpool::batch::manifest::mistake::{Mistake, Mistakes};
use wasmpool::batch::manifest::{Manifest, schema};
use wasmpool::batch::plan::{self, select::Select};
use wasmpool::exit_code::batch;
use wasmpool::report::human::Written;
use wasmpool::report::plan as report;

use crate::arguments::{Batch, MapFormat};
use crate::console::Console;
use crate::failure::{Failure, OrFailWith};
use crate::interrupt::Signals;
use crate::live::Openings;
use crate::session;
use prepare::Prepared;
use world::World;

/// Runs the batch and returns its code.
///
/// # Errors
///
/// Code 2 for what was typed wrong, here or in the manifest; 96 when nothing could be started.
pub fn batch(batch: &Batch, console: &Arc<Console>) -> Result<u8, Failure> {
    if batch.schema {
        return console.print(format!("{:#}\n", schema::schema()));
    }
    let options = &batch.task_options;
    let of_one =
        [("--stdin", "stdin", options.stdin.is_some()), ("--argv0", "argv0", options.argv0.is_some())];
    if let Some((option, key, _)) = of_one.iter().find(|(_, _, is_given)| *is_given) {
        let message = format!(
            "{option} is for the tasks of one module: a manifest says `{key}` in [[task]] or [defaults]"
        );
        return Err(Failure::new(batch::USAGE, message));
    }
    let path = batch.manifest.as_ref().expect("clap asks for it where there is no --schema");
    let select = Select::new(&batch.only, &batch.skip).map_err(|error| {
        Failure::new(batch::USAGE, format!("--only and --skip take patterns of names: {error}"))
    })?;
    let source = Source { path, select: Arc::new(select) };
    if batch.watch { watch::watch(batch, &source, console) } else { once(batch, &source, console) }
}

/// What is run.
struct Source<'a> {
    path: &'a Path,
    select: Arc<Select>,
}

impl Source<'_> {
    /// Where the manifest's paths begin.
    fn folder(&self) -> PathBuf {
        match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        }
    }

    fn read(&self) -> Result<String, Failure> {
        let fail = |error: &dyn std::fmt::Display| {
            Failure::new(batch::USAGE, format!("cannot read the manifest `{}`: {error}", self.path.display()))
        };
        let metadata = self.path.metadata().map_err(|error| fail(&error))?;
        if metadata.is_dir() {
            let hint = self.path.join("batch.toml");
            return Err(fail(&format!("it is a folder; a manifest is a file such as {}", hint.display())));
        }
        if metadata.len() > wasmpool::limits::MANIFEST_BYTES_MAX as u64 {
            return Err(fail(&format!("it has more than {} bytes", wasmpool::limits::MANIFEST_BYTES_MAX)));
        }
        let bytes = std::fs::read(self.path).map_err(|error| fail(&error))?;
        String::from_utf8(bytes).map_err(|_| fail(&"it is not UTF-8"))
    }

    /// A failure that shows every mistake with its place.
    fn mistakes(&self, code: u8, mistakes: &Mistakes, text: &str) -> Failure {
        let shown = mistakes.render(&self.path.display().to_string(), text);
        Failure::new(code, shown.trim_end())
    }
}

/// Runs the batch once.
fn once(args: &Batch, source: &Source<'_>, console: &Arc<Console>) -> Result<u8, Failure> {
    let text = source.read()?;
    let wrong = |mistakes: Mistakes| source.mistakes(batch::USAGE, &mistakes, &text);
    let manifest = with_below(args, Manifest::parse(&text).map_err(wrong)?);
    let openings = Openings::open(&args.batch)?;
    session::block_on(async {
        let mut signals = Signals::listen().map_err(session::not_set_up)?;
        let mut compile = args.task_options.compile.clone();
        let below = args.below.as_ref().and_then(|below| below.task_options.compile.sandbox);
        compile.sandbox = compile.sandbox.or(below);
        let supervisor = session::supervisor(&compile).map_err(session::not_set_up)?;
        let mut world = World::new(source.folder());
        let unloaded =
            world.load(&manifest, &supervisor, args, &mut signals).await.map_err(session::not_set_up)?;
        let planned = plan::resolve(&manifest, &world, session::bounds(&args.task_options, &args.batch));
        if !unloaded.is_empty() {
            // What is wrong besides is told with it.
            let others = planned.err().map(|mistakes| mistakes.0).unwrap_or_default();
            let code = if others.is_empty() { batch::NOT_SET_UP } else { batch::USAGE };
            let all: Vec<Mistake> = unloaded.into_iter().chain(others).collect();
            return Err(source.mistakes(code, &Mistakes(all), &text));
        }
        let plan = Arc::new(planned.map_err(wrong)?);
        let prepared = Prepared::new(args, &plan, &world).map_err(wrong)?;
        if !args.dry_run {
            return conduct::conduct(
                conduct::Batch { args, source, manifest: &manifest, plan, prepared, world, openings },
                &supervisor,
                &mut signals,
                console,
            )
            .await;
        }
        dry_run(args, source, &plan, &prepared, &world, console)
    })
}

/// The manifest, with what the config file says of what it leaves open.
fn with_below(args: &Batch, mut manifest: Manifest) -> Manifest {
    let Some(below) = &args.below else { return manifest };
    let bounds = session::bounds(&below.task_options, &below.batch);
    manifest.defaults.bounds = manifest.defaults.bounds.or(bounds);
    let table = &mut manifest.batch;
    table.workers = table.workers.or(below.batch.workers.map(NonZeroUsize::get));
    table.halt = table.halt.or(typed_halt(below));
    table.memory_budget = table.memory_budget.or(below.memory_budget);
    manifest
}

/// When the batch gives up, as it was typed.
fn typed_halt(args: &Batch) -> Option<Halt> {
    let max_fail = args.max_fail.map(|count| Halt { mode: HaltMode::Soon, failures: Failures::Count(count) });
    args.batch.halt.or(max_fail)
}

/// When the batch gives up: what was typed, else what the manifest says.
fn halt(args: &Batch, manifest: &Manifest) -> Option<Halt> {
    typed_halt(args).or(manifest.batch.halt)
}

/// What limits of running tasks add up to.
fn memory_budget(args: &Batch, manifest: &Manifest) -> u64 {
    let share = || wasmpool::memory_bytes() / 100 * wasmpool::limits::MEMORY_BUDGET_PERCENT;
    args.memory_budget.or(manifest.batch.memory_budget).unwrap_or_else(share)
}

/// Shows the plan.
fn dry_run(
    args: &Batch,
    source: &Source<'_>,
    plan: &plan::Plan,
    prepared: &Prepared,
    world: &World,
    console: &Console,
) -> Result<u8, Failure> {
    for (index, entry) in plan.entries.iter().enumerate() {
        let open = |file: &str| world.open_lines(file);
        let mut tasks =
            plan::instances::Instances::new(entry, &source.select, &open).or_fail_with(batch::NOT_SET_UP)?;
        let resolved = report::Resolved {
            plan,
            entry,
            digest: &world.digest(&entry.module.value),
            limits: &prepared.limits(entry),
            grants: prepared.grants(index),
        };
        let mut shown = match args.format {
            MapFormat::Text => report::text(&resolved),
            MapFormat::Jsonl => String::new(),
        };
        let (mut count, mut left_out) = (0_u64, 0_u64);
        while let Some(task) = tasks.next_task().or_fail_with(batch::INCOMPLETE)? {
            count += 1;
            match args.format {
                MapFormat::Text if count <= report::TASKS_SHOWN_MAX => {
                    shown.push_str(&report::task_text(&task))
                }
                MapFormat::Text => left_out += 1,
                MapFormat::Jsonl => shown.push_str(&report::task_json(&resolved, &task)),
            }
            if shown.len() > PIECE_BYTES && !print(console, &mut shown)? {
                return Ok(batch::SUCCESS);
            }
        }
        if count == 0 {
            // Everything of it is left out.
            continue;
        }
        if left_out > 0 {
            shown.push_str(&format!("    and {left_out} more\n"));
        }
        if args.format == MapFormat::Text {
            shown.push('\n');
        }
        if !print(console, &mut shown)? {
            return Ok(batch::SUCCESS);
        }
    }
    Ok(batch::SUCCESS)
}

/// Bytes that are written with one call.
const PIECE_BYTES: usize = 64 * 1024;

/// Prints what there is; false when nobody reads it.
fn print(console: &Console, shown: &mut String) -> Result<bool, Failure> {
    let stdout = std::mem::take(shown).into_bytes();
    match console.write(&Written { stdout, stderr: Vec::new() }) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(Failure::new(batch::INCOMPLETE, format!("cannot write to standard output: {error}")))
        }
    }
}
