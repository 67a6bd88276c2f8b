//! `--trace x.json`: the events of a batch as Chrome's trace event format, which Perfetto and `chrome://tracing` read.
//!
//! A thread for each slot with a complete event for each attempt, an instant event where something was stopped or died,
//! and a counter of the memory of tasks as they end. The wait for a worker is among the arguments: waits overlap, and would need a row each.

#![forbid(unsafe_code)]

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Sheet, Spool};
use crate::outcome::Record;
use crate::report::seen::{Class, End, Head, Seen, Span};

/// The process that all slots belong to.
const PROCESS: u32 = 1;

/// The file.
#[derive(Debug)]
pub struct Trace {
    head: Head,
    slots: usize,
}

impl Trace {
    /// The trace of a run.
    #[must_use]
    pub fn new(head: Head) -> Self {
        Self { head, slots: 0 }
    }

    fn complete(&self, seen: &Seen<'_>, record: &Record, span: Span) -> Value {
        let group = self.head.groups.get(seen.group);
        json!({
            "name": seen.name,
            "cat": seen.class().label(),
            "ph": "X",
            "pid": PROCESS,
            "tid": span.slot + 1,
            "ts": microseconds(span.start),
            "dur": microseconds(span.end.saturating_sub(span.start)),
            "cname": colour(seen),
            "args": {
                "seq": seen.seq,
                "outcome": seen.outcome(),
                "exit_code": seen.exit_code(),
                "reason": seen.reason(),
                "attempt": record.attempt,
                "tried_again": seen.retry.is_some(),
                "group": group.map(|group| group.name.as_str()),
                "module": group.map(|group| group.module.as_str()),
                "process": record.pid,
                "waited_ms": waited(record).as_secs_f64() * 1e3,
                "cpu_ms": record.cpu_time.as_secs_f64() * 1e3,
                "peak_memory_bytes": record.peak_memory_bytes,
            },
        })
    }
}

impl Sheet for Trace {
    fn seen(&mut self, seen: &Seen<'_>, spool: &mut dyn Spool) {
        let (Some(record), Some(span)) = (seen.record(), seen.span) else { return };
        self.slots = self.slots.max(span.slot + 1);
        put(spool, &self.complete(seen, record, span));
        if matches!(seen.class(), Class::Limit | Class::Crashed | Class::Skipped) {
            put(
                spool,
                &json!({
                    "name": seen.reason(),
                    "cat": seen.class().label(),
                    "ph": "i",
                    "s": "t",
                    "pid": PROCESS,
                    "tid": span.slot + 1,
                    "ts": microseconds(span.end),
                }),
            );
        }
        if let Some(bytes) = record.peak_memory_bytes {
            put(
                spool,
                &json!({
                    "name": "peak memory of tasks",
                    "ph": "C",
                    "pid": PROCESS,
                    "ts": microseconds(span.end),
                    "args": { "bytes": bytes },
                }),
            );
        }
    }

    fn write(&mut self, end: &End, spool: &mut dyn Spool, out: &mut dyn Write) -> io::Result<()> {
        let other = json!({
            "command": self.head.command,
            "version": self.head.version,
            "exit_code": end.tally.exit_code(),
            "interruption": end.interruption(),
            "elapsed_ms": end.elapsed.as_secs_f64() * 1e3,
        });
        writeln!(out, "{{\"displayTimeUnit\":\"ms\",\"otherData\":{other},\"traceEvents\":[")?;
        let process = json!({ "name": format!("wasmpool: {}", self.head.title) });
        let metadata = |name: &str, thread: usize, args: Value| json!({ "name": name, "ph": "M", "pid": PROCESS, "tid": thread, "args": args });
        write!(out, "{}", metadata("process_name", 0, process))?;
        for slot in 1..=self.slots {
            let name = metadata("thread_name", slot, json!({ "name": format!("slot {slot}") }));
            let order = metadata("thread_sort_index", slot, json!({ "sort_index": slot }));
            write!(out, ",\n{name},\n{order}")?;
        }
        spool.copy(0, out)?;
        write!(out, "\n]}}\n")
    }
}

fn put(spool: &mut dyn Spool, event: &Value) {
    spool.put(0, format!(",\n{event}").as_bytes());
}

/// One of the names of colours that `chrome://tracing` knows.
fn colour(seen: &Seen<'_>) -> &'static str {
    match seen.class() {
        Class::Passed => "good",
        Class::Failed | Class::Crashed | Class::Error => "terrible",
        Class::Limit => "bad",
        Class::Skipped => "grey",
    }
}

fn waited(record: &Record) -> Duration {
    let waited = record.started_at.map(|at| at.duration_since(record.queued_at).unwrap_or_default());
    waited.unwrap_or_default()
}

/// With nanoseconds as the fraction.
fn microseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e9).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::memory::{expect_snapshot, written};
    use super::*;
    use crate::report::seen::tests::{Run, hostile, usual};

    fn text(run: &Run) -> String {
        written(&mut Trace::new(run.head.clone()), run)
    }

    #[test]
    fn the_trace_is_what_it_was() {
        expect_snapshot("usual.trace.json", &text(&usual()));
    }

    #[test]
    fn events_of_one_slot_never_overlap() {
        let trace: Value = serde_json::from_str(&text(&usual())).unwrap();
        let mut ends: BTreeMap<u64, f64> = BTreeMap::new();
        let mut count = 0;
        for event in trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X") {
            let (start, length) = (event["ts"].as_f64().unwrap(), event["dur"].as_f64().unwrap());
            let end = ends.entry(event["tid"].as_u64().unwrap()).or_default();
            assert!(start >= *end);
            *end = start + length;
            count += 1;
        }
        assert_eq!(count, 7);
    }

    proptest::proptest! {
        #[test]
        fn names_and_texts_of_guests_stay_texts(name in ".*", error in ".*") {
            let trace: Value = serde_json::from_str(&text(&hostile(&name, &error, b""))).unwrap();
            let events = trace["traceEvents"].as_array().unwrap();
            let complete = events.iter().find(|event| event["ph"] == "X").unwrap();
            proptest::prop_assert_eq!(&complete["name"], &Value::from(name));
        }
    }
}
