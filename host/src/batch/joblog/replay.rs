//! One task of a job log, to be made again as it was. Pure: lines in, a description out.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::key::Key;
use super::record::LimitFields;
use crate::limits::Limits;
use crate::policy::{DirAccess, NetAccess, SandboxMode};

/// Why a task of a log cannot be run again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    /// A line that is no record.
    #[error("line {line} is no record of a job log: {reason}")]
    NoRecord {
        /// Its number, from 1.
        line: u64,
        /// What is wrong.
        reason: String,
    },
    /// No attempt at an input of this number.
    #[error("no task {0} was started")]
    NotFound(u64),
    /// Its start names a shape that is not there.
    #[error("what task {0} had in common with others is not in the log")]
    NoShape(u64),
    /// Its arguments are too long for a log.
    #[error("the arguments of task {seq} have {bytes} bytes; the log has only their digest")]
    Omitted {
        /// The task.
        seq: u64,
        /// How long they are.
        bytes: u64,
    },
}

/// What a task was called with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedArgs {
    /// JSON.
    Json(String),
    /// Raw bytes that are a text.
    Text(String),
    /// A command line.
    Argv(Vec<String>),
}

/// A task as its log has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Its name.
    pub name: String,
    /// Its name by its content: what is made again has the same.
    pub key: Key,
    /// The module as it was named.
    pub module_path: String,
    /// The SHA-256 of its bytes.
    pub module_sha256: String,
    /// `command`, `task`, `export` or `invoke`.
    pub entry: String,
    /// What of the module is called.
    pub function: String,
    /// With what.
    pub args: RecordedArgs,
    /// Its limits.
    pub limits: Limits,
    /// Its directories.
    pub dirs: Vec<(PathBuf, String, DirAccess)>,
    /// Its files.
    pub files: Vec<(PathBuf, String, DirAccess)>,
    /// Its addresses of the network.
    pub nets: Vec<(NetAccess, String, u16)>,
    /// The names of its environment variables.
    pub env: Vec<String>,
    /// The names of its shared objects.
    pub objects: Vec<String>,
    /// Its standard input: `empty`, `unknown`, or `sha256:` with a digest.
    pub stdin: String,
    /// The file that was its standard input.
    pub stdin_path: Option<String>,
    /// What its random numbers were made from, if its clocks were fixed.
    pub deterministic: Option<u64>,
    /// How much of the sandbox had to stand.
    pub sandbox: SandboxMode,
    /// How it ended last: the outcome and its exit code.
    pub ended: Option<(String, u8)>,
}

#[derive(Clone, Deserialize)]
struct Shape {
    module_path: String,
    module_sha256: String,
    entry: String,
    #[serde(default)]
    function: String,
    limits: LimitFields,
    dirs: Vec<Dir>,
    files: Vec<Dir>,
    nets: Vec<Net>,
    env: Vec<String>,
    objects: Vec<Object>,
    stdin: String,
    stdin_path: Option<String>,
    deterministic: Option<u64>,
    sandbox: String,
}

#[derive(Clone, Deserialize)]
struct Dir {
    host: PathBuf,
    guest: String,
    access: String,
}

#[derive(Clone, Deserialize)]
struct Net {
    access: String,
    host: String,
    port: u16,
}

#[derive(Clone, Deserialize)]
struct Object {
    name: String,
}

/// The fields by which a record is known, and those of a start and an end.
#[derive(Deserialize)]
struct Fields {
    shape: Option<u32>,
    module_sha256: Option<serde::de::IgnoredAny>,
    seq: Option<u64>,
    name: Option<String>,
    key: Option<String>,
    outcome: Option<String>,
    exit_code: Option<u8>,
    args: Option<Box<RawValue>>,
    args_text: Option<String>,
    argv: Option<Vec<String>>,
    args_bytes: Option<u64>,
}

/// Looks for a task among the lines of a log. Of several starts with one number the last counts.
pub struct Search {
    seq: u64,
    lines: u64,
    shapes: HashMap<u32, Shape>,
    start: Option<Fields>,
    ended: Option<(String, u8)>,
}

impl std::fmt::Debug for Search {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Search").field("seq", &self.seq).field("lines", &self.lines).finish_non_exhaustive()
    }
}

impl Search {
    /// For the input of this number.
    #[must_use]
    pub fn new(seq: u64) -> Self {
        Self { seq, lines: 0, shapes: HashMap::new(), start: None, ended: None }
    }

    /// The next whole line, without its end.
    ///
    /// # Errors
    ///
    /// When it is no record.
    pub fn line(&mut self, line: &[u8]) -> Result<(), ReplayError> {
        self.lines += 1;
        let number = self.lines;
        let wrong =
            |error: serde_json::Error| ReplayError::NoRecord { line: number, reason: error.to_string() };
        let fields: Fields = serde_json::from_slice(line).map_err(wrong)?;
        if let (Some(shape), Some(_)) = (fields.shape, &fields.module_sha256) {
            self.shapes.insert(shape, serde_json::from_slice(line).map_err(wrong)?);
        } else if fields.seq == Some(self.seq) && fields.key.is_some() {
            match (&fields.outcome, fields.exit_code) {
                (Some(outcome), Some(code)) => self.ended = Some((outcome.clone(), code)),
                _ => {
                    self.start = Some(fields);
                    self.ended = None;
                }
            }
        }
        Ok(())
    }

    /// What was found.
    ///
    /// # Errors
    ///
    /// When there is no such task, or its arguments are not in the log.
    pub fn finish(self) -> Result<Recorded, ReplayError> {
        let Self { seq, mut shapes, start, ended, .. } = self;
        let start = start.ok_or(ReplayError::NotFound(seq))?;
        let shape = start.shape.and_then(|shape| shapes.remove(&shape)).ok_or(ReplayError::NoShape(seq))?;
        let key = start.key.as_deref().and_then(Key::parse).ok_or(ReplayError::NotFound(seq))?;
        let args = match (start.args, start.args_text, start.argv) {
            (Some(json), ..) => RecordedArgs::Json(json.get().to_owned()),
            (_, Some(text), _) => RecordedArgs::Text(text),
            (_, _, Some(argv)) => RecordedArgs::Argv(argv),
            _ => return Err(ReplayError::Omitted { seq, bytes: start.args_bytes.unwrap_or(0) }),
        };
        let access = |text: &str| if text == "rw" { DirAccess::ReadWrite } else { DirAccess::ReadOnly };
        let granted = |dirs: Vec<Dir>| {
            let dirs = dirs.into_iter().map(|dir| (dir.host, dir.guest, access(&dir.access)));
            dirs.collect::<Vec<_>>()
        };
        let net = |net: Net| {
            let access = match net.access.as_str() {
                "udp" => NetAccess::Udp,
                "tcp-listen" => NetAccess::TcpListen,
                _ => NetAccess::TcpConnect,
            };
            (access, net.host, net.port)
        };
        Ok(Recorded {
            name: start.name.unwrap_or_default(),
            key,
            module_path: shape.module_path,
            module_sha256: shape.module_sha256,
            entry: shape.entry,
            function: shape.function,
            args,
            limits: shape.limits.into(),
            dirs: granted(shape.dirs),
            files: granted(shape.files),
            nets: shape.nets.into_iter().map(net).collect(),
            env: shape.env,
            objects: shape.objects.into_iter().map(|object| object.name).collect(),
            stdin: shape.stdin,
            stdin_path: shape.stdin_path,
            deterministic: shape.deterministic,
            sandbox: match shape.sandbox.as_str() {
                "off" => SandboxMode::Off,
                "best-effort" => SandboxMode::BestEffort,
                _ => SandboxMode::Required,
            },
            ended,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::batch::joblog::key::tests::task;
    use crate::batch::joblog::record::{Entry, Origin, RunInfo, Start, arguments, end_line, run_line};
    use crate::batch::joblog::record::{shape_line, start_line};

    fn search(lines: &[Vec<u8>], seq: u64) -> Result<Recorded, ReplayError> {
        let mut search = Search::new(seq);
        lines.iter().try_for_each(|line| search.line(line.trim_ascii_end()))?;
        search.finish()
    }

    fn log() -> Vec<Vec<u8>> {
        let mut task = task();
        task.limits.timeout = Some(Duration::from_millis(1500));
        let origin = Origin {
            module_path: "a/squares.wasm".to_owned(),
            stdin: "sha256:12".to_owned(),
            stdin_path: Some("in.txt".to_owned()),
        };
        let entry = |seq| Entry {
            seq,
            is_daemon: false,
            key: Key::of(&task, &origin.stdin),
            shape: 3,
            arguments: arguments(&task),
        };
        let start = Start { name: "square#1", attempt: 1, pid: None, worker: 1, at: UNIX_EPOCH };
        let end = b"{\"seq\":1,\"outcome\":\"failed\",\"exit_code\":1}\n";
        vec![
            run_line(&RunInfo::default(), 1, UNIX_EPOCH),
            shape_line(&task, &origin, Some(3)),
            start_line(&entry(1), start),
            end_line(end, Some(&entry(1)), None),
            start_line(&entry(2), start),
        ]
    }

    #[test]
    fn a_task_is_read_as_it_was_written() {
        let recorded = search(&log(), 1).unwrap();
        let timeout = Some(Duration::from_millis(1500));
        assert_eq!(recorded.limits, Limits { timeout, ..Limits::default() });
        assert_eq!(recorded.args, RecordedArgs::Json("[1]".to_owned()));
        assert_eq!(recorded.dirs, [("/data".into(), "/in".to_owned(), DirAccess::ReadOnly)]);
        assert_eq!(recorded.files, task().files);
        assert_eq!(recorded.nets, task().nets);
        assert_eq!((recorded.env, recorded.objects), (vec!["TOKEN".to_owned()], vec!["jobs".to_owned()]));
        assert_eq!((recorded.entry.as_str(), recorded.function.as_str()), ("task", "square"));
        assert_eq!((recorded.stdin.as_str(), recorded.stdin_path.as_deref()), ("sha256:12", Some("in.txt")));
        assert_eq!(recorded.ended, Some(("failed".to_owned(), 1)));
        assert_eq!(search(&log(), 2).unwrap().ended, None);
    }

    #[test]
    fn what_cannot_be_made_again_is_said() {
        assert_eq!(search(&log(), 3), Err(ReplayError::NotFound(3)));
        let mut without_shape = log();
        without_shape.remove(1);
        assert_eq!(search(&without_shape, 1), Err(ReplayError::NoShape(1)));
        let mut long = log();
        let text = String::from_utf8(long[2].clone()).unwrap();
        long[2] = text.replace("\"args\":[1]", "\"args_bytes\":70000,\"args_sha256\":\"ab\"").into_bytes();
        let error = search(&long, 1).unwrap_err().to_string();
        assert_eq!(error, "the arguments of task 1 have 70000 bytes; the log has only their digest");
        assert!(matches!(search(&[b"no".to_vec()], 1), Err(ReplayError::NoRecord { line: 1, .. })));
    }
}
