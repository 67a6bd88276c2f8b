//! `--dir`, `--env` and `--cpu-time`.

use std::path::Path;
use std::process::Command;

use crate::support::program::Finished;
use crate::support::{build, guests, mebibyte, wasmpool};

/// A folder with a file `a` in a folder `data`.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("data")).expect("a folder");
    std::fs::write(folder.path().join("data/a"), "alpha").expect("a file");
    folder
}

/// Runs a task in this folder, as the current one.
fn run_in(folder: &Path, options: &[&str], task: &[&str]) -> Finished {
    let args = [&["run"], options, &[guests(), "-t"], task].concat();
    wasmpool(args).current_dir(folder).run()
}

#[test]
fn a_directory_is_granted_relative_to_the_current_one() {
    let folder = folder();
    let absolute = folder.path().join("data").display().to_string();
    let renamed = format!("{absolute}::/somewhere/else:ro");
    for (option, path) in [
        ("data", "data/a"),
        ("data:ro", "data/a"),
        ("data:ro", "/data/a"),
        ("./data/:ro", "./data/a"),
        ("data::/x", "/x/a"),
        (".::/x", "/x/data/a"),
        (absolute.as_str(), &format!("{absolute}/a")),
        (renamed.as_str(), "/somewhere/else/a"),
    ] {
        let ended = run_in(folder.path(), &["--dir", option], &["read_file", path]);
        assert_eq!(ended.expect(0).stdout, "\"alpha\"\n", "{option}");
    }
    let write = ["write_file", "/data/b", "beta"];
    assert_eq!(run_in(folder.path(), &["--dir", "data"], &write).expect(0).stdout, "4\n");
    assert_eq!(std::fs::read_to_string(folder.path().join("data/b")).expect("a file"), "beta");
    for options in [&["--dir", "data:ro"][..], &["--dir", "data::/other"], &[]] {
        let ended = run_in(folder.path(), options, &["write_file", "/data/c", "gamma"]).expect(1);
        assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        assert!(!folder.path().join("data/c").exists());
    }
}

#[test]
fn a_directory_is_granted_to_every_task_of_a_map() {
    let folder = folder();
    std::fs::write(folder.path().join("data/b"), "beta").expect("a file");
    let args = ["map", "--dir", "data::/in:ro", guests(), "-t", "read_file", "/in/a", "/in/b", "/in/a"];
    let ended = wasmpool(args).current_dir(folder.path()).run().expect(0);
    assert_eq!(ended.lines(), ["\"alpha\"", "\"beta\"", "\"alpha\""]);
}

#[test]
fn variables_are_given_by_value_or_by_name() {
    let environment = |options: &[&str]| {
        let args = [&["run"], options, &[guests(), "-t", "environment"]].concat();
        wasmpool(args).env("HERE", "of the host").env("SECRET", "hunter2").run()
    };
    for (options, expected) in [
        (&[][..], "{}"),
        (&["--env", "HERE"], r#"{"HERE":"of the host"}"#),
        (&["--env", "A=1", "--env", "B=x=y"], r#"{"A":"1","B":"x=y"}"#),
        (&["--env", "A=1", "--env", "A=2"], r#"{"A":"2"}"#),
        (&["--env", "HERE="], r#"{"HERE":""}"#),
    ] {
        assert_eq!(environment(options).expect(0).stdout.trim_end(), expected, "{options:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
        folder.path().join(name).display().to_string()
    };
    let (first, second) = (file("first", "# two\nA=1\n\nHERE\nB= x\n"), file("second", "A=2\n"));
    let files = ["--env-file", &first, "--env-file", &second, "--env", "B=3"];
    let expected = r#"{"A":"2","B":"3","HERE":"of the host"}"#;
    assert_eq!(environment(&files).expect(0).stdout.trim_end(), expected);
    let inherited = environment(&["--inherit-env", "--env", "HERE=x"]).expect(0).stdout;
    assert!(inherited.contains(r#""HERE":"x""#) && inherited.contains("hunter2"), "{inherited}");
    let (gone, bad) = (file("gone", "\nNO_SUCH_VARIABLE\n"), file("bad", "=1\n"));
    for (path, says) in [(&gone, "line 2: NO_SUCH_VARIABLE: there is"), (&bad, "line 1: NAME is empty")] {
        let ended = environment(&["--env-file", path]).expect(246);
        assert!(ended.stderr.contains(says) && ended.stderr.contains(path.as_str()), "{}", ended.stderr);
    }
    let mapped = ["map", "--env", "HERE=x", guests(), "-t", "environment", "--starmap", "[]", "[]"];
    assert_eq!(wasmpool(mapped).run().expect(0).lines(), [r#"{"HERE":"x"}"#; 2]);
}

/// In both steps of `run`, and for every task of `map`.
#[test]
fn an_address_is_granted_and_inspect_says_what_needs_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let _ = stream.and_then(|mut stream| std::io::copy(&mut stream.try_clone()?, &mut stream));
        }
    });
    let ask = ["tcp_ask", &address, "hello"];
    let before = [&["run", "--net", &address, guests(), "-t"], &ask[..]].concat();
    let after = [&["run", guests(), "-t"], &ask[..], &["--net", &address]].concat();
    for args in [before, after] {
        assert_eq!(wasmpool(args).run().expect(0).stdout, "\"hello\"\n");
    }
    let ended = wasmpool([&["run", guests(), "-t"], &ask[..]].concat()).run().expect(1);
    assert!(ended.stderr.contains("ermission denied"), "{}", ended.stderr);
    let inputs = format!(r#"["{address}", "x"]"#);
    let mapped = ["map", "--net", &address, guests(), "-t", "tcp_ask", "--starmap", &inputs, &inputs];
    assert_eq!(wasmpool(mapped).run().expect(0).lines(), [r#""x""#; 2]);
    let inspected = wasmpool(["inspect", guests()]).run().expect(0).stdout;
    let needed = inspected.split("may want").nth(1).expect("a section");
    assert!(needed.contains("--net HOST:PORT"), "{inspected}");
}

/// One line that names what is wrong; 246 from `run`, 2 from `map`.
#[test]
fn what_cannot_be_granted_is_a_usage_error() {
    let folder = folder();
    let large = format!("LARGE={}", "x".repeat(40_000));
    for (options, says) in [
        (&["--dir", "missing"][..], "`missing` cannot be granted: No such file"),
        (&["--dir", "data/a"], "`data/a` cannot be granted: Not a directory"),
        (&["--dir", "data:/data"], "HOST and GUEST have two colons between them"),
        (&["--dir", "data", "--dir", "data/::/data"], "is granted twice"),
        (&["--dir", ".", "--dir", "data::/x:ro"], "cannot be granted read-only beside"),
        (&["--dir", "/"], "`/` holds the process file system"),
        (&["--net", "no_such_host.invalid:80"], "--net: the host `no_such_host.invalid` cannot be looked up"),
        (&["--net", "127.1:80"], "--net: `127.1` is no host"),
        (&["--env", "NO_SUCH_VARIABLE"], "NO_SUCH_VARIABLE: there is no such variable here"),
        (&["--env", &large], "the environment has 40007 bytes, more than the limit of 32768"),
    ] {
        for (command, code) in [("run", 246), ("map", 2)] {
            let args = [&[command], options, &[guests(), "-t", "environment"]].concat();
            let ended = wasmpool(args).current_dir(folder.path()).run().expect(code);
            assert!(ended.stderr.contains(says), "{options:?}: {}", ended.stderr);
            assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
        }
    }
    for (option, says) in [
        ("--dir=data:rw", "`:rw` is unknown: `:ro` lets it only be read"),
        ("--dir=data::ro", "write data:ro to let it only be read"),
        ("--dir=", "HOST is empty"),
        ("--net=example.com", "PORT is missing: write HOST:PORT"),
        ("--env==1", "NAME is empty"),
        ("--cpu-time=1", "write a time with its unit"),
    ] {
        for (command, code) in [("run", 246), ("map", 2)] {
            let ended = wasmpool([command, option, "module.wasm", "-t", "x"]).run().expect(code);
            assert!(ended.stderr.contains(says), "{option}: {}", ended.stderr);
        }
    }
}

#[test]
fn a_guest_that_computes_ends_with_its_cpu_time() {
    let ended = wasmpool(["run", "--cpu-time", "200ms", guests(), "-t", "spin"]).run().expect(227);
    assert!(ended.stderr.contains("of CPU time were used, the limit is 200ms"), "{}", ended.stderr);
    wasmpool(["run", "--cpu-time", "200ms", guests(), "-t", "sleep_ms", "500"]).run().expect(0);
    let args =
        ["map", "--cpu-time", "200ms", guests(), "-t", "spin_if", "--starmap", "[1, 2]", "[2, 2]", "[3, 2]"];
    let ended = wasmpool(args).run().expect(100);
    assert_eq!(ended.lines(), ["1", "3"]);
}

#[test]
fn help_has_a_section_for_grants() {
    for command in ["run", "map"] {
        let help = wasmpool([command, "--help"]).run().expect(0).stdout;
        assert_eq!(help.matches("What a task may touch:").count(), 1, "{help}");
        let section = help.split("What a task may touch:").nth(1).expect("a section");
        assert!(section.contains("--dir <HOST[::GUEST][:ro]>"), "{section}");
        assert!(section.contains("--net <[udp:|tcp-listen:]HOST:PORT>"), "{section}");
        assert!(section.contains("--env <NAME[=VALUE]>"), "{section}");
        assert!(help.contains("--cpu-time <TIME>"), "{help}");
    }
}

/// A full disk is the error of the guest that writes to it, and of nobody else.
#[test]
fn a_full_granted_directory_is_an_error_to_the_guest() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = format!("{}::/data", folder.path().display());
    let args = ["run", "--dir", &dir, guests(), "-t", "write_without_end", "/data/a"];
    let ended = mebibyte::run_in(folder.path(), false, &args).expect(0);
    let (bytes, error): (u64, String) = serde_json::from_str(&ended.stdout).expect("a value");
    assert!((900_000..=1 << 20).contains(&bytes), "{bytes} bytes went in: {error}");
    // The C library of WASI says no more than that it was an error of the system.
    assert!(error.contains("os error"), "{error}");
}

/// What cannot be kept in the cache is compiled again another time.
#[test]
fn a_full_cache_costs_no_result() {
    let folder = tempfile::tempdir().expect("a folder");
    let args = ["map", guests(), "-t", "echo_json", "1", "2", "3"];
    let ended = mebibyte::run_in(folder.path(), true, &args).expect(0);
    assert_eq!(ended.lines(), ["1", "2", "3"]);
}

/// A host whose files are limited in size: the guest that meets the limit gets an error, and lives.
#[test]
fn a_limit_of_file_sizes_is_an_error_to_the_guest() {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = format!("{}::/data", folder.path().display());
    let mut command = Command::new("sh");
    // In blocks of 512 bytes: 64 MiB, more than any artifact here has.
    command.args(["-c", "ulimit -f 131072 && exec \"$0\" \"$@\""]).arg(build::program());
    command.args(["run", "--dir", &dir, guests(), "-t", "write_without_end", "/data/a"]);
    let ended = crate::support::program::Run::new(command).run().expect(0);
    let (bytes, error): (u64, String) = serde_json::from_str(&ended.stdout).expect("a value");
    assert_eq!(bytes, 64 << 20, "{error}");
    assert!(error.contains("os error"), "{error}");
}
