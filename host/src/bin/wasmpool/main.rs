//! The command line: what was typed -> a plan that fits the module -> a run -> an exit code.

#![forbid(unsafe_code)]

mod arguments;
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
mod live;
mod logging;
mod man;
mod map;
mod module_path;
mod new;
mod ps;
mod replay;
mod reports;
mod results;
mod run;
mod session;
mod settings;
mod shared;
mod show;
mod streams;
mod topics;
mod writer;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use arguments::Command;
use console::Console;

fn main() -> ExitCode {
    wasmpool::init();
    let line: Vec<OsString> = std::env::args_os().collect();
    let completed = match settings::complete(&line) {
        Ok(completed) => completed,
        Err(failure) => return wrong_settings(&failure),
    };
    let command = match parse(&completed) {
        Ok(command) => command,
        Err(error) => {
            let code = usage(&line, &error);
            // What was typed may be right by itself.
            if let Some(hint) = completed.hint().filter(|_| error.use_stderr()) {
                anstream::eprintln!("\n  {hint}");
            }
            return code;
        }
    };
    let console = Arc::new(Console::new(command.common()));
    logging::start(command.common(), &console);
    completed.say(command.common().verbose, &console);
    let ended = match &command {
        Command::Run(run) => run::run(run, &console),
        Command::Map(map) => map::map(map, &console),
        Command::Batch(arguments) => batch::batch(arguments, &console),
        Command::Replay(arguments) => replay::replay(arguments, &console),
        Command::Inspect(arguments) => show::inspect(arguments, &console),
        Command::Compile(arguments) => show::compile(arguments, &console),
        Command::New(arguments) => new::new(arguments, &console),
        Command::Ps(arguments) => ps::ps(arguments, &console),
        Command::Doctor(arguments) => doctor::doctor(arguments, &console),
        Command::Completions(arguments) => man::completions(arguments, &console),
        Command::Man(arguments) => man::man(arguments, &console),
        Command::Help(arguments) => topics::help(arguments, &console),
    };
    console.end_progress();
    let code = ended.unwrap_or_else(|failure| {
        console.error(&failure.to_string());
        failure.code
    });
    ExitCode::from(code)
}

/// Reads the whole line, and what a manifest may say better.
fn parse(completed: &settings::Completed) -> Result<Command, clap::Error> {
    let mut command = arguments::parse(&completed.line)?;
    if let (Command::Batch(batch), Some(below)) = (&mut command, &completed.below)
        && let Command::Batch(below) = arguments::parse(below)?
    {
        batch.below = Some(below.0);
    }
    Ok(command)
}

/// Says what is wrong with a variable or the config file.
fn wrong_settings(failure: &failure::Failure) -> ExitCode {
    anstream::eprintln!("wasmpool: {failure}");
    ExitCode::from(failure.code)
}

/// Prints what clap has to say: help and version on standard output, an error on standard error.
fn usage(line: &[OsString], error: &clap::Error) -> ExitCode {
    // Nobody can be told that this cannot be printed.
    drop(error.print());
    if error.use_stderr() { ExitCode::from(arguments::usage_code(line)) } else { ExitCode::SUCCESS }
}
