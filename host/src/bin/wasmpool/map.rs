//! `wasmpool map`: one task over many inputs, on a pool.

#![forbid(unsafe_code)]

use std::future::Future;
use std::num::NonZeroUsize;
use std::os::unix::ffi::OsStrExt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use wasmpool::batch::call::{CallMaker, JsonText};
use wasmpool::batch::drive::{Drive, Watch};
use wasmpool::batch::tally::Interruption;
use wasmpool::batch::template::Template;
use wasmpool::batch::watchers::Watchers;
use wasmpool::exit_code::{self, batch};
use wasmpool::report::digest::Digest;
use wasmpool::report::seen::Group;
use wasmpool::report::{human, summary};
use wasmpool::{Limits, Module, Order, Output, Target, TargetError, Task};

use crate::arguments::{Map, MapFormat};
use crate::console::Console;
use crate::course::{self, Course, Ends};
use crate::drain::Drain;
use crate::failure::{Failure, OrFailWith};
use crate::feed::{self, Lost};
use crate::grants;
use crate::inputs::{self, Call, InputFile, TaskMaker};
use crate::interrupt::Signals;
use crate::joblog;
use crate::live::Openings;
use crate::module_path::{self, ModulePath};
use crate::reports::{self, Reports};
use crate::results::Results;
use crate::session::{self, not_set_up};
use crate::shared::Shared;
use crate::streams::{self, Pump, Shown};

/// Runs the batch and returns its code.
///
/// # Errors
///
/// Code 2 for what was typed wrong, 96 when nothing could be started.
pub fn map(map: &Map, console: &Arc<Console>) -> Result<u8, Failure> {
    let openings = Openings::open(&map.batch)?;
    let path = module_path::find(&map.module, map.common.quiet).map_err(not_set_up)?;
    session::block_on(async {
        let mut signals = Signals::listen().map_err(not_set_up)?;
        let supervisor = session::supervisor(&map.task_options.compile).map_err(not_set_up)?;
        let module = session::load(&supervisor, &map.task_options.compile, &path, &mut signals).await;
        let module = module.map_err(not_set_up)?;
        let mut maker = resolve(map, &path, &module)?;
        maker.prototype = grants::grant_all(&map.grants, maker.prototype, batch::USAGE)?;
        let inputs = Inputs::open(map, &maker)?;
        let results = results(map, &maker)?;
        let shared = Shared::make(&map.shared, batch::USAGE)?;
        let lost = Lost::default();
        let feeding = feeding(map, &shared, console, &lost)?;
        let mut drain = drain(map, &shared, console)?;
        maker.prototype = shared.grant_all(maker.prototype);
        let pump = match maker.call {
            Call::Task(_) | Call::Expression { .. } => {
                let (sink, pump) = streams::pump(console, Shown::Prefixed).or_fail_with(batch::NOT_SET_UP)?;
                maker.prototype = maker.prototype.output(Output::Stream(sink));
                Some(pump)
            }
            Call::Command { .. } => None,
        };
        let (named, digest) = (path.typed.to_string(), module.digest());
        let stdin = map.task_options.stdin.as_deref();
        let kept = joblog::open(&map.joblog, (&named, &digest), stdin, pump.is_none(), console)?;
        let log = kept.as_ref().map(|kept| Arc::clone(&kept.log));
        let workers = map.batch.workers.map(NonZeroUsize::get);
        let mut watchers = Watchers::default();
        if let Some(log) = log.clone() {
            watchers.push(log);
        }
        let group = Group { name: maker.name.clone(), module: named };
        let title = format!("{} {}", group.module, group.name);
        let is_told = map.format == MapFormat::Text;
        let limits = vec![session::limits(&map.task_options)];
        let digest = Arc::new(Mutex::new(Digest::new(std::slice::from_ref(&group), limits, is_told)));
        let head = reports::head(title, workers, vec![group], pump.is_none());
        let reports = Reports::open(&map.report, &head)?;
        if let Some(reports) = reports.clone() {
            watchers.push(reports);
        }
        let total = inputs.count();
        let shown = openings.begin(&map.batch, total, &mut watchers, console);
        let pool = session::pool(&map.batch, &map.task_options, workers, &supervisor, &watchers)?;
        let begin = Instant::now();
        let course = Course {
            console,
            format: map.format,
            text: human::write,
            with_output: pump.is_none(),
            log: log.clone(),
            watchers,
            digest: Arc::clone(&digest),
            results: results.clone(),
            on_kill: &|| {},
        };
        let order = if map.unordered { Order::Completion } else { Order::Input };
        let drive = async |Ends { reports, requests }| {
            let drive =
                Drive { order, halt: map.batch.halt, requests, reports, total, watch: Watch::nobody() };
            match inputs {
                Inputs::List(list) => {
                    let inputs = joblog::admitted(inputs::of_list(maker, list), kept);
                    drive.run(&pool, shown.counting(inputs)).await
                }
                Inputs::File(file) => {
                    let inputs = inputs::of_file(maker, file, Arc::clone(console));
                    drive.run(&pool, shown.counting(joblog::admitted(inputs, kept))).await
                }
            }
        };
        let failing = failure(feeding, drain.as_mut());
        let (mut tally, written) = course.run(&mut signals, failing, drive).await;
        if lost.is_set() {
            tally.interrupt(Interruption::InputLost);
        }
        if results.as_ref().is_some_and(Results::is_incomplete) {
            tally.interrupt(Interruption::ResultLost);
        }
        course::note_unwritten(&written, &mut tally);
        if let Some(log) = log {
            log.finish();
        }
        drop(pool);
        if let Some(reports) = reports {
            reports.finish(&mut tally, begin.elapsed(), console);
        }
        if let Some(pump) = pump {
            finish_output(pump, &mut signals).await;
        }
        let drained = match drain {
            Some(drain) => drain.finish(&mut signals).await,
            None => Ok(()),
        };
        drop(shown);
        course::all_written(written)?;
        drained?;
        if course::is_summary_wanted(&tally, map.common.verbose) {
            course::say_digest(&digest, map.common.verbose, console);
            console.say(&summary::line(&tally, begin.elapsed()));
        }
        Ok(tally.exit_code())
    })
}

/// Finds what is to be called and checks everything but the inputs against it.
fn resolve(map: &Map, path: &ModulePath, module: &Module) -> Result<TaskMaker, Failure> {
    if let Some(expression) = &map.invoke {
        return resolve_expression(map, module, expression);
    }
    let is_command = map.task.is_none() && !map.template.is_empty();
    if is_command {
        return resolve_command(map, path, module);
    }
    let target = match &map.task {
        Some(name) => found(module.task(name))?,
        None => module.only_task().ok_or_else(|| Failure::new(batch::USAGE, no_task(path, module)))?,
    };
    if let Some(option) = map.task_options.argv0.as_ref().map(|_| "--argv0") {
        return Err(Failure::new(
            batch::USAGE,
            format!("{option} goes with a WASI command, not with a task"),
        ));
    }
    let keywords =
        map.keywords.iter().map(|(name, value)| (name.clone(), JsonText::from_argument(value))).collect();
    let maker =
        CallMaker::new(target.name(), target.info(), keywords, map.starmap).or_fail_with(batch::USAGE)?;
    Ok(task_maker(map, &target, Call::Task(maker), target.name().to_owned()))
}

/// A target that is there and can be called.
fn found(target: Result<Target, TargetError>) -> Result<Target, Failure> {
    target.map_err(|error| {
        let is_usage = error.exit_code() == exit_code::USAGE;
        Failure::new(if is_usage { batch::USAGE } else { batch::NOT_SET_UP }, error)
    })
}

fn resolve_expression(map: &Map, module: &Module, expression: &str) -> Result<TaskMaker, Failure> {
    let argv0 = map.task_options.argv0.is_some();
    let wrong = [("-k", !map.keywords.is_empty()), ("--starmap", map.starmap), ("--argv0", argv0)];
    if let Some((option, _)) = wrong.iter().find(|(_, is_given)| *is_given) {
        let message = format!("{option} does not go with --invoke: its arguments stand in the expression");
        return Err(Failure::new(batch::USAGE, message));
    }
    let template = Template::expression(expression).or_fail_with(batch::USAGE)?;
    let target = found(module.invoke(expression))?;
    let call = Call::Expression { module: module.clone(), template };
    Ok(task_maker(map, &target, call, target.name().to_owned()))
}

fn resolve_command(map: &Map, path: &ModulePath, module: &Module) -> Result<TaskMaker, Failure> {
    let wrong = [("-k", !map.keywords.is_empty()), ("--starmap", map.starmap)];
    if let Some((option, _)) = wrong.iter().find(|(_, is_given)| *is_given) {
        return Err(Failure::new(
            batch::USAGE,
            format!("{option} goes with -t TASK, not with the command line after `--`"),
        ));
    }
    let target = module.command().or_fail_with(batch::NOT_SET_UP)?;
    let texts = map.template.iter().map(|text| {
        let shown = text.to_string_lossy();
        text.to_str().map(str::to_owned).ok_or_else(|| format!("the argument `{shown}` is not UTF-8"))
    });
    let texts = texts.collect::<Result<Vec<_>, _>>().map_err(|error| Failure::new(batch::USAGE, error))?;
    let template = Template::new(texts).or_fail_with(batch::USAGE)?;
    let argv0 = map.task_options.argv0.clone().unwrap_or_else(|| path.file_name());
    Ok(task_maker(map, &target, Call::Command { argv0, template }, path.stem()))
}

fn task_maker(map: &Map, target: &Target, call: Call, name: String) -> TaskMaker {
    let options = &map.task_options;
    let mut prototype = Task::new(target)
        .limits(session::limits(options))
        .policy(session::policy(options))
        .retry(session::retry(&session::bounds(options, &map.batch)));
    if let Some(seed) = options.deterministic {
        prototype = prototype.deterministic(seed);
    }
    TaskMaker { call, prototype, name, stdin: options.stdin.clone(), made: 0 }
}

fn no_task(path: &ModulePath, module: &Module) -> String {
    let shown = &path.typed;
    if module.info().is_command {
        return format!(
            "`{shown}` is a WASI command: say where each input goes: wasmpool map {shown} INPUT... -- {{}}"
        );
    }
    let tasks: Vec<&str> = module.info().tasks.iter().map(|task| task.name.as_str()).collect();
    match tasks.as_slice() {
        [] => format!("`{shown}` has no tasks: name one of its exports with -t"),
        tasks => format!("`{shown}` has several tasks: say which with -t TASK: {}", tasks.join(", ")),
    }
}

/// Where the inputs come from.
enum Inputs {
    List(Vec<std::ffi::OsString>),
    File(InputFile),
}

impl Inputs {
    /// Opens the file, or checks every input of the command line before anything runs.
    fn open(map: &Map, maker: &TaskMaker) -> Result<Self, Failure> {
        if let Some(path) = &map.from {
            let both = path.as_os_str() == "-"
                && map.task_options.stdin.as_ref().is_some_and(|file| file.as_os_str() == "-");
            if both {
                return Err(Failure::new(
                    batch::USAGE,
                    "standard input cannot be both the inputs and --stdin",
                ));
            }
            let file =
                InputFile::open(path, line_bytes_max(), map.batch.chunksize.map_or(1, NonZeroUsize::get));
            return file.map(Self::File).map_err(|error| {
                Failure::new(
                    batch::USAGE,
                    format!("cannot read the inputs from `{}`: {error}", path.display()),
                )
            });
        }
        // With -t and --invoke, `--` only ends our options: what stands behind it are inputs that look like options.
        let behind = if matches!(maker.call, Call::Command { .. }) { &[] } else { map.template.as_slice() };
        let list = [map.inputs.as_slice(), behind].concat();
        for (index, input) in list.iter().enumerate() {
            if let Err(reason) = maker.check(input.as_bytes()) {
                let hint = if reason.contains("misses its argument") && !map.starmap {
                    "; --starmap spreads arrays such as [1,2] over the parameters"
                } else {
                    ""
                };
                let shown = input.to_string_lossy();
                return Err(Failure::new(
                    batch::USAGE,
                    format!("input {} `{shown}`: {reason}{hint}", index + 1),
                ));
            }
        }
        Ok(Self::List(list))
    }

    fn count(&self) -> Option<u64> {
        match self {
            Self::List(list) => Some(list.len() as u64),
            Self::File(_) => None,
        }
    }
}

/// `--results`: the folder, which is made when everything else is known to be right.
fn results(map: &Map, maker: &TaskMaker) -> Result<Option<Results>, Failure> {
    let Some(folder) = &map.results else { return Ok(None) };
    if !matches!(maker.call, Call::Command { .. }) {
        let message = "--results goes with the command line after `--`: a task's result is its value";
        return Err(Failure::new(batch::USAGE, message));
    }
    Results::open(folder).map(Some).map_err(|error| Failure::new(batch::USAGE, error))
}

/// `--feed`: a future that fills the queue.
type Feeding = Pin<Box<dyn Future<Output = ()>>>;

fn feeding(
    map: &Map,
    shared: &Shared,
    console: &Arc<Console>,
    lost: &Lost,
) -> Result<Option<Feeding>, Failure> {
    let Some(name) = &map.streams.feed else { return Ok(None) };
    let queue = shared.queue("--feed", name, batch::USAGE)?;
    let is_stdin =
        |file: &Option<std::path::PathBuf>| file.as_ref().is_some_and(|file| file.as_os_str() == "-");
    let taken = [("--from", &map.from), ("--stdin", &map.task_options.stdin)];
    if let Some((option, _)) = taken.iter().find(|(_, file)| is_stdin(file)) {
        let message = format!("standard input cannot be both for --feed and for {option}");
        return Err(Failure::new(batch::USAGE, message));
    }
    if map.streams.drain.as_ref() == Some(name) {
        let message = format!("--feed and --drain are both {name}: what is fed would be printed again");
        return Err(Failure::new(batch::USAGE, message));
    }
    let file = InputFile::open("-".as_ref(), line_bytes_max(), 1).or_fail_with(batch::NOT_SET_UP)?;
    Ok(Some(Box::pin(feed::feed(file, queue, Arc::clone(console), lost.clone()))))
}

fn drain(map: &Map, shared: &Shared, console: &Arc<Console>) -> Result<Option<Drain>, Failure> {
    let Some(name) = &map.streams.drain else { return Ok(None) };
    let queue = shared.queue("--drain", name, batch::USAGE)?;
    Drain::start(queue, console).map(Some).or_fail_with(batch::NOT_SET_UP)
}

/// Bytes of one line of input.
fn line_bytes_max() -> usize {
    usize::try_from(Limits::default().argument_bytes).unwrap_or(usize::MAX)
}

/// Feeds, and answers when nobody can read any more what the batch is for.
async fn failure(feeding: Option<Feeding>, drain: Option<&mut Drain>) {
    let feeding = async {
        if let Some(feeding) = feeding {
            feeding.await;
        }
        std::future::pending().await
    };
    let failing = async {
        match drain {
            Some(drain) => drain.failed().await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = feeding => {}
        () = failing => {}
    }
}

/// Waits until the last line of the guests' output is written, unless a signal comes.
async fn finish_output(pump: Pump, signals: &mut Signals) {
    tokio::select! {
        // What could not be written could not be told either: it is standard error.
        _ = pump.ended => {}
        _ = signals.next() => {}
    }
}
