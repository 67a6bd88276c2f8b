//! `wasmpool run`: one task, its streams and its code.

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::support::program::finish;
use crate::support::{example, guests, processes, wasmpool, wat};

/// A module in the text format, in a folder that vanishes with it.
fn text_module(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("module.wat");
    std::fs::write(&path, text).expect("a file");
    let path = path.display().to_string();
    (folder, path)
}

fn command(body: &str) -> (tempfile::TempDir, String) {
    text_module(&format!(r#"(module (memory (export "memory") 1) (func (export "_start") {body}))"#))
}

#[test]
fn a_value_is_one_line_of_json() {
    let ended = wasmpool(["run", &example("squares"), "-t", "square", "7"]).run().expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("49\n", ""));
}

#[test]
fn an_error_is_code_1_and_says_why() {
    let ended = wasmpool(["run", &example("squares"), "-t", "divide", "1", "0"]).run().expect(1);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", "divide: cannot divide 1 by zero\n"));
}

#[test]
fn an_unknown_task_is_127_and_lists_the_tasks() {
    let ended = wasmpool(["run", &example("squares"), "-t", "cube", "1"]).run().expect(127);
    for task in ["divide(a: i64, b: i64) -> i64; ", "square(n: i64) -> i64; "] {
        assert!(ended.stderr.contains(task), "{}", ended.stderr);
    }
}

#[test]
fn what_is_no_module_is_126_and_what_is_not_there_127() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("a file");
        path.display().to_string()
    };
    for (path, says) in [
        (file("text.txt", b"just some words"), "text file"),
        (file("empty.wasm", b""), "empty"),
        (file("elf.wasm", b"\x7fELF\x02\x01\x01\0\0\0"), "ELF"),
        (file("cut.wasm", b"\0asm\x01\0\0\0\x01\x7f"), "module"),
    ] {
        let ended = wasmpool(["run", &path]).run().expect(126);
        assert!(ended.stderr.contains(says), "{path}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
    wasmpool(["run", "no/such/file.wasm"]).run().expect(127);
}

#[test]
fn missing_imports_are_126_and_all_of_them_are_listed() {
    let (_folder, path) = text_module(
        r#"(module (import "env" "one" (func)) (import "env" "two" (func)) (func (export "_start")))"#,
    );
    let ended = wasmpool(["run", &path]).run().expect(126);
    assert!(ended.stderr.contains("one") && ended.stderr.contains("two"), "{}", ended.stderr);
}

#[test]
fn traps_have_their_codes() {
    for (body, code) in [("unreachable", 200), ("(drop (i32.div_s (i32.const 1) (i32.const 0)))", 207)] {
        let (_folder, path) = command(body);
        wasmpool(["run", &path]).run().expect(code);
    }
}

#[test]
fn an_endless_loop_ends_with_its_time() {
    let (_folder, path) = command("(loop (br 0))");
    // Compiled before it is timed.
    wasmpool(["compile", &path]).run().expect(0);
    let ended = wasmpool(["run", "--timeout", "300ms", &path]).run().expect(221);
    println!("300 ms of time-out took {:?} in all", ended.time);
    // 0.6 s on a machine with nothing else to do; this one runs the other tests too.
    assert!(ended.time < Duration::from_secs(3), "{:?}", ended.time);
}

#[test]
fn a_sleeping_guest_ends_with_its_time() {
    wasmpool(["run", "--timeout", "300ms", guests(), "-t", "sleep_forever"]).run().expect(221);
}

#[test]
fn limits_have_their_codes() {
    wasmpool(["run", "--fuel", "100000", guests(), "-t", "spin"]).run().expect(220);
    wasmpool(["run", "--max-memory", "16MiB", guests(), "-t", "grow"]).run().expect(222);
    let flooded = wasmpool(["run", "--max-output", "1MiB", guests(), "-t", "flood_output"]).run().expect(224);
    assert!(flooded.stderr.len() < 4 << 20, "the flood is cut");
    wasmpool(["run", guests(), "-t", "recurse"]).run().expect(201);
    wasmpool(["run", guests(), "-t", "exit_with", "42"]).run().expect(42);
    let large = wasmpool(["run", "-v", guests(), "-t", "exit_with", "300"]).run().expect(125);
    assert!(large.stderr.contains("300"), "the true number is told: {}", large.stderr);
}

#[test]
fn a_panic_tells_its_message_and_its_place() {
    let ended = wasmpool(["run", guests(), "-t", "panic", "out of tea"]).run().expect(200);
    assert!(ended.stderr.contains("out of tea") && ended.stderr.contains("src/"), "{}", ended.stderr);
}

#[test]
fn what_a_task_prints_goes_to_standard_error_with_its_name() {
    let ended = wasmpool(["run", guests(), "-t", "print", "hello"]).run().expect(0);
    assert_eq!(ended.stdout, "null\n");
    assert!(ended.stderr.contains("print| hello\n"), "{}", ended.stderr);
}

#[test]
fn arguments_by_name_negative_numbers_and_json() {
    let greeted = wasmpool(["run", guests(), "-t", "greet", "-k", "name=Ada", "-k", "excited=true"]).run();
    assert_eq!(greeted.expect(0).stdout, "\"Hello, Ada!\"\n");
    assert_eq!(wasmpool(["run", guests(), "-t", "add", "-1", "-2"]).run().expect(0).stdout, "-3\n");
    let mirrored = wasmpool(["run", guests(), "-t", "echo_json", r#"{"a": [1, null]}"#]).run().expect(0);
    assert_eq!(mirrored.stdout, "{\"a\":[1,null]}\n");
    let echoed = wasmpool(["run", guests(), "-t", "echo", "raw \u{e9}"]).run().expect(0);
    assert!(echoed.stdout.starts_with("raw \u{e9}"));
}

#[test]
fn wrong_arguments_say_what_would_be_right() {
    let few = wasmpool(["run", guests(), "-t", "add", "1"]).run();
    assert!(few.stderr.contains('b'), "{}", few.stderr);
    let unknown = wasmpool(["run", guests(), "-t", "add", "1", "-k", "c=2"]).run();
    assert!(unknown.stderr.contains("`c`"), "{}", unknown.stderr);
    for ended in [few, unknown] {
        assert_ne!(ended.code, Some(0));
        assert_eq!(ended.stdout, "");
    }
}

#[test]
fn a_usage_error_is_246() {
    wasmpool(["run"]).run().expect(246);
    wasmpool(["run", "--no-such-option", "x"]).run().expect(246);
    let help = wasmpool(["run", "--help"]).run().expect(0);
    assert!(help.stdout.contains("221") && help.stdout.contains("scripts"), "codes and a warning");
    let version = wasmpool(["--version"]).run().expect(0);
    assert!(version.stdout.trim_end().ends_with(env!("CARGO_PKG_VERSION")));
}

#[test]
fn a_command_has_our_streams_and_unread_arguments() {
    let path = wat("cat");
    let ended =
        wasmpool(["run", &path, "--flag", "--timeout", "0s", "-t"]).stdin("one\ntwo\n").run().expect(0);
    assert_eq!(ended.stdout, "one\ntwo\n");
}

#[test]
fn plain_exports_are_called_in_wave_syntax_and_by_json() {
    let (_folder, path) = text_module(
        r#"(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"#,
    );
    assert_eq!(wasmpool(["run", &path, "--invoke", "add(1, 2)"]).run().expect(0).stdout, "3\n");
    assert_eq!(wasmpool(["run", &path, "-t", "add", "20", "22"]).run().expect(0).stdout, "42\n");
    let unknown = wasmpool(["run", &path, "--invoke", "sub(1, 2)"]).run().expect(127);
    assert!(unknown.stderr.contains("add"), "{}", unknown.stderr);
}

#[test]
fn both_start_methods_and_every_sandbox_mode_give_the_same() {
    let squares = example("squares");
    for options in [
        ["--start-method", "forkserver"],
        ["--start-method", "spawn"],
        ["--sandbox", "best-effort"],
        ["--sandbox", "off"],
    ] {
        let line = ["run", options[0], options[1], &squares, "-t", "square", "3"];
        assert_eq!(wasmpool(line).run().expect(0).stdout, "9\n");
    }
}

#[test]
fn one_task_alone_has_one_process_and_a_fork_server_only_where_it_is_of_use() {
    let forked = ["--wasmpool-fork-server"; 2];
    for (options, expected) in [
        (&[][..], &["--wasmpool-worker"][..]),
        (&["--start-method", "spawn"], &["--wasmpool-worker"]),
        (&["--start-method", "forkserver"], &forked),
        (&["--retries", "1"], &forked),
    ] {
        let run = wasmpool([&["run"], options, &[&wat("cat")]].concat());
        let mut child = run.stdin_from(Stdio::piped()).start();
        let (mut stdin, mut line) = (child.stdin.take().expect("stdin is piped"), [0; 2]);
        stdin.write_all(b"x\n").expect("the program reads");
        let stdout = child.stdout.as_mut().expect("stdout is piped");
        stdout.read_exact(&mut line).expect("the guest runs");
        let children = processes::children(child.id());
        let role = |child: &processes::Seen| child.command.trim_end().rsplit(' ').next().map(str::to_owned);
        let roles: Vec<String> = children.iter().filter_map(role).collect();
        assert_eq!(roles, expected, "{options:?}");
        drop(stdin);
        finish(child, Instant::now()).expect(0);
    }
}

#[test]
fn the_cpu_time_of_a_task_is_its_own_however_its_process_was_started() {
    for options in [&[][..], &["--start-method", "forkserver"]] {
        let squares = example("squares");
        let line = [&["run", "-v"], options, &[&squares, "-t", "square", "7"]].concat();
        let ended = wasmpool(line).run().expect(0);
        let time = ended.stderr.split("CPU time ").nth(1).and_then(|rest| rest.split(' ').next());
        let time: f64 = time.and_then(|time| time.parse().ok()).expect("-v tells it");
        // Making a process of a program that is not optimised takes several times as long.
        assert!(time < 20.0, "{options:?}: {time} ms");
    }
}

#[test]
fn inspect_compile_and_doctor_tell_what_they_find() {
    let squares = example("squares");
    let text = wasmpool(["inspect", &squares]).run().expect(0).stdout;
    assert!(text.contains("divide(a: i64, b: i64)") && text.contains("How often"), "{text}");
    let json = wasmpool(["inspect", "--format", "json", &squares]).run().expect(0);
    assert_eq!(json.records()[0]["tasks"][0]["name"], "deliver");
    let digest = wasmpool(["compile", &squares]).run().expect(0).stdout;
    assert!(
        digest.contains(
            text.split("sha256 ").nth(1).expect("a digest").split_whitespace().next().unwrap_or("?")
        )
    );
    let doctor = wasmpool(["doctor"]).run();
    assert!(doctor.stdout.contains("seccomp") && doctor.stdout.contains("landlock"), "{}", doctor.stdout);
}
