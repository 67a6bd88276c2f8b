//! `--report x.html`: one page that needs nothing else, from `file://` too.
//!
//! The page is a fixed text (`html/page.html`, its style and its script) and the data as JSON. Names, errors and outputs
//! are what guests said: they are only ever data. `<` is written `\u003c` there, so nothing ends the element that
//! holds them; the script puts them into the page as texts; and the policy in the page's head lets no script
//! run but this one, by its digest, and nothing be loaded.

#![forbid(unsafe_code)]

mod charts;
mod sample;

use std::io::{self, Write};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{Sheet, Spool};
use crate::exit_code;
use crate::report::json_lines::base64;
use crate::report::seen::{Class, End, Head, Seen};
use charts::{Counts, Grid, Histogram};
use sample::{Row, Sample};

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// The page.
#[derive(Debug)]
pub struct Html {
    head: Head,
    classes: Counts,
    retried: u64,
    flaky: u64,
    /// Attempts and failures of each group, the last one being those that belong to none.
    groups: Vec<(u64, u64)>,
    times: Histogram,
    memory: Histogram,
    grid: Grid,
    sample: Sample,
    slots: usize,
}

impl Html {
    /// The page about a run.
    #[must_use]
    pub fn new(head: Head) -> Self {
        let groups = vec![(0, 0); head.groups.len() + 1];
        Self {
            head,
            classes: Counts::default(),
            retried: 0,
            flaky: 0,
            groups,
            times: Histogram::new(6),
            memory: Histogram::new(20),
            grid: Grid::new(),
            sample: Sample::new(),
            slots: 0,
        }
    }

    fn data(&self, end: &End) -> Data {
        let rows = self.sample.rows();
        Data { numbers: self.numbers(end, rows.len()), rows }
    }

    fn numbers(&self, end: &End, shown: usize) -> Value {
        let (head, tally) = (&self.head, &end.tally);
        let group = |(index, (attempts, failed)): (usize, &(u64, u64))| {
            let group = head.groups.get(index);
            json!({
                "name": group.map_or("submitted by tasks", |group| group.name.as_str()),
                "module": group.map(|group| group.module.as_str()),
                "attempts": attempts,
                "failed": failed,
            })
        };
        let code =
            |(code, count): (u8, u64)| json!({ "code": code, "count": count, "meaning": meaning(code) });
        json!({
            "title": head.title,
            "command": head.command,
            "version": head.version,
            "workers": head.workers,
            "began_ms": head.began.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64() * 1e3,
            "elapsed_ms": end.elapsed.as_secs_f64() * 1e3,
            "exit_code": tally.exit_code(),
            "interruption": end.interruption(),
            "tasks": {
                "total": tally.total(),
                "succeeded": tally.succeeded(),
                "failed": tally.failed(),
                "not_finished": tally.left_out(),
                "kept": tally.kept(),
                "flaky": self.flaky,
            },
            "codes": tally.failures().map(code).collect::<Vec<_>>(),
            "classes": Class::ALL.map(Class::label),
            "attempts": {
                "total": self.sample.attempts(),
                "retried": self.retried,
                "by_class": self.classes,
                "shown": shown,
                "all_failures_shown": self.sample.has_all_failures(),
            },
            "groups": self.groups.iter().enumerate().map(group).collect::<Vec<_>>(),
            "times": self.times.json(),
            "memory": self.memory.json(),
            "slots": self.slots,
            "grid": self.grid.json(),
        })
    }
}

impl Sheet for Html {
    fn seen(&mut self, seen: &Seen<'_>, _: &mut dyn Spool) {
        let class = seen.class();
        self.classes[class as usize] += 1;
        self.retried += u64::from(seen.retry.is_some());
        self.flaky += u64::from(class == Class::Passed && seen.attempt() > 1);
        let group = &mut self.groups[seen.group];
        group.0 += 1;
        group.1 += u64::from(class.is_failure());
        if let (Some(record), Some(span)) = (seen.record(), seen.span) {
            self.slots = self.slots.max(span.slot + 1);
            let nanoseconds = u64::try_from(record.wall_time.as_nanos()).unwrap_or(u64::MAX);
            self.times.add(nanoseconds / 1000, class);
            if let Some(bytes) = record.peak_memory_bytes {
                self.memory.add(bytes, class);
            }
            self.grid.add(span, class, record.peak_memory_bytes);
        }
        self.sample.add(seen);
    }

    fn write(&mut self, end: &End, _: &mut dyn Spool, out: &mut dyn Write) -> io::Result<()> {
        let mut rest = PAGE;
        for place in ["{{policy}}", "{{style}}", "{{data}}", "{{script}}"] {
            let (before, after) = rest.split_once(place).expect("the page has each place, in this order");
            out.write_all(before.as_bytes())?;
            match place {
                "{{policy}}" => out.write_all(policy().as_bytes())?,
                "{{style}}" => out.write_all(STYLE.as_bytes())?,
                "{{data}}" => serde_json::to_writer(WithoutMarkup(out), &self.data(end))?,
                _ => out.write_all(SCRIPT.as_bytes())?,
            }
            rest = after;
        }
        out.write_all(rest.as_bytes())
    }
}

/// What the page's script reads.
#[derive(Serialize)]
struct Data {
    #[serde(flatten)]
    numbers: Value,
    rows: Vec<Arc<Row>>,
}

/// Passes JSON on with each `<` as an escape: it stands in strings only.
struct WithoutMarkup<'a>(&'a mut dyn Write);

impl Write for WithoutMarkup<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (index, piece) in bytes.split(|byte| *byte == b'<').enumerate() {
            if index > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(piece)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// The content security policy of the page.
fn policy() -> String {
    let digest = |text: &str| format!("'sha256-{}'", base64(&Sha256::digest(text)));
    format!("default-src 'none'; style-src {}; script-src {}", digest(STYLE), digest(SCRIPT))
}

fn meaning(code: u8) -> String {
    let row = exit_code::TABLE.iter().rev().find(|row| row.code <= code);
    match (code, row) {
        (exit_code::USAGE, _) => "the input was not right for its task".to_owned(),
        (2..=124, _) => format!("the guest's own exit({code})"),
        (129..200, _) => format!("the worker was killed by signal {}", code - exit_code::SIGNAL_BASE),
        (_, Some(row)) => row.meaning.to_owned(),
        (_, None) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::memory::{expect_snapshot, written};
    use super::*;
    use crate::report::seen::tests::{Run, halted, hostile, usual};

    fn text(run: &Run) -> String {
        written(&mut Html::new(run.head.clone()), run)
    }

    /// The text of the element that holds the data.
    fn embedded(page: &str) -> &str {
        let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
        rest.split_once("</script>").unwrap().0
    }

    #[test]
    fn the_data_is_what_it_was() {
        let data: Value = serde_json::from_str(embedded(&text(&usual()))).unwrap();
        expect_snapshot("usual.html.json", &format!("{data:#}\n"));
    }

    #[test]
    fn a_halted_run_says_so() {
        let data: Value = serde_json::from_str(embedded(&text(&halted()))).unwrap();
        assert_eq!((&data["interruption"], &data["exit_code"]), (&json!("halted"), &json!(106)));
    }

    #[test]
    fn the_page_needs_nothing_else() {
        for text in [PAGE, STYLE, SCRIPT] {
            for word in ["http:", "https:", "url(", "@import", "src=", "innerHTML", "eval("] {
                // The names of SVG's elements are an address that nobody visits.
                let text = text.replace("http://www.w3.org/2000/svg", "").replace("url(#", "");
                assert!(!text.contains(word), "{word}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_that_a_guest_says_leaves_the_data(name in ".*", error in ".*</script[ ><!-]*.*", bytes: Vec<u8>) {
            let plain = text(&hostile("n", "e", b""));
            let page = text(&hostile(&name, &error, &bytes));
            let data: Value = serde_json::from_str(embedded(&page)).unwrap();
            proptest::prop_assert_eq!(&data["rows"][0]["name"], &Value::from(name));
            // Everything around the data is the same.
            let around = |page: &str| page.replace(embedded(page), "");
            proptest::prop_assert_eq!(around(&page), around(&plain));
            proptest::prop_assert!(!embedded(&page).contains('<'));
        }
    }
}
