//! What a person wants to know at the end of a batch besides its counts: what failed and why, what was slow, what was
//! tried again, and what came near a limit. A few lines of each, whatever the length of the batch.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::time::Duration;

use super::seen::{Class, Group, GroupNames};
use super::sheet::tail;
use super::terminal;
use crate::batch::drive::{Ended, Ending};
use crate::batch::units::size_text;
use crate::exit_code;
use crate::limits::{Limits, SUMMARY_ITEMS_MAX, SUMMARY_REASONS_MAX};
use crate::outcome::{LimitKind, Outcome, Record};

/// Columns of a line.
const COLUMNS: usize = 80;
/// Inputs of which a person still sees every line that was written about them.
const SEEN_INPUTS_MAX: u64 = 20;
/// From here on a limit is near, in percent.
const NEAR_PERCENT: f64 = 80.0;
/// The kernel's peak is that of the worker, whose own memory counts only beside small limits.
const MEMORY_LIMIT_MIN: u64 = 128 << 20;

/// What was noted of a batch.
#[derive(Debug)]
pub struct Digest {
    groups: GroupNames,
    /// Of each group.
    limits: Vec<Limits>,
    /// Whether failures are told as they come, as text.
    is_told: bool,
    inputs: u64,
    failures: HashMap<(u8, String), Failures>,
    /// The failures in the order of their first ones.
    order: Vec<(u8, String)>,
    slowest: Vec<(Duration, String)>,
    has_timed_out: bool,
    retried: Items,
    near: Items,
}

/// Failures with the same code, and the same reason but for numbers in it.
#[derive(Debug)]
struct Failures {
    count: u64,
    /// The first of them.
    names: Vec<String>,
    reason: String,
    has_others: bool,
    /// The last lines of the first one's output, where nobody has seen them.
    output: Vec<String>,
}

/// Lines, and how many more there would be.
#[derive(Debug, Default)]
struct Items {
    lines: Vec<String>,
    more: u64,
}

impl Items {
    fn push(&mut self, line: impl FnOnce() -> String) {
        if self.lines.len() < SUMMARY_ITEMS_MAX {
            self.lines.push(line());
        } else {
            self.more += 1;
        }
    }
}

impl Digest {
    /// For a batch with these groups, each with its limits. `is_told`: whether failures are told as text as they come.
    #[must_use]
    pub fn new(groups: &[Group], limits: Vec<Limits>, is_told: bool) -> Self {
        Self {
            groups: GroupNames::new(groups),
            limits,
            is_told,
            inputs: 0,
            failures: HashMap::new(),
            order: Vec::new(),
            slowest: Vec::new(),
            has_timed_out: false,
            retried: Items::default(),
            near: Items::default(),
        }
    }

    /// Notes one input.
    pub fn add(&mut self, ended: &Ended) {
        self.inputs += 1;
        match &ended.ending {
            Ending::Bad(bad) => {
                self.fail(&ended.name, exit_code::USAGE, terminal::one_line(&bad.to_string()), Vec::new());
            }
            Ending::Ran(record) => self.add_record(&ended.name, record),
        }
    }

    fn add_record(&mut self, name: &str, record: &Record) {
        let (outcome, class) = (&record.outcome, Class::of(&record.outcome));
        if class.is_failure() {
            self.fail(name, outcome.exit_code(), super::reason(outcome), self.unseen(record));
        }
        self.has_timed_out |=
            matches!(outcome, Outcome::LimitExceeded(limit) if limit.kind == LimitKind::Time);
        if record.attempt > 1 {
            self.retried.push(|| {
                let ending = match class {
                    Class::Passed => "succeeded".to_owned(),
                    _ => format!("{} (code {})", super::reason(outcome), outcome.exit_code()),
                };
                fit(&format!("{}: {} attempts, then ", terminal::one_line(name), record.attempt), &ending, "")
            });
        }
        if class != Class::Limit
            && let Some(limits) = self.limits.get(self.groups.of(name))
        {
            for near in near(record, limits) {
                self.near.push(|| fit(&format!("{}: ", terminal::one_line(name)), &near, ""));
            }
        }
        let is_slow = self.slowest.len() < SUMMARY_ITEMS_MAX
            || self.slowest.last().is_some_and(|(time, _)| record.wall_time > *time);
        if is_slow && record.started_at.is_some() {
            let place = self.slowest.partition_point(|(time, _)| *time >= record.wall_time);
            self.slowest.insert(place, (record.wall_time, terminal::one_line(name)));
            self.slowest.truncate(SUMMARY_ITEMS_MAX);
        }
    }

    /// The last lines of an output that went nowhere. Standard error was shown with the failure, where that was text.
    fn unseen(&self, record: &Record) -> Vec<String> {
        const LINES: usize = 3;
        const BYTES: usize = 1024;
        let bytes = if self.is_told || record.stderr.is_empty() { &record.stdout } else { &record.stderr };
        let text = tail(bytes, BYTES);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(LINES)..];
        last.iter().map(|line| fit("    | ", &terminal::one_line(line), "")).collect()
    }

    fn fail(&mut self, name: &str, code: u8, reason: String, output: Vec<String>) {
        let mut key = (code, without_numbers(&reason));
        if self.failures.len() >= SUMMARY_REASONS_MAX && !self.failures.contains_key(&key) {
            key.1 = String::new();
        }
        let failures = self.failures.entry(key.clone()).or_insert_with(|| {
            self.order.push(key);
            Failures { count: 0, names: Vec::new(), reason: reason.clone(), has_others: false, output }
        });
        const NAMES: usize = 3;
        failures.count += 1;
        failures.has_others |= failures.reason != reason;
        if failures.names.len() < NAMES {
            failures.names.push(terminal::one_line(name));
        }
    }

    /// What there is to say, in whole lines; empty when there is nothing.
    #[must_use]
    pub fn text(&self, verbose: u8) -> String {
        let mut out = String::new();
        let has_output = self.failures.values().any(|failures| !failures.output.is_empty());
        if !self.is_told || self.inputs > SEEN_INPUTS_MAX || has_output || verbose > 0 {
            section(&mut out, "failed", &self.failed());
        }
        if verbose > 0 || self.has_timed_out {
            let line =
                |(time, name): &(Duration, String)| fit(&format!("{:>8}  ", time_text(*time)), name, "");
            let lines = self.slowest.iter().map(line).collect();
            section(&mut out, "slowest", &Items { lines, more: 0 });
        }
        section(&mut out, "tried again", &self.retried);
        section(&mut out, "near a limit", &self.near);
        out
    }

    /// The reasons that were most frequent.
    fn failed(&self) -> Items {
        let mut all: Vec<(u8, &Failures)> =
            self.order.iter().map(|key| (key.0, &self.failures[key])).collect();
        all.sort_by_key(|(_, failures)| std::cmp::Reverse(failures.count));
        let more = all.len().saturating_sub(SUMMARY_ITEMS_MAX) as u64;
        let mut lines = Vec::new();
        for (code, failures) in all.into_iter().take(SUMMARY_ITEMS_MAX) {
            let others = match failures.count - failures.names.len() as u64 {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let such_as = if failures.has_others { "such as " } else { "" };
            let before = format!("{}{others}: {such_as}", failures.names.join(", "));
            lines.push(fit(&before, &failures.reason, &format!(" (code {code})")));
            lines.extend(failures.output.iter().cloned());
        }
        Items { lines, more }
    }
}

fn section(out: &mut String, title: &str, items: &Items) {
    if items.lines.is_empty() {
        return;
    }
    out.push_str(&format!("{title}:\n"));
    items.lines.iter().for_each(|line| out.push_str(&format!("  {line}\n")));
    if items.more > 0 {
        out.push_str(&format!("  and {} more\n", items.more));
    }
}

/// One line of a section; what is in the middle is cut where it is too long.
fn fit(before: &str, middle: &str, after: &str) -> String {
    const LEAST: usize = 20;
    let taken = before.chars().count() + after.chars().count() + 3;
    let room = COLUMNS.saturating_sub(taken).max(LEAST);
    if middle.chars().count() <= room {
        return format!("{before}{middle}{after}");
    }
    let cut: String = middle.chars().take(room - 1).collect();
    format!("{before}{}…{after}", cut.trim_end())
}

/// The text with `#` for each number.
fn without_numbers(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            c => out.push(c),
        }
    }
    out
}

/// The limits that were nearly met.
fn near(record: &Record, limits: &Limits) -> Vec<String> {
    let mut all = Vec::new();
    let times =
        [("time-out", limits.timeout, record.wall_time), ("CPU time", limits.cpu_time, record.cpu_time)];
    for (what, limit, used) in times {
        let Some(limit) = limit else { continue };
        let percent = used.as_secs_f64() / limit.as_secs_f64() * 100.0;
        if percent >= NEAR_PERCENT {
            let (used, limit) = (time_text(used), time_text(limit));
            all.push(format!("{percent:.0} % of its {what} ({used} of {limit})"));
        }
    }
    let memory = record.peak_memory_bytes.filter(|_| limits.memory_bytes >= MEMORY_LIMIT_MIN);
    let output = (record.stdout.len() + record.stderr.len()) as u64;
    let sizes =
        [("memory", limits.memory_bytes, memory.unwrap_or(0)), ("output limit", limits.output_bytes, output)];
    for (what, limit, used) in sizes {
        #[expect(clippy::cast_precision_loss, reason = "a percentage needs two digits")]
        let percent = used as f64 / limit.max(1) as f64 * 100.0;
        if percent >= NEAR_PERCENT {
            let (used, limit) = (size_text(used), size_text(limit));
            all.push(format!("{percent:.0} % of its {what} ({used} of {limit})"));
        }
    }
    all
}

fn time_text(time: Duration) -> String {
    match time.as_secs_f64() {
        short if short < 1.0 => format!("{:.0} ms", short * 1e3),
        long if long < 600.0 => format!("{long:.2} s"),
        longer => format!("{:.0} min", longer / 60.0),
    }
}

#[cfg(test)]
mod tests;
