//! `--report x.xml`: JUnit, as Jenkins, GitLab and others read it.
//!
//! A suite for each group, a case for each task. A task that succeeded after failures has a `flakyFailure` for each of
//! those; of one that failed each time the first failure is its `failure`, and the others are `rerunFailure`s, which is how
//! nextest and Maven write it. XML 1.0 has no way to write most control characters: they are left out.

#![forbid(unsafe_code)]

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::Duration;

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::{Sheet, Spool, tail};
use crate::limits::{REPORT_OUTPUT_BYTES_MAX, REPORT_RERUNS_MAX};
use crate::outcome::{Outcome, Record};
use crate::report::seen::{Class, End, Head, Seen};
use crate::report::terminal;

/// The file.
#[derive(Debug)]
pub struct Junit {
    head: Head,
    /// One for each group, and one for what belongs to none.
    suites: Vec<Suite>,
    /// What is to be tried again, by its task's number.
    unfinished: HashMap<u64, Earlier>,
}

#[derive(Clone, Debug, Default)]
struct Suite {
    tests: u64,
    failures: u64,
    errors: u64,
    skipped: u64,
    flaky: u64,
    time: Duration,
}

/// The attempts of a task that were not its last.
#[derive(Debug, Default)]
struct Earlier {
    first: Vec<Failure>,
    /// More of them than are kept.
    more: u64,
}

/// Why an attempt is no success.
#[derive(Debug)]
struct Failure {
    class: Class,
    kind: &'static str,
    reason: String,
    text: String,
    time: Duration,
}

type Xml = Writer<Vec<u8>>;

impl Junit {
    /// The file about a run.
    #[must_use]
    pub fn new(head: Head) -> Self {
        let suites = vec![Suite::default(); head.groups.len() + 1];
        Self { head, suites, unfinished: HashMap::new() }
    }

    fn suite_name(&self, group: usize) -> &str {
        self.head.groups.get(group).map_or("submitted by tasks", |group| &group.name)
    }

    fn case(&self, seen: &Seen<'_>, earlier: &Earlier) -> io::Result<Vec<u8>> {
        let mut xml = Writer::new(Vec::new());
        let time = seconds(seen.record().map_or(Duration::ZERO, |record| record.wall_time));
        let case = element(
            "testcase",
            &[("name", seen.name), ("classname", self.suite_name(seen.group)), ("time", &time)],
        );
        let last = (seen.class() != Class::Passed).then(|| failure(seen));
        let has_output =
            seen.record().is_some_and(|record| !(record.stdout.is_empty() && record.stderr.is_empty()));
        if last.is_none() && earlier.first.is_empty() && !has_output {
            xml.write_event(Event::Empty(case))?;
            return Ok(ended(xml));
        }
        xml.write_event(Event::Start(case))?;
        match last {
            None => earlier.first.iter().try_for_each(|failure| rerun(&mut xml, "flakyFailure", failure))?,
            Some(last) if last.class == Class::Skipped => {
                xml.write_event(Event::Empty(element("skipped", &[("message", &last.reason)])))?;
            }
            Some(last) => {
                let (first, others) = match earlier.first.split_first() {
                    Some((first, others)) => (first, others.iter().chain([&last]).collect()),
                    None => (&last, Vec::new()),
                };
                let name = if first.class == Class::Error { "error" } else { "failure" };
                whole(&mut xml, name, &[("type", first.kind), ("message", &first.reason)], &first.text)?;
                others.into_iter().try_for_each(|failure| rerun(&mut xml, "rerunFailure", failure))?;
            }
        }
        if earlier.more > 0 {
            let text = format!("{} more attempts that failed are left out", earlier.more);
            whole(&mut xml, "system-out", &[], &text)?;
        }
        if let Some(record) = seen.record() {
            for (name, bytes) in [("system-out", &record.stdout), ("system-err", &record.stderr)] {
                if !bytes.is_empty() {
                    whole(&mut xml, name, &[], &tail(bytes, REPORT_OUTPUT_BYTES_MAX))?;
                }
            }
        }
        xml.write_event(Event::End(BytesEnd::new("testcase")))?;
        Ok(ended(xml))
    }

    fn head(&self, end: &End) -> io::Result<Vec<u8>> {
        let mut xml = Writer::new(Vec::new());
        xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
        let sum = |of: fn(&Suite) -> u64| self.suites.iter().map(of).sum::<u64>().to_string();
        let time = seconds(end.elapsed);
        let suites = element(
            "testsuites",
            &[
                ("name", &self.head.title),
                ("tests", &sum(|suite| suite.tests)),
                ("failures", &sum(|suite| suite.failures)),
                ("errors", &sum(|suite| suite.errors)),
                ("time", &time),
            ],
        );
        xml.write_event(Event::Text(BytesText::from_escaped("\n")))?;
        xml.write_event(Event::Start(suites))?;
        Ok(xml.into_inner())
    }

    fn suite(&self, group: usize, end: &End) -> io::Result<Vec<u8>> {
        let (mut xml, suite) = (Writer::new(Vec::new()), &self.suites[group]);
        let began = humantime::format_rfc3339_seconds(self.head.began).to_string();
        let start = element(
            "testsuite",
            &[
                ("name", self.suite_name(group)),
                ("tests", &suite.tests.to_string()),
                ("failures", &suite.failures.to_string()),
                ("errors", &suite.errors.to_string()),
                ("skipped", &suite.skipped.to_string()),
                ("time", &seconds(suite.time)),
                ("timestamp", began.trim_end_matches('Z')),
            ],
        );
        xml.write_event(Event::Text(BytesText::from_escaped("\n")))?;
        xml.write_event(Event::Start(start))?;
        xml.write_event(Event::Start(BytesStart::new("properties")))?;
        let module = self.head.groups.get(group).map_or("", |group| &group.module);
        let (code, flaky) = (end.tally.exit_code().to_string(), suite.flaky.to_string());
        let mut properties = vec![
            ("module", module),
            ("wasmpool.version", self.head.version),
            ("wasmpool.exit_code", &code),
            ("wasmpool.flaky", &flaky),
        ];
        properties.extend(end.interruption().map(|why| ("wasmpool.interruption", why)));
        for (name, value) in properties {
            xml.write_event(Event::Empty(element("property", &[("name", name), ("value", value)])))?;
        }
        xml.write_event(Event::End(BytesEnd::new("properties")))?;
        Ok(ended(xml))
    }
}

impl Sheet for Junit {
    fn seen(&mut self, seen: &Seen<'_>, spool: &mut dyn Spool) {
        let task = seen.record().map(|record| record.task);
        if seen.retry.is_some()
            && let Some(task) = task
        {
            let earlier = self.unfinished.entry(task).or_default();
            if earlier.first.len() < REPORT_RERUNS_MAX {
                earlier.first.push(failure(seen));
            } else {
                earlier.more += 1;
            }
            return;
        }
        let earlier = task.and_then(|task| self.unfinished.remove(&task)).unwrap_or_default();
        // The element is named after the first failure, and so it counts.
        let class = match (seen.class(), earlier.first.first()) {
            (class, Some(first)) if class.is_failure() => first.class,
            (class, _) => class,
        };
        let suite = &mut self.suites[seen.group];
        suite.tests += 1;
        suite.time += seen.record().map_or(Duration::ZERO, |record| record.wall_time);
        match class {
            Class::Passed => suite.flaky += u64::from(!earlier.first.is_empty()),
            Class::Skipped => suite.skipped += 1,
            Class::Error => suite.errors += 1,
            Class::Failed | Class::Limit | Class::Crashed => suite.failures += 1,
        }
        let case = self.case(seen, &earlier).expect("a vector can be written");
        spool.put(seen.group, &case);
    }

    fn write(&mut self, end: &End, spool: &mut dyn Spool, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.head(end)?)?;
        for group in 0..self.suites.len() {
            // What no task belongs to is left out, unless nothing else is there to say that nothing ran.
            if self.suites[group].tests > 0 || (group == 0 && self.suites.len() > 1) {
                out.write_all(&self.suite(group, end)?)?;
                spool.copy(group, out)?;
                out.write_all(b"</testsuite>")?;
            }
        }
        out.write_all(b"\n</testsuites>\n")
    }
}

/// What was written, from a line of its own.
fn ended(xml: Xml) -> Vec<u8> {
    let mut bytes = xml.into_inner();
    bytes.push(b'\n');
    bytes
}

fn failure(seen: &Seen<'_>) -> Failure {
    let reason = seen.reason();
    let mut text = format!("exit code {}: {reason}\n", seen.exit_code());
    if let Some(record) = seen.record() {
        for frame in backtrace(record) {
            text.push_str(&format!("    at {}\n", terminal::one_line(&frame.function)));
        }
        for (name, bytes) in [("stdout", &record.stdout), ("stderr", &record.stderr)] {
            let last = last_lines(bytes);
            if !last.is_empty() {
                text.push_str(&format!("last lines of {name}:\n{last}"));
            }
        }
    }
    let time = seen.record().map_or(Duration::ZERO, |record| record.wall_time);
    Failure { class: seen.class(), kind: seen.outcome(), reason, text, time }
}

fn backtrace(record: &Record) -> &[crate::outcome::WasmFrame] {
    match &record.outcome {
        Outcome::Trapped(trap) => &trap.backtrace,
        Outcome::LimitExceeded(limit) => limit.trap.as_ref().map_or(&[], |trap| &trap.backtrace),
        _ => &[],
    }
}

/// The last lines of an output, each with its end.
fn last_lines(bytes: &[u8]) -> String {
    const LINES: usize = 10;
    const BYTES: usize = 1024;
    let text = tail(bytes, BYTES);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LINES)..].iter().map(|line| format!("{line}\n")).collect()
}

fn rerun(xml: &mut Xml, name: &str, failure: &Failure) -> io::Result<()> {
    let time = seconds(failure.time);
    let attributes = [("time", time.as_str()), ("type", failure.kind), ("message", &failure.reason)];
    whole(xml, name, &attributes, &failure.text)
}

fn whole(xml: &mut Xml, name: &str, attributes: &[(&str, &str)], text: &str) -> io::Result<()> {
    xml.write_event(Event::Start(element(name, attributes)))?;
    xml.write_event(Event::Text(BytesText::new(&allowed(text))))?;
    xml.write_event(Event::End(BytesEnd::new(name)))
}

fn element(name: &str, attributes: &[(&str, &str)]) -> BytesStart<'static> {
    let mut element = BytesStart::new(name.to_owned());
    for (name, value) in attributes {
        element.push_attribute((*name, terminal::one_line(&allowed(value)).as_str()));
    }
    element
}

/// The text without the characters that XML 1.0 does not have (section 2.2).
fn allowed(text: &str) -> String {
    let is_allowed = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(is_allowed).collect()
}

fn seconds(time: Duration) -> String {
    format!("{:.6}", time.as_secs_f64())
}

#[cfg(test)]
mod tests;
