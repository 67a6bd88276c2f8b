//! How a running batch stands, as a document: what `wasmpool ps` is answered and what a signal prints.
//!
//! The names of the fields are a contract: fields are added, never renamed.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use wasmpool::batch::live::{Live, RunningTask, Status};
use wasmpool::report::terminal;

use super::display::time;
use super::usage;

/// Bytes of the command line that is told.
const COMMAND_BYTES_MAX: usize = 4096;

/// A batch that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Document {
    pub pid: u32,
    /// What was typed.
    pub command: String,
    /// Seconds since 1970.
    pub began_at: f64,
    pub elapsed_s: f64,
    /// Inputs, where their number is known.
    pub total: Option<u64>,
    pub done: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub kept: u64,
    pub retries: u64,
    pub leaks: u64,
    /// Inputs that ended, by outcome.
    pub outcomes: BTreeMap<String, u64>,
    /// Inputs that end in a second.
    pub rate: f64,
    pub left_s: Option<f64>,
    /// The program's own, without its workers.
    pub cpu_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    pub running: Vec<Task>,
}

/// A task that runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    pub name: String,
    pub seq: Option<u64>,
    pub attempt: u32,
    pub pid: Option<u32>,
    pub worker: u64,
    pub age_s: f64,
    /// Of the worker, with what it ran before.
    pub cpu_ms: Option<u64>,
    pub memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<Progress>,
}

/// How far a guest says that it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Progress {
    pub done: u64,
    pub total: Option<u64>,
}

impl Document {
    /// The batch of this program.
    pub fn of(live: &Live) -> Self {
        let status = live.status();
        let (pid, left_s) = (std::process::id(), status.left.map(|left| left.as_secs_f64()));
        let own = usage::of(pid);
        let Status { elapsed, total, counts, rate, running, .. } = &status;
        Self {
            pid,
            command: command(),
            began_at: live.begun_at().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            elapsed_s: elapsed.as_secs_f64(),
            total: *total,
            done: status.done(),
            succeeded: counts.succeeded,
            failed: counts.failed(),
            kept: counts.kept,
            retries: counts.retries,
            leaks: counts.leaks,
            outcomes: counts.outcomes.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            rate: *rate,
            left_s,
            cpu_ms: own.map(|own| milliseconds(own.cpu_time)),
            memory_bytes: own.map(|own| own.memory_bytes),
            running: running.iter().map(task).collect(),
        }
    }

    /// For a person: a line for the batch, and one for each task that runs.
    pub fn text(&self) -> String {
        let total = self.total.map(|total| format!("/{total}")).unwrap_or_default();
        let mut parts = vec![format!("{}{total} done", self.done)];
        let counted =
            [(self.failed, "failed"), (self.kept, "kept"), (self.retries, "retried"), (self.leaks, "leaks")];
        parts.extend(
            counted.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")),
        );
        parts.push(format!("{:.1}/s", self.rate));
        parts.extend(self.left_s.map(|left| format!("about {} left", seconds(left))));
        let command = terminal::one_line(&self.command);
        let mut text =
            format!("{} {command}\n  {}: {}\n", self.pid, seconds(self.elapsed_s), parts.join(", "));
        if !self.running.is_empty() {
            let head = ["worker", "task", "attempt", "age", "CPU", "memory", "progress"].map(str::to_owned);
            let rows: Vec<[String; 7]> =
                std::iter::once(head).chain(self.running.iter().map(Task::row)).collect();
            let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let widths: [usize; 7] = std::array::from_fn(width);
            for row in &rows {
                let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
                text.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
            }
        }
        text
    }
}

impl Task {
    fn row(&self) -> [String; 7] {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let progress = self.progress.as_ref().map(|progress| match progress.total {
            Some(total) => format!("{}/{total}", progress.done),
            None => progress.done.to_string(),
        });
        [
            or_dash(self.pid.map(|pid| pid.to_string())),
            terminal::one_line(&self.name),
            self.attempt.to_string(),
            seconds(self.age_s),
            or_dash(self.cpu_ms.map(|cpu| format!("{:.2}s", cpu as f64 / 1e3))),
            or_dash(self.memory_bytes.map(|bytes| format!("{:.1}MiB", bytes as f64 / 1_048_576.0))),
            or_dash(progress),
        ]
    }
}

fn task(task: &RunningTask) -> Task {
    let usage = task.pid.and_then(usage::of);
    Task {
        name: task.name.to_string(),
        seq: task.seq,
        attempt: task.attempt,
        pid: task.pid,
        worker: task.worker,
        age_s: task.age.as_secs_f64(),
        cpu_ms: usage.map(|usage| milliseconds(usage.cpu_time)),
        memory_bytes: usage.map(|usage| usage.memory_bytes),
        progress: task.progress.map(|(done, total)| Progress { done, total }),
    }
}

/// What was typed, as far as it is told.
fn command() -> String {
    let words: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut command = words.join(" ");
    let end = (0..=COMMAND_BYTES_MAX).rev().find(|end| command.is_char_boundary(*end)).unwrap_or(0);
    if command.len() > end {
        command.truncate(end);
        command.push_str("...");
    }
    command
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One decimal below ten seconds.
fn seconds(seconds: f64) -> String {
    let told = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
    if seconds < 10.0 { format!("{seconds:.1}s") } else { time(told) }
}
