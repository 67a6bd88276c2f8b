//! What the README says, held against the code.

use std::collections::BTreeSet;
use std::time::Duration;

use wasmpool::{Limits, exit_code};

use crate::support::build::root;
use crate::support::{example, wasmpool};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The text under a heading.
fn section(heading: &str) -> String {
    let readme = read("README.md");
    let (_, rest) = readme
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("no section `{heading}` in the README"));
    rest.split("\n## ").next().unwrap_or_default().to_owned()
}

/// The rows of each table in a text, without its header, cells trimmed.
fn tables(text: &str) -> Vec<Vec<Vec<String>>> {
    let mut tables = Vec::new();
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if !line.starts_with("|---") {
            continue;
        }
        let mut rows = Vec::new();
        while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
            let cells = row.trim_matches('|').split(" | ");
            rows.push(cells.map(|cell| cell.trim().to_owned()).collect());
        }
        tables.push(rows);
    }
    tables
}

/// Fails with the table as it should be.
fn expect_table(found: &[Vec<String>], expected: &[(String, String)], heading: &str) {
    let pairs: Vec<(String, String)> = found.iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    let lines: String = expected.iter().map(|(first, second)| format!("| {first} | {second} |\n")).collect();
    assert!(
        pairs == expected,
        "the table under `{heading}` in README.md is not up to date; it should be\n{lines}"
    );
}

/// What stands in backquotes in a text.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The Rust sources of a folder, as one text.
fn sources(folder: &str) -> String {
    let mut text = String::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder of the project") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text += &std::fs::read_to_string(path).expect("a source file");
            }
        }
    }
    text
}

#[test]
fn the_exit_codes_are_those_of_the_table() {
    let expected: Vec<_> =
        exit_code::TABLE.iter().map(|row| (row.label.to_owned(), row.meaning.to_owned())).collect();
    expect_table(&tables(&section("Exit codes"))[0], &expected, "Exit codes");
}

#[test]
fn the_exit_codes_of_map_are_those_of_the_help() {
    let help = wasmpool(["map", "--help"]).run().expect(0).stdout;
    let help: Vec<String> =
        help.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    let rows = tables(&section("Exit codes")).remove(1);
    for row in &rows {
        let line = row.join(" ");
        assert!(help.contains(&line), "`wasmpool map --help` does not say `{line}`");
    }
    use exit_code::batch;
    let codes = [
        batch::SUCCESS,
        batch::USAGE,
        batch::NOT_SET_UP,
        batch::SOME_FAILED,
        batch::INCOMPLETE,
        batch::INTERRUPTED,
        batch::TERMINATED,
    ];
    let found: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(found, codes.map(|code| code.to_string()));
}

#[test]
fn the_defaults_are_those_of_limits() {
    let limits = Limits::default();
    let bytes = |bytes: u64| match bytes {
        _ if bytes.is_multiple_of(1 << 30) => format!("{} GiB", bytes >> 30),
        _ if bytes.is_multiple_of(1 << 20) => format!("{} MiB", bytes >> 20),
        _ => format!("{} KiB", bytes >> 10),
    };
    let time = |time: Duration| format!("{} s", time.as_secs());
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
    let default = |field: &str| match field {
        "timeout" => or_none(limits.timeout.map(time)),
        "cpu_time" => or_none(limits.cpu_time.map(time)),
        "fuel" => or_none(limits.fuel.map(|fuel| fuel.to_string())),
        "memory_bytes" => bytes(limits.memory_bytes),
        "table_elements" => limits.table_elements.to_string(),
        "instances" => limits.instances.to_string(),
        "stack_bytes" => bytes(limits.stack_bytes.into()),
        "output_bytes" => bytes(limits.output_bytes),
        "streamed_output_bytes" => or_none(limits.streamed_output_bytes.map(bytes)),
        "argument_bytes" => bytes(limits.argument_bytes),
        "result_bytes" => bytes(limits.result_bytes),
        "log_bytes" => bytes(limits.log_bytes),
        "grace_period" => time(limits.grace_period),
        "init_timeout" => time(limits.init_timeout),
        other => panic!("the README names the limit `{other}`, which this test does not know"),
    };
    let rows = tables(&section("Limits and their defaults")).remove(0);
    for row in &rows {
        let field = row[2].trim_matches('`');
        assert_eq!(row[1], default(field), "the default of `{field}` in README.md");
    }
    // Fields as `Debug` writes them, one a line.
    let debug = format!("{limits:#?}");
    let fields = debug.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(':'));
    let fields: BTreeSet<&str> = fields.map(|(name, _)| name).filter(|name| !name.starts_with(' ')).collect();
    let named: BTreeSet<&str> = rows.iter().map(|row| row[2].trim_matches('`')).collect();
    assert_eq!(named, fields, "the limits in README.md and the fields of `Limits`");
}

#[test]
fn the_first_command_prints_squares_from_five_processes() {
    let readme = read("README.md");
    let command = readme.lines().find_map(|line| line.strip_prefix("cargo run --release -- "));
    let command = command.and_then(|line| line.split('#').next()).expect("the first command");
    let module = example("squares");
    let guests = std::path::Path::new(&module).ancestors().nth(3).expect("the guests' target folder");
    let run = |more: &[&str]| {
        let args = command.split_whitespace().chain(more.iter().copied());
        let run = wasmpool(args).current_dir(root());
        run.env("CARGO_TARGET_DIR", &guests.display().to_string()).run().expect(0)
    };
    assert_eq!(run(&[]).lines(), ["1", "4", "9", "16", "25"]);

    let records = run(&["--format", "jsonl"]).records();
    let pids: BTreeSet<u64> = records.iter().filter_map(|record| record["pid"].as_u64()).collect();
    assert_eq!(pids.len(), 5, "{records:?}");
}

#[test]
fn the_example_of_grants_runs() {
    let section = section("Grants");
    let command = section.lines().find_map(|line| line.strip_prefix("wasmpool ")).expect("a command");
    let run = |line: &str| {
        let module = example("word_count");
        let words =
            line.split_whitespace().map(|word| if word == "examples/word_count" { &module } else { word });
        wasmpool(words).current_dir(root()).run()
    };
    let counted = run(command).expect(0).records();
    assert_eq!(counted[0]["lines"], read("examples/word_count/README.md").lines().count());
    // Without its grant there is nothing to read.
    run(&command.replace("--dir examples:ro ", "")).expect(1);
}

#[test]
fn the_plugin_is_the_one_of_the_example() {
    let section = section("A plugin in five lines");
    let snippet = section.split("```rust,ignore\n").nth(1).and_then(|rest| rest.split("```").next());
    let snippet = snippet.expect("a snippet");
    assert_eq!(snippet.lines().count(), 5);
    assert!(
        read("examples/squares/src/lib.rs").contains(snippet),
        "examples/squares has no such task:\n{snippet}"
    );
}

#[test]
fn every_link_leads_somewhere() {
    let readme = read("README.md");
    let links = readme.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links.filter(|link| !link.starts_with("http")) {
        match link.strip_prefix('#') {
            Some(anchor) => {
                let heading =
                    |line: &str| line.strip_prefix("## ").map(|line| line.to_lowercase().replace(' ', "-"));
                assert!(readme.lines().filter_map(heading).any(|found| found == anchor), "no heading {link}");
            }
            None => assert!(root().join(link).exists(), "README.md links to {link}, which is not there"),
        }
    }
}

#[test]
fn every_folder_of_the_project_is_in_the_map() {
    let rows = tables(&section("Folders")).remove(0);
    let named: Vec<String> =
        rows.iter().map(|row| row[0].split(['[', ']']).nth(1).unwrap_or_default().to_owned()).collect();
    for name in &named {
        assert!(root().join(name).is_dir(), "the folder map names {name}, which is not there");
    }
    for entry in std::fs::read_dir(root()).expect("the project's folder") {
        let entry = entry.expect("an entry");
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_of_the_project = entry.path().is_dir() && ![".git", "target"].contains(&name.as_str());
        let is_named = named.iter().any(|path| *path == name || path.starts_with(&format!("{name}/")));
        assert!(!is_of_the_project || is_named, "the folder map does not name {name}");
    }
}

#[test]
fn what_python_words_become_exists() {
    let code = sources("host/src") + &sources("guest-sdk/src");
    let rows = tables(&section("Coming from Python")).remove(0);
    for row in &rows {
        for name in quoted(&row[1]).into_iter().filter(|name| !name.contains(['(', '"', ' '])) {
            let last = name.rsplit("::").next().unwrap_or(name);
            let forms = ["fn ", "struct ", "enum ", "mod ", "    "].map(|before| format!("{before}{last}"));
            let is_item = forms.iter().any(|form| code.contains(form.as_str()));
            let is_value = ["None", "-N", "Process-N", "tracing", "log"].contains(&name);
            assert!(
                is_item || is_value,
                "README.md says {} becomes `{name}`, which is not in the code",
                row[0]
            );
        }
    }
}

#[test]
fn every_python_word_and_every_listing_has_its_row() {
    let section = section("Coming from Python");
    let rows = tables(&section).remove(0);
    let python: String = rows.iter().map(|row| row[0].as_str()).collect::<Vec<_>>().join(" ");
    let words = "Process Pool name pid daemon is_alive join terminate kill exitcode map imap imap_unordered starmap \
                 apply apply_async close initializer maxtasksperchild chunksize set_start_method active_children \
                 cpu_count log_to_stderr sentinel args kwargs start current_process map_async Queue JoinableQueue \
                 put get empty task_done Lock RLock Semaphore BoundedSemaphore Event Condition Barrier Value \
                 Array Pipe Manager";
    for word in words.split_whitespace() {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let is_there = python.split(|c| !is_word(c)).any(|found| found == word);
        assert!(is_there, "no row for Python's `{word}`");
    }
    for entry in std::fs::read_dir(root().join("examples/tutorial_host/src")).expect("the listings") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        assert!(name == "main.rs" || section.contains(&format!("/{name})")), "no row links to {name}");
    }
}

#[test]
fn the_faults_side_by_side_are_those_of_the_script() {
    let rows = tables(&section("When processes die")).remove(0);
    let ours: Vec<&str> = rows.iter().map(|row| row[2].as_str()).collect();
    let lost = "the task whose worker was killed ends with 137";
    let expected = [
        format!("99 of 100 results; {lost}"),
        format!("19 of 20 results; {lost}"),
        "0 processes are left".to_owned(),
    ];
    assert_eq!(ours, expected);
}
