//! Signals: to the program, and from outside to its workers.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::program::finish;
use crate::support::{example, guests, processes, wasmpool};

const PATIENCE: Duration = Duration::from_secs(20);

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
        let children = processes::children(program);
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
