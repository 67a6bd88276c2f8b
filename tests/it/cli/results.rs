//! `map --results`, and what a command sees: `--argv0`, `--stdin`, `--env-file`, `--inherit-env`.

use std::path::Path;

use serde_json::Value;

use crate::support::{guests, mebibyte, wasmpool, wat};

fn text(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join(name)).expect("a file")
}

#[test]
fn the_results_of_each_command_are_kept_in_a_folder_of_their_own() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("results");
    let results = folder.display().to_string();
    let line = ["map", "--results", &results, &wat("arguments"), "a", "bb", "--", "x", "{}"];
    let ended = wasmpool(line).run().expect(0);
    assert_eq!(ended.lines(), ["x a", "x bb"]);
    for (seq, stdout) in [("1", "x a\n"), ("2", "x bb\n")] {
        let kept = folder.join(seq);
        assert_eq!((text(&kept, "stdout").as_str(), text(&kept, "stderr").as_str()), (stdout, ""));
        let record: Value = serde_json::from_str(&text(&kept, "record.json")).expect("a record");
        assert_eq!((&record["seq"].to_string(), &record["exit_code"]), (&seq.to_owned(), &Value::from(0)));
        assert_eq!(record["stdout"], Value::Null, "the output is in its file");
    }
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 2);
    // A second time, nothing is overwritten, and nothing runs.
    let again = wasmpool(line).run().expect(2);
    assert!(again.stderr.contains("is not empty, and nothing in it is overwritten"), "{}", again.stderr);
    assert_eq!(again.stdout, "");
    let task =
        wasmpool(["map", "--results", &results, guests(), "-t", "add", "--starmap", "[1,2]"]).run().expect(2);
    assert!(task.stderr.contains("--results goes with the command line after `--`"), "{}", task.stderr);
}

#[test]
fn a_command_that_fails_is_kept_too() {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("results");
    let results = folder.display().to_string();
    let line = ["map", "--results", &results, &wat("unreachable"), "a", "--", "{}"];
    wasmpool(line).run().expect(100);
    let record: Value = serde_json::from_str(&text(&folder, "1/record.json")).expect("a record");
    assert_eq!((&record["exit_code"], &record["outcome"]), (&Value::from(200), &Value::from("trapped")));
}

/// A full disk is told, the results on standard output are all there, and nothing half written stays.
#[test]
fn a_full_disk_loses_no_other_result() {
    let place = tempfile::tempdir().expect("a folder");
    let input = place.path().join("input");
    std::fs::write(&input, vec![b'x'; 700_000]).expect("a file");
    let disk = place.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let (stdin, results) = (input.display().to_string(), disk.join("results").display().to_string());
    let line = ["map", "--stdin", &stdin, "--results", &results, &wat("cat"), "a", "b", "c", "--", "{}"];
    let ended = mebibyte::run_in(&disk, false, &line).expect(106);
    // Each of them printed all of it.
    assert_eq!(ended.stdout.len() / 700_000, 3, "{}", ended.stderr);
    let told =
        ended.stderr.lines().filter(|line| line.contains("are not kept in") && line.contains("os error 28"));
    assert_eq!(told.count(), 2, "{}", ended.stderr);
}

#[test]
fn a_command_of_a_map_has_the_name_and_the_input_that_it_is_given() {
    let place = tempfile::tempdir().expect("a folder");
    let input = place.path().join("input");
    std::fs::write(&input, "one\n").expect("a file");
    let stdin = input.display().to_string();
    let line = ["map", "--stdin", &stdin, &wat("cat"), "a", "b", "--", "{}"];
    assert_eq!(wasmpool(line).run().expect(0).lines(), ["one", "one"]);
    assert_eq!(wasmpool(["run", "--stdin", &stdin, &wat("cat")]).run().expect(0).stdout, "one\n");
    let both = ["run", "--stdin", "-", &wat("cat")];
    assert_eq!(wasmpool(both).stdin("ours").run().expect(0).stdout, "ours");
    for command in [&["run", "--stdin", "/no/such", "module"][..], &["run", "--stdin", "/", "module"]] {
        let module = wat("cat");
        let line: Vec<&str> =
            command.iter().map(|word| if *word == "module" { module.as_str() } else { word }).collect();
        assert!(wasmpool(line).run().expect(246).stderr.contains("for --stdin"));
    }
    let named = wat("first_argument");
    assert_eq!(wasmpool(["run", &named, "x"]).run().expect(0).stdout, "first_argument.wat\n");
    assert_eq!(wasmpool(["run", "--argv0", "tool", &named, "x"]).run().expect(0).stdout, "tool\n");
    let mapped = wasmpool(["map", "--argv0", "tool", &named, "a", "b", "--", "{}"]).run().expect(0);
    assert_eq!(mapped.lines(), ["tool", "tool"]);
    let task = wasmpool(["map", "--argv0", "tool", guests(), "-t", "add", "1"]).run().expect(2);
    assert!(task.stderr.contains("--argv0 goes with a WASI command"), "{}", task.stderr);
}

#[test]
fn a_map_has_the_variables_of_a_file_and_those_of_here() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("variables");
    std::fs::write(&file, "A=1\nHERE\n").expect("a file");
    let file = file.display().to_string();
    let line = ["map", "--env-file", &file, guests(), "-t", "environment", "--starmap", "[]"];
    let ended = wasmpool(line).env("HERE", "yes").run().expect(0);
    assert_eq!(ended.lines(), [r#"{"A":"1","HERE":"yes"}"#]);
    let line = ["map", "--inherit-env", guests(), "-t", "environment", "--starmap", "[]"];
    assert!(wasmpool(line).env("HERE", "yes").run().expect(0).stdout.contains(r#""HERE":"yes""#));
}
