//! Options in variables and in a config file, and what the program says of itself.

use std::process::Command;

use crate::support::{Run, guests, wasmpool};

/// Whether a program of this machine can be started.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

fn guest(task: &str, args: &[&str]) -> Run {
    wasmpool([&["run", guests(), "-t", task], args].concat())
}

#[test]
fn an_option_may_stand_in_a_variable_or_in_the_config_file() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::ordinary::give(folder.path());
    std::fs::create_dir(folder.path().join("wasmpool")).unwrap();
    std::fs::write(
        folder.path().join("wasmpool/config.toml"),
        "timeout = \"100ms\"\n[map]\nformat = \"jsonl\"\n",
    )
    .unwrap();
    let home = folder.path().display().to_string();
    let of_home = |run: Run| run.unset("WASMPOOL_CONFIG").env("XDG_CONFIG_HOME", &home);
    of_home(guest("spin", &[])).run().expect(221);
    // A variable counts more than the file, and what was typed more than that.
    of_home(guest("spin", &[]))
        .env("WASMPOOL_TIMEOUT", "1m")
        .env("WASMPOOL_CPU_TIME", "50ms")
        .run()
        .expect(227);
    of_home(guest("spin", &["--timeout", "200ms"])).env("WASMPOOL_TIMEOUT", "1m").run().expect(221);
    let ended = of_home(wasmpool(["map", guests(), "-t", "echo_json", "7"])).run().expect(0);
    assert_eq!(ended.records()[0]["value"], 7);
    // A file of the current folder is not read by itself, but may be named.
    std::fs::write(folder.path().join("config.toml"), "fuel = 0.5\n").unwrap();
    guest("echo_json", &["7"]).current_dir(folder.path()).run().expect(0);
    let ended =
        guest("echo_json", &["7", "--config", "config.toml"]).current_dir(folder.path()).run().expect(246);
    assert!(ended.stderr.contains("config.toml:1:8: `fuel` is `0.5`: invalid digit"), "{}", ended.stderr);
}

#[test]
fn a_wrong_variable_is_named_and_help_is_given_all_the_same() {
    let ended = guest("echo_json", &["7"]).env("WASMPOOL_MAX_MEMORY", "lots").run().expect(246);
    assert!(
        ended.stderr.starts_with("wasmpool: the variable WASMPOOL_MAX_MEMORY is `lots`"),
        "{}",
        ended.stderr
    );
    wasmpool(["run", "--help"]).env("WASMPOOL_MAX_MEMORY", "lots").run().expect(0);
    wasmpool(["help", "run"]).env("WASMPOOL_MAX_MEMORY", "lots").run().expect(0);
    let ended = guest("echo_json", &["7"]).env("WASMPOOL_CONFIG", "/nowhere.toml").run().expect(246);
    assert!(ended.stderr.contains("cannot read the config file `/nowhere.toml`"), "{}", ended.stderr);
}

#[test]
fn what_is_granted_from_elsewhere_is_said_each_time() {
    let folder = tempfile::tempdir().unwrap();
    crate::support::ordinary::give(folder.path());
    std::fs::write(folder.path().join("a"), "alpha").unwrap();
    let grant = format!("{}::/in:ro", folder.path().display());
    let ended = guest("read_file", &["/in/a"]).env("WASMPOOL_DIR", &grant).run().expect(0);
    assert_eq!(ended.stdout, "\"alpha\"\n");
    assert!(ended.stderr.contains(&format!("--dir={grant} (WASMPOOL_DIR)")), "{}", ended.stderr);
    // Nobody inside sees that there was one.
    let ended = guest("echo_json", &["7"]).env("WASMPOOL_TIMEOUT", "1m").run().expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("7\n", ""));
}

#[test]
fn bash_completes_commands_and_options() {
    if !is_there("bash") {
        return;
    }
    let script = wasmpool(["completions", "bash"]).run().expect(0).stdout;
    let complete = |words: &[&str]| {
        let line = words.join(" ");
        let at = words.len() - 1;
        let bash = format!(
            "{script}\nCOMP_WORDS=({line})\nCOMP_CWORD={at}\n_wasmpool wasmpool \"{}\" \"{}\"\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words[at],
            words[at - 1]
        );
        let output = Command::new("bash").args(["--norc", "-c", &bash]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let has = |words: &[&str], expected: &str| {
        let found = complete(words);
        assert!(found.lines().any(|line| line == expected), "{words:?}: {found}");
    };
    has(&["wasmpool", "ba"], "batch");
    has(&["wasmpool", "run", "--max-m"], "--max-memory");
    has(&["wasmpool", "map", "--sandbox", "best"], "best-effort");
    has(&["wasmpool", "completions", "f"], "fish");
    for shell in ["elvish", "fish", "powershell", "zsh"] {
        let script = wasmpool(["completions", shell]).run().expect(0).stdout;
        assert!(script.contains("max-memory"), "{shell}");
    }
}

#[test]
fn man_pages_are_rendered_without_a_warning() {
    let commands = [
        "run",
        "map",
        "batch",
        "replay",
        "inspect",
        "compile",
        "new",
        "doctor",
        "completions",
        "man",
        "help",
    ];
    let pages = commands.map(|command| vec!["man", command]);
    for words in pages.into_iter().chain([vec!["man"]]) {
        let page = wasmpool(&words).run().expect(0).stdout;
        assert!(page.contains(".TH wasmpool"), "{words:?}");
        if !is_there("groff") {
            continue;
        }
        let mut groff = Command::new("groff");
        groff.args(["-man", "-Tutf8", "-ww", "-rLL=80n"]);
        let ended = Run::new(groff).stdin(page).run().expect(0);
        assert_eq!(ended.stderr, "", "{words:?}");
        assert!(ended.stdout.contains("wasmpool"), "{words:?}");
    }
    let page = wasmpool(["man"]).run().expect(0).stdout;
    for section in ["EXIT STATUS", "ENVIRONMENT AND FILES"] {
        assert!(page.contains(section), "{page}");
    }
    let ended = wasmpool(["man", "mpa"]).run().expect(2);
    assert!(ended.stderr.contains("there is no command `mpa`, did you mean `map`?"), "{}", ended.stderr);
}

#[test]
fn help_is_given_on_commands_and_topics() {
    for topic in ["exit-codes", "manifest", "grants", "limits", "config", "environment", "joblog"] {
        assert!(wasmpool(["help", topic]).run().expect(0).lines().len() > 5, "{topic}");
    }
    let of_help = wasmpool(["help", "run"]).run().expect(0).stdout;
    assert_eq!(of_help.trim_end(), wasmpool(["run", "--help"]).run().expect(0).stdout.trim_end());
    let ended = wasmpool(["help", "limit"]).run().expect(2);
    for says in ["there is no help on `limit`, did you mean `limits`?", "Commands:", "Topics"] {
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    assert!(wasmpool(["help"]).run().expect(0).stdout.contains("exit-codes"));
}
