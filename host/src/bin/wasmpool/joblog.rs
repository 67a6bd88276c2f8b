//! `--joblog`: what ran is written down, and `--resume` runs only what is left.

#![forbid(unsafe_code)]

use std::sync::Arc;

use futures_util::{Stream, StreamExt};
use wasmpool::batch::drive::Input;
use wasmpool::batch::joblog::record::{Origin, RunInfo};
use wasmpool::batch::joblog::{self, Admission, JobLog, JobLogError, Left, Settings};
use wasmpool::exit_code::batch;
use wasmpool::report::json_lines;

use crate::arguments::{JobLogFormat, JobLogOptions, JobLogSync};
use crate::console::Console;
use crate::failure::Failure;

/// A job log that is open, and what its tasks come from.
#[derive(Clone, Debug)]
pub struct Kept {
    pub log: Arc<JobLog>,
    pub origin: Origin,
}

/// Opens the log that the options name for the inputs of one module, and says what it holds.
///
/// # Errors
///
/// When it cannot be had, and when standard input cannot be told from another one.
pub fn open(
    options: &JobLogOptions,
    module: (&str, &str),
    stdin: Option<&std::path::Path>,
    with_output: bool,
    console: &Console,
) -> Result<Option<Kept>, Failure> {
    if options.joblog.is_none() {
        return Ok(None);
    }
    let (module_path, digest) = module;
    let origin =
        origin(module_path, stdin, options.resume).map_err(|message| Failure::new(batch::USAGE, message))?;
    let log = open_log(options, &[(module_path, digest.to_owned())], with_output, console)?;
    Ok(log.map(|log| Kept { log, origin }))
}

/// Opens the log that the options name for tasks of these modules, each with its digest, and says what it holds.
///
/// # Errors
///
/// When it cannot be had.
pub fn open_log(
    options: &JobLogOptions,
    modules: &[(&str, String)],
    with_output: bool,
    console: &Console,
) -> Result<Option<Arc<JobLog>>, Failure> {
    let Some(path) = &options.joblog else { return Ok(None) };
    if options.resume && options.joblog_format == JobLogFormat::Parallel {
        return Err(Failure::new(
            batch::USAGE,
            "--resume reads a job log of the format jsonl: leave --joblog-format away",
        ));
    }
    let settings = Settings {
        format: match options.joblog_format {
            JobLogFormat::Jsonl => joblog::Format::Jsonl,
            JobLogFormat::Parallel => joblog::Format::Parallel,
        },
        sync: match options.joblog_sync {
            JobLogSync::Each => joblog::Sync::Each,
            JobLogSync::Batch => joblog::Sync::Batch,
            JobLogSync::Off => joblog::Sync::Off,
        },
        resume: options.resume,
        run: RunInfo {
            command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
            retry_failed: options.retry_failed,
        },
    };
    let (log, left) = JobLog::open(path, settings, modules, json_lines::line).map_err(failure)?;
    if let Some(said) = said(left, options.retry_failed) {
        console.say(&format!("{}: {said}", path.display()));
    }
    Ok(Some(Arc::new(log.with_output(with_output))))
}

/// The failure of the job log; never, when there is none, or when it was told.
pub async fn lost(log: Option<&Arc<JobLog>>, is_told: bool) -> String {
    match log {
        Some(log) if !is_told => log.failed().await,
        _ => std::future::pending().await,
    }
}

fn failure(error: JobLogError) -> Failure {
    let code = match error {
        JobLogError::Exists(_) | JobLogError::Recover { .. } | JobLogError::ModuleChanged { .. } => {
            batch::USAGE
        }
        JobLogError::Open { .. } | JobLogError::InUse(_) | JobLogError::Write { .. } => batch::NOT_SET_UP,
    };
    Failure::new(code, error.to_string())
}

fn origin(module_path: &str, stdin: Option<&std::path::Path>, resume: bool) -> Result<Origin, String> {
    let (stdin, stdin_path) = match stdin {
        None => ("empty".to_owned(), None),
        Some(path) if path.as_os_str() == "-" && resume => {
            return Err(
                "--resume cannot tell whether standard input is what it was: give --stdin a file".to_owned()
            );
        }
        Some(path) if path.as_os_str() == "-" => ("unknown".to_owned(), None),
        Some(path) => {
            let digest = joblog::digest_of_file(path)
                .map_err(|error| format!("cannot read `{}` for --stdin: {error}", path.display()))?;
            (format!("sha256:{digest}"), Some(path.display().to_string()))
        }
    };
    Ok(Origin { module_path: module_path.to_owned(), stdin, stdin_path })
}

/// What earlier runs left, in words.
fn said(left: Left, retry_failed: bool) -> Option<String> {
    let Left { runs, finished, failed, cut_off, torn_bytes } = left;
    let mut parts = Vec::new();
    if torn_bytes > 0 {
        parts.push(format!("a record that was never whole is removed from its end ({torn_bytes} bytes)"));
    }
    if runs > 0 {
        let tasks = |count: u64| format!("{count} {}", if count == 1 { "task" } else { "tasks" });
        let again = match (failed, retry_failed) {
            (0, _) => String::new(),
            (failed, false) => format!(", {failed} of them failed (--retry-failed runs those again)"),
            (failed, true) => format!(", {failed} of them failed and may run again"),
        };
        parts.push(format!("{} finished{again}", tasks(finished)));
        if cut_off > 0 {
            parts.push(format!("{} cut off", tasks(cut_off)));
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The inputs, without running those again that an earlier run has finished.
pub fn admitted(
    inputs: impl Stream<Item = Input> + Send + Unpin + 'static,
    kept: Option<Kept>,
) -> impl Stream<Item = Input> + Send + Unpin + 'static {
    let mut seq = 0;
    inputs.map(move |input| {
        seq += 1;
        let (Some(Kept { log, origin }), Input::Task(task)) = (&kept, &input) else { return input };
        match log.admit(seq, task, origin) {
            Admission::Run => input,
            Admission::Kept(exit_code) => Input::Kept { exit_code },
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_said_in_one_line() {
        let nothing = Left::default();
        assert_eq!(said(nothing, false), None);
        let one = Left { runs: 1, finished: 1, ..nothing };
        assert_eq!(said(one, false).unwrap(), "1 task finished");
        let all = Left { runs: 2, finished: 40, failed: 2, cut_off: 1, torn_bytes: 57 };
        assert_eq!(
            said(all, false).unwrap(),
            "a record that was never whole is removed from its end (57 bytes); 40 tasks finished, 2 of them failed \
             (--retry-failed runs those again); 1 task cut off"
        );
        assert!(said(all, true).unwrap().contains("2 of them failed and may run again"));
    }

    #[test]
    fn standard_input_that_cannot_be_read_twice_is_not_resumed() {
        let dash = std::path::Path::new("-");
        assert_eq!(origin("m", Some(dash), false).unwrap().stdin, "unknown");
        assert!(origin("m", Some(dash), true).unwrap_err().contains("give --stdin a file"));
        assert_eq!(origin("m", None, true).unwrap().stdin, "empty");
    }
}
