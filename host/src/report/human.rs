//! Results for a person, or for the next program of a pipe: values on standard output, everything else
//! on standard error.

#![forbid(unsafe_code)]

use super::lines::whole;
use super::terminal::{self, TerminalFilter};
use super::{ending, json_of};
use crate::batch::drive::{Ended, Ending};
use crate::outcome::{CancelledBy, Encoding, Outcome, Record, TaskValue};

/// Which of the streams are terminals: a guest's escape sequences are kept away from those.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Terminals {
    /// Standard output.
    pub stdout: bool,
    /// Standard error.
    pub stderr: bool,
}

/// What is to be written to the two streams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// To standard output.
    pub stdout: Vec<u8>,
    /// To standard error.
    pub stderr: Vec<u8>,
}

/// One input of a batch: its value, or the output of its command, or why there is none.
pub fn write(ended: &Ended, terminals: Terminals, out: &mut Written) {
    match &ended.ending {
        Ending::Bad(bad) => {
            failure(&ended.name, &terminal::one_line(&bad.to_string()), &mut out.stderr);
        }
        Ending::Ran(record) => write_record(&ended.name, record, terminals, out),
    }
}

fn write_record(name: &str, record: &Record, terminals: Terminals, out: &mut Written) {
    whole(&record.stderr, terminals.stderr, &mut out.stderr);
    match &record.outcome {
        Outcome::Succeeded(value) => {
            let start = out.stdout.len();
            write_value(value, terminals.stdout, &mut out.stdout);
            if value.encoding() == Encoding::Json || out.stdout.len() > start {
                end_line(&mut out.stdout);
            }
        }
        outcome if outcome.is_success() => whole(&record.stdout, terminals.stdout, &mut out.stdout),
        // What was cut off with the batch is a number in its summary.
        Outcome::Cancelled(CancelledBy::Batch | CancelledBy::Shutdown) => {}
        // So is what was never begun, thousands of a chunk perhaps.
        Outcome::Cancelled(_) if record.started_at.is_none() => {}
        _ => failure(name, &ending(record), &mut out.stderr),
    }
}

/// The value of a single task: a line of JSON, or its bytes as they are.
pub fn write_single(value: &TaskValue, terminals: Terminals, out: &mut Written) {
    write_value(value, terminals.stdout, &mut out.stdout);
    if value.encoding() == Encoding::Json || (terminals.stdout && !out.stdout.is_empty()) {
        end_line(&mut out.stdout);
    }
}

/// Why a task has no value.
pub fn failure(name: &str, reason: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{}: {reason}\n", terminal::one_line(name)).as_bytes());
}

/// What was measured around a task, and where it trapped, for `-v`: a line each.
#[must_use]
pub fn details(record: &Record) -> String {
    let milliseconds = |time: std::time::Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let mut out = format!(
        "{}: attempt {}, process {}, wall time {}, CPU time {}, peak memory {}, sandbox {}\n",
        terminal::one_line(&record.name),
        record.attempt,
        record.pid.map_or("none".to_owned(), |pid| pid.to_string()),
        milliseconds(record.wall_time),
        milliseconds(record.cpu_time),
        record.peak_memory_bytes.map_or("unknown".to_owned(), |bytes| format!("{} KiB", bytes / 1024)),
        sandbox(record),
    );
    let trap = match &record.outcome {
        Outcome::Trapped(trap) => Some(trap),
        Outcome::LimitExceeded(limit) => limit.trap.as_ref(),
        _ => None,
    };
    for frame in trap.iter().flat_map(|trap| &trap.backtrace) {
        let place = frame.module_offset.map_or(String::new(), |offset| format!(" (offset {offset:#x})"));
        out.push_str(&format!("    at {}{place}\n", terminal::one_line(&frame.function)));
    }
    out
}

fn sandbox(record: &Record) -> String {
    let layers: Vec<&str> = record.layers.iter().map(|layer| layer.label()).collect();
    if layers.is_empty() { "none".to_owned() } else { layers.join(" ") }
}

fn write_value(value: &TaskValue, to_terminal: bool, out: &mut Vec<u8>) {
    let json = json_of(value);
    let bytes = match &json {
        Some(json) => json.get().as_bytes(),
        None => value.bytes(),
    };
    if to_terminal {
        TerminalFilter::default().filter(bytes, out);
    } else {
        out.extend_from_slice(bytes);
    }
}

fn end_line(out: &mut Vec<u8>) {
    if !out.ends_with(b"\n") {
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;
    use crate::batch::BadInput;
    use crate::outcome::{Trap, TrapKind};
    use crate::policy::Layers;

    const TO_FILES: Terminals = Terminals { stdout: false, stderr: false };
    const TO_TERMINALS: Terminals = Terminals { stdout: true, stderr: true };

    fn ran(outcome: Outcome, stdout: &'static [u8], stderr: &'static [u8]) -> Ended {
        let record = Record {
            task: 1,
            tag: Some(1),
            name: "t#1".into(),
            attempt: 1,
            outcome,
            pid: None,
            worker: None,
            queued_at: std::time::UNIX_EPOCH,
            started_at: None,
            wall_time: Duration::ZERO,
            cpu_time: Duration::ZERO,
            peak_memory_bytes: None,
            layers: Layers::default(),
            stdout: Bytes::from_static(stdout),
            stderr: Bytes::from_static(stderr),
            progress: None,
            leaks: Vec::new(),
            chaos: false,
        };
        Ended { seq: 1, name: "t#1".into(), ending: Ending::Ran(Box::new(record)) }
    }

    fn value(encoding: Encoding, bytes: &'static [u8]) -> TaskValue {
        TaskValue::new(encoding, Bytes::from_static(bytes))
    }

    fn written(ended: &[Ended], terminals: Terminals) -> (String, String) {
        let mut out = Written::default();
        ended.iter().for_each(|ended| write(ended, terminals, &mut out));
        (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap())
    }

    fn single(value: &TaskValue, terminals: Terminals) -> String {
        let mut out = Written::default();
        write_single(value, terminals, &mut out);
        String::from_utf8(out.stdout).unwrap()
    }

    #[test]
    fn a_value_is_a_line_and_a_failure_a_line_elsewhere() {
        let inputs = [
            ran(Outcome::Succeeded(value(Encoding::Json, b"{\n \"a\": 1\n}")), b"", b""),
            ran(Outcome::Failed("by zero\nsecond line".to_owned()), b"", b""),
            ran(Outcome::Succeeded(value(Encoding::Raw, b"raw")), b"", b""),
            Ended {
                seq: 4,
                name: "t#4".into(),
                ending: Ending::Bad(BadInput { place: "f:4".to_owned(), reason: "not JSON".to_owned() }),
            },
        ];
        let (stdout, stderr) = written(&inputs, TO_FILES);
        assert_eq!(stdout, "{  \"a\": 1 }\nraw\n");
        assert_eq!(stderr, "t#1: by zero\\nsecond line\nt#4: f:4: not JSON\n");
    }

    #[test]
    fn a_command_shows_its_output_only_when_it_succeeded() {
        let inputs = [
            ran(Outcome::Exited(0), b"out", b"warning"),
            ran(Outcome::Exited(3), b"half a result", b"broken\n"),
        ];
        let (stdout, stderr) = written(&inputs, TO_FILES);
        assert_eq!(stdout, "out\n");
        assert_eq!(stderr, "warning\nbroken\nt#1: exited with code 3\n");
    }

    #[test]
    fn a_trap_says_what_it_was_and_a_halted_task_nothing() {
        let trap = Box::new(Trap {
            kind: TrapKind::StackOverflow,
            message: String::new(),
            backtrace: Vec::new(),
            panic: None,
            before_task: None,
        });
        let mut first = trap.clone();
        first.before_task = Some("the module's initialisation".to_owned());
        let said = written(&[ran(Outcome::Trapped(first), b"", b"")], TO_FILES).1;
        assert_eq!(said, "t#1: the module's initialisation failed: trapped: stack overflow\n");
        let inputs =
            [ran(Outcome::Trapped(trap), b"", b""), ran(Outcome::Cancelled(CancelledBy::Batch), b"", b"")];
        assert_eq!(written(&inputs, TO_FILES), (String::new(), "t#1: trapped: stack overflow\n".to_owned()));
        let cancelled = |started_at| {
            let mut ended = ran(Outcome::Cancelled(CancelledBy::Caller), b"", b"");
            let Ending::Ran(record) = &mut ended.ending else { unreachable!("it ran") };
            record.started_at = started_at;
            written(&[ended], TO_FILES).1
        };
        assert_eq!(cancelled(Some(std::time::UNIX_EPOCH)), "t#1: cancelled\n");
        assert_eq!(cancelled(None), "");
    }

    #[test]
    fn the_bytes_of_a_single_raw_task_stay_as_they_are() {
        assert_eq!(single(&value(Encoding::Raw, b"a\x1b[1m"), TO_FILES), "a\x1b[1m");
        assert_eq!(single(&value(Encoding::Raw, b"a\x1b[1m"), TO_TERMINALS), "a\n");
        assert_eq!(single(&value(Encoding::Raw, b""), TO_TERMINALS), "");
        assert_eq!(single(&value(Encoding::Json, b"\"a\""), TO_FILES), "\"a\"\n");
        assert_eq!(single(&value(Encoding::Json, "\"\u{9b}1m\"".as_bytes()), TO_TERMINALS), "\"\"\n");
    }
}
