//! The records of a job log as lines. Pure: values in, bytes out.
//!
//! | record | is known by | says |
//! |---|---|---|
//! | run | `joblog` | which program began (or went on) when, with which command line |
//! | shape | `module_sha256` | what tasks have in common: module, entry, limits, grants; others name it by its number, `shape` |
//! | start | `key`, no `outcome` | an attempt was acknowledged by its worker; its arguments |
//! | end | `outcome` | how an attempt ended, with the fields of `--format jsonl`; `retry_ms` when another one follows |
//!
//! Those of a task that runs beside a batch have its number as `daemon`, and no `seq`.

#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::key::{Key, access_label, env_digest, net_label, sha256};
use crate::TaskDescription;
use crate::limits::{JOBLOG_ARGUMENT_BYTES_MAX, Limits};
use crate::outcome::{Encoding, Outcome, Record};
use crate::policy::{DirAccess, SandboxMode};

/// The version of the format, in the first field of a run's record.
pub const VERSION: u32 = 1;

/// What a run is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunInfo {
    /// The command line, the program first.
    pub command: Vec<String>,
    /// What failed in earlier runs is run again.
    pub retry_failed: bool,
}

#[derive(Serialize)]
struct RunLine<'a> {
    joblog: u32,
    program: &'static str,
    pid: u32,
    at: f64,
    retry_failed: bool,
    command: &'a [String],
}

/// The first record of a run.
#[must_use]
pub fn run_line(run: &RunInfo, pid: u32, at: SystemTime) -> Vec<u8> {
    line(&RunLine {
        joblog: VERSION,
        program: concat!("wasmpool ", env!("CARGO_PKG_VERSION")),
        pid,
        at: seconds(at),
        retry_failed: run.retry_failed,
        command: &run.command,
    })
}

/// Where the parts of a task came from that it does not know itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The module as it was named.
    pub module_path: String,
    /// Standard input: `empty`, `unknown`, or `sha256:` with the digest of the file.
    pub stdin: String,
    /// The file that is standard input.
    pub stdin_path: Option<String>,
}

#[derive(Serialize)]
struct ShapeLine<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<u32>,
    module: &'a str,
    module_path: &'a str,
    module_sha256: &'a str,
    entry: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    function: &'a str,
    limits: LimitFields,
    dirs: Vec<DirField<'a>>,
    files: Vec<DirField<'a>>,
    nets: Vec<NetField<'a>>,
    env: Vec<&'a str>,
    env_sha256: String,
    objects: Vec<ObjectField<'a>>,
    stdin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdin_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deterministic: Option<u64>,
    sandbox: &'a str,
}

#[derive(Serialize)]
struct DirField<'a> {
    host: std::borrow::Cow<'a, str>,
    guest: &'a str,
    access: &'a str,
}

#[derive(Serialize)]
struct NetField<'a> {
    access: &'a str,
    host: &'a str,
    port: u16,
}

#[derive(Serialize)]
struct ObjectField<'a> {
    name: &'a str,
    kind: &'a str,
}

/// Limits as a shape has them.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct LimitFields {
    timeout_ms: Option<u64>,
    cpu_time_ms: Option<u64>,
    fuel: Option<u64>,
    memory_bytes: u64,
    table_elements: u64,
    instances: u32,
    stack_bytes: u32,
    output_bytes: u64,
    streamed_output_bytes: Option<u64>,
    argument_bytes: u64,
    result_bytes: u64,
    log_bytes: u64,
    grace_period_ms: u64,
    /// Missing in logs of programs that did not know of it.
    #[serde(default = "init_timeout_ms")]
    init_timeout_ms: u64,
}

fn init_timeout_ms() -> u64 {
    ms(Limits::default().init_timeout)
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl From<&Limits> for LimitFields {
    fn from(limits: &Limits) -> Self {
        Self {
            timeout_ms: limits.timeout.map(ms),
            cpu_time_ms: limits.cpu_time.map(ms),
            fuel: limits.fuel,
            memory_bytes: limits.memory_bytes,
            table_elements: limits.table_elements,
            instances: limits.instances,
            stack_bytes: limits.stack_bytes,
            output_bytes: limits.output_bytes,
            streamed_output_bytes: limits.streamed_output_bytes,
            argument_bytes: limits.argument_bytes,
            result_bytes: limits.result_bytes,
            log_bytes: limits.log_bytes,
            grace_period_ms: ms(limits.grace_period),
            init_timeout_ms: ms(limits.init_timeout),
        }
    }
}

impl From<LimitFields> for Limits {
    fn from(fields: LimitFields) -> Self {
        Self {
            timeout: fields.timeout_ms.map(Duration::from_millis),
            cpu_time: fields.cpu_time_ms.map(Duration::from_millis),
            fuel: fields.fuel,
            memory_bytes: fields.memory_bytes,
            table_elements: fields.table_elements,
            instances: fields.instances,
            stack_bytes: fields.stack_bytes,
            output_bytes: fields.output_bytes,
            streamed_output_bytes: fields.streamed_output_bytes,
            argument_bytes: fields.argument_bytes,
            result_bytes: fields.result_bytes,
            log_bytes: fields.log_bytes,
            grace_period: Duration::from_millis(fields.grace_period_ms),
            init_timeout: Duration::from_millis(fields.init_timeout_ms),
        }
    }
}

/// The record of what tasks have in common; without its number, the text that tells shapes apart.
#[must_use]
pub fn shape_line(task: &TaskDescription, origin: &Origin, shape: Option<u32>) -> Vec<u8> {
    let nets = task.nets.iter().map(|(access, host, port)| NetField {
        access: net_label(*access),
        host,
        port: *port,
    });
    line(&ShapeLine {
        shape,
        module: &task.module,
        module_path: &origin.module_path,
        module_sha256: &task.module_digest,
        entry: task.entry,
        function: &task.function,
        limits: (&task.limits).into(),
        dirs: granted(&task.dirs),
        files: granted(&task.files),
        nets: nets.collect(),
        env: task.env.iter().map(|(name, _)| name.as_str()).collect(),
        env_sha256: env_digest(task),
        objects: task.objects.iter().map(|(name, kind)| ObjectField { name, kind }).collect(),
        stdin: &origin.stdin,
        stdin_path: origin.stdin_path.as_deref(),
        deterministic: task.deterministic,
        sandbox: match task.sandbox {
            SandboxMode::Required => "required",
            SandboxMode::BestEffort => "best-effort",
            SandboxMode::Off => "off",
        },
    })
}

/// Directories or files.
fn granted(granted: &[(PathBuf, String, DirAccess)]) -> Vec<DirField<'_>> {
    let fields = granted.iter().map(|(host, guest, access)| DirField {
        host: host.to_string_lossy(),
        guest,
        access: access_label(*access),
    });
    fields.collect()
}

/// The arguments of a task, as its start records have them: whole, or as a digest when they are long.
#[must_use]
pub fn arguments(task: &TaskDescription) -> String {
    #[derive(Serialize)]
    struct Long {
        args_bytes: usize,
        args_sha256: String,
    }
    let (encoding, bytes) = &task.args;
    let argv_bytes: usize = task.argv.iter().map(String::len).sum();
    let text = std::str::from_utf8(bytes).ok();
    let json = text.filter(|_| *encoding == Encoding::Json);
    let json = json.and_then(|text| serde_json::from_str::<&RawValue>(text).ok());
    let fields = if task.entry == "command" && argv_bytes <= JOBLOG_ARGUMENT_BYTES_MAX {
        serde_json::json!({ "argv": task.argv }).to_string()
    } else if task.entry == "command" {
        let all = task.argv.join("\0");
        object(&Long { args_bytes: argv_bytes, args_sha256: sha256(all.as_bytes()) })
    } else if bytes.len() > JOBLOG_ARGUMENT_BYTES_MAX {
        object(&Long { args_bytes: bytes.len(), args_sha256: sha256(bytes) })
    } else if let Some(json) = json {
        // Line breaks can only stand between tokens.
        format!("{{\"args\":{}}}", json.get().replace(['\n', '\r'], " "))
    } else if let Some(text) = text {
        serde_json::json!({ "args_text": text }).to_string()
    } else {
        object(&Long { args_bytes: bytes.len(), args_sha256: sha256(bytes) })
    };
    // Without the braces, to be put among other fields.
    fields[1..fields.len() - 1].to_owned()
}

/// What start and end records say of their task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The input's number, or the daemon's.
    pub seq: u64,
    /// It runs beside the batch, and is none of its inputs.
    pub is_daemon: bool,
    /// Its name by its content.
    pub key: Key,
    /// The record of what it has in common with others.
    pub shape: u32,
    /// Its arguments, from [`arguments`].
    pub arguments: String,
}

/// What is known of an attempt that begins.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// The task's name.
    pub name: &'a str,
    /// 1 for the first try.
    pub attempt: u32,
    /// The worker's process id.
    pub pid: Option<u32>,
    /// The worker's number.
    pub worker: u64,
    /// When.
    pub at: SystemTime,
}

/// The record of a start.
#[must_use]
pub fn start_line(entry: &Entry, start: Start<'_>) -> Vec<u8> {
    #[derive(Serialize)]
    struct StartLine<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<u64>,
        #[serde(skip_serializing_if = "Option::is_none")]
        daemon: Option<u64>,
        name: &'a str,
        attempt: u32,
        pid: Option<u32>,
        worker: u64,
        started_at: f64,
        key: String,
        shape: u32,
    }
    let Start { name, attempt, pid, worker, at } = start;
    let (key, started_at) = (entry.key.to_string(), seconds(at));
    let (seq, daemon) = if entry.is_daemon { (None, Some(entry.seq)) } else { (Some(entry.seq), None) };
    let start = StartLine { seq, daemon, name, attempt, pid, worker, started_at, key, shape: entry.shape };
    with_fields(&object(&start), &entry.arguments)
}

/// The record of an end: the line of `--format jsonl` with more fields. `None` for an input that never became a task.
#[must_use]
pub fn end_line(jsonl: &[u8], entry: Option<&Entry>, retry: Option<Duration>) -> Vec<u8> {
    let mut jsonl = String::from_utf8_lossy(jsonl).into_owned();
    if entry.is_some_and(|entry| entry.is_daemon) {
        // The first field.
        jsonl = jsonl.replacen("{\"seq\":", "{\"daemon\":", 1);
    }
    let mut fields = Vec::new();
    if let Some(entry) = entry {
        fields.push(format!("\"key\":\"{}\",\"shape\":{}", entry.key, entry.shape));
    }
    if let Some(retry) = retry {
        fields.push(format!("\"retry_ms\":{}", retry.as_millis()));
    }
    with_fields(jsonl.trim_end(), &fields.join(","))
}

/// The header of GNU parallel's format.
pub const PARALLEL_HEADER: &str =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// A line of GNU parallel's format.
#[must_use]
pub fn parallel_line(seq: u64, record: &Record, sent: usize, command: &str) -> Vec<u8> {
    let received = match &record.outcome {
        Outcome::Succeeded(value) => value.bytes().len(),
        _ => record.stdout.len(),
    };
    let signal = if let Outcome::Killed(signal) = record.outcome { signal } else { 0 };
    let start = seconds(record.started_at.unwrap_or(record.queued_at));
    let (time, code) = (record.wall_time.as_secs_f64(), record.outcome.exit_code());
    let command = command.replace(['\t', '\n', '\r'], " ");
    format!("{seq}\t:\t{start:.3}\t{time:10.3}\t{sent}\t{received}\t{code}\t{signal}\t{command}\n")
        .into_bytes()
}

/// Seconds since 1970, with microseconds as the fraction.
fn seconds(time: SystemTime) -> f64 {
    (time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e6).round() / 1e6
}

fn object<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("texts and numbers always have JSON")
}

fn line<T: Serialize>(value: &T) -> Vec<u8> {
    with_fields(&object(value), "")
}

/// An object with more fields, as a line.
fn with_fields(object: &str, fields: &str) -> Vec<u8> {
    let head = object.strip_suffix('}').expect("an object ends with its brace");
    let comma = if fields.is_empty() || head.ends_with('{') { "" } else { "," };
    format!("{head}{comma}{fields}}}\n").into_bytes()
}

#[cfg(test)]
mod tests;
