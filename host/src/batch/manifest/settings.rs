//! What a task may use and touch: the keys that `[defaults]` and each `[[task]]` have in common.

#![forbid(unsafe_code)]

use std::time::Duration;

use super::mistake::At;
use super::reader::{Reader, in_order};
use crate::limits::RETRIES_MAX;
use crate::policy::{DirAccess, SandboxMode};
use crate::retry::OutcomeClasses;

/// What a task may use and touch, as far as it was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Limits and retries.
    pub bounds: Bounds,
    /// Higher starts first.
    pub priority: Option<i32>,
    /// The file that is its standard input.
    pub stdin: Option<At<String>>,
    /// What a WASI command sees as its own name.
    pub argv0: Option<String>,
    /// Directories.
    pub dirs: Vec<At<Dir>>,
    /// Single files.
    pub files: Vec<At<Dir>>,
    /// What may be reached by the network, as `--net` takes it.
    pub nets: Vec<At<String>>,
    /// Environment variables; without a value, the one that is here.
    pub env: Vec<(At<String>, Option<String>)>,
    /// Files of environment variables.
    pub env_files: Vec<At<String>>,
    /// Every environment variable that is here.
    pub inherit_env: bool,
    /// Names of queues, locks and the like.
    pub shared: Vec<At<String>>,
}

/// Limits and retries, as far as they were said: by a task, a command line or `[defaults]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Wall-clock time.
    pub timeout: Option<Duration>,
    /// CPU time.
    pub cpu_time: Option<Duration>,
    /// Instructions.
    pub fuel: Option<u64>,
    /// Bytes of linear memory.
    pub max_memory: Option<u64>,
    /// Bytes of standard output and error.
    pub max_output: Option<u64>,
    /// How long it may go on when it was asked to stop.
    pub grace_period: Option<Duration>,
    /// How long its module may take to be initialised.
    pub init_timeout: Option<Duration>,
    /// How often it is tried again.
    pub retries: Option<u32>,
    /// After which endings.
    pub retry_on: Option<OutcomeClasses>,
    /// Time before the second attempt; none is no wait at all.
    pub retry_delay: Option<Duration>,
    /// How many workers it may kill before it is given up.
    pub quarantine_after: Option<u32>,
    /// How much of the sandbox must be there.
    pub sandbox: Option<SandboxMode>,
}

impl Bounds {
    /// What was said here, and for the rest what was said there.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            timeout: self.timeout.or(other.timeout),
            cpu_time: self.cpu_time.or(other.cpu_time),
            fuel: self.fuel.or(other.fuel),
            max_memory: self.max_memory.or(other.max_memory),
            max_output: self.max_output.or(other.max_output),
            grace_period: self.grace_period.or(other.grace_period),
            init_timeout: self.init_timeout.or(other.init_timeout),
            retries: self.retries.or(other.retries),
            retry_on: self.retry_on.or(other.retry_on),
            retry_delay: self.retry_delay.or(other.retry_delay),
            quarantine_after: self.quarantine_after.or(other.quarantine_after),
            sandbox: self.sandbox.or(other.sandbox),
        }
    }
}

/// A directory or a file, before it is opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dir {
    /// Its path, from the manifest's folder on.
    pub host: String,
    /// Where the guest sees it.
    pub guest: String,
    /// What the guest may do there.
    pub access: DirAccess,
}

const FILE: &str = "{ host = \"words.txt\", guest = \"/words.txt\", mode = \"ro\" }";
const DIR: &str = "{ host = \"photos\", guest = \"/photos\", mode = \"ro\" }";

/// Reads the keys that stand in `[defaults]` and in every task.
pub(super) fn read(reader: &mut Reader<'_, '_>) -> Settings {
    let value = |at: Option<At<i64>>| at.map(|at| at.value);
    let fuel = value(reader.number("fuel", 1, i64::MAX)).and_then(|fuel| u64::try_from(fuel).ok());
    let retries = value(reader.number("retries", 0, i64::from(RETRIES_MAX)));
    let quarantine_after = value(reader.number("quarantine_after", 1, i64::from(RETRIES_MAX)));
    let priority = value(reader.number("priority", i64::from(i32::MIN), i64::from(i32::MAX)));
    Settings {
        bounds: Bounds {
            timeout: reader.time("timeout").map(|at| at.value),
            cpu_time: reader.time("cpu_time").map(|at| at.value),
            fuel,
            max_memory: reader.size("max_memory").map(|at| at.value),
            max_output: reader.size("max_output").map(|at| at.value),
            grace_period: reader.time("grace_period").map(|at| at.value),
            init_timeout: reader.time("init_timeout").map(|at| at.value),
            retries: retries.and_then(|retries| u32::try_from(retries).ok()),
            retry_on: retry_on(reader),
            retry_delay: reader.time_or_none("retry_delay").map(|at| at.value),
            quarantine_after: quarantine_after.and_then(|deaths| u32::try_from(deaths).ok()),
            sandbox: sandbox(reader),
        },
        priority: priority.and_then(|priority| i32::try_from(priority).ok()),
        stdin: reader.string("stdin"),
        argv0: reader.string("argv0").map(|at| at.value),
        dirs: paths(reader, "dirs", DIR),
        files: paths(reader, "files", FILE),
        nets: reader.strings("nets"),
        env: env(reader),
        env_files: reader.strings("env_files"),
        inherit_env: reader.boolean("inherit_env").is_some_and(|at| at.value),
        shared: reader.strings("shared"),
    }
}

/// The modes of the sandbox, by their names here and on the command line.
pub(super) const SANDBOX_MODES: &[(&str, SandboxMode)] = &[
    ("required", SandboxMode::Required),
    ("best-effort", SandboxMode::BestEffort),
    ("off", SandboxMode::Off),
];

fn sandbox(reader: &mut Reader<'_, '_>) -> Option<SandboxMode> {
    let word = reader.string("sandbox")?;
    let found = SANDBOX_MODES.iter().find(|(name, _)| *name == word.value);
    if found.is_none() {
        let names: Vec<String> = SANDBOX_MODES.iter().map(|(name, _)| format!("\"{name}\"")).collect();
        let message =
            format!("`sandbox` is `{}`, where one of {} was expected", word.value, names.join(", "));
        reader.wrong(&word.span, message);
    }
    found.map(|(_, mode)| *mode)
}

/// A list of classes of endings.
fn retry_on(reader: &mut Reader<'_, '_>) -> Option<OutcomeClasses> {
    let words = reader.strings("retry_on");
    for word in &words {
        if let Err(error) = word.value.parse::<OutcomeClasses>() {
            reader.wrong(&word.span, error.to_string());
        }
    }
    let words: Vec<&str> = words.iter().map(|word| word.value.as_str()).collect();
    if words.is_empty() { None } else { words.join(",").parse().ok() }
}

/// Directories or files.
fn paths(reader: &mut Reader<'_, '_>, key: &'static str, example: &str) -> Vec<At<Dir>> {
    let Some(list) = reader.list(key) else { return Vec::new() };
    let mut paths = Vec::new();
    for node in list.value {
        let Some(table) = node.get_ref().as_table() else {
            reader.wrong(&node.span(), format!("each of `{key}` is a table such as {example}"));
            continue;
        };
        let mut inner = Reader::new(table, node.span(), reader.mistakes());
        let (host, guest, mode) = (inner.string("host"), inner.string("guest"), inner.string("mode"));
        let access = match mode.as_ref().map(|mode| mode.value.as_str()) {
            Some("ro") => Some(DirAccess::ReadOnly),
            Some("rw") => Some(DirAccess::ReadWrite),
            Some(_) | None => None,
        };
        if access.is_none() {
            let span = mode.map_or(node.span(), |mode| mode.span);
            inner.wrong(
                &span,
                format!("what is granted says `mode = \"ro\"` (only read) or `\"rw\"`: {example}"),
            );
        }
        if host.is_none() {
            inner.wrong(&node.span(), format!("what is granted has a `host`: {example}"));
        }
        inner.finish(|_| None);
        if let (Some(host), Some(access)) = (host, access) {
            let guest = guest.map_or_else(|| host.value.clone(), |guest| guest.value);
            paths.push(At::new(Dir { host: host.value, guest, access }, node.span()));
        }
    }
    paths
}

fn env(reader: &mut Reader<'_, '_>) -> Vec<(At<String>, Option<String>)> {
    let Some(table) = reader.table("env", "env = { LANG = \"C\", HOME = true }") else { return Vec::new() };
    let mut env = Vec::new();
    for (name, node) in in_order(table.value) {
        let value = node.get_ref();
        let value = match (value.as_str(), value.as_bool()) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(true)) => None,
            _ => {
                let message = "a variable's value is a text, or true for the value that it has here";
                reader.wrong(&node.span(), message);
                continue;
            }
        };
        env.push((name.map(str::to_owned), value));
    }
    env
}
