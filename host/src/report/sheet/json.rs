//! `--report x.json`: the run, its counts, and the record of every attempt, in one document.
//!
//! `host/REPORTS.md` describes it. The names of the fields are a contract: fields are added, never renamed.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::UNIX_EPOCH;

use serde::Serialize;

use super::{Sheet, Spool};
use crate::report::json_lines;
use crate::report::seen::{End, Head, Seen, What};

/// The document.
#[derive(Debug)]
pub struct Json {
    head: Head,
    attempts: u64,
    retried: u64,
}

#[derive(Serialize)]
struct Run<'a> {
    title: &'a str,
    command: &'a [String],
    version: &'a str,
    workers: usize,
    began_at: f64,
    elapsed_ms: f64,
    exit_code: u8,
    interruption: Option<&'a str>,
}

#[derive(Serialize)]
struct Summary {
    total: u64,
    succeeded: u64,
    failed: u64,
    failed_by_code: BTreeMap<u8, u64>,
    not_finished: u64,
    kept: u64,
    kept_failed: u64,
    attempts: u64,
    retried: u64,
}

/// What an attempt has besides the fields of `--format jsonl`.
#[derive(Serialize)]
struct Besides<'a> {
    group: Option<&'a str>,
    slot: Option<usize>,
    last: bool,
    retry_ms: Option<f64>,
}

impl Json {
    /// The document about a run.
    #[must_use]
    pub fn new(head: Head) -> Self {
        Self { head, attempts: 0, retried: 0 }
    }

    fn besides(&self, seen: &Seen<'_>) -> Vec<u8> {
        let besides = Besides {
            group: self.head.groups.get(seen.group).map(|group| group.name.as_str()),
            slot: seen.span.map(|span| span.slot + 1),
            last: seen.retry.is_none(),
            retry_ms: seen.retry.map(|time| time.as_secs_f64() * 1e3),
        };
        json(&besides)
    }
}

impl Sheet for Json {
    fn seen(&mut self, seen: &Seen<'_>, spool: &mut dyn Spool) {
        let record = match seen.what {
            What::Ran(record) => json_lines::record(seen.seq, record, self.head.with_output),
            What::Bad(bad) => json_lines::bad(seen.seq, seen.name, bad),
        };
        // Two objects become one.
        let (record, besides) = (&record[..record.len() - 1], &self.besides(seen)[1..]);
        let begin: &[u8] = if self.attempts == 0 { b"\n    " } else { b",\n    " };
        for piece in [begin, record, b",", besides] {
            spool.put(0, piece);
        }
        self.attempts += 1;
        self.retried += u64::from(seen.retry.is_some());
    }

    fn write(&mut self, end: &End, spool: &mut dyn Spool, out: &mut dyn Write) -> io::Result<()> {
        let (head, tally) = (&self.head, &end.tally);
        let run = Run {
            title: &head.title,
            command: &head.command,
            version: head.version,
            workers: head.workers,
            began_at: head.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            elapsed_ms: end.elapsed.as_secs_f64() * 1e3,
            exit_code: tally.exit_code(),
            interruption: end.interruption(),
        };
        let summary = Summary {
            total: tally.total(),
            succeeded: tally.succeeded(),
            failed: tally.failed(),
            failed_by_code: tally.failures().collect(),
            not_finished: tally.left_out(),
            kept: tally.kept(),
            kept_failed: tally.kept_failed(),
            attempts: self.attempts,
            retried: self.retried,
        };
        write!(out, "{{\n  \"format\": \"wasmpool-report\",\n  \"format_version\": 1,\n  \"run\": ")?;
        out.write_all(&json(&run))?;
        write!(out, ",\n  \"summary\": ")?;
        out.write_all(&json(&summary))?;
        let group = |group: &crate::report::seen::Group| serde_json::json!({ "name": group.name, "module": group.module });
        write!(out, ",\n  \"groups\": ")?;
        out.write_all(&json(&head.groups.iter().map(group).collect::<Vec<_>>()))?;
        write!(out, ",\n  \"attempts\": [")?;
        spool.copy(0, out)?;
        write!(out, "\n  ]\n}}\n")
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("texts and numbers always have JSON")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::memory::{expect_snapshot, written};
    use super::*;
    use crate::report::seen::tests::{Run, halted, hostile, usual};

    fn text(run: &Run) -> String {
        written(&mut Json::new(run.head.clone()), run)
    }

    #[test]
    fn the_document_is_what_it_was() {
        expect_snapshot("usual.json", &text(&usual()));
    }

    #[test]
    fn a_halted_run_says_so() {
        let json: Value = serde_json::from_str(&text(&halted())).unwrap();
        assert_eq!(
            (&json["run"]["interruption"], &json["run"]["exit_code"]),
            (&"halted".into(), &106.into())
        );
        assert_eq!(json["attempts"].as_array().unwrap().len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn names_and_texts_of_guests_stay_texts(name in ".*", error in ".*", bytes: Vec<u8>) {
            let json: Value = serde_json::from_str(&text(&hostile(&name, &error, &bytes))).unwrap();
            proptest::prop_assert_eq!(&json["attempts"][0]["name"], &Value::from(name));
            proptest::prop_assert_eq!(&json["attempts"][0]["error"], &Value::from(error));
        }
    }
}
