//! What is seen of a batch while it runs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::program::finish;
use crate::support::{Run, guests, ordinary, processes, terminal, wasmpool};

const PATIENCE: Duration = Duration::from_secs(20);

/// A runtime folder of a session of its own.
struct Session(tempfile::TempDir);

impl Session {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).expect("our own folder");
        ordinary::give(folder.path());
        Self(folder)
    }

    fn run(&self, line: &[&str]) -> Run {
        wasmpool(line).env("XDG_RUNTIME_DIR", &self.0.path().display().to_string())
    }

    fn ps(&self, options: &[&str]) -> Vec<Value> {
        let line = [&["ps", "--format", "json"], options].concat();
        serde_json::from_str(&self.run(&line).run().expect(0).stdout).expect("a list")
    }

    fn sockets(&self) -> usize {
        self.0.path().join("wasmpool").read_dir().map_or(0, Iterator::count)
    }
}

/// Tasks that tell their steps and take very long.
const SLOW: [&str; 8] = ["-t", "step_slowly", "--starmap", "-j", "2", "[3, 1]", "[1000, 100]", "[1000, 100]"];

fn slow<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&["map"], options, &[guests()], &SLOW[..]].concat()
}

fn end(child: Child) {
    (0..2).for_each(|_| processes::signal(child.id(), Signal::INT));
    assert_eq!(finish(child, Instant::now()).code, Some(130));
}

#[test]
fn ps_shows_what_runs_with_its_age_its_progress_and_what_its_worker_uses() {
    let session = Session::new();
    let child = session.run(&slow(&[])).start();
    let mut seen = Vec::new();
    processes::wait_until("two tasks have told a step", PATIENCE, || {
        seen = session.ps(&[]);
        let running = seen.first().and_then(|batch| batch["running"].as_array());
        running.is_some_and(|running| {
            running.iter().filter(|task| task["progress"]["done"].as_u64() > Some(1)).count() == 2
        })
    });
    let batch = &seen[0];
    assert_eq!(
        (&batch["pid"], &batch["total"], &batch["done"]),
        (&child.id().into(), &3.into(), &1.into()),
        "{batch}"
    );
    assert_eq!(batch["outcomes"]["succeeded"], 1);
    for (task, name) in
        batch["running"].as_array().expect("a list").iter().zip(["step_slowly#2", "step_slowly#3"])
    {
        assert_eq!(
            (&task["name"], &task["attempt"], &task["progress"]["total"]),
            (&name.into(), &1.into(), &1000.into())
        );
        assert!(task["memory_bytes"].as_u64() > Some(100_000), "{task}");
        assert!(task["cpu_ms"].is_u64() && task["age_s"].as_f64() > Some(0.1), "{task}");
    }
    let text = session.run(&["ps", &child.id().to_string()]).run().expect(0).stdout;
    assert!(text.contains("step_slowly#2") && text.contains("/1000") && text.contains("MiB"), "{text}");
    let nobody = session.run(&["ps", "1"]).run().expect(1);
    assert!(nobody.stderr.contains("process 1 runs no batch"), "{}", nobody.stderr);
    end(child);
    assert_eq!(session.sockets(), 0, "the socket goes with the batch");
    assert_eq!(session.run(&["ps"]).run().expect(0).stdout, "no batch runs\n");
}

#[test]
fn the_socket_of_a_batch_that_was_killed_is_removed_by_whoever_finds_it() {
    let session = Session::new();
    let child = session.run(&slow(&[])).start();
    processes::wait_until("it has a socket", PATIENCE, || session.sockets() == 1);
    processes::kill(child.id());
    finish(child, Instant::now());
    assert_eq!(session.sockets(), 1);
    assert!(session.ps(&[]).is_empty());
    assert_eq!(session.sockets(), 0);
}

#[test]
fn a_folder_that_others_can_enter_is_not_used_and_the_batch_runs_all_the_same() {
    let session = Session::new();
    let folder = session.0.path().join("wasmpool");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o777)).expect("our own folder");
    ordinary::give(&folder);
    let ran = session.run(&["map", "-v", guests(), "-t", "sleep_ms", "1"]).run().expect(0);
    assert!(ran.stderr.contains("nobody else can enter"), "{}", ran.stderr);
    let asked = session.run(&["ps"]).run().expect(247);
    assert!(asked.stderr.contains("nobody else can enter"), "{}", asked.stderr);
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody() {
    let session = Session::new();
    let child = session.run(&slow(&[])).start();
    processes::wait_until("it has a socket", PATIENCE, || session.sockets() == 1);
    let path = session.0.path().join(format!("wasmpool/{}.sock", child.id()));
    let clients: Vec<_> =
        (0..50).map(|_| std::os::unix::net::UnixStream::connect(&path).expect("a client")).collect();
    processes::wait_until("it is answered", PATIENCE, || !session.ps(&[]).is_empty());
    drop(clients);
    end(child);
}

#[test]
fn a_signal_prints_what_runs() {
    let session = Session::new();
    let mut child = session.run(&slow(&[])).start();
    processes::wait_until("the last task runs", PATIENCE, || {
        let batches = session.ps(&[]);
        let running = batches.first().and_then(|batch| batch["running"].as_array());
        running.is_some_and(|running| running.iter().any(|task| task["name"] == "step_slowly#3"))
    });
    processes::signal(child.id(), Signal::USR1);
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let found = lines.by_ref().any(|line| line.is_ok_and(|line| line.contains("step_slowly#3")));
    assert!(found);
    std::thread::spawn(move || lines.for_each(drop));
    end(child);
}

#[test]
fn lines_tell_a_file_how_far_the_batch_is() {
    let line = [
        "map",
        "--progress",
        "lines",
        guests(),
        "-t",
        "step_slowly",
        "--starmap",
        "-j",
        "1",
        "[2, 10]",
        "[30, 100]",
    ];
    let ended = wasmpool(line).run().expect(0);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert!((1..=2).contains(&lines.len()), "after one second and two: {lines:?}");
    assert!(lines[0].starts_with("after 1s: 1 of 2 done, "), "{lines:?}");
    assert!(lines[0].contains("1 running, `step_slowly#2` for ") && lines[0].contains("/30"), "{lines:?}");
    let line = ["map", guests(), "-t", "step_slowly", "--starmap", "[15, 100]"];
    assert_eq!(wasmpool(line).run().expect(0).stderr, "", "nothing in a short run that nobody asks");
}

#[test]
fn what_is_printed_is_never_torn_by_the_bar_and_nothing_of_it_is_left() {
    let numbers: Vec<String> = (0..40).map(|number| format!("[{}, 20]", number % 7)).collect();
    let mut line = vec!["map", guests(), "-t", "step_slowly", "--starmap", "-j", "2", "--progress", "bar"];
    line.extend(numbers.iter().map(String::as_str));
    let (code, written) = wasmpool(line).run_on_terminal();
    assert_eq!(code, Some(0));
    assert!(written.contains("/40") && written.contains("step_slowly#"), "{written:?}");
    let expected: Vec<String> = (0..40).map(|number| (number % 7).to_string()).collect();
    assert_eq!(terminal::shown(&written, 80), expected);
    // Nothing that was drawn was wider than the terminal.
    let drawn = written.split("\x1b[?7l").skip(1).filter_map(|part| part.split("\x1b[?7h").next());
    assert!(drawn.flat_map(|block| block.split("\r\n")).all(|row| row.chars().count() < 80), "{written:?}");
    let (_, written) =
        wasmpool(["map", "--progress", "none", guests(), "-t", "sleep_ms", "300"]).run_on_terminal();
    assert!(!written.contains('\x1b'), "{written:?}");
}

/// The address in `metrics are at http://ADDRESS/metrics`.
fn address(child: &mut Child) -> String {
    let mut lines = BufReader::new(child.stderr.take().expect("stderr is piped")).lines();
    let line = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("metrics are at http://"))
        .expect("it is said");
    std::thread::spawn(move || lines.for_each(drop));
    let (_, address) = line.split_once("http://").expect("an address");
    address.trim_end_matches("/metrics").to_owned()
}

fn get(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    write!(stream, "{request}\r\nHost: localhost\r\n\r\n").expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

/// The value of a sample.
fn sample(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok())
}

/// What OpenMetrics 1.0 asks of a text, as far as ours goes.
fn check_format(text: &str) {
    let body = text.strip_suffix("# EOF\n").expect("it ends with # EOF");
    let (mut family, mut kind, mut families) = (String::new(), String::new(), Vec::new());
    for line in body.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let words: Vec<&str> = rest.splitn(3, ' ').collect();
            let [keyword, name, value] = words[..] else { panic!("{line}") };
            assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{line}");
            match keyword {
                "HELP" => {
                    assert!(!families.contains(&name.to_owned()), "{name} comes twice");
                    families.push(name.to_owned());
                    name.clone_into(&mut family);
                }
                "TYPE" => value.clone_into(&mut kind),
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                _ => panic!("{line}"),
            }
            assert_eq!(name, family, "{line}");
            continue;
        }
        let (sample, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        value.parse::<f64>().unwrap_or_else(|error| panic!("{line}: {error}"));
        let (name, labels) = sample.split_once('{').map_or((sample, ""), |(name, labels)| (name, labels));
        assert!(labels.is_empty() || labels.ends_with("\"}"), "{line}");
        let suffix =
            name.strip_prefix(family.as_str()).unwrap_or_else(|| panic!("{line} is not of {family}"));
        let allowed: &[&str] = match kind.as_str() {
            "counter" => &["_total"],
            "gauge" => &[""],
            "histogram" => &["_sum", "_count", "_bucket"],
            "info" => &["_info"],
            _ => panic!("{kind}"),
        };
        assert!(allowed.contains(&suffix), "{line}");
    }
}

#[test]
fn metrics_are_served_in_the_format_of_prometheus_while_the_batch_runs() {
    let session = Session::new();
    let mut child = session.run(&slow(&["--metrics", "0"])).start();
    let address = address(&mut child);
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let mut text = String::new();
    processes::wait_until("one task is done and two run", PATIENCE, || {
        let (head, body) = get(&address, "GET /metrics HTTP/1.1");
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains("application/openmetrics-text; version=1.0.0"),
            "{head}"
        );
        text = body;
        sample(&text, "wasmpool_tasks_running") == Some(2.0)
            && sample(&text, "wasmpool_tasks_total{outcome=\"succeeded\"}") == Some(1.0)
    });
    check_format(&text);
    let expected = [
        ("wasmpool_attempts_total", 3.0),
        ("wasmpool_retries_total", 0.0),
        ("wasmpool_leaks_total", 0.0),
        ("wasmpool_inputs", 3.0),
        ("wasmpool_tasks_waiting", 0.0),
        ("wasmpool_attempt_duration_seconds_count", 1.0),
        ("wasmpool_attempt_duration_seconds_bucket{le=\"+Inf\"}", 1.0),
    ];
    for (name, value) in expected {
        assert_eq!(sample(&text, name), Some(value), "{name} in {text}");
    }
    assert_eq!(text.matches("wasmpool_worker_memory_bytes{worker=").count(), 2, "{text}");
    assert!(text.contains("wasmpool_build_info{version=\""), "{text}");
    assert!(get(&address, "GET / HTTP/1.1").0.starts_with("HTTP/1.1 404"));
    assert!(get(&address, "POST /metrics HTTP/1.1").0.starts_with("HTTP/1.1 405"));
    // Clients that say nothing, or too much, are left.
    let silent: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(&address).expect("it listens")).collect();
    let mut loud = TcpStream::connect(&address).expect("it listens");
    let _ = loud.write_all(&vec![b'x'; 1 << 20]);
    assert!(get(&address, "GET /metrics HTTP/1.1").0.starts_with("HTTP/1.1 200"));
    drop(silent);
    end(child);
    assert!(TcpStream::connect(&address).is_err(), "it is gone with the batch");
}

#[test]
fn an_address_for_metrics_that_is_none_or_taken_is_said_before_anything_runs() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("an address");
    let address = taken.local_addr().expect("an address").to_string();
    let rows = [
        (address.as_str(), "cannot listen on 127.0.0.1:"),
        ("192.0.2.1:9100", "cannot listen on 192.0.2.1:9100"),
        ("here", "write a port of this machine, or ADDRESS:PORT"),
        ("70000", "write a port of this machine, or ADDRESS:PORT"),
    ];
    for (metrics, said) in rows {
        let ended =
            wasmpool(["map", "--metrics", metrics, guests(), "-t", "print", "it ran"]).run().expect(2);
        assert!(ended.stderr.contains(said), "{metrics}: {}", ended.stderr);
        assert!(!ended.stderr.contains("it ran"));
    }
}
