//! What is no module, what needs more than a module may use, what costs too much, and what is compiled once.

use std::path::Path;

use serde_json::Value;

use crate::support::{Finished, example, guests, wasmpool, wat};

fn file(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::write(&path, bytes).expect("a file");
    path.display().to_string()
}

fn one_line(ended: &Finished) -> &str {
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    &ended.stderr
}

/// One line each: what it is, and what would be right.
#[test]
fn what_is_no_module_is_told_with_what_would_be_right() {
    let place = tempfile::tempdir().expect("a folder");
    let path = |name: &str, bytes: &[u8]| file(place.path(), name, bytes);
    let whole = wasmpool(["compile", &wat("typed")]).run();
    whole.expect(0);
    let module = std::fs::read(guests()).expect("the guests");
    let folder = place.path().display().to_string();
    let inside =
        r#"(module (import "wasi:io/poll@0.2.6" "poll" (func (param i32 i32 i32))) (func (export "f")))"#;
    for (typed, says) in [
        (path("elf.wasm", b"\x7fELF\x02\x01\x01\0"), &["an ELF file", "wasm32-wasip2"][..]),
        (path("tool.gz", b"\x1f\x8b\x08\0\0\0"), &["a gzip file: unpack it"]),
        (path("tool.zip", b"PK\x03\x04\0\0"), &["a ZIP archive: unpack it"]),
        (path("script", b"#!/bin/sh\n"), &["a script: give a .wasm or .wat file"]),
        (path("empty.wasm", b""), &["the file is empty: give"]),
        (path("notes.txt", b"dear diary"), &["a text file, and not WebAssembly's text format"]),
        (path("cut.wasm", &module[..module.len() / 2]), &["cut off"]),
        (path("cut3.wasm", b"\0as"), &["cut off after 3 bytes"]),
        (path("later.wasm", b"\0asm\x07\0\0\0"), &["version"]),
        (path("wrong.wat", b"(module\n  (func (export)))"), &["line 2, column"]),
        (path("inside.wat", inside.as_bytes()), &["wasi:io/poll@0.2.6.poll", "`wasm-tools component new`"]),
        (folder, &["a folder without a Cargo.toml: give a module file, or a crate to build"]),
    ] {
        let ended = wasmpool(["run", &typed, "--invoke", "f()"]).run().expect(126);
        for part in says {
            assert!(one_line(&ended).contains(part), "{typed}: {}", ended.stderr);
        }
    }
    // The text format of either kind runs.
    wasmpool(["run", &path("f.wat", b"(module (func (export \"f\")))"), "--invoke", "f()"]).run().expect(0);
    wasmpool(["run", &wat("typed"), "--invoke", "truth(true)"]).run().expect(0);
    let no_entry = wasmpool(["run", &wat("reactor")]).run().expect(127);
    assert!(
        one_line(&no_entry).contains("call one of its exports with -t NAME or --invoke EXPR: "),
        "{}",
        no_entry.stderr
    );
    assert!(no_entry.stderr.contains("answer: func (i32) -> i32"), "{}", no_entry.stderr);
}

#[test]
fn a_feature_that_is_off_is_turned_on_by_its_option() {
    let module = wat("large_memory");
    let refused = wasmpool(["run", &module, "--invoke", "written(7)"]).run().expect(126);
    assert!(one_line(&refused).contains("`--wasm-feature memory64` allows it"), "{}", refused.stderr);
    let run = ["run", "--wasm-feature", "memory64", &module, "--invoke", "written(7)"];
    assert_eq!(wasmpool(run).run().expect(0).stdout, "7\n");
    let map = ["map", "--wasm-feature", "memory64", &module, "-t", "written", "1", "2"];
    assert_eq!(wasmpool(map).run().expect(0).lines(), ["1", "2"]);
    for command in ["inspect", "compile"] {
        wasmpool([command, "--wasm-feature", "memory64", "--wasm-feature", "wide-arithmetic", &module])
            .run()
            .expect(0);
    }
    // Another artifact: what was compiled with it is not there for who did not ask for it.
    wasmpool(["run", &module, "--invoke", "written(7)"]).run().expect(126);
    wasmpool(["run", "--wasm-feature", "wide-arithmetic", &module, "--invoke", "written(7)"])
        .run()
        .expect(126);
    let unknown = wasmpool(["run", "--wasm-feature", "threads", &module]).run().expect(246);
    assert!(
        unknown.stderr.contains("there is memory64, custom-page-sizes, wide-arithmetic"),
        "{}",
        unknown.stderr
    );
    for command in ["run", "map", "inspect", "compile"] {
        let help = wasmpool([command, "--help"]).run().expect(0).stdout;
        let section = help.split("--wasm-feature <NAME>").nth(1).expect("the option");
        for feature in ["memory64", "custom-page-sizes", "wide-arithmetic"] {
            assert!(section.contains(feature), "{section}");
        }
    }
}

/// Both limits are named with the options that raise them.
#[test]
fn a_module_that_costs_too_much_names_the_options() {
    let place = tempfile::tempdir().expect("a folder");
    // Larger than any that is in the cache, so that it is compiled.
    let function =
        "(func (param i32) (result i32) (i32.mul (local.get 0) (i32.add (local.get 0) (i32.const 3))))";
    let module = file(place.path(), "many.wat", format!("(module {})", function.repeat(60_000)).as_bytes());
    for limit in [["--compile-time", "1s"], ["--compile-memory", "64MiB"]] {
        let ended = wasmpool(["compile", limit[0], limit[1], &module])
            .env("XDG_CACHE_HOME", &place.path().display().to_string())
            .run()
            .expect(243);
        assert!(one_line(&ended).contains(limit[0]), "{limit:?}: {}", ended.stderr);
        println!("{limit:?}: {}", ended.stderr);
    }
}

/// Eight workers, one compilation; the next program has it from the cache.
#[test]
fn a_module_is_compiled_once_for_all_workers_and_kept() {
    let cache = tempfile::tempdir().expect("a folder");
    let map = |options: &[&str]| {
        let squares = example("squares");
        let line = [
            &["map", "-j", "8"],
            options,
            &[squares.as_str(), "-t", "square", "1", "2", "3", "4", "5", "6", "7", "8"],
        ];
        let run = wasmpool(line.concat()).env("XDG_CACHE_HOME", &cache.path().display().to_string());
        run.env("RUST_LOG", "wasmpool=debug").run().expect(0)
    };
    let compilations = |ended: &Finished| ended.stderr.matches("a module is compiled").count();
    let first = map(&[]);
    assert_eq!((compilations(&first), first.lines().len()), (1, 8), "{}", first.stderr);
    let entries = || std::fs::read_dir(cache.path().join("wasmpool")).expect("the cache").count();
    assert_eq!(entries(), 1);
    assert_eq!(compilations(&map(&[])), 0);
    // Code that counts fuel is other code.
    assert_eq!(compilations(&map(&["--fuel", "1000000000"])), 1);
    assert_eq!(entries(), 2);
}

#[test]
fn inspect_says_what_a_module_may_want() {
    let inspected =
        |module: &str| wasmpool(["inspect", "--format", "json", module]).run().expect(0).records().remove(0);
    let wants = |module: &Value| -> Vec<String> {
        let wants = module["wants"].as_array().expect("wants").iter();
        wants.map(|want| want["what"].as_str().expect("a name").to_owned()).collect()
    };
    let queue = inspected(&example("producer_consumer"));
    assert!(wants(&queue).contains(&"objects".to_owned()), "{queue:#}");
    let objects = queue["wants"].as_array().expect("wants").iter().find(|want| want["what"] == "objects");
    assert!(
        objects.expect("objects")["because"].to_string().contains("consume(queue: Queue<u64>)"),
        "{queue:#}"
    );
    let guests = inspected(guests());
    for want in ["files", "environment", "stdin", "clocks"] {
        assert!(wants(&guests).contains(&want.to_owned()), "{guests:#}");
    }
    assert_eq!(wants(&inspected(&wat("cat"))), ["stdin"]);
    assert_eq!(wants(&inspected(&wat("sleep_an_hour"))), ["clocks"]);
    assert_eq!(wants(&inspected(&wat("typed"))), [""; 0]);
    let text = wasmpool(["inspect", &wat("cat")]).run().expect(0).stdout;
    assert!(text.contains("stdin: --stdin FILE   (wasi_snapshot_preview1.fd_read)"), "{text}");
}
