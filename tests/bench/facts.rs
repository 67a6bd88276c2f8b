//! Figures of ours that stand by themselves: memory, deaths, and what does not grow.

#![forbid(unsafe_code)]

use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use wasmpool::{Args, Limits, Pool, Supervisor, Task};

use crate::measure::{Spread, percentile};
use crate::ours;
use crate::speed::{Bench, Fact};

/// Makes this program a host whose workers never end.
pub const HOLD: &str = "only-hold";
/// Workers of such a host.
const HELD: usize = 4;

type Measurement = fn(&Bench) -> Fact;

/// Those that are wanted.
pub fn all(bench: &Bench) -> Vec<Fact> {
    let facts: [(&str, Measurement); 5] = [
        ("memory", idle_memory),
        ("memory", idle_memory_with_huge_code),
        ("killed", killed),
        ("host", host_killed),
        ("length", length),
    ];
    facts.into_iter().filter(|(name, _)| bench.is_wanted(name)).map(|(_, fact)| fact(bench)).collect()
}

/// Tasks after which a fork server has the program's code in huge pages.
const MANY: u64 = 1000;

/// What a worker has of its own, and its share of the rest, while it waits for a task.
fn idle_memory(bench: &Bench) -> Fact {
    // Whose fork servers have forked a few workers.
    let supervisor = Supervisor::builder().build().expect("a supervisor");
    let guest = bench.runtime.block_on(supervisor.load(ours::build_guest().as_path()));
    let double = guest.expect("the guest loads").task("double").expect("a task of the guest");
    let pool = Pool::builder().supervisor(&supervisor).workers(2).build().expect("a pool");
    let doubled: Vec<i64> =
        bench.runtime.block_on(pool.map(&double, 0..100_i64)).expect("every task succeeds");
    assert_eq!(doubled.len(), 100);
    share(
        "proportional set size of a worker that waits for a task, the largest of those of a pool of 2",
        |most, _| format!("{most:.2} MiB"),
    )
}

/// The same where code is in huge pages.
fn idle_memory_with_huge_code(bench: &Bench) -> Fact {
    let pool = bench.pool(2).build().expect("a pool");
    bench.map(&pool, MANY);
    share(
        "the same once a module has run often, its program's code in huge pages that its three processes share",
        |most, code| format!("{most:.2} MiB, {code:.2} MiB of it its third of that code"),
    )
}

/// Of the largest of the workers that wait; `shown` gets what it has in MiB, and what of that is shared memory.
fn share(what: &'static str, shown: impl Fn(f64, f64) -> String) -> Fact {
    // Both are forked ahead of the next tasks, which may take a moment.
    let began = Instant::now();
    let waiting = loop {
        let waiting: Vec<u32> = children().into_iter().filter(|pid| !leads_session(*pid)).collect();
        if waiting.len() >= 2 || began.elapsed() > Duration::from_secs(5) {
            break waiting;
        }
        std::thread::yield_now();
    };
    let in_mib = |pid, name| in_rollup(pid, name).map(|kib| kib / 1024.0);
    let shares =
        waiting.into_iter().filter_map(|pid| Some((in_mib(pid, "Pss:")?, in_mib(pid, "Pss_Shmem:")?)));
    let (most, shared) = shares.max_by(|one, two| one.0.total_cmp(&two.0)).expect("workers wait");
    Fact { what, shown: shown(most, shared), goal: "at most 1.5 MiB", is_met: most <= 1.5 }
}

/// From the SIGKILL of a worker to its record.
fn killed(bench: &Bench) -> Fact {
    let pool = bench.pool(1).build().expect("a pool");
    let limits = Limits { timeout: Some(Duration::from_secs(60)), ..Limits::default() };
    let task = Task::new(&bench.task("spin")).limits(limits);
    let times = (0..bench.n(100)).map(|_| {
        let handle = bench.runtime.block_on(pool.submit(task.clone())).expect("the pool is open");
        // One that is killed before it began would be tried again.
        while handle.progress().is_none() {
            std::thread::yield_now();
        }
        let pid = handle.pid().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        let pid = pid.expect("it runs in a process");
        let began = Instant::now();
        rustix::process::kill_process(pid, Signal::KILL).expect("a child of ours");
        let record = bench.runtime.block_on(async { handle.await });
        assert_eq!(record.outcome.exit_code(), 137, "{}", record.outcome);
        u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    });
    let median = percentile(&times.collect::<Vec<_>>(), 50) / 1e6;
    Fact {
        what: "a worker is killed until its record is there, median of 100",
        shown: format!("{median:.1} ms"),
        goal: "at most 5 ms",
        is_met: median <= 5.0,
    }
}

/// Whether a long map costs more for each task than a short one, and what the supervisor keeps of it.
fn length(bench: &Bench) -> Fact {
    let pool = bench.pool(2).max_tasks_per_worker(1_000_000).build().expect("a pool");
    let (short, long) = (bench.n(2000), bench.n(1_000_000));
    bench.map(&pool, short);
    let short = Spread::of((0..5).map(|_| bench.map(&pool, short)).collect()).median;
    let double = bench.task("double");
    let before = in_rollup(std::process::id(), "Rss:").unwrap_or(0.0);
    let began = Instant::now();
    let one = Args::of(&(1,)).expect("a number");
    let tasks = futures_util::stream::iter((0..long).map(move |_| Task::new(&double).args(one.clone())));
    let records = pool.records(tasks, wasmpool::Order::Completion);
    let count = |count: u64, (_, record): (u64, wasmpool::Record)| {
        std::future::ready(count + u64::from(record.outcome.is_success()))
    };
    let ended = bench.runtime.block_on(futures_util::StreamExt::fold(records, 0, count));
    assert_eq!(ended, long);
    let each = began.elapsed().as_nanos() as f64 / long as f64;
    let grown = (in_rollup(std::process::id(), "Rss:").unwrap_or(0.0) - before) / 1024.0;
    let slower = (each / short - 1.0) * 100.0;
    Fact {
        what: "a map of 1 000 000 tasks beside one of 2000: time for each, and growth of the supervisor",
        shown: format!("{slower:+.0} %, {grown:.1} MiB"),
        goal: "within 20 %, at most 32 MiB",
        is_met: slower <= 20.0 && grown <= 32.0,
    }
}

/// From the SIGKILL of a host to the end of its last process.
fn host_killed(bench: &Bench) -> Fact {
    let times = (0..bench.n(20)).map(|_| {
        let own = std::env::current_exe().expect("a program knows its own file");
        let mut host = Command::new(own).arg(HOLD).stdout(Stdio::piped()).spawn().expect("it starts");
        let mut line = String::new();
        let stdout = host.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("it says whom it has");
        let pids = line.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        let processes: Vec<OwnedFd> =
            pids.map(|pid| pidfd_open(pid, PidfdFlags::empty()).expect("it lives")).collect();
        // Its workers, and a fork server.
        assert!(processes.len() > HELD, "{line}");
        let began = Instant::now();
        host.kill().expect("it lives");
        for process in &processes {
            poll(&mut [PollFd::new(process, PollFlags::IN)], None).expect("it can be waited for");
        }
        let time = began.elapsed();
        host.wait().expect("it is ours");
        u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
    });
    let times: Vec<u64> = times.collect();
    let ms = |percent| percentile(&times, percent) / 1e6;
    Fact {
        what: "a host with four busy workers is killed until its last process is gone, median and longest of 20",
        shown: format!("{:.1} ms, {:.1} ms", ms(50), ms(100)),
        goal: "at most 50 ms",
        is_met: ms(100) <= 50.0,
    }
}

/// A host whose workers never end: it names its processes, and waits to be killed.
pub fn hold() {
    let bench = Bench::new(1, 1, None);
    let pool = bench.pool(HELD).build().expect("a pool");
    let handles: Vec<_> = (0..HELD)
        .map(|_| {
            bench.runtime.block_on(pool.submit(Task::new(&bench.task("spin")))).expect("the pool is open")
        })
        .collect();
    while handles.iter().any(|handle| handle.progress().is_none()) {
        std::thread::yield_now();
    }
    let pids: Vec<String> = children().iter().map(u32::to_string).collect();
    println!("{}", pids.join(" "));
    loop {
        std::thread::park();
    }
}

/// A fork server does; its workers are in its session.
fn leads_session(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| rustix::process::getsid(Some(pid)).is_ok_and(|session| session == pid))
}

/// How many fork servers live.
pub fn fork_servers() -> usize {
    children().into_iter().filter(|pid| leads_session(*pid)).count()
}

/// Lets the kernel take the largest resident set of this program anew.
pub fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("everybody may do so with his own");
}

/// The largest since.
pub fn peak_bytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("there is /proc");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_ascii_whitespace().next().and_then(|kib| kib.parse().ok()).map_or(0.0, |kib: f64| kib * 1024.0)
}

/// The processes of ours below this one.
pub fn children() -> Vec<u32> {
    let own = std::process::id().to_string();
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ")
            .and_then(|(_, rest)| rest.split(' ').nth(1))
            .is_some_and(|parent| parent == own)
    };
    let entries = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

pub fn private_bytes(pid: u32) -> usize {
    in_rollup(pid, "Anonymous:").map_or(0, |kib| kib as usize * 1024)
}

/// A number of a process's memory in KiB, as the kernel sums it up.
fn in_rollup(pid: u32, name: &str) -> Option<f64> {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = rollup.lines().find(|line| line.starts_with(name))?;
    line.split_ascii_whitespace().nth(1)?.parse().ok()
}
