//! `wasmpool run`: one task in a process of its own; the program ends with the task's code.

#![forbid(unsafe_code)]

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use wasmpool::batch::call::{Arguments, CallMaker, JsonText};
use wasmpool::outcome::Outcome;
use wasmpool::report::human::{self, Written};
use wasmpool::report::{reason, terminal};
use wasmpool::{
    Args, Module, Output, Process, Record, RunningProcess, StartMethod, Stdin, Supervisor, Target,
    TargetError, Task, exit_code,
};

use crate::arguments::Run;
use crate::console::Console;
use crate::failure::{Failure, OrFailWith};
use crate::grants;
use crate::interrupt::{Signals, Wish};
use crate::live::leaks;
use crate::module_path::{self, ModulePath};
use crate::session;
use crate::shared::Shared;
use crate::streams::{self, Pump, Shown};

/// Runs the task and returns its code.
///
/// # Errors
///
/// When it never became a task: code 246 for what was typed wrong, 126 and 127 for the module.
pub fn run(run: &Run, console: &Arc<Console>) -> Result<u8, Failure> {
    let path = module_path::find(&run.call.module, run.common.quiet)?;
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let supervisor = session::supervisor(&run.task.compile)?;
        let module = session::load(&supervisor, &run.task.compile, &path, &mut signals).await?;
        let call = resolve(run, &path, &module)?;
        let method = session::start_method(&run.task);
        execute(call, &supervisor, method, &mut signals, run.common.verbose, console).await
    })
}

/// A call that fits its target.
#[derive(Debug)]
pub struct Call {
    pub task: Task,
    pub shown: Shown,
}

/// Runs a call in a process of its own, and shows how it ended.
///
/// # Errors
///
/// When it cannot be started, or what it gave cannot be written.
pub async fn execute(
    call: Call,
    supervisor: &Supervisor,
    method: Option<StartMethod>,
    signals: &mut Signals,
    verbose: u8,
    console: &Arc<Console>,
) -> Result<u8, Failure> {
    let (sink, pump) = streams::pump(console, call.shown).or_fail_with(exit_code::NOT_SET_UP)?;
    let name = call.task.get_name().to_owned();
    let task = call.task.output(Output::Stream(sink));
    let process = Process::new(task).name(name).supervisor(supervisor);
    let process = match method {
        Some(method) => process.start_method(method),
        None => process.alone(),
    };
    let process = process.start().or_fail_with(exit_code::NOT_SET_UP)?;
    let ended = wait(process, pump, signals, console).await;
    report(verbose, ended, signals, console)
}

/// Finds what is to be called and checks everything that was typed against it.
fn resolve(run: &Run, path: &ModulePath, module: &Module) -> Result<Call, Failure> {
    let arguments = run.call.arguments.as_slice();
    let own_entry = run.entry.task.is_none() && run.entry.invoke.is_none();
    let (target, args, argv) = if let Some(expression) = &run.entry.invoke {
        (found(module.invoke(expression))?, Args::none(), None)
    } else if let Some(name) = &run.entry.task {
        let target = found(module.task(name))?;
        let args = task_arguments(run, &target, arguments)?;
        (target, args, None)
    } else if let Ok(command) = module.command() {
        (command, Args::none(), Some(command_line(run, path, arguments)?))
    } else if let Some(target) = module.only_task() {
        let args = task_arguments(run, &target, arguments)?;
        (target, args, None)
    } else {
        return Err(Failure::new(exit_code::NOT_FOUND, no_entry(path, module)));
    };
    let is_command = own_entry && argv.is_some();
    let mut task =
        Task::new(&target).args(args).limits(session::limits(&run.task)).policy(session::policy(&run.task));
    if let Some(argv) = argv {
        task = task.argv(argv).name(path.stem());
    }
    task = grants::grant_all(&run.grants, task, exit_code::USAGE)?;
    task = Shared::make(&run.shared, exit_code::USAGE)?.grant_all(task);
    task = task.retry(session::retry(&session::bounds(&run.task, &run.batch)));
    if let Some(seed) = run.task.deterministic {
        task = task.deterministic(seed);
    }
    let shown = if is_command { Shown::Through } else { Shown::Prefixed };
    Ok(Call { task: task.stdin(stdin(run, is_command)?), shown })
}

/// A target that is there and can be called.
fn found(target: Result<Target, TargetError>) -> Result<Target, Failure> {
    target.map_err(|error| Failure::new(error.exit_code(), error))
}

fn task_arguments(run: &Run, target: &Target, arguments: &[OsString]) -> Result<Args, Failure> {
    let keywords = run
        .entry
        .keywords
        .iter()
        .map(|(name, value)| (name.clone(), JsonText::from_argument(value)))
        .collect();
    let maker =
        CallMaker::new(target.name(), target.info(), keywords, false).or_fail_with(exit_code::USAGE)?;
    let texts: Vec<&[u8]> = arguments.iter().map(|argument| argument.as_bytes()).collect();
    Ok(args(maker.of_arguments(&texts).or_fail_with(exit_code::USAGE)?))
}

/// What the library takes, from what was checked.
pub fn args(arguments: Arguments) -> Args {
    match arguments {
        Arguments::Json(text) => Args::json_text(text),
        Arguments::Raw(bytes) => Args::raw(bytes),
    }
}

fn command_line(run: &Run, path: &ModulePath, arguments: &[OsString]) -> Result<Vec<String>, Failure> {
    if let Some((name, _)) = run.entry.keywords.first() {
        let message = format!("-k {name}=... goes with -t TASK: a WASI command has no named parameters");
        return Err(Failure::new(exit_code::USAGE, message));
    }
    let mut line = vec![run.task.argv0.clone().unwrap_or_else(|| path.file_name())];
    for argument in arguments {
        let text = argument.to_str().ok_or_else(|| {
            let shown = argument.to_string_lossy();
            Failure::new(exit_code::USAGE, format!("the argument `{shown}` is not UTF-8, as WASI asks for"))
        })?;
        line.push(text.to_owned());
    }
    Ok(line)
}

fn no_entry(path: &ModulePath, module: &Module) -> String {
    let tasks: Vec<&str> = module.info().tasks.iter().map(|task| task.name.as_str()).collect();
    let exports = module.info().callable_exports();
    let exports: Vec<String> =
        exports.map(|export| format!("{}: {}", export.name, export.signature)).collect();
    let shown = &path.typed;
    let message = match (tasks.as_slice(), exports.as_slice()) {
        ([], []) => {
            format!("`{shown}` is no WASI command and exports no function, so there is nothing to run")
        }
        ([], exports) => format!(
            "`{shown}` is no WASI command: call one of its exports with -t NAME or --invoke EXPR: {}",
            exports.join("; ")
        ),
        (tasks, _) => format!("`{shown}` has several tasks: say which with -t TASK: {}", tasks.join(", ")),
    };
    terminal::one_line(&message)
}

fn stdin(run: &Run, is_command: bool) -> Result<Stdin, Failure> {
    let own = || streams::own_stdin().or_fail_with(exit_code::NOT_SET_UP);
    match &run.task.stdin {
        Some(file) if file.as_os_str() == "-" => own(),
        Some(file) => streams::stdin_from(file).map_err(|error| {
            Failure::new(exit_code::USAGE, format!("cannot read `{}` for --stdin: {error}", file.display()))
        }),
        None if is_command => own(),
        None => Ok(Stdin::Empty),
    }
}

/// The task and its output at their end.
struct Ended {
    record: Record,
    output: io::Result<()>,
}

/// Waits for the task and for the last byte of its output, and passes on what a person asks for.
async fn wait(process: RunningProcess, mut pump: Pump, signals: &mut Signals, console: &Console) -> Ended {
    let (mut record, mut output) = (None, None);
    loop {
        tokio::select! {
            ended = process.join(), if record.is_none() => record = Some(ended),
            ended = &mut pump.ended, if output.is_none() => {
                // A pump that is gone has nothing left to write.
                let result = ended.unwrap_or(Ok(()));
                if result.is_err() {
                    process.kill();
                }
                output = Some(result);
            }
            wish = signals.next_wish() => match wish {
                Wish::Finish => {
                    process.terminate();
                    console.say("stopping: the task has 2 s to finish; once more kills it");
                }
                Wish::Kill => process.kill(),
            },
        }
        (record, output) = match (record, output) {
            (Some(record), Some(output)) => return Ended { record, output },
            unfinished => unfinished,
        };
    }
}

/// Writes the value, or why there is none, and returns the code.
fn report(verbose: u8, ended: Ended, signals: &Signals, console: &Console) -> Result<u8, Failure> {
    let Ended { record, output } = ended;
    if let Err(error) = output {
        return write_failure(&error);
    }
    record.leaks.iter().for_each(|leak| leaks::warn(&record.name, leak));
    let outcome = &record.outcome;
    let mut written = Written::default();
    match outcome {
        Outcome::Succeeded(value) => human::write_single(value, console.terminals(), &mut written),
        // The program has said itself what there is to say.
        Outcome::Exited(code) if *code <= u32::from(exit_code::GUEST_LAST) && verbose == 0 => {}
        outcome => human::failure(&record.name, &reason(outcome), &mut written.stderr),
    }
    if verbose > 0 {
        written.stderr.extend_from_slice(human::details(&record).as_bytes());
    }
    if let Err(error) = console.write(&written) {
        return write_failure(&error);
    }
    Ok(signals.first().map_or(outcome.exit_code(), |signal| signal.exit_code()))
}

/// A reader that went away is no error; a full disk is.
fn write_failure(error: &io::Error) -> Result<u8, Failure> {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Ok(exit_code::SUCCESS),
        _ => Err(Failure::new(exit_code::NOT_SET_UP, format!("cannot write to standard output: {error}"))),
    }
}
