//! Results of many different tasks, each with its task's name: values as `name: value`, output of commands as `name| line`.

#![forbid(unsafe_code)]

use super::human::{self, Terminals, Written};
use super::lines::{PrefixedLines, Stream};
use super::terminal::{self, TerminalFilter};
use super::{ending, json_of};
use crate::batch::drive::{Ended, Ending};
use crate::batch::feeder::LeftOut;
use crate::outcome::{CancelledBy, Outcome, Record, TaskValue};

/// One task of a batch at its end.
pub fn write(ended: &Ended, terminals: Terminals, out: &mut Written) {
    match &ended.ending {
        Ending::Bad(bad) => {
            human::failure(&ended.name, &terminal::one_line(&bad.to_string()), &mut out.stderr);
        }
        Ending::Ran(record) => write_record(&ended.name, record, terminals, out),
    }
}

fn write_record(name: &str, record: &Record, terminals: Terminals, out: &mut Written) {
    lines(name, &record.stderr, terminals.stderr, &mut out.stderr);
    match &record.outcome {
        Outcome::Succeeded(value) => write_value(name, value, terminals.stdout, &mut out.stdout),
        outcome if outcome.is_success() => lines(name, &record.stdout, terminals.stdout, &mut out.stdout),
        // What was cut off with the batch is listed at its end.
        Outcome::Cancelled(CancelledBy::Batch | CancelledBy::Shutdown) => {}
        _ => human::failure(name, &ending(record), &mut out.stderr),
    }
}

fn lines(name: &str, bytes: &[u8], to_terminal: bool, out: &mut Vec<u8>) {
    let mut lines = PrefixedLines::new(to_terminal);
    lines.push(0, name, Stream::Stdout, bytes, out);
    lines.end(0, name, out);
}

fn write_value(name: &str, value: &TaskValue, to_terminal: bool, out: &mut Vec<u8>) {
    let Some(json) = json_of(value) else { return lines(name, value.bytes(), to_terminal, out) };
    out.extend_from_slice(format!("{}: ", terminal::one_line(name)).as_bytes());
    if to_terminal {
        TerminalFilter::default().filter(json.get().as_bytes(), out);
    } else {
        out.extend_from_slice(json.get().as_bytes());
    }
    out.push(b'\n');
}

/// Names that are listed, at most.
const LISTED_MAX: usize = 50;

/// What was not run, in one line; `None` when everything was.
#[must_use]
pub fn left_out(left_out: &LeftOut) -> Option<String> {
    let of_entry = |(name, count): &(String, Option<u64>)| match count {
        Some(1) => terminal::one_line(name),
        Some(count) => format!("{} ({count} tasks)", terminal::one_line(name)),
        None => format!("{} (the rest of its file)", terminal::one_line(name)),
    };
    let cut_off = left_out.cut_off.iter().map(|name| terminal::one_line(name));
    let all: Vec<String> = cut_off.chain(left_out.entries.iter().map(of_entry)).collect();
    if all.is_empty() {
        return None;
    }
    let more = match all.len().saturating_sub(LISTED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!("not run to the end: {}{more}", all[..all.len().min(LISTED_MAX)].join(", ")))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;

    use super::*;
    use crate::outcome::Encoding;
    use crate::policy::Layers;

    fn written(outcome: Outcome, stdout: &'static str) -> (String, String) {
        let record = Record {
            task: 1,
            tag: None,
            name: "a(1)".into(),
            attempt: 1,
            outcome,
            pid: None,
            worker: None,
            queued_at: SystemTime::now(),
            started_at: None,
            wall_time: Duration::ZERO,
            cpu_time: Duration::ZERO,
            peak_memory_bytes: None,
            layers: Layers::default(),
            stdout: Bytes::from(stdout),
            stderr: Bytes::new(),
            progress: None,
            leaks: Vec::new(),
            chaos: false,
        };
        let ended = Ended { seq: 1, name: "a(1)".into(), ending: Ending::Ran(Box::new(record)) };
        let mut out = Written::default();
        write(&ended, Terminals::default(), &mut out);
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    }

    #[test]
    fn everything_has_its_tasks_name() {
        let value =
            |encoding, text: &'static str| Outcome::Succeeded(TaskValue::new(encoding, Bytes::from(text)));
        let stdout = |text: &str| (text.to_owned(), String::new());
        assert_eq!(written(value(Encoding::Json, "{\"x\":\n1}"), ""), stdout("a(1): {\"x\": 1}\n"));
        assert_eq!(written(value(Encoding::Raw, "one\ntwo"), ""), stdout("a(1)| one\na(1)| two\n"));
        assert_eq!(written(Outcome::Exited(0), "one\n\ntwo"), stdout("a(1)| one\na(1)| \na(1)| two\n"));
        assert_eq!(written(Outcome::Failed("no".to_owned()), ""), (String::new(), "a(1): no\n".to_owned()));
        assert_eq!(written(Outcome::Cancelled(CancelledBy::Batch), ""), stdout(""));
    }

    #[test]
    fn what_is_left_out_is_listed() {
        let left = LeftOut {
            cut_off: vec!["a(3)".to_owned()],
            entries: vec![("b".to_owned(), Some(1)), ("c".to_owned(), Some(7)), ("d".to_owned(), None)],
        };
        let text = "not run to the end: a(3), b, c (7 tasks), d (the rest of its file)";
        assert_eq!(left_out(&left).as_deref(), Some(text));
        assert_eq!(left_out(&LeftOut::default()), None);
    }
}
