//! Signals: to the program, and from outside to its workers.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::DirBuilderExt;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::program::finish;
use crate::support::{example, guests, processes, wasmpool};

/// Longer than the module takes to compile.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for a line of standard error; what the guest prints is the sign that it runs.
fn wait_for_line(child: &mut Child, wanted: &str) {
    let stderr = child.stderr.take().expect("stderr is piped");
    let mut lines = BufReader::new(stderr).lines();
    let found = lines.by_ref().any(|line| line.is_ok_and(|line| line.contains(wanted)));
    assert!(found, "`{wanted}` was not printed");
    // What is printed from here on is read too, or the program would wait for its reader.
    std::thread::spawn(move || lines.for_each(drop));
}

/// The child of the program that uses the most CPU: the one whose guest spins.
fn busy_worker(program: u32) -> u32 {
    let ticks = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after = stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned()).unwrap_or_default();
        after.split(' ').nth(11).and_then(|ticks| ticks.parse::<u64>().ok()).unwrap_or(0)
    };
    let mut found = 0;
    processes::wait_until("a worker is busy", PATIENCE, || {
        let mut children = processes::children(program);
        // Nobody may have compiled the module before.
        children.retain(|child| !child.command.contains("--wasmpool-compile"));
        let busiest = children.iter().max_by_key(|child| ticks(child.pid)).map(|child| child.pid);
        found = busiest.filter(|pid| ticks(*pid) > 20).unwrap_or(0);
        found != 0
    });
    found
}

/// Runs `spin_if` over four inputs, one of which spins, and sends a signal to the worker that spins.
fn signal_one_of_four(signal: Signal, code: u64) {
    let line = [
        "map",
        guests(),
        "-t",
        "spin_if",
        "--starmap",
        "--format",
        "jsonl",
        "-j",
        "2",
        "[1,2]",
        "[2,2]",
        "[3,2]",
        "[4,2]",
    ];
    let child = wasmpool(line).start();
    processes::signal(busy_worker(child.id()), signal);
    let ended = finish(child, Instant::now()).expect(100);
    let codes: Vec<u64> = ended.records().iter().filter_map(|record| record["exit_code"].as_u64()).collect();
    assert_eq!(codes, [0, code, 0, 0], "{}", ended.stdout);
}

#[test]
fn a_worker_killed_from_outside_is_137_for_its_input_alone() {
    signal_one_of_four(Signal::KILL, 137);
}

#[test]
fn a_single_sigsegv_from_outside_is_139() {
    signal_one_of_four(Signal::SEGV, 139);
}

#[test]
fn nothing_is_left_a_second_after_the_program_was_killed() {
    let line = ["map", guests(), "-t", "spin_if", "--starmap", "-j", "2", "[1,1]", "[1,1]", "[1,1]"];
    let mut child = wasmpool(line).start();
    busy_worker(child.id());
    let family: Vec<u32> = processes::children(child.id()).iter().map(|child| child.pid).collect();
    assert!(family.len() >= 3, "a fork server and its workers: {family:?}");
    processes::kill(child.id());
    child.wait().expect("it can be waited for");
    processes::wait_until("every process is gone", Duration::from_secs(1), || {
        !family.iter().any(|pid| processes::is_alive(*pid))
    });
}

#[test]
fn the_first_ctrl_c_lets_tasks_finish_and_the_second_kills() {
    // This guest prints, then spins whatever it is asked.
    let mut child = wasmpool(["run", guests(), "-t", "ignore_cancelled"]).start();
    busy_worker(child.id());
    processes::signal(child.id(), Signal::INT);
    wait_for_line(&mut child, "stopping");
    let begun = Instant::now();
    processes::signal(child.id(), Signal::INT);
    let ended = finish(child, begun);
    assert_eq!(ended.code, Some(130));
    assert!(ended.time < Duration::from_secs(2), "killed before the grace period was over: {:?}", ended.time);
}

#[test]
fn sigterm_ends_a_map_with_143() {
    let child =
        wasmpool(["map", guests(), "-t", "spin_if", "--starmap", "-j", "1", "[1,1]", "[2,1]"]).start();
    busy_worker(child.id());
    processes::signal(child.id(), Signal::TERM);
    let ended = finish(child, Instant::now()).expect(143);
    assert_eq!(ended.stdout, "", "what was waiting did not run");
}

#[test]
fn five_quick_ctrl_cs_end_it_too() {
    let squares = example("squares");
    let child =
        wasmpool(["map", &squares, "-t", "square", "--from", "-"]).stdin("1\n".repeat(2_000_000)).start();
    processes::wait_until("it has workers", PATIENCE, || processes::children(child.id()).len() > 1);
    for _ in 0..5 {
        processes::signal(child.id(), Signal::INT);
    }
    let mut child = child;
    let mut stdout = child.stdout.take().expect("stdout is piped");
    std::thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
    assert_eq!(finish(child, Instant::now()).code, Some(130));
}

/// T9 for a batch: a task that does not let itself be stopped.
const STUBBORN: &str = "[[task]]\nname = \"spin\"\nmodule = \"GUESTS\"\ntask = \"ignore_cancelled\"\n";

/// A folder with a manifest of such tasks, and its path.
fn stubborn() -> (tempfile::TempDir, String) {
    manifest(STUBBORN)
}

fn manifest(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("batch.toml");
    std::fs::write(&path, text.replace("GUESTS", guests())).expect("a file");
    let path = path.display().to_string();
    (folder, path)
}

#[test]
fn two_ctrl_cs_kill_what_a_batch_runs() {
    let (_folder, path) = stubborn();
    let mut child = wasmpool(["batch", &path]).start();
    busy_worker(child.id());
    processes::signal(child.id(), Signal::INT);
    wait_for_line(&mut child, "once more kills them");
    let begun = Instant::now();
    processes::signal(child.id(), Signal::INT);
    let ended = finish(child, begun);
    assert_eq!(ended.code, Some(130));
    assert!(ended.time < Duration::from_secs(2), "killed before the grace period was over: {:?}", ended.time);
}

#[test]
fn five_quick_ctrl_cs_end_a_batch_too() {
    let (_folder, path) = stubborn();
    let child = wasmpool(["batch", &path]).start();
    busy_worker(child.id());
    (0..5).for_each(|_| processes::signal(child.id(), Signal::INT));
    assert_eq!(finish(child, Instant::now()).code, Some(130));
}

#[test]
fn ctrl_c_while_a_batch_compiles_is_130() {
    let cache = tempfile::tempdir().expect("a folder");
    let (_folder, path) = stubborn();
    let batch = wasmpool(["batch", &path]).env("XDG_CACHE_HOME", &cache.path().display().to_string());
    let child = batch.start();
    processes::wait_until("it compiles", PATIENCE, || !processes::children(child.id()).is_empty());
    processes::signal(child.id(), Signal::INT);
    let ended = finish(child, Instant::now()).expect(130);
    assert!(ended.stderr.contains("interrupted while"), "{}", ended.stderr);
}

/// Nobody reads what it prints, so it cannot get on with its report.
#[test]
fn ctrl_cs_end_a_batch_whose_report_nobody_reads() {
    let text = "[[task]]\nname = \"much\"\nmodule = \"GUESTS\"\ntask = \"letters\"\nargs = [200000]\nmatrix.n = [1, 2, 3]\n";
    let (folder, path) = manifest(text);
    let session = folder.path().join("session");
    std::fs::DirBuilder::new().mode(0o700).create(&session).expect("a folder");
    let session = session.display().to_string();
    let mut child = wasmpool(["batch", &path]).env("XDG_RUNTIME_DIR", &session).start();
    let stdout = child.stdout.take().expect("stdout is piped");
    processes::wait_until("its tasks are done", PATIENCE, || {
        let ps = wasmpool(["ps", "--format", "json"]).env("XDG_RUNTIME_DIR", &session).run().expect(0);
        ps.records()[0][0]["done"] == 3
    });
    processes::signal(child.id(), Signal::INT);
    wait_for_line(&mut child, "once more kills them");
    let begun = Instant::now();
    processes::wait_until("it has ended", PATIENCE, || {
        processes::signal(child.id(), Signal::INT);
        child.try_wait().expect("it can be waited for").is_some()
    });
    assert_eq!(finish(child, begun).code, Some(130));
    drop(stdout);
}

#[test]
fn the_terminal_is_as_it_was_after_ctrl_c() {
    let (_folder, path) = stubborn();
    for line in [vec!["batch", &path], vec!["map", guests(), "-t", "spin_if", "--starmap", "[1,1]"]] {
        let (child, terminal) = wasmpool(&line).start_on_terminal();
        busy_worker(child.id());
        processes::signal(child.id(), Signal::INT);
        processes::signal(child.id(), Signal::INT);
        assert_eq!(finish(child, Instant::now()).code, Some(130));
        let written = terminal.join().expect("the terminal is read");
        assert!(written.contains("0/"), "there was a bar: {written:?}");
        let shown = crate::support::terminal::shown(&written, 80);
        assert!(shown.iter().any(|row| row.starts_with("interrupted: 1 input")), "{line:?}: {shown:#?}");
        assert!(shown.iter().all(|row| !row.contains("0/")), "{line:?}: {shown:#?}");
    }
}
