//! Waiting for clocks and for standard input.

use std::io::{BufRead as _, BufReader, Write as _};
use std::time::Instant;

use super::{Data, FORMS, inside};
use crate::support::program::finish;

#[test]
fn clocks_are_waited_for() {
    inside(&["waiting", "until"]);
}

#[test]
fn what_is_ready_first_is_told_first() {
    inside(&["several", "bad_subscriptions"]);
}

#[test]
fn an_input_at_its_end_is_ready() {
    inside(&["no_input"]);
    for form in FORMS {
        Data::new(form).command(&["no_input"]).stdin("").run().expect(0);
    }
}

/// A pipe that nobody writes to while the command begins to wait.
#[test]
fn an_input_is_waited_for_as_long_as_the_clock_allows() {
    for form in FORMS {
        for (milliseconds, input, expected) in [("30", "", "the clock"), ("3600000", "late\n", r#""late\n""#)]
        {
            let (reader, mut writer) = std::io::pipe().expect("a pipe");
            let begun = Instant::now();
            let data = Data::new(form);
            let run = data.command(&["input_or_clock", milliseconds]);
            let mut child = run.stdin_from(reader).start();
            let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
            let mut line = || lines.next().expect("a line").expect("a text");
            assert_eq!(line(), "waiting");
            writer.write_all(input.as_bytes()).expect("the command reads");
            assert_eq!(line(), expected);
            assert_eq!(finish(child, begun).code, Some(0));
        }
    }
}
