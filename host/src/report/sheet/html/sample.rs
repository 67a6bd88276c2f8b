//! The attempts that the page shows one by one: all, where they are few; else the failures, the slowest, what was tried
//! again, and a spread of the rest, each up to a limit.

#![forbid(unsafe_code)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use serde::Serialize;

use super::super::tail;
use crate::limits::{
    REPORT_PAGE_TEXT_BYTES_MAX, REPORT_ROWS_FAILED_MAX, REPORT_ROWS_RETRIED_MAX, REPORT_ROWS_SLOWEST_MAX,
    REPORT_ROWS_SPREAD_MAX,
};
use crate::report::seen::{Class, Seen};

/// One attempt as the page knows it.
#[derive(Debug, Serialize)]
pub struct Row {
    seq: Option<u64>,
    name: String,
    group: usize,
    attempt: u32,
    /// Whether another attempt followed.
    retried: bool,
    class: &'static str,
    outcome: &'static str,
    code: u8,
    reason: String,
    slot: Option<usize>,
    start_ms: Option<f64>,
    wall_ms: Option<f64>,
    wait_ms: Option<f64>,
    cpu_ms: Option<f64>,
    memory: Option<u64>,
    pid: Option<u32>,
    stdout: String,
    stderr: String,
}

impl Row {
    fn new(seen: &Seen<'_>) -> Self {
        let milliseconds = |time: std::time::Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let (record, span) = (seen.record(), seen.span);
        let text = |bytes: Option<&bytes::Bytes>| {
            bytes.map(|bytes| tail(bytes, REPORT_PAGE_TEXT_BYTES_MAX)).unwrap_or_default()
        };
        // What went well is shown by what it took, not by what it said.
        let said = record.filter(|_| seen.class() != Class::Passed);
        let wait = record.and_then(|record| record.started_at?.duration_since(record.queued_at).ok());
        Self {
            seq: seen.seq,
            name: seen.name.to_owned(),
            group: seen.group,
            attempt: seen.attempt(),
            retried: seen.retry.is_some(),
            class: seen.class().label(),
            outcome: seen.outcome(),
            code: seen.exit_code(),
            reason: cut(seen.reason()),
            slot: span.map(|span| span.slot + 1),
            start_ms: span.map(|span| milliseconds(span.start)),
            wall_ms: span.and(record).map(|record| milliseconds(record.wall_time)),
            wait_ms: wait.map(milliseconds),
            cpu_ms: span.and(record).map(|record| milliseconds(record.cpu_time)),
            memory: record.and_then(|record| record.peak_memory_bytes),
            pid: record.and_then(|record| record.pid),
            stdout: text(said.map(|record| &record.stdout)),
            stderr: text(said.map(|record| &record.stderr)),
        }
    }
}

/// The beginning of a reason.
fn cut(mut reason: String) -> String {
    if reason.len() > REPORT_PAGE_TEXT_BYTES_MAX {
        reason.truncate(reason.floor_char_boundary(REPORT_PAGE_TEXT_BYTES_MAX));
        reason.push('…');
    }
    reason
}

/// By their number among the attempts.
type Rows = BTreeMap<u64, Arc<Row>>;

/// What is kept.
#[derive(Debug)]
pub struct Sample {
    attempts: u64,
    failed: Rows,
    failed_in_all: u64,
    retried: Rows,
    slowest: BinaryHeap<Reverse<(u64, u64)>>,
    slowest_rows: Rows,
    spread: Rows,
    /// Of the attempts, each one whose number is a multiple of this is in the spread.
    stride: u64,
}

impl Sample {
    pub fn new() -> Self {
        Self {
            attempts: 0,
            failed: Rows::new(),
            failed_in_all: 0,
            retried: Rows::new(),
            slowest: BinaryHeap::new(),
            slowest_rows: Rows::new(),
            spread: Rows::new(),
            stride: 1,
        }
    }

    pub fn add(&mut self, seen: &Seen<'_>) {
        let (index, is_failure) = (self.attempts, seen.class() != Class::Passed);
        self.attempts += 1;
        self.failed_in_all += u64::from(is_failure);
        let mut made = None;
        let mut row = || Arc::clone(made.get_or_insert_with(|| Arc::new(Row::new(seen))));
        if is_failure && self.failed.len() < REPORT_ROWS_FAILED_MAX {
            self.failed.insert(index, row());
        }
        if seen.attempt() > 1 && self.retried.len() < REPORT_ROWS_RETRIED_MAX {
            self.retried.insert(index, row());
        }
        if let Some(record) = seen.record() {
            let time = u64::try_from(record.wall_time.as_nanos()).unwrap_or(u64::MAX);
            let is_full = self.slowest.len() >= REPORT_ROWS_SLOWEST_MAX;
            if !is_full || self.slowest.peek().is_some_and(|Reverse((fastest, _))| time > *fastest) {
                self.slowest.push(Reverse((time, index)));
                self.slowest_rows.insert(index, row());
                if is_full && let Some(Reverse((_, fastest))) = self.slowest.pop() {
                    self.slowest_rows.remove(&fastest);
                }
            }
        }
        if index.is_multiple_of(self.stride) {
            self.spread.insert(index, row());
            if self.spread.len() > REPORT_ROWS_SPREAD_MAX {
                self.stride *= 2;
                let stride = self.stride;
                self.spread.retain(|index, _| index.is_multiple_of(stride));
            }
        }
    }

    pub fn attempts(&self) -> u64 {
        self.attempts
    }

    /// Whether every failure is among the rows.
    pub fn has_all_failures(&self) -> bool {
        self.failed_in_all == self.failed.len() as u64
    }

    /// The attempts in the order in which they ended.
    pub fn rows(&self) -> Vec<Arc<Row>> {
        let parts = [&self.failed, &self.retried, &self.slowest_rows, &self.spread];
        let all: Rows = parts.into_iter().flatten().map(|(index, row)| (*index, Arc::clone(row))).collect();
        all.into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;
    use crate::report::seen::tests::{begun, record};

    #[test]
    fn what_is_kept_is_bounded_and_has_the_failures_and_the_slowest() {
        let mut run = begun(&["t"]);
        let count = 20_000;
        for task in 1..=count {
            run.start(task, 1, task);
            let outcome = if task % 4 == 0 { Outcome::Exited(3) } else { Outcome::Exited(0) };
            let wall = if task == 777 { 9_000 } else { 1 };
            run.finish(record(task, "t", 1, (task, wall), outcome), None);
        }
        let mut sample = Sample::new();
        run.tell(|seen| sample.add(seen));
        let rows = sample.rows();
        let bound = REPORT_ROWS_FAILED_MAX + REPORT_ROWS_SLOWEST_MAX + REPORT_ROWS_SPREAD_MAX;
        assert!(rows.len() <= bound && rows.len() > bound / 2, "{}", rows.len());
        assert_eq!(sample.attempts(), count);
        assert!(!sample.has_all_failures());
        assert!(rows.iter().any(|row| row.seq == Some(777)), "the slowest is there");
        let failed = rows.iter().filter(|row| row.class == "failed").count();
        assert!(failed >= REPORT_ROWS_FAILED_MAX);
        // The spread reaches to the end.
        assert!(rows.last().unwrap().seq.unwrap() > count - 2 * sample.stride);
    }

    #[test]
    fn few_are_all_there() {
        let mut run = begun(&["t"]);
        for task in 1..=1500 {
            run.start(task, 1, task);
            run.finish(record(task, "t", 1, (task, 1), Outcome::Exited(0)), None);
        }
        let mut sample = Sample::new();
        run.tell(|seen| sample.add(seen));
        assert_eq!(sample.rows().len(), 1500);
        assert!(sample.has_all_failures());
    }
}
