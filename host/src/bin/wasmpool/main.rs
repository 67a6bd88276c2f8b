//! The command line: what was typed -> a plan that fits the module -> a run -> an exit code.

#![forbid(unsafe_code)]

mod arguments;
mod bar;
mod batch;
mod console;
mod course;
mod doctor;
mod drain;
mod failure;
mod feed;
mod folder;
mod grants;
mod help;
mod inputs;
mod interrupt;
mod joblog;
mod logging;
mod map;
mod module_path;
mod new;
mod replay;
mod reports;
mod results;
mod run;
mod session;
mod shared;
mod show;
mod streams;
mod writer;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use arguments::Command;
use console::Console;

fn main() -> ExitCode {
    wasmpool::init();
    let line: Vec<OsString> = std::env::args_os().collect();
    let command = match arguments::parse(&line) {
        Ok(command) => command,
        Err(error) => return usage(&line, &error),
    };
    let console = Arc::new(Console::new(command.common()));
    logging::start(command.common(), &console);
    let ended = match &command {
        Command::Run(run) => run::run(run, &console),
        Command::Map(map) => map::map(map, &console),
        Command::Batch(arguments) => batch::batch(arguments, &console),
        Command::Replay(arguments) => replay::replay(arguments, &console),
        Command::Inspect(arguments) => show::inspect(arguments, &console),
        Command::Compile(arguments) => show::compile(arguments, &console),
        Command::New(arguments) => new::new(arguments, &console),
        Command::Doctor(arguments) => doctor::doctor(arguments, &console),
    };
    console.end_progress();
    let code = ended.unwrap_or_else(|failure| {
        console.error(&failure.to_string());
        failure.code
    });
    ExitCode::from(code)
}

/// Prints what clap has to say: help and version on standard output, an error on standard error.
fn usage(line: &[OsString], error: &clap::Error) -> ExitCode {
    // Nobody can be told that this cannot be printed.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(arguments::usage_code(line)) } else { ExitCode::SUCCESS }
}
