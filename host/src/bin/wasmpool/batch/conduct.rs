//! Runs a plan on one pool, beside its daemons, and says what was not run.

#![forbid(unsafe_code)]

use std::sync::{Arc, Mutex};
use std::time::Instant;

use wasmpool::batch::drive::Drive;
use wasmpool::batch::feeder::Feeder;
use wasmpool::batch::joblog::{DaemonLog, JobLog};
use wasmpool::batch::manifest::Manifest;
use wasmpool::batch::plan::instances::Instances;
use wasmpool::batch::plan::{Call, Plan};
use wasmpool::batch::tally::Interruption;
use wasmpool::batch::units::size_text;
use wasmpool::batch::watchers::Watchers;
use wasmpool::exit_code::batch;
use wasmpool::report::digest::Digest;
use wasmpool::report::seen::{Group, Head};
use wasmpool::report::{named, summary};
use wasmpool::{Order, Pool, Supervisor};

use super::prepare::Prepared;
use super::tasks::{Daemons, TaskMaker};
use super::world::World;
use super::{Source, halt, memory_budget};
use crate::arguments::{Batch as Arguments, MapFormat};
use crate::console::Console;
use crate::course::{self, Course, Ends};
use crate::failure::{Failure, OrFailWith};
use crate::interrupt::Signals;
use crate::joblog;
use crate::live::Openings;
use crate::reports::{self, Reports};
use crate::session;
use crate::streams::{self, Shown};

/// A batch that is ready to run.
pub struct Batch<'a> {
    pub args: &'a Arguments,
    pub source: &'a Source<'a>,
    pub manifest: &'a Manifest,
    pub plan: Arc<Plan>,
    pub prepared: Prepared,
    pub world: World,
    pub openings: Openings,
}

/// Runs it and returns its code.
pub async fn conduct(
    batch: Batch<'_>,
    supervisor: &Supervisor,
    signals: &mut Signals,
    console: &Arc<Console>,
) -> Result<u8, Failure> {
    let Batch { args, source, manifest, plan, prepared, world, openings } = batch;
    let total = count(&plan, source, &world)?;
    say_what_is_left_out(&plan, source, &world, console)?;
    let log = open_log(args, &plan, &world, console)?;
    let mut watchers = Watchers::default();
    if let Some(log) = log.clone() {
        watchers.push(log);
    }
    let workers = args.batch.workers.map(std::num::NonZeroUsize::get).or(manifest.batch.workers);
    let limits = plan.entries.iter().map(|entry| prepared.limits(entry)).collect();
    let head = head(source, &plan, workers);
    let reports = Reports::open(&args.report, &head)?;
    if let Some(reports) = reports.clone() {
        watchers.push(reports);
    }
    let shown = openings.begin(&args.batch, total, &mut watchers, console);
    let pool = pool(args, manifest, supervisor, None, &watchers)?;
    let budget = memory_budget(args, manifest);
    say_what_memory_allows(&plan, budget, pool.workers(), console);
    let mut of_daemons = Watchers::default();
    if let Some(log) = log.clone() {
        of_daemons.push(Arc::new(DaemonLog(log)));
    }
    let daemons_max = Some(wasmpool::limits::DAEMONS_MAX);
    let daemons = Daemons::new(self::pool(args, manifest, supervisor, daemons_max, &of_daemons)?);
    let (sink, pump) = streams::pump(console, Shown::Prefixed).or_fail_with(batch::NOT_SET_UP)?;
    let folder = world.path("");
    let path = move |path: &str| folder.join(path);
    let maker = TaskMaker::new(&plan, prepared.prototypes, path, &sink, (&daemons, log.as_ref()), console);
    // Nothing but tasks holds the sink from here on, and nothing but the feeder the prototypes.
    drop(sink);
    let open = |file: &str| world.open_lines(file);
    // The tasks of a chunk run one after the other in one process, and so count once.
    let chunk = args.batch.chunksize.map_or(1, |calls| calls.get() as u64);
    let budget = budget.saturating_mul(chunk);
    let feeder =
        Feeder::new(&plan, &source.select, budget, &open, Box::new(maker)).map_err(|(entry, error)| {
            let entry = &plan.entries[entry];
            let message = format!("cannot read the inputs of `{}`: {error}", entry.name);
            Failure::new(batch::NOT_SET_UP, message)
        })?;
    let is_told = args.format == MapFormat::Text;
    let digest = Arc::new(Mutex::new(Digest::new(&head.groups, limits, is_told)));
    let begin = Instant::now();
    let course = Course {
        console,
        format: args.format,
        text: named::write,
        with_output: has_commands(&plan),
        log: log.clone(),
        watchers,
        digest: Arc::clone(&digest),
        results: None,
        on_kill: &|| daemons.kill(),
    };
    let halt = halt(args, manifest);
    let reported = reports.clone();
    let drive = async |Ends { reports, requests }| {
        let (order, watch) = (Order::Completion, feeder.watch());
        let drive = Drive { order, halt, requests, reports: reports.clone(), total, watch };
        let mut tally = drive.run(&pool, shown.counting(feeder.clone())).await;
        daemons.finish(&mut tally, reports, reported.as_deref()).await;
        tally
    };
    let (mut tally, written) = course.run(signals, std::future::pending(), drive).await;
    let left_out = feeder.left_out();
    if let Some(log) = log {
        log.finish();
    }
    drop((pool, daemons, feeder));
    tokio::select! {
        // What could not be written could not be told either: it is standard error.
        _ = pump.ended => {}
        _ = signals.next() => {}
    }
    drop(shown);
    course::note_unwritten(&written, &mut tally);
    let is_whole = left_out.entries.is_empty() && left_out.cut_off.is_empty();
    if !is_whole && tally.interruption().is_none() {
        tally.interrupt(Interruption::InputLost);
    }
    if let Some(reports) = reports {
        reports.finish(&mut tally, begin.elapsed(), console);
    }
    course::all_written(written)?;
    if course::is_summary_wanted(&tally, args.common.verbose) {
        course::say_digest(&digest, args.common.verbose, console);
        console.say(&summary::line(&tally, begin.elapsed()));
        if let Some(text) = named::left_out(&left_out) {
            console.say(&text);
        }
    }
    Ok(tally.exit_code())
}

/// What reports say at their beginning.
fn head(source: &Source<'_>, plan: &Plan, workers: Option<usize>) -> Head {
    let group = |entry: &Arc<wasmpool::batch::plan::Entry>| Group {
        name: entry.name.clone(),
        module: entry.module.value.clone(),
    };
    let (title, groups) = (source.path.display().to_string(), plan.entries.iter().map(group).collect());
    reports::head(title, workers, groups, has_commands(plan))
}

fn pool(
    args: &Arguments,
    manifest: &Manifest,
    supervisor: &Supervisor,
    workers: Option<usize>,
    watchers: &Watchers,
) -> Result<Pool, Failure> {
    let typed = args.batch.workers.map(std::num::NonZeroUsize::get);
    let is_of_daemons = workers.is_some();
    let workers = workers.or(typed).or(manifest.batch.workers);
    let mut options = args.batch.clone();
    // Nobody would start a daemon again.
    options.chaos = options.chaos.filter(|_| !is_of_daemons);
    session::pool(&options, &args.task_options, workers, supervisor, watchers)
}

/// `--joblog`, for every module of the plan.
fn open_log(
    args: &Arguments,
    plan: &Plan,
    world: &World,
    console: &Console,
) -> Result<Option<Arc<JobLog>>, Failure> {
    let mut modules: Vec<(String, String)> = Vec::new();
    for entry in &plan.entries {
        let path = world.path(&entry.module.value).display().to_string();
        if modules.iter().all(|(known, _)| *known != path) {
            modules.push((path, world.loaded(&entry.module.value).digest()));
        }
    }
    let modules: Vec<_> = modules.iter().map(|(path, digest)| (path.as_str(), digest.clone())).collect();
    joblog::open_log(&args.joblog, &modules, has_commands(plan), console)
}

/// Whether records carry captured output.
fn has_commands(plan: &Plan) -> bool {
    plan.entries.iter().any(|entry| matches!(entry.call, Call::Command { .. }))
}

/// How many tasks there will be, where that is known; daemons are not waited for.
fn count(plan: &Plan, source: &Source<'_>, world: &World) -> Result<Option<u64>, Failure> {
    let mut total = 0;
    for entry in plan.entries.iter().filter(|entry| !entry.daemon) {
        let Some(tasks) = entry.tasks() else { return Ok(None) };
        total += if source.select.is_all() { tasks } else { selected(entry, source, world, u64::MAX)? };
    }
    Ok(Some(total))
}

/// How many tasks of the entry are run, counted up to `max`.
fn selected(
    entry: &Arc<wasmpool::batch::plan::Entry>,
    source: &Source<'_>,
    world: &World,
    max: u64,
) -> Result<u64, Failure> {
    let open = |file: &str| world.open_lines(file);
    let mut tasks = Instances::new(entry, &source.select, &open).or_fail_with(batch::NOT_SET_UP)?;
    let mut count = 0;
    while count < max && tasks.next_task().or_fail_with(batch::NOT_SET_UP)?.is_some() {
        count += 1;
    }
    Ok(count)
}

/// What comes after something that is left out runs all the same, and that is said.
fn say_what_is_left_out(
    plan: &Plan,
    source: &Source<'_>,
    world: &World,
    console: &Console,
) -> Result<(), Failure> {
    if source.select.is_all() {
        return Ok(());
    }
    let runs = |entry| Ok(selected(entry, source, world, 1)? > 0);
    let runs = plan.entries.iter().map(runs).collect::<Result<Vec<bool>, Failure>>()?;
    if !runs.contains(&true) {
        let names: Vec<&str> = plan.entries.iter().map(|entry| entry.name.as_str()).take(20).collect();
        let message = format!("--only and --skip leave no task; the tasks are {}", names.join(", "));
        return Err(Failure::new(batch::USAGE, message));
    }
    for (entry, _) in plan.entries.iter().zip(&runs).filter(|(_, runs)| **runs) {
        for before in entry.after.iter().filter(|before| !runs[**before]) {
            let before = &plan.entries[*before].name;
            console.say(&format!("`{before}` is left out, and counts as done for `{}`", entry.name));
        }
    }
    Ok(())
}

/// Says when the memory budget, and not the number of workers, bounds how much runs at one time.
fn say_what_memory_allows(plan: &Plan, budget: u64, workers: usize, console: &Console) {
    let least = plan.entries.iter().filter(|entry| !entry.daemon).map(|entry| entry.memory_bytes()).min();
    let at_a_time = budget / least.unwrap_or(1).max(1);
    if at_a_time < workers as u64 {
        console.say(&format!(
            "the memory budget of {} lets {} of {workers} workers run at one time; a lower max_memory of the tasks, or a \
             higher --memory-budget, lets more",
            size_text(budget),
            at_a_time.max(1),
        ));
    }
}
