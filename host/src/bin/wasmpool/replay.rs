//! `wasmpool replay`: one task of a job log once more, with the same inputs, limits and grants, or not at all.

#![forbid(unsafe_code)]

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use wasmpool::batch::joblog::digest_of_file;
use wasmpool::batch::joblog::key::Key;
use wasmpool::batch::joblog::replay::{Recorded, RecordedArgs, ReplayError, Search};
use wasmpool::limits::JOBLOG_RECORD_BYTES_MAX;
use wasmpool::{Args, GrantedDir, GrantedFile, GrantedNet, Module, Policy, Stdin, Target, Task, exit_code};

use crate::arguments::Replay;
use crate::console::Console;
use crate::failure::{Failure, OrFailWith};
use crate::grants;
use crate::interrupt::Signals;
use crate::module_path;
use crate::run::{self, Call};
use crate::session;
use crate::streams::{self, Shown};

/// Runs the task and returns its code.
///
/// # Errors
///
/// Code 246 when the log does not hold the task, or something that it had is not there any more; 126 and 127 for the
/// module.
pub fn replay(replay: &Replay, console: &Arc<Console>) -> Result<u8, Failure> {
    let recorded = search(&replay.log, replay.number)
        .map_err(|error| usage(format!("cannot read the job log `{}`: {error}", replay.log.display())))?;
    if let Some(name) = recorded.objects.first() {
        let message =
            format!("`{}` shared `{name}` with other tasks, which are not there now", recorded.name);
        return Err(usage(message));
    }
    let path = module_path::find(Path::new(&recorded.module_path), replay.common.quiet)?;
    session::block_on(async {
        let mut signals = Signals::listen()?;
        let supervisor = session::supervisor(&replay.compile)?;
        let module = session::load(&supervisor, &replay.compile, &path, &mut signals).await?;
        if module.digest() != recorded.module_sha256 {
            return Err(usage(format!(
                "the module `{}` has changed since `{}` ran: bring the old one back",
                path.typed, recorded.name
            )));
        }
        let task = task(replay, &recorded, &module)?;
        let shown = if recorded.entry == "command" { Shown::Through } else { Shown::Prefixed };
        let call = Call { task, shown };
        let code =
            run::execute(call, &supervisor, None, &mut signals, replay.common.verbose, console).await?;
        if let Some((outcome, before)) = &recorded.ended
            && *before != code
        {
            console.say(&format!("it ended with code {code}; its log says {outcome}, code {before}"));
        }
        Ok(code)
    })
}

fn usage(message: String) -> Failure {
    Failure::new(exit_code::USAGE, message)
}

fn search(path: &Path, number: u64) -> Result<Recorded, SearchError> {
    let mut reader = BufReader::new(File::open(path)?);
    let (mut search, mut line) = (Search::new(number), Vec::new());
    loop {
        line.clear();
        let limit = 2 * JOBLOG_RECORD_BYTES_MAX as u64;
        let length = io::Read::take(&mut reader, limit).read_until(b'\n', &mut line)?;
        // A record without its end was never whole.
        if length == 0 || line.pop() != Some(b'\n') {
            return Ok(search.finish()?);
        }
        search.line(&line)?;
    }
}

#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum SearchError {
    Io(#[from] io::Error),
    Replay(#[from] ReplayError),
}

/// The task as it was; an error when it would be another one.
fn task(replay: &Replay, recorded: &Recorded, module: &Module) -> Result<Task, Failure> {
    let target = target(recorded, module)?;
    let mut task = Task::new(&target)
        .name(recorded.name.clone())
        .limits(recorded.limits.clone())
        .policy(Policy { sandbox: recorded.sandbox })
        .stdin(stdin(recorded)?)
        .env(grants::again(&recorded.env, &replay.env).map_err(usage)?);
    task = match &recorded.args {
        RecordedArgs::Json(_) if recorded.entry == "invoke" => task,
        RecordedArgs::Json(text) => task.args(Args::json_text(text.clone())),
        RecordedArgs::Text(text) => task.args(Args::raw(text.clone())),
        RecordedArgs::Argv(argv) => task.argv(argv.clone()),
    };
    if let Some(seed) = recorded.deterministic {
        task = task.deterministic(seed);
    }
    for (host, guest, access) in &recorded.dirs {
        let dir = GrantedDir::open(host, guest, *access).or_fail_with(exit_code::USAGE)?;
        task = task.dir(dir);
    }
    for (host, guest, access) in &recorded.files {
        let file = GrantedFile::open(host, guest, *access).or_fail_with(exit_code::USAGE)?;
        task = task.file(file);
    }
    for (access, host, port) in &recorded.nets {
        let net = GrantedNet::open(*access, host, *port).or_fail_with(exit_code::USAGE)?;
        task = task.net(net);
    }
    let key = task.describe().map(|description| Key::of(&description, &recorded.stdin)).map_err(usage)?;
    if key != recorded.key {
        let names = if recorded.env.is_empty() { String::new() } else { recorded.env.join(", ") };
        let hint = match names.as_str() {
            "" => "its directories lie somewhere else".to_owned(),
            names => format!("give its variables the values that they had, with --env NAME=VALUE: {names}"),
        };
        return Err(usage(format!("`{}` would not be the same task: {hint}", recorded.name)));
    }
    Ok(match replay.deterministic {
        Some(seed) => task.deterministic(seed),
        None => task,
    })
}

fn target(recorded: &Recorded, module: &Module) -> Result<Target, Failure> {
    let target = match recorded.entry.as_str() {
        "command" => module.command(),
        "invoke" => module.invoke(&recorded.function),
        _ => module.task(&recorded.function),
    };
    target.or_fail_with(exit_code::NOT_FOUND)
}

fn stdin(recorded: &Recorded) -> Result<Stdin, Failure> {
    let cannot = |why: &str| usage(format!("the standard input of `{}` {why}", recorded.name));
    match (recorded.stdin.strip_prefix("sha256:"), &recorded.stdin_path) {
        (Some(digest), Some(path)) => {
            let path = Path::new(path);
            let told =
                |error: io::Error| cannot(&format!("cannot be read from `{}`: {error}", path.display()));
            if digest_of_file(path).map_err(told)? != digest {
                return Err(cannot(&format!("was another one: `{}` has changed", path.display())));
            }
            streams::stdin_from(path).map_err(told)
        }
        _ if recorded.stdin == "empty" => Ok(Stdin::Empty),
        _ => Err(cannot("was read from a stream, and is gone")),
    }
}
