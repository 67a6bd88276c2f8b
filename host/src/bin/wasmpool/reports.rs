//! `--report` and `--trace`: the files, from before the first task to the end.
//!
//! While tasks run, a report's pieces go to a file beside it that has no name any more, so nothing is left of it
//! whatever happens. At the end the report is written beside its place and renamed there: it is whole, or what was there
//! before is. What is no plain file (a device, a pipe) is written to as it is. A report that cannot be written
//! stops nothing: results go on, and the code is 106.

#![forbid(unsafe_code)]

mod spool;

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use wasmpool::AttemptEvent;
use wasmpool::batch::drive::Ended;
use wasmpool::batch::tally::{Interruption, Tally};
use wasmpool::batch::watchers::Watcher;
use wasmpool::exit_code::batch;
use wasmpool::report::seen::{End, Group, Head, Seen, Track};
use wasmpool::report::sheet::Sheet;
use wasmpool::report::sheet::html::Html;
use wasmpool::report::sheet::json::Json;
use wasmpool::report::sheet::junit::Junit;
use wasmpool::report::sheet::trace::Trace;

use crate::arguments::{ReportKind, ReportOptions};
use crate::console::Console;
use crate::failure::Failure;
use spool::FileSpool;

/// The reports of a batch.
pub struct Reports(Mutex<State>);

struct State {
    track: Track,
    reports: Vec<Report>,
}

struct Report {
    /// As it was typed.
    path: PathBuf,
    place: Place,
    sheet: Box<dyn Sheet>,
    spool: FileSpool,
}

/// Where a report goes.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A plain file, there or not.
    File(PathBuf),
    /// Something that can be written to and not replaced.
    Other(PathBuf),
}

impl Reports {
    /// Sees that everything that the options name can be written; `None` when they name nothing.
    ///
    /// # Errors
    ///
    /// When it cannot.
    pub fn open(options: &ReportOptions, head: &Head) -> Result<Option<Arc<Self>>, Failure> {
        let sheet = |kind| -> Box<dyn Sheet> {
            match kind {
                ReportKind::Json => Box::new(Json::new(head.clone())),
                ReportKind::Junit => Box::new(Junit::new(head.clone())),
                ReportKind::Html => Box::new(Html::new(head.clone())),
            }
        };
        let reports = options.reports.iter().map(|file| (file.path.as_path(), sheet(file.kind)));
        let traces = options
            .trace
            .iter()
            .map(|path| -> (&Path, Box<dyn Sheet>) { (path, Box::new(Trace::new(head.clone()))) });
        let mut all: Vec<Report> = Vec::new();
        for (path, sheet) in reports.chain(traces) {
            let cannot = |error: io::Error| {
                let message = format!("cannot write the report `{}`: {error}", path.display());
                Failure::new(batch::NOT_SET_UP, message)
            };
            let place = Place::find(path).map_err(cannot)?;
            if all.iter().any(|other| other.place == place && matches!(place, Place::File(_))) {
                let message =
                    format!("two reports would be `{}`: give each a file of its own", path.display());
                return Err(Failure::new(batch::USAGE, message));
            }
            let spool = FileSpool::new(place.unfinished("pieces")).map_err(cannot)?;
            all.push(Report { path: path.to_owned(), place, sheet, spool });
        }
        if all.is_empty() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self(Mutex::new(State { track: Track::new(head), reports: all })))))
    }

    /// Writes them all, and says which could not be.
    pub fn finish(&self, tally: &mut Tally, elapsed: Duration, console: &Console) {
        let reports = std::mem::take(&mut self.state().reports);
        for mut report in reports {
            let end = End { elapsed, tally: tally.clone() };
            if let Err(error) = report.write(&end) {
                console.error(&format!("cannot write the report `{}`: {error}", report.path.display()));
                tally.interrupt(Interruption::ResultLost);
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What reports say at their beginning.
pub fn head(title: String, workers: Option<usize>, groups: Vec<Group>, with_output: bool) -> Head {
    Head {
        title,
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        version: env!("CARGO_PKG_VERSION"),
        workers: workers.unwrap_or_else(wasmpool::cpu_count),
        began: SystemTime::now(),
        groups,
        with_output,
    }
}

impl Watcher for Reports {
    fn attempt(&self, event: &AttemptEvent) {
        let State { track, reports } = &mut *self.state();
        if let Some(seen) = track.event(event) {
            tell(reports, &seen);
        }
    }

    fn unrun(&self, ended: &Ended) {
        let State { track, reports } = &mut *self.state();
        tell(reports, &track.unrun(ended));
    }
}

fn tell(reports: &mut [Report], seen: &Seen<'_>) {
    reports.iter_mut().for_each(|report| report.sheet.seen(seen, &mut report.spool));
}

impl Report {
    fn write(&mut self, end: &End) -> io::Result<()> {
        match &self.place {
            Place::Other(path) => {
                let mut out = BufWriter::new(OpenOptions::new().write(true).open(path)?);
                self.sheet.write(end, &mut self.spool, &mut out)?;
                out.flush()
            }
            Place::File(path) => {
                let unfinished = self.place.unfinished("unfinished");
                let written = File::create_new(&unfinished).and_then(|file| {
                    let mut out = BufWriter::new(file);
                    self.sheet.write(end, &mut self.spool, &mut out)?;
                    out.flush()?;
                    fs::rename(&unfinished, path)
                });
                if written.is_err() {
                    // It may not even have been made.
                    let _ = fs::remove_file(&unfinished);
                }
                written
            }
        }
    }
}

impl Place {
    fn find(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory)),
            // A link stays one: what it leads to is replaced.
            Ok(metadata) if metadata.is_file() => {
                OpenOptions::new().write(true).open(path)?;
                Ok(Self::File(fs::canonicalize(path)?))
            }
            Ok(_) => Ok(Self::Other(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let name = path.file_name().ok_or(error)?;
                let folder = match path.parent() {
                    Some(folder) if !folder.as_os_str().is_empty() => folder,
                    _ => Path::new("."),
                };
                Ok(Self::File(fs::canonicalize(folder)?.join(name)))
            }
            Err(error) => Err(error),
        }
    }

    /// A name beside it that nobody else has.
    fn unfinished(&self, what: &str) -> PathBuf {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let process = std::process::id();
        match self {
            Self::File(path) => path.with_file_name(format!(".{}.{process}.{what}", name(path))),
            Self::Other(path) => {
                std::env::temp_dir().join(format!(".wasmpool-{}.{process}.{what}", name(path)))
            }
        }
    }
}

#[cfg(test)]
mod tests;
