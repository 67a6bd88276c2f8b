//! What can be typed: the grammar, before anything of it is looked up.
//!
//! `run` is read in two steps, because what follows MODULE belongs to the guest unless it begins with
//! `-t` or `--invoke`: the first step finds MODULE, the second one reads the whole line again with those.

#![forbid(unsafe_code)]

mod about;
mod batch;
pub mod grants;
mod later;
mod options;
mod report;
mod typed;
pub mod values;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use wasmpool::exit_code;

use crate::help;
pub use about::{Completions, Help, Man, Shell};
pub use batch::Batch;
use later::Later;
pub use options::{
    BatchOptions, CommonOptions, CompileOptions, GrantOptions, JobLogFormat, JobLogOptions, JobLogSync,
    LogFormat, Progress, Sandbox, SharedOptions, StartMethodName, StreamOptions, TaskOptions,
};
pub use report::{ReportKind, ReportOptions};
pub use typed::{Typed, typed};

/// One process for each task.
#[derive(Debug, Parser)]
#[command(name = "wasmpool", version, about = help::ABOUT, after_help = help::ABOUT_EXAMPLES)]
#[command(
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = true,
    infer_subcommands = false
)]
pub struct CommandLine {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run one task; the exit code is the task's
    #[command(override_usage = help::RUN_USAGE, after_help = help::RUN_EXAMPLES, after_long_help = help::run_long())]
    Run(Later<Run>),
    /// Run one task over many inputs, on a pool of workers
    #[command(override_usage = help::MAP_USAGE, after_help = help::MAP_EXAMPLES, after_long_help = help::map_long())]
    Map(Later<Map>),
    /// Run the tasks of a manifest: many modules, in an order, with what each may touch
    #[command(override_usage = help::MANIFEST_USAGE, after_help = help::MANIFEST_EXAMPLES)]
    #[command(after_long_help = help::manifest_long())]
    Batch(Later<Box<Batch>>),
    /// Run one task of a job log once more, with the same inputs, limits and grants
    #[command(after_help = help::REPLAY_EXAMPLES)]
    Replay(Later<Replay>),
    /// Show what a module is, offers and needs, without running it
    #[command(after_help = help::INSPECT_EXAMPLES)]
    Inspect(Later<Inspect>),
    /// Compile a module into the cache, so that its first task starts at once
    #[command(after_help = help::COMPILE_EXAMPLES)]
    Compile(Later<Compile>),
    /// Write a plugin crate that builds, runs and passes its tests as it is
    #[command(after_help = help::NEW_EXAMPLES)]
    New(Later<New>),
    /// Show the batches of this user that run, and the running tasks of each
    #[command(after_help = help::PS_EXAMPLES)]
    Ps(Later<Ps>),
    /// Show what this machine can enforce, one line for each layer of the sandbox
    #[command(after_help = help::DOCTOR_EXAMPLES)]
    Doctor(Later<Doctor>),
    /// Print what a shell needs to complete command lines
    #[command(after_help = help::COMPLETIONS_EXAMPLES)]
    Completions(Later<Completions>),
    /// Print the man page of the program, or of one command
    #[command(after_help = help::MAN_EXAMPLES)]
    Man(Later<Man>),
    /// Explain a command or a topic: exit codes, manifests, grants, limits, config, job logs
    Help(Later<Help>),
}

#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub struct Run {
    /// MODULE: a component, a core module, a .wat file, or a folder with a Cargo.toml, which is built
    /// first. ARGs: of a task, JSON where it parses as JSON, otherwise strings; else the guest's own
    #[arg(value_name = "MODULE [ARG]", required = true, num_args = 1.., trailing_var_arg = true)]
    #[arg(help_heading = help::ARGUMENTS)]
    words: Vec<OsString>,
    #[command(flatten)]
    pub entry: EntryOptions,
    #[command(flatten)]
    pub task: TaskOptions,
    #[command(flatten)]
    pub batch: BatchOptions,
    #[command(flatten)]
    pub grants: GrantOptions,
    #[command(flatten)]
    pub shared: SharedOptions,
    #[command(flatten)]
    pub common: CommonOptions,
    /// MODULE and what it is called with; filled by the second step.
    #[arg(skip)]
    pub call: RunCall,
}

/// What stands directly after MODULE.
#[derive(Debug, Default)]
pub struct RunCall {
    pub module: PathBuf,
    pub arguments: Vec<OsString>,
}

#[derive(Debug, Default, clap::Args)]
pub struct EntryOptions {
    /// The task to call, by its name or by the name of an export [directly after MODULE]
    #[arg(short = 't', long = "task", value_name = "TASK", help_heading = help::ENTRY)]
    pub task: Option<String>,
    /// Call a plain export: WAVE syntax for components, numbers for core modules [directly after MODULE]
    #[arg(long, value_name = "EXPR", conflicts_with = "task", help_heading = help::ENTRY)]
    pub invoke: Option<String>,
    /// Pass an argument by name; the value is read like an ARG
    #[arg(short = 'k', value_name = "NAME=VALUE", value_parser = values::keyword)]
    #[arg(help_heading = help::ENTRY)]
    pub keywords: Vec<(String, String)>,
}

/// `run` in the second step, when `-t` or `--invoke` follows MODULE: everything may stand anywhere.
#[derive(Debug, Parser)]
#[command(name = "wasmpool run", override_usage = help::RUN_USAGE, args_override_self = true)]
#[command(after_help = help::RUN_EXAMPLES, after_long_help = help::run_long())]
struct RunWithEntry {
    #[command(flatten)]
    entry: EntryOptions,
    #[command(flatten)]
    task: TaskOptions,
    #[command(flatten)]
    batch: BatchOptions,
    #[command(flatten)]
    grants: GrantOptions,
    #[command(flatten)]
    shared: SharedOptions,
    #[command(flatten)]
    common: CommonOptions,
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    #[arg(value_name = "ARG", allow_negative_numbers = true)]
    arguments: Vec<OsString>,
}

#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub struct Map {
    /// A component, a core module, a .wat file, or a folder with a Cargo.toml, which is built first
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    /// The inputs. Each is JSON if it parses as JSON, otherwise a string
    #[arg(value_name = "INPUT", allow_negative_numbers = true)]
    pub inputs: Vec<OsString>,
    /// The arguments of a WASI command; each `{}` in them is replaced by the input, and other places by parts of it
    #[arg(value_name = "ARG", last = true)]
    pub template: Vec<OsString>,
    /// The task to call for each input, by its name or by the name of an export
    #[arg(short = 't', long = "task", value_name = "TASK", help_heading = help::ENTRY)]
    pub task: Option<String>,
    /// Call a plain export for each input, which stands in place of `{}` in EXPR: WAVE syntax for components, numbers
    /// for core modules. Between quotes an input is text, elsewhere it is one value
    #[arg(long, value_name = "EXPR", conflicts_with = "task", help_heading = help::ENTRY)]
    pub invoke: Option<String>,
    /// Pass the same argument by name to every call; the value is read like an INPUT
    #[arg(short = 'k', value_name = "NAME=VALUE", value_parser = values::keyword)]
    #[arg(help_heading = help::ENTRY)]
    pub keywords: Vec<(String, String)>,
    /// Read the inputs from FILE (- is standard input), a line each, while they are needed: JSON Lines
    /// with -t, raw text with `--` and --invoke
    #[arg(long, value_name = "FILE", conflicts_with = "inputs", help_heading = help::BATCH)]
    pub from: Option<PathBuf>,
    /// Spread each input, an array, over the task's parameters
    #[arg(long, help_heading = help::BATCH)]
    pub starmap: bool,
    /// Print results as they come instead of in the order of the inputs
    #[arg(long, help_heading = help::BATCH)]
    pub unordered: bool,
    /// What is printed on standard output: values, or one full record for each input
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = help::BATCH)]
    pub format: MapFormat,
    /// Keep what each command wrote and how it ended: DIR/SEQ/stdout, stderr and record.json for input number SEQ.
    /// DIR is made, or must be empty
    #[arg(long, value_name = "DIR", help_heading = help::BATCH)]
    pub results: Option<PathBuf>,
    #[command(flatten)]
    pub batch: BatchOptions,
    #[command(flatten)]
    pub joblog: JobLogOptions,
    #[command(flatten)]
    pub report: ReportOptions,
    #[command(flatten)]
    pub task_options: TaskOptions,
    #[command(flatten)]
    pub grants: GrantOptions,
    #[command(flatten)]
    pub shared: SharedOptions,
    #[command(flatten)]
    pub streams: StreamOptions,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// The value of each task, or the output of each command; failures on standard error
    #[default]
    Text,
    /// One JSON object for each input, failed ones included
    #[value(alias = "json")]
    Jsonl,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum TextOrJson {
    /// For a person
    #[default]
    Text,
    /// For a program
    Json,
}

#[derive(Debug, clap::Args)]
pub struct Replay {
    /// What `map --joblog` wrote
    #[arg(value_name = "LOG")]
    pub log: PathBuf,
    /// The task: the `seq` of its records. Where several runs have one of this number, the last of them
    #[arg(value_name = "N")]
    pub number: u64,
    /// The value of an environment variable that the task had; a log has only names. Without it, the variable's value here
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = grants::variable)]
    pub env: Vec<grants::EnvOption>,
    /// Random numbers from SEED [default: 0] and clocks that are fixed, whatever it had when the log was written
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub deterministic: Option<u64>,
    #[command(flatten)]
    pub compile: CompileOptions,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Debug, clap::Args)]
pub struct Inspect {
    /// A component, a core module, a .wat file, or a folder with a Cargo.toml, which is built first
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    /// How it is shown
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: TextOrJson,
    #[command(flatten)]
    pub compile: CompileOptions,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Debug, clap::Args)]
pub struct Compile {
    /// A component, a core module, a .wat file, or a folder with a Cargo.toml, which is built first
    #[arg(value_name = "MODULE")]
    pub module: PathBuf,
    #[command(flatten)]
    pub compile: CompileOptions,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Debug, clap::Args)]
pub struct New {
    /// The plugin's name; a path makes the folder there
    #[arg(value_name = "NAME")]
    pub path: PathBuf,
    /// The language that it is written in
    #[arg(long, value_enum, default_value_t, value_name = "LANGUAGE")]
    pub lang: Language,
    /// The folder of the `wasmpool-guest` crate [default: the checkout this program was built from]
    #[arg(long, value_name = "PATH")]
    pub sdk: Option<PathBuf>,
    #[command(flatten)]
    pub common: CommonOptions,
}

/// What a plugin is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// A crate with the SDK
    #[default]
    Rust,
    /// A component by componentize-py
    Python,
    /// A component by componentize-js
    Js,
    /// A component by wit-bindgen and zig's clang
    C,
}

#[derive(Debug, clap::Args)]
pub struct Ps {
    /// Only the batch of this process
    #[arg(value_name = "PID")]
    pub pid: Option<u32>,
    /// How it is shown
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: TextOrJson,
    #[command(flatten)]
    pub common: CommonOptions,
}

#[derive(Debug, clap::Args)]
pub struct Doctor {
    /// How it is shown
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub format: TextOrJson,
    #[command(flatten)]
    pub common: CommonOptions,
}

impl Command {
    pub fn common(&self) -> &CommonOptions {
        match self {
            Self::Run(run) => &run.common,
            Self::Map(map) => &map.common,
            Self::Batch(batch) => &batch.common,
            Self::Replay(replay) => &replay.common,
            Self::Inspect(inspect) => &inspect.common,
            Self::Compile(compile) => &compile.common,
            Self::New(new) => &new.common,
            Self::Ps(ps) => &ps.common,
            Self::Doctor(doctor) => &doctor.common,
            Self::Completions(completions) => &completions.common,
            Self::Man(man) => &man.common,
            Self::Help(help) => &help.common,
        }
    }
}

/// Reads a command line, the program's name first.
///
/// # Errors
///
/// clap's own, which also carries `--help` and `--version`.
pub fn parse(line: &[OsString]) -> Result<Command, clap::Error> {
    let mut matches = definition().try_get_matches_from(readable(line))?;
    let command = CommandLine::from_arg_matches_mut(&mut matches)?.command;
    match command {
        Command::Run(Later(run)) => second_step(run, line).map(|run| Command::Run(Later(run))),
        Command::Map(mut map) => {
            values::unmark_negative_numbers(&mut map.inputs);
            Ok(Command::Map(map))
        }
        other => Ok(other),
    }
}

/// The line with those numbers marked that clap would take for options.
fn readable(line: &[OsString]) -> Vec<OsString> {
    let mut readable = line.to_vec();
    if line.get(1).is_some_and(|word| word == "map") {
        let end = line.iter().position(|word| word == "--").unwrap_or(line.len());
        values::mark_negative_numbers(&mut readable[..end]);
    }
    readable
}

/// The options of a batch that say nothing about a single task.
const FOR_MANY: &[&str] = &[
    "workers",
    "max_tasks_per_worker",
    "chunksize",
    "pool_memory",
    "pool_cpus",
    "chaos",
    "halt",
    "progress",
    #[cfg(feature = "metrics")]
    "metrics",
];

/// The commands, whose options are made as they are needed.
fn definition() -> clap::Command {
    CommandLine::command().mut_subcommands(|command| match command.get_name() {
        "run" => command.defer(options_of_run),
        _ => command,
    })
}

/// The help of `run` is kept to what means something there.
fn options_of_run(command: clap::Command) -> clap::Command {
    let hide = |run: clap::Command, option: &&str| run.mut_arg(*option, |arg| arg.hide(true));
    FOR_MANY.iter().fold(later::options::<Run>(command), hide)
}

/// The whole command line, with every option of every command.
pub fn grammar() -> clap::Command {
    let mut grammar = definition();
    grammar.build();
    grammar
}

/// The code for an error of [`parse`].
pub fn usage_code(line: &[OsString]) -> u8 {
    match line.get(1).and_then(|word| word.to_str()) {
        Some("run" | "replay") => exit_code::USAGE,
        _ => exit_code::batch::USAGE,
    }
}

fn second_step(mut run: Run, line: &[OsString]) -> Result<Run, clap::Error> {
    if run.entry.task.is_some() || run.entry.invoke.is_some() {
        let message =
            "-t TASK and --invoke EXPR stand directly after MODULE: wasmpool run MODULE -t TASK [ARG]...";
        return Err(run_command().error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    let words = std::mem::take(&mut run.words);
    let (module, rest) = words.split_first().expect("clap asks for at least MODULE");
    if !rest.first().is_some_and(|word| is_entry(word)) {
        run.call = RunCall { module: module.into(), arguments: rest.to_vec() };
        return Ok(run);
    }
    let mut call = RunWithEntry::try_parse_from(with_entry(line, &words))?;
    values::unmark_negative_numbers(&mut call.arguments);
    if call.entry.invoke.is_some() && !(call.arguments.is_empty() && call.entry.keywords.is_empty()) {
        let message = "--invoke takes its arguments inside the expression: --invoke 'add(1, 2)'";
        return Err(run_command().error(clap::error::ErrorKind::ArgumentConflict, message));
    }
    Ok(Run {
        entry: call.entry,
        task: call.task,
        batch: call.batch,
        grants: call.grants,
        shared: call.shared,
        common: call.common,
        words: Vec::new(),
        call: RunCall { module: call.module, arguments: call.arguments },
    })
}

/// The line for [`RunWithEntry`]; `words` are MODULE and what follows it.
fn with_entry(line: &[OsString], words: &[OsString]) -> Vec<OsString> {
    // `words` are the end of the line as it was typed; before MODULE stand our options, and at most a `--`.
    let head = &line[2..line.len() - words.len()];
    let head = head.strip_suffix(&[OsString::from("--")]).unwrap_or(head);
    let mut rest = words[1..].to_vec();
    values::mark_negative_numbers(&mut rest);
    let mut readable = vec![OsString::from("wasmpool run")];
    readable.extend_from_slice(head);
    readable.push(words[0].clone());
    readable.extend(rest);
    readable
}

/// Whether a word begins `-t TASK`, `-tTASK`, `--task=TASK`, `--invoke EXPR` or `--invoke=EXPR`.
fn is_entry(word: &OsStr) -> bool {
    let Some(word) = word.to_str() else { return false };
    let is_long =
        |name: &str| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('='));
    word.starts_with("-t") || is_long("--task") || is_long("--invoke")
}

fn run_command() -> clap::Command {
    grammar().find_subcommand("run").expect("`run` is a subcommand").clone()
}

#[cfg(test)]
mod tests;
