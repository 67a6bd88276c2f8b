//! What can be typed for `wasmpool batch`.

#![forbid(unsafe_code)]

use std::num::NonZeroU64;
use std::path::PathBuf;

use super::{
    BatchOptions, CommonOptions, GrantOptions, JobLogOptions, MapFormat, ReportOptions, SharedOptions,
    TaskOptions, values,
};
use crate::help;

#[derive(Debug, clap::Args)]
#[command(args_override_self = true)]
pub struct Batch {
    /// A TOML file with a [[task]] for each task; paths in it begin in its folder
    #[arg(value_name = "MANIFEST.toml", required_unless_present = "schema")]
    pub manifest: Option<PathBuf>,
    /// Check everything, show what would run with all that it may use and touch, and run nothing
    #[arg(long, conflicts_with_all = ["reports", "trace"], help_heading = help::BATCH)]
    pub dry_run: bool,
    /// Run only tasks whose name matches: `resize`, `resize(*,2)`, `test-*`. May be repeated, as --skip. What is left out
    /// counts as done for what comes after it
    #[arg(long, value_name = "PATTERN", help_heading = help::BATCH)]
    pub only: Vec<String>,
    /// Leave out tasks whose name matches
    #[arg(long, value_name = "PATTERN", help_heading = help::BATCH)]
    pub skip: Vec<String>,
    /// Run, and run again whenever the manifest, a module or a file that it names changes, until Ctrl-C
    #[arg(long, conflicts_with_all = ["dry_run", "joblog"], help_heading = help::BATCH)]
    pub watch: bool,
    /// Give up with the Nth failure and let running tasks finish: --halt soon,fail=N
    #[arg(long, value_name = "N", conflicts_with = "halt", value_parser = values::count::<NonZeroU64>, help_heading = help::BATCH)]
    pub max_fail: Option<NonZeroU64>,
    /// What the memory limits of running tasks add up to at most [default: 80 % of what there is]
    #[arg(long, value_name = "SIZE", value_parser = values::size, help_heading = help::BATCH)]
    pub memory_budget: Option<u64>,
    /// What is printed on standard output: results with the names of their tasks, or one full record for each task
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", help_heading = help::BATCH)]
    pub format: MapFormat,
    /// Print the JSON Schema of manifests, for an editor
    #[arg(long, exclusive = true, help_heading = help::BATCH)]
    pub schema: bool,
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
    pub common: CommonOptions,
    /// What the config file says and the manifest may say too, which counts more.
    #[arg(skip)]
    pub below: Option<Box<Batch>>,
}
