//! What scenarios share: a runtime, the guests, records as JSON, looking at processes.

#![forbid(unsafe_code)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde::Serialize;
use serde_json::{Value, json};
use wasmpool::{
    Args, GrantedNet, Module, NetAccess, Outcome, Pool, PoolBuilder, Record, Supervisor, Target, Task,
    TaskHandle,
};

/// How long anything that a scenario waits for may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a future on a runtime of one thread.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("a runtime").block_on(future)
}

/// Prints one line for the test.
pub fn say(value: &Value) {
    println!("{value}");
}

/// A supervisor of its own, with every default.
pub fn supervisor() -> Supervisor {
    Supervisor::builder().build().expect("a supervisor")
}

/// Where the tiny guests are, one task a behaviour.
pub fn guests_path() -> String {
    std::env::var("WASMPOOL_TEST_GUESTS").expect("the test names the guests")
}

/// The tiny guests.
pub async fn guests(supervisor: &Supervisor) -> Module {
    supervisor.load(guests_path().as_str()).await.expect("the guests load")
}

/// A pool of this supervisor.
pub fn pool(supervisor: &Supervisor, workers: usize) -> PoolBuilder {
    Pool::builder().supervisor(supervisor).workers(workers)
}

/// A task of a module.
pub fn target(module: &Module, name: &str) -> Target {
    module.task(name).expect("a task of this name")
}

/// A call with a tuple of arguments.
pub fn call<A: Serialize>(module: &Module, name: &str, args: A) -> Task {
    Task::new(&target(module, name)).args(Args::of(&args).expect("arguments"))
}

/// An address: what may be done there, its host, and its port.
pub fn granted_net(net: &Value) -> GrantedNet {
    let access = match net[0].as_str() {
        Some("listen") => NetAccess::TcpListen,
        Some("udp") => NetAccess::Udp,
        _ => NetAccess::TcpConnect,
    };
    let port = net[2].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
    GrantedNet::open(access, net[1].as_str().expect("a host"), port).expect("an address")
}

/// Waits until this holds: looks again every millisecond.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Waits until the guest has told progress; its worker's process id.
pub async fn until_running(handle: &TaskHandle) -> u32 {
    until("the guest runs", || handle.progress().is_some() || handle.is_finished()).await;
    handle.pid().expect("a task that runs has a process")
}

/// A future that must end within a minute.
pub async fn patiently<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

/// Sends a signal from outside to a process that is there.
pub fn signal(pid: u32, number: i32) {
    assert!(send(pid, number), "process {pid} is there");
}

/// The same to a process that may have ended.
pub fn try_signal(pid: u32, number: i32) {
    send(pid, number);
}

fn send(pid: u32, number: i32) -> bool {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    let signal = Signal::from_named_raw(number).expect("a signal");
    rustix::process::kill_process(pid, signal).is_ok()
}

/// Milliseconds of user time that a process has used: it computes.
pub fn burned_ms(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let after_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let ticks = after_name.split(' ').nth(11).and_then(|ticks| ticks.parse::<u64>().ok());
    // The kernel counts in hundredths of a second.
    ticks.unwrap_or(0) * 10
}

/// A field of `/proc/<pid>/status`.
pub fn status(pid: u32, field: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned())
}

/// Resident memory of this process that no file backs, in bytes.
pub fn resident_bytes() -> u64 {
    resident("RssAnon")
}

/// Resident memory of this process with what files back and what it shares, in bytes.
pub fn all_resident_bytes() -> u64 {
    resident("VmRSS")
}

fn resident(field: &str) -> u64 {
    let text = status(std::process::id(), field).expect("a process has memory");
    let kib = text.split(' ').next().and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("a number of KiB") * 1024
}

/// The children of this process, with the letter of their state.
fn all_children() -> Vec<(u32, char)> {
    let own = std::process::id().to_string();
    let pids = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = pids.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    let ours = pids.filter(|pid| status(*pid, "PPid").as_ref() == Some(&own));
    ours.filter_map(|pid| Some((pid, status(pid, "State")?.chars().next()?))).collect()
}

/// The live children of this process.
pub fn children() -> Vec<u32> {
    all_children().into_iter().filter(|(_, state)| *state != 'Z').map(|(pid, _)| pid).collect()
}

/// How many of its children have ended and were not reaped.
pub fn zombies() -> usize {
    all_children().iter().filter(|(_, state)| *state == 'Z').count()
}

/// Its fork servers. Workers have the same command line, and are led by their fork server.
pub fn fork_servers() -> Vec<u32> {
    let leads = |pid: &u32| status(*pid, "NSpgid").is_some_and(|group| group == pid.to_string());
    let command = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let servers = children().into_iter().filter(leads);
    servers.filter(|pid| command(pid).contains("--wasmpool-fork-server")).collect()
}

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below this one.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }
}

/// Counts how often tasks end: exactly once each, or the scenario fails.
#[derive(Clone, Debug, Default)]
pub struct Ends {
    expected: usize,
    seen: Arc<AtomicUsize>,
}

impl Ends {
    /// Counts the end of this task too.
    pub fn watch(&mut self, handle: &TaskHandle) {
        let seen = Arc::clone(&self.seen);
        handle.on_finish(move |_| {
            seen.fetch_add(1, Ordering::SeqCst);
        });
        self.expected += 1;
    }

    /// Waits for all of them, and panics if there are more.
    pub async fn expect_one_each(&self) {
        until("every task ended", || self.seen.load(Ordering::SeqCst) >= self.expected).await;
        assert_eq!(self.seen.load(Ordering::SeqCst), self.expected, "a task ended twice");
    }
}

/// A record as the tests read it.
pub fn record(record: &Record) -> Value {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    let mut value = json!({
        "name": record.name, "task": record.task, "attempt": record.attempt, "pid": record.pid,
        "outcome": record.outcome.label(), "code": record.outcome.exit_code(),
        "exitcode": record.outcome.python_exitcode(), "text": record.outcome.to_string(),
        "blame": format!("{:?}", record.outcome.blame()),
        "wall_ms": ms(record.wall_time), "cpu_ms": ms(record.cpu_time), "peak": record.peak_memory_bytes,
        "stdout": text(&record.stdout), "stderr": text(&record.stderr),
        "stdout_bytes": record.stdout.len(), "layers": record.layers.len(),
        "progress": record.progress,
    });
    match &record.outcome {
        Outcome::Succeeded(result) => {
            value["bytes"] = result.bytes().len().into();
            if result.bytes().len() < 100_000 {
                value["value"] = result.to().unwrap_or(Value::Null);
            }
        }
        Outcome::Trapped(trap) => {
            let panic = trap.panic.as_ref();
            value["panic"] = json!(panic.map(|panic| (&panic.message, &panic.file, panic.line)));
            let names: Vec<_> = trap.backtrace.iter().map(|frame| format!("{frame:?}")).collect();
            value["backtrace"] = json!(names);
        }
        _ => {}
    }
    value
}

/// A time in milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}
