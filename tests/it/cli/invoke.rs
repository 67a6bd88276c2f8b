//! Plain exports: `--invoke`, and `-t` with JSON, over one input and over many.

use crate::support::{guests, wasmpool, wat};

/// What a call of the component with every kind of value prints.
fn call(expression: &str) -> crate::support::Finished {
    wasmpool(["run", &wat("typed"), "--invoke", expression]).run()
}

#[test]
fn every_kind_of_value_goes_in_and_comes_out() {
    for (expression, printed) in [
        ("flip({x: 1, y: -2})", r#"{"x":-2,"y":1}"#),
        ("shape-of(nothing)", r#""nothing""#),
        ("shape-of(circle(7))", r#"{"circle":7}"#),
        ("colour-of(green)", r#""green""#),
        ("access-of({read, run})", r#"["read","run"]"#),
        ("access-of({})", "[]"),
        (r#"words("a \"b\" ä \u{1f980}")"#, r#""a \"b\" ä 🦀""#),
        ("numbers([1, 2, 65535])", "[1,2,65535]"),
        ("numbers([])", "[]"),
        ("both((-1, 4000000000))", "[-1,4000000000]"),
        ("maybe(some(3))", "3"),
        ("maybe(3)", "3"),
        ("maybe(none)", "null"),
        ("maybe()", "null"),
        ("checked(ok(5))", "5"),
        ("letter('ß')", r#""ß""#),
        ("truth(true)", "true"),
        ("real(-0.5)", "-0.5"),
    ] {
        assert_eq!(call(expression).expect(0).stdout.trim_end(), printed, "{expression}");
    }
    let failed = call("checked(err(6))").expect(1);
    assert_eq!((failed.stdout.as_str(), failed.stderr.as_str()), ("", "checked: 6\n"));
}

#[test]
fn a_wrong_argument_is_told_with_its_type_and_its_place() {
    for (expression, says) in [
        (
            "flip({x: 1, y: 3000000000})",
            "parameter `p` takes record { x: s32, y: s32 }: invalid value at \"3000000000\"",
        ),
        ("flip({x: 1})", "parameter `p` takes record { x: s32, y: s32 }: "),
        ("flip()", "parameter `p` (record { x: s32, y: s32 }) is missing"),
        ("flip({x: 1, y: 2}, 3)", "2 arguments are given, and 1 taken"),
        ("colour-of(pink)", "parameter `c` takes enum { red, green, blue }: "),
        ("numbers([1, 65536])", "parameter `l` takes list<u16>: invalid value at \"65536\""),
        ("words(hello)", "parameter `s` takes string: invalid value type at \"hello\""),
        ("words(\"hello)", "`words` is func(s: string) -> string"),
    ] {
        let ended = call(expression).expect(1);
        assert!(ended.stderr.contains(says), "{expression}: {}", ended.stderr);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    }
}

#[test]
fn a_function_of_an_interface_is_called_by_each_of_its_names() {
    for name in
        ["acme:math/ops@1.2.0#double", "acme:math/ops#double", "acme:math/ops.double", "ops.double", "double"]
    {
        assert_eq!(call(&format!("{name}(21)")).expect(0).stdout, "42\n", "{name}");
        let by_json = wasmpool(["run", &wat("typed"), "-t", name, "21"]).run();
        assert_eq!(by_json.expect(0).stdout, "42\n", "{name}");
    }
    assert_eq!(call("more.same(5)").expect(0).stdout, "5\n");
    let ambiguous = call("same(5)").expect(127);
    assert!(ambiguous.stderr.contains("has several exports that `same` could mean: acme:math/ops@1.2.0#same: func(n: u32) -> u32; acme:math/more#same"), "{}", ambiguous.stderr);
}

#[test]
fn what_does_not_exist_is_answered_with_what_does_and_its_types() {
    let unknown = call("sub(1)").expect(127);
    for export in [
        "flip: func(p: record { x: s32, y: s32 }) -> record { x: s32, y: s32 }",
        "truth: func(b: bool) -> bool",
    ] {
        assert!(unknown.stderr.contains(export), "{}", unknown.stderr);
    }
    let task = wasmpool(["run", guests(), "-t", "cube", "1"]).run().expect(127);
    assert!(task.stderr.contains("add(a: i64, b: i64) -> i64"), "{}", task.stderr);
    assert_eq!(task.stderr.lines().count(), 1, "{}", task.stderr);
    let core = wasmpool(["map", &wat("reactor"), "--invoke", "ask({})", "1"]).run().expect(96);
    assert!(core.stderr.contains("answer: func (i32) -> i32"), "{}", core.stderr);
}

#[test]
fn a_map_puts_each_input_into_the_call() {
    let typed = wat("typed");
    let mapped = |args: &[&str]| wasmpool([&["map", typed.as_str()], args].concat()).run();
    let doubled = mapped(&["--invoke", "double({})", "1", "20", "300"]).expect(0);
    assert_eq!(doubled.lines(), ["2", "40", "600"]);
    // Between quotes an input is text, whatever is in it; elsewhere it is one value.
    let words = mapped(&["--invoke", r#"words("<{}>")"#, r#"a"b"#, "c), (d", "-5"]).expect(0);
    assert_eq!(words.lines(), [r#""<a\"b>""#, r#""<c), (d>""#, r#""<-5>""#]);
    let points = mapped(&["--invoke", "flip({})", "{x: 1, y: 2}", "{x: 3, y: 4}"]).expect(0);
    assert_eq!(points.lines(), [r#"{"x":2,"y":1}"#, r#"{"x":4,"y":3}"#]);
    let two = mapped(&["--invoke", "flip({x: {}, y: {#}})", "8", "9"]).expect(0);
    assert_eq!(two.lines(), [r#"{"x":1,"y":8}"#, r#"{"x":2,"y":9}"#]);
    for (args, says) in [
        (&["--invoke", "double({})", "1", "2, 3"][..], "input 2 `2, 3`: `2, 3` is no single value"),
        (&["--invoke", "double(1)", "1"], "write `{}` there"),
        (&["--invoke", "double({})", "-k", "n=1", "1"], "-k does not go with --invoke"),
        (&["--invoke", "double({})", "-t", "double", "1"], "--task"),
    ] {
        let ended = mapped(args).expect(2);
        assert!(ended.stderr.contains(says), "{args:?}: {}", ended.stderr);
    }
    // A type that does not fit is that input's failure.
    let lines =
        wasmpool(["map", &typed, "--invoke", "double({})", "--from", "-"]).stdin("1\nx\n3, 4\n5\n").run();
    let ended = lines.expect(100);
    assert_eq!(ended.lines(), ["2", "10"]);
    assert!(ended.stderr.contains("standard input:3: `3, 4` is no single value"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("parameter `n` takes u32: invalid value type at \"x\""),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_map_over_an_export_takes_json() {
    let typed = wat("typed");
    let mapped = wasmpool(["map", &typed, "-t", "flip", r#"{"x": 1, "y": 2}"#]).run().expect(0);
    assert_eq!(mapped.lines(), [r#"{"x":2,"y":1}"#]);
    let lines =
        wasmpool(["map", &typed, "-t", "words", "--from", "-"]).stdin("\"a\"\n\"b\"\n").run().expect(0);
    assert_eq!(lines.lines(), ["\"a\"", "\"b\""]);
    let starmap =
        wasmpool(["map", &wat("reactor"), "-t", "answer", "--starmap", "[1]", "[-1]"]).run().expect(0);
    assert_eq!(starmap.lines(), ["43", "41"]);
}

/// A guest may go through its chunk by itself. Where components are composed into one, nobody knows whose chunk it is.
#[test]
fn a_chunk_is_offered_to_one_component() {
    for (name, followed_by) in [("following", ["2", "1", "0"]), ("composed", ["0", "0", "0"])] {
        let chunk = ["map", &wat(name), "-t", "following", "--chunksize", "3", "-j", "1", "1", "2", "3"];
        assert_eq!(wasmpool(chunk).run().expect(0).lines(), followed_by, "{name}");
    }
}

/// Before anything else is called, and once in each instance.
#[test]
fn a_reactor_is_initialised_first() {
    for name in ["reactor", "reactor_component"] {
        let module = wat(name);
        assert_eq!(
            wasmpool(["run", &module, "--invoke", "answer(0)"]).run().expect(0).stdout,
            "42\n",
            "{name}"
        );
        assert_eq!(wasmpool(["run", &module, "-t", "answer", "1"]).run().expect(0).stdout, "43\n", "{name}");
        let chunks = ["map", &module, "-t", "answer", "--chunksize", "3", "0", "1", "2"];
        assert_eq!(wasmpool(chunks).run().expect(0).lines(), ["42", "43", "44"], "{name}");
        let inspected = wasmpool(["inspect", &module]).run().expect(0).stdout;
        assert_eq!(inspected.contains("a reactor"), name == "reactor", "{inspected}");
    }
}
