//! Standard input, output and error.

use super::{Data, FORMS, inside};

#[test]
fn the_streams_are_streams() {
    inside(&["stream_kinds", "closed_streams", "both_outputs"]);
    for form in FORMS {
        let ended = Data::new(form).run(&["both_outputs"]);
        assert!(ended.stdout.starts_with("out\n"), "{}", ended.stdout);
        assert_eq!(ended.stderr, "err\n");
        let ended = Data::new(form).run(&["closed_streams"]);
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("before\n", "error\n"));
    }
}

/// From a pipe, from a file, and from nothing.
#[test]
fn standard_input_is_copied_to_its_end() {
    let text: String = (0..100_000).map(|line| format!("line {line}\n")).collect();
    for form in FORMS {
        let data = Data::new(form);
        let ended = data.command(&["copy"]).stdin(text.clone()).run().expect(0);
        assert!(ended.stdout == text, "{} of {} bytes came back", ended.stdout.len(), text.len());
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("input");
        std::fs::write(&file, &text).expect("a file");
        crate::support::ordinary::give(folder.path());
        let ended = Data::new(form).options(&["--stdin", &file.display().to_string()]).run(&["copy"]);
        assert!(ended.stdout == text, "{} of {} bytes came back", ended.stdout.len(), text.len());
        assert_eq!(data.run(&["copy"]).stdout, "");
    }
}

/// Also where the host's is one: what a guest prints is filtered on its way there.
#[test]
fn no_stream_is_a_terminal() {
    for form in FORMS {
        assert_eq!(Data::new(form).run(&["stream_kinds"]).stdout, "false\n");
        let (code, shown) = Data::new(form).command(&["stream_kinds"]).run_on_terminal();
        assert_eq!(code, Some(0), "{shown}");
        assert!(shown.contains("false"), "{shown}");
    }
}
