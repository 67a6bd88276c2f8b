//! What a command is given, clocks and random numbers too, and how it ends.

use std::time::{Duration, SystemTime};

use super::{Data, FORMS};
use crate::support::{build, wasmpool};

#[test]
fn arguments_reach_the_command_as_they_are() {
    let given = ["", "two words", "\"quoted\"", "--dir", "new\nline", "\u{fc}\u{1f980}", "-t"];
    for form in FORMS {
        let line = ["arguments"].into_iter().chain(given).collect::<Vec<_>>();
        let ended = Data::new(form).options(&["--argv0", "a name"]).run(&line);
        let expected = ["a name", "arguments"].into_iter().chain(given).map(|text| format!("{text:?}"));
        assert_eq!(ended.lines(), expected.collect::<Vec<_>>());
    }
}

#[test]
fn variables_reach_the_command_as_they_are() {
    for form in FORMS {
        assert_eq!(Data::new(form).run(&["variables"]).stdout, "", "nothing of the host's");
        let options =
            ["--env", "A=x=y", "--env", "EMPTY=", "--env", "LINES=one\ntwo", "--env", "\u{e4}=\u{fc}"];
        let ended = Data::new(form).options(&options).run(&["variables"]);
        let mut lines = ended.lines();
        lines.sort_unstable();
        assert_eq!(lines, [r#""A=x=y""#, r#""EMPTY=""#, r#""LINES=one\ntwo""#, "\"\u{e4}=\u{fc}\""]);
    }
}

#[test]
fn granted_directories_are_told_by_their_names_in_order() {
    for form in FORMS {
        let (data, second) = (Data::new(form), tempfile::tempdir().expect("a folder"));
        crate::support::ordinary::give(second.path());
        let grant = format!("{}::/second/one:ro", second.path().display());
        let data = data.options(&["--dir", &grant]);
        assert_eq!(data.run(&["preopens"]).lines(), [r#""/data""#, r#""/second/one""#]);
        let none = wasmpool(["run", &build::command(form), "preopens"]).run().expect(0);
        assert_eq!(none.stdout, "");
    }
}

#[test]
fn a_command_ends_with_its_code() {
    let run = |form, line: &[&str]| {
        let module = build::command(form);
        wasmpool(["run", &module].into_iter().chain(line.iter().copied())).run()
    };
    for form in FORMS {
        run(form, &["return"]).expect(0);
        run(form, &["exit", "0"]).expect(0);
        run(form, &["exit", "1"]).expect(1);
        let panicked = run(form, &["panic"]).expect(200);
        assert!(panicked.stderr.contains("out of tea"), "{}", panicked.stderr);
    }
    for (code, told) in [("2", 2), ("42", 42), ("124", 124), ("125", 125), ("126", 125), ("4294967295", 125)]
    {
        run(build::Form::Core, &["exit", code]).expect(told);
        // `wasi:cli/exit` knows success and failure, no number.
        run(build::Form::Component, &["exit", code]).expect(1);
    }
}

#[test]
fn clocks_go_on_and_show_the_time() {
    for form in FORMS {
        let since = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        let before = since(SystemTime::now());
        let ended = Data::new(form).run(&["clocks"]);
        let shown = Duration::from_nanos(ended.stdout.trim_end().parse().expect("a number"));
        assert!(before <= shown && shown <= since(SystemTime::now()), "{shown:?} is not after {before:?}");
    }
}

#[test]
fn random_numbers_are_random_in_every_process() {
    let drawn: Vec<_> =
        FORMS.iter().cycle().take(4).map(|form| Data::new(*form).run(&["random"]).stdout).collect();
    let distinct: std::collections::BTreeSet<_> = drawn.iter().collect();
    assert_eq!(distinct.len(), 4, "{drawn:?}");
}
