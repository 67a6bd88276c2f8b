//! Looking at processes: children, orphans, signals.

use std::sync::Once;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

/// How long a process of ours may outlive its host.
const ORPHAN_TIME_MAX: Duration = Duration::from_secs(1);

/// Makes this process the parent of whatever a program leaves behind, so that it can be found.
pub fn adopt_orphans() {
    static ADOPT: Once = Once::new();
    ADOPT.call_once(|| {
        rustix::process::set_child_subreaper(Some(rustix::process::getpid())).expect("a subreaper");
    });
}

/// A process as `/proc` shows it.
#[derive(Clone, Debug)]
pub struct Seen {
    pub pid: u32,
    pub parent: u32,
    /// The letter of its state: `R`, `S`, `T`, `Z`.
    pub state: char,
    pub command: String,
}

/// Every process of the machine.
pub fn all() -> Vec<Seen> {
    let folders = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = folders.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(look).collect()
}

fn look(pid: u32) -> Option<Seen> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let (state, parent) = (fields.next()?.chars().next()?, fields.next()?.parse().ok()?);
    let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).ok()?.replace('\0', " ");
    Some(Seen { pid, parent, state, command })
}

/// The live children of a process.
pub fn children(parent: u32) -> Vec<Seen> {
    all().into_iter().filter(|process| process.parent == parent && process.state != 'Z').collect()
}

/// True while the process lives; a zombie is dead.
pub fn is_alive(pid: u32) -> bool {
    look(pid).is_some_and(|process| process.state != 'Z')
}

/// Waits until this holds; fails after `patience`.
pub fn wait_until(what: &str, patience: Duration, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < patience, "{what}: not within {patience:?}");
        std::thread::yield_now();
    }
}

/// Fails if a child of a host that has ended is still there a second later.
pub fn expect_no_orphans() {
    let own = std::process::id();
    wait_until("no process of ours is left", ORPHAN_TIME_MAX, || {
        !children(own).iter().any(|process| process.command.contains("--wasmpool-"))
    });
}

/// Sends a signal.
pub fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("not zero");
    // One that has ended is what most tests want.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Ends a process.
pub fn kill(pid: u32) {
    signal(pid, Signal::KILL);
}
