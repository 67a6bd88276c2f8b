//! Guest 15: what a guest says cannot act on the terminal that it is shown on.

use crate::support::{guests, wasmpool};

/// Renames the window, fills the clipboard, clears the screen and goes up, in three ways of writing it.
const ATTACK: &str =
    "plain \x1b]0;renamed\x07\x1b]52;c;cGFzdGVk\x1b\\\x1b[2J\x1b[1A\u{9b}2Jgreen \x08\x7f\x1bc end";
/// Every character of it that a terminal would act on.
const ACTIVE: [char; 6] = ['\x1b', '\u{9b}', '\x07', '\x08', '\x7f', '\u{9d}'];

/// A command that prints these bytes.
fn printing(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("module.wat");
    let escaped: String = text.bytes().map(|byte| format!("\\{byte:02x}")).collect();
    let module = format!(
        r#"(module
            (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 0) "\10\00\00\00") (data (i32.const 16) "{escaped}")
            (func (export "_start") (i32.store (i32.const 4) (i32.const {}))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 8)))))"#,
        text.len()
    );
    std::fs::write(&path, module).expect("a file");
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn what_a_guest_says_cannot_act_on_a_terminal() {
    let (_folder, prints) = printing(ATTACK);
    let (_other, named) = {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("named.wat");
        let name: String = ATTACK.bytes().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(r#"(module (import "{name}" "{name}" (func)) (func (export "{name}")))"#);
        std::fs::write(&path, text).expect("a file");
        (folder, path.display().to_string())
    };
    let guests = guests();
    // The program's own colours are off.
    let options = ["--color", "never"];
    let rows: &[&[&str]] = &[
        &["run", guests, "-t", "print", ATTACK],
        &["run", guests, "-t", "eprint", ATTACK],
        &["run", guests, "-t", "concat", ATTACK, ATTACK],
        &["run", guests, "-t", "fail", ATTACK],
        &["run", guests, "-t", "panic", ATTACK],
        &["run", "-v", guests, "-t", "log_text", ATTACK, ATTACK],
        &["run", "-vv", "--argv0", ATTACK, &prints],
        &["run", &prints],
        &["map", "--progress", "none", guests, "-t", "print", ATTACK],
        &["map", "--progress", "none", guests, "-t", "fail", ATTACK],
        &["map", "--progress", "none", guests, "-t", "concat", "--starmap", r#"["\u001b[2J", "\u009b2J"]"#],
        &["map", "--progress", "none", &prints, "a", "b", "--", "{}"],
        &["run", &named],
        &["inspect", &named],
        &["run", guests, "-t", ATTACK],
    ];
    for row in rows {
        let line = [&row[..1], &options, &row[1..]].concat();
        let (code, written) = wasmpool(line).run_on_terminal();
        println!("{row:?} {code:?}: {written:?}");
        assert!(code.is_some(), "it ends by itself");
        assert_ne!(code, Some(2), "{row:?}: {written:?}");
        assert!(!written.contains(ACTIVE), "{row:?}: {written:?}");
    }
}

/// The same bytes reach a file or a pipe as they are: whoever reads those may want them.
#[test]
fn what_a_guest_prints_reaches_a_pipe_as_it_is() {
    let (_folder, prints) = printing(ATTACK);
    let ended = wasmpool(["run", &prints]).run().expect(0);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), (ATTACK, ATTACK));
}
