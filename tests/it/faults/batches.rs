//! T15, T19 and T20 for manifests: many tasks, much output, and what the machine gives.

use std::fs::OpenOptions;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Finished, Run, finish, guests, processes, wasmpool, wat};

struct Batch(tempfile::TempDir);

impl Batch {
    /// `GUESTS` stands for the module of the tests.
    fn new(manifest: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        crate::support::ordinary::give(folder.path());
        std::fs::write(folder.path().join("batch.toml"), manifest.replace("GUESTS", guests()))
            .expect("a file");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, options: &[&str]) -> Run {
        let manifest = self.path("batch.toml").display().to_string();
        wasmpool([&["batch"], options, &[&manifest]].concat())
    }
}

fn task(name: &str, task: &str, keys: &str) -> String {
    format!("[[task]]\nname = \"{name}\"\nmodule = \"GUESTS\"\ntask = \"{task}\"\n{keys}\n")
}

fn end(child: Child) -> Finished {
    for _ in 0..2 {
        processes::signal(child.id(), Signal::TERM);
    }
    finish(child, Instant::now()).expect(143)
}

/// Peak memory in KiB after so many results of a batch.
fn peak_after(results: usize, combinations: u64) -> u64 {
    let keys = format!(
        "args = [\"{{a}}\", \"{{b}}\"]\nmatrix = {{ a = {{ from = 1, to = {combinations} }}, b = {{ from = 1, to = 10 }} }}"
    );
    let batch = Batch::new(&task("add", "add", &keys));
    let mut child = batch.run(&["--chunksize", "500", "-j", "2"]).start();
    let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    assert_eq!(
        lines.take(results).filter(|line| line.as_ref().is_ok_and(|line| line.starts_with("add"))).count(),
        results
    );
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("it runs");
    let peak = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    // Its standard output has no reader any more, so it may have ended by itself.
    processes::signal(child.id(), Signal::KILL);
    child.wait().expect("it is ours");
    processes::expect_no_orphans();
    peak
}

/// T15: ten million combinations cost what a hundred thousand cost.
#[test]
fn ten_million_combinations_take_no_more_memory_than_a_hundred_thousand() {
    let (small, large) = (peak_after(5000, 10_000), peak_after(20_000, 1_000_000));
    assert!(large < small + 32 * 1024, "{large} KiB instead of {small}");
}

/// T15: while two tasks run, no more of a file is read than one buffer.
#[test]
fn a_file_of_inputs_is_read_as_far_as_it_is_needed() {
    let batch = Batch::new(&task("wait", "sleep_forever", "from = \"inputs\"\nstarmap = true"));
    let inputs = batch.path("inputs");
    std::fs::write(&inputs, "[]\n".repeat(1_000_000)).expect("a file");
    let log = batch.path("log").display().to_string();
    let child = batch.run(&["-j", "2", "--joblog", &log]).start();
    let started = || std::fs::read_to_string(&log).unwrap_or_default().matches("\"attempt\"").count();
    processes::wait_until("two tasks run", Duration::from_secs(60), || started() >= 2);
    let fds = std::fs::read_dir(format!("/proc/{}/fd", child.id())).expect("it runs");
    let is_inputs = |fd: &std::fs::DirEntry| std::fs::read_link(fd.path()).is_ok_and(|path| path == inputs);
    let fd = fds.flatten().find(is_inputs).expect("its inputs are open").file_name();
    let info = format!("/proc/{}/fdinfo/{}", child.id(), fd.display());
    let info = std::fs::read_to_string(info).expect("it is open");
    let read: u64 = info
        .lines()
        .find_map(|line| line.strip_prefix("pos:"))
        .expect("a place")
        .trim()
        .parse()
        .expect("a number");
    assert!(read <= 128 * 1024, "{read} of 3000000 bytes");
    assert_eq!(started(), 2);
    end(child);
}

/// T19: a task that floods ends with its own code, others complete, and every line of many writers is whole.
#[test]
fn a_flood_ends_with_its_code_and_lines_of_many_writers_stay_whole() {
    let manifest = task("flood", "print_lines", "args = [10000000]\nmax_output = \"64KiB\"")
        + &task("print", "print_lines", "args = [2000]")
        + &task("other", "print_lines", "args = [2000]");
    let batch = Batch::new(&manifest);
    let ended = batch.run(&["-j", "3", "--format", "jsonl"]).run().expect(100);
    let code = |name: &str| {
        let records = ended.records();
        records.iter().find(|record| record["name"] == name).expect("a record")["exit_code"].clone()
    };
    assert_eq!((code("flood"), code("print"), code("other")), (224.into(), 0.into(), 0.into()));
    for name in ["print", "other"] {
        let prefix = format!("{name}| ");
        let lines: Vec<&str> = ended.stderr.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let expected: Vec<String> = (1..=2000).map(|line| line.to_string()).collect();
        assert_eq!(lines, expected, "{name}");
    }
}

/// T19: standard output that takes nothing is told; one without a reader ends the batch quietly.
#[test]
fn a_full_or_closed_standard_output_ends_a_batch_by_its_code() {
    let manifest = task("echo", "echo_json", "args = [\"{n}\"]\nmatrix.n = { from = 1, to = 10000 }");
    let batch = Batch::new(&manifest);
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let ended = batch.run(&["--chunksize", "100"]).stdout_to(full).run().expect(106);
    assert!(ended.stderr.contains("cannot write to standard output: No space left"), "{}", ended.stderr);
    let mut child = batch.run(&["--chunksize", "100"]).start();
    let mut first = String::new();
    BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut first).expect("a line");
    assert!(first.starts_with("echo"), "{first}");
    let ended = finish(child, Instant::now());
    assert_eq!(ended.stderr, "");
}

/// T19: a job log on a full disk stops the batch.
#[test]
fn a_batch_whose_log_is_full_runs_nothing_more() {
    let batch = Batch::new(&task("echo", "echo_json", "args = [\"{n}\"]\nmatrix.n = { from = 1, to = 100 }"));
    let ended = batch.run(&["--joblog", "/dev/full", "--joblog-sync", "off"]).run().expect(96);
    assert!(
        ended.stderr.contains("cannot write to the job log `/dev/full`: No space left"),
        "{}",
        ended.stderr
    );
    assert_eq!(ended.stdout, "");
}

/// T20: on one CPU a batch runs one task at a time, whatever the machine has.
#[test]
fn a_batch_on_one_cpu_runs_one_task_at_a_time() {
    let batch = Batch::new(&task("burn", "burn_ms", "args = [30]\nmatrix.n = [1, 2, 3, 4]"));
    let ended = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let all = rustix::thread::sched_getaffinity(None).expect("the own affinity");
            let first = (0..rustix::thread::CpuSet::MAX_CPU).find(|cpu| all.is_set(*cpu)).expect("a CPU");
            let mut one = rustix::thread::CpuSet::new();
            one.set(first);
            rustix::thread::sched_setaffinity(None, &one).expect("fewer CPUs are always allowed");
            batch.run(&["--format", "jsonl"]).run().expect(0)
        });
        thread.join().expect("it does not panic")
    });
    let time = |record: &Value, field: &str| record[field].as_f64().expect("a number");
    let span = |record: &Value| {
        let start = time(record, "started_at");
        (start, start + time(record, "wall_ms") / 1000.0)
    };
    let mut spans: Vec<(f64, f64)> = ended.records().iter().map(span).collect();
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    assert!(spans.windows(2).all(|two| two[0].1 <= two[1].0 + 0.005), "{spans:?}");
}

/// T20: a task that meets its own limit ends with 222, one that the kernel kills for the pool's memory with 228.
#[test]
fn a_batch_tells_a_tasks_limit_from_a_kill_by_the_kernel() {
    let command = |name: &str, keys: &str| {
        format!("[[task]]\nname = \"{name}\"\nmodule = \"{}\"\n{keys}\n", wat("fill_a_gibibyte"))
    };
    let manifest = task("own", "grow", "max_memory = \"16MiB\"")
        + &command("killed", "max_memory = \"2GiB\"\nafter = [\"fine\"]")
        + &task("fine", "echo_json", "args = [1]");
    let ended = Batch::new(&manifest).run(&["-j", "1", "--format", "jsonl", "--pool-memory", "128MiB"]).run();
    if ended.code == Some(96) {
        // There is no cgroup to be had, so the kernel kills nobody.
        assert!(ended.stderr.contains("cgroup"), "{}", ended.stderr);
        return;
    }
    let ended = ended.expect(100);
    let code = |name: &str| {
        let records = ended.records();
        records.iter().find(|record| record["name"] == name).expect("a record")["exit_code"].clone()
    };
    assert_eq!((code("own"), code("killed"), code("fine")), (222.into(), 228.into(), 0.into()));
}
