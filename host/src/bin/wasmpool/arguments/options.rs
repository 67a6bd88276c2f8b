//! The options that several commands share.

#![forbid(unsafe_code)]

#[cfg(feature = "metrics")]
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgAction, ColorChoice, ValueEnum};
use wasmpool::batch::halt::Halt;
use wasmpool::{Chaos, Feature, OutcomeClasses};

use super::grants::{self, DirOption, EnvOption, NetOption};
use super::values;
use crate::help;

/// What a task may use and how it is started.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Limits and start of a task")]
pub struct TaskOptions {
    /// Stop a task after this time, counted from its start in the worker [default: none]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub timeout: Option<Duration>,
    /// Stop a task after this much CPU time, counted from its start in the worker [default: none]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub cpu_time: Option<Duration>,
    /// Stop a task after about N instructions [default: none]
    #[arg(long, value_name = "N")]
    pub fuel: Option<u64>,
    /// Linear memory of a task [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub max_memory: Option<u64>,
    /// WebAssembly stack of a task [default: 512KiB]
    #[arg(long, value_name = "SIZE", value_parser = values::stack)]
    pub max_stack: Option<u32>,
    /// Stop a module's `#[init]` function, which runs once before its first task, after this time [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub init_timeout: Option<Duration>,
    /// Standard output and error of a task together [default: 64MiB when captured, else none]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub max_output: Option<u64>,
    #[command(flatten)]
    pub compile: CompileOptions,
    /// Random numbers made from SEED [default: 0], and clocks that begin at 2000-01-01 and go on by a millisecond with each
    /// look: the same task gives the same result, if it gets its input from nowhere else. Bound it by --fuel
    #[arg(long, value_name = "SEED", num_args = 0..=1, require_equals = true, default_missing_value = "0")]
    pub deterministic: Option<u64>,
    /// How workers are started [default: forkserver; spawn for the only one of `run`]
    #[arg(long, value_enum, value_name = "METHOD")]
    pub start_method: Option<StartMethodName>,
    /// What a WASI command sees as its own name [default: the module's file name]
    #[arg(long, value_name = "NAME")]
    pub argv0: Option<String>,
    /// What a task reads as its standard input [default: nothing; ours for a WASI command of `run`]
    #[arg(long, value_name = "FILE")]
    pub stdin: Option<PathBuf>,
}

/// What a task may touch besides its arguments and its standard streams.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::GRANTS)]
pub struct GrantOptions {
    /// Let a task use the directory HOST, at the path GUEST [default: HOST as it is typed]; with `:ro`, it is only
    /// read. May be repeated, as --env
    #[arg(long = "dir", value_name = "HOST[::GUEST][:ro]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| grants::directory(&text)))]
    pub dirs: Vec<DirOption>,
    /// Let a task use the single file HOST, at the path GUEST [default: HOST as it is typed], in a folder that holds
    /// nothing else; with `:ro`, it is only read
    #[arg(long = "file", value_name = "HOST[::GUEST][:ro]")]
    #[arg(value_parser = OsStringValueParser::new().try_map(|text| grants::directory(&text)))]
    pub files: Vec<DirOption>,
    /// Let a task connect to PORT of HOST by TCP: a name, an address, `[IPv6]`, or `*` for every address. With `udp:` in
    /// front, exchange datagrams with it; with `tcp-listen:`, listen on it, an address of this machine. May be repeated
    #[arg(long = "net", value_name = "[udp:|tcp-listen:]HOST:PORT", value_parser = grants::network)]
    pub nets: Vec<NetOption>,
    /// Give a task an environment variable; without VALUE, with the value that it has here
    #[arg(long = "env", value_name = "NAME[=VALUE]", value_parser = grants::variable)]
    pub env: Vec<EnvOption>,
    /// Give a task the variables of a file, a line NAME=VALUE or NAME each; empty lines and those that begin with `#`
    /// mean nothing, values are taken as they are. May be repeated; --env counts more, and so does a later file
    #[arg(long = "env-file", value_name = "FILE")]
    pub env_files: Vec<PathBuf>,
    /// Give a task every environment variable that is here; --env-file and --env count more
    #[arg(long)]
    pub inherit_env: bool,
}

/// What compiling a module may cost, how many are kept, and the walls around
/// whoever compiles or runs it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct CompileOptions {
    /// CPU time for compiling the module [default: 30s, and 2s for each MiB of module]
    #[arg(long, value_name = "TIME", value_parser = values::time)]
    pub compile_time: Option<Duration>,
    /// Memory for compiling the module [default: 1GiB, and 32MiB for each MiB of module]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub compile_memory: Option<u64>,
    /// Let the module use a feature of the language that is off unless asked for: memory64, custom-page-sizes or
    /// wide-arithmetic. May be repeated
    #[arg(long = "wasm-feature", value_name = "NAME")]
    pub wasm_features: Vec<Feature>,
    /// How much of the sandbox must be there [default: required]
    #[arg(long, value_enum, value_name = "MODE")]
    pub sandbox: Option<Sandbox>,
    /// Bytes of all compiled modules in the cache; what was used longest ago goes first [default: 1GiB]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub cache_size: Option<u64>,
}

/// How a batch is spread over workers. `run` takes them too, so that one set of options serves all
/// commands; for its one task they mean nothing.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::BATCH)]
pub struct BatchOptions {
    /// Tasks that run at the same time [default: the CPUs this program may use]
    #[arg(short = 'j', long, value_name = "N", value_parser = values::count::<NonZeroUsize>)]
    pub workers: Option<NonZeroUsize>,
    /// Tasks that one worker process runs, each in a fresh instance [default: 1]
    #[arg(long, value_name = "N", value_parser = values::count::<NonZeroUsize>)]
    pub max_tasks_per_worker: Option<NonZeroUsize>,
    /// Inputs that share one worker and one instance [default: 1]
    #[arg(long, value_name = "N", value_parser = values::count::<NonZeroUsize>)]
    pub chunksize: Option<NonZeroUsize>,
    /// Memory of all worker processes together; the kernel ends the largest beyond it. Takes a cgroup
    /// [default: 80 % of what there is, where a cgroup can be made]
    #[arg(long, value_name = "SIZE", value_parser = values::size)]
    pub pool_memory: Option<u64>,
    /// CPUs that all worker processes use together, such as 1.5. Takes a cgroup [default: all]
    #[arg(long, value_name = "N", value_parser = values::cpus)]
    pub pool_cpus: Option<f64>,
    /// Try a failed task again, up to N times [default: 0]
    #[arg(long, value_name = "N")]
    pub retries: Option<u32>,
    /// After which endings: failed, exit, trap, limit, timeout, crash, deadlock, start, or any [default: any]
    #[arg(long, value_name = "CLASS,...")]
    pub retry_on: Option<OutcomeClasses>,
    /// Time before the second attempt; it doubles with each further one, up to 10 s or this, and a random part of up
    /// to a half is left out [default: 100ms]
    #[arg(long, value_name = "TIME", value_parser = values::time_or_none)]
    pub retry_delay: Option<Duration>,
    /// Give a task up, with code 235, when it would be tried again and has killed N workers [default: 2]
    #[arg(long, value_name = "N", value_parser = values::count::<NonZeroU32>)]
    pub quarantine_after: Option<NonZeroU32>,
    /// A test aid: kill this share of all attempts by SIGKILL, at random moments, to see what becomes of a batch; the same
    /// SEED [default: 0] kills the same attempts, and --retry-on crash tries them again. Daemons are left alone
    #[arg(long, value_name = "kill=N%[,seed=SEED]")]
    pub chaos: Option<Chaos>,
    /// Give up with the Nth failure: `soon,fail=N` lets running tasks finish, `now,fail=N` stops them
    #[arg(long, value_name = "WHEN,fail=N")]
    pub halt: Option<Halt>,
    /// Show how far the batch is. SIGUSR1 prints it at any time, with what runs; so does `wasmpool ps`
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub progress: Progress,
    /// Serve metrics for Prometheus while the batch runs, at http://ADDR/metrics. A port alone is one of 127.0.0.1
    #[cfg(feature = "metrics")]
    #[arg(long, value_name = "[ADDR:]PORT", value_parser = values::listen)]
    pub metrics: Option<SocketAddr>,
}

/// Writing down what ran, and running only what is left.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::JOBLOG)]
pub struct JobLogOptions {
    /// Write down each start and each end of a task, with everything that it may use and touch
    #[arg(long, value_name = "FILE")]
    pub joblog: Option<PathBuf>,
    /// Go on with a job log: tasks that it says are finished do not run again, whatever their place among the inputs
    #[arg(long, requires = "joblog")]
    pub resume: bool,
    /// With --resume, run those again that failed
    #[arg(long, requires = "resume")]
    pub retry_failed: bool,
    /// What the job log looks like
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", requires = "joblog")]
    pub joblog_format: JobLogFormat,
    /// When the job log is pushed to the disk
    #[arg(long, value_enum, default_value_t, value_name = "WHEN", requires = "joblog")]
    pub joblog_sync: JobLogSync,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JobLogFormat {
    /// One JSON object for each start and each end; --resume reads it
    #[default]
    Jsonl,
    /// One line for each task with the columns of GNU parallel
    Parallel,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum JobLogSync {
    /// After each record
    Each,
    /// Once a second, and at the end
    #[default]
    Batch,
    /// Never: what was written still survives the end of this program, not that of the machine
    Off,
}

/// What tasks share. Each is made for this command, granted to each of its tasks under its name, and gone
/// with it.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::SHARED)]
pub struct SharedOptions {
    /// A queue that holds CAPACITY items [default: 1024]; may be repeated, as all of these
    #[arg(long = "queue", value_name = "NAME[:CAPACITY]", value_parser = values::name_and_capacity)]
    pub queues: Vec<(String, Option<u32>)>,
    /// A lock
    #[arg(long = "lock", value_name = "NAME")]
    pub locks: Vec<String>,
    /// A semaphore with N permits
    #[arg(long = "semaphore", value_name = "NAME:N", value_parser = values::name_and_count)]
    pub semaphores: Vec<(String, u32)>,
    /// An event, not set
    #[arg(long = "event", value_name = "NAME")]
    pub events: Vec<String>,
    /// A barrier for N parties
    #[arg(long = "barrier", value_name = "NAME:N", value_parser = values::name_and_count)]
    pub barriers: Vec<(String, u32)>,
}

/// Queues that begin or end outside of the tasks.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = help::SHARED)]
pub struct StreamOptions {
    /// Put each line of standard input into this --queue while the tasks run, and close it at the end of the
    /// input: a line is JSON if it parses as JSON, otherwise a string
    #[arg(long, value_name = "NAME")]
    pub feed: Option<String>,
    /// Print what tasks put into this --queue on standard output, as it comes: a line of JSON each, between
    /// the lines of the results
    #[arg(long, value_name = "NAME")]
    pub drain: Option<String>,
}

#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "What we say on standard error")]
pub struct CommonOptions {
    /// Say more: what guests log, with the task's name, and a summary; twice or three times for details
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Read options from FILE instead of wasmpool/config.toml in $XDG_CONFIG_HOME or ~/.config; empty for none. `wasmpool
    /// help config` says how
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Format of log records. The variable RUST_LOG chooses which are shown, whatever -v says, by level, by origin and
    /// by task: `warn,wasmpool::guest=debug`, `[task{task=resize.*}]=trace`
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// When to use colours
    #[arg(long, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for a person
    #[default]
    Text,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Progress {
    /// A bar where standard error is a terminal, elsewhere a line after 10 s, and again after twice the time
    #[default]
    Auto,
    /// The same, also with -q
    Bar,
    /// Lines, the first after a second, also with -q
    Lines,
    /// Nothing
    None,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Sandbox {
    /// Without every layer that this machine can give nothing runs
    #[default]
    Required,
    /// Missing layers are left out; the records say which stood
    BestEffort,
    /// No sandbox: a guest that breaks out of WebAssembly can do what you can
    Off,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StartMethodName {
    /// Forked from a process that holds the loaded module
    Forkserver,
    /// A new process that loads the module itself: slower from the second on, with an address layout of its own
    Spawn,
}
