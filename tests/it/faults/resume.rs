//! T18, the half with real processes: the program is killed while it writes its job log, and goes on with it.
//!
//! Each task appends its number to a file, the ledger: that is the evidence of how often it ran.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use crate::support::{Finished, guests, wasmpool};

/// One of these tests at a time: each looks for processes that a killed program left.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The command that runs the tasks.
#[derive(Clone, Copy, Debug)]
enum By {
    Map,
    Manifest,
}

/// A folder with a ledger, and inputs that append to it.
struct Batch {
    folder: tempfile::TempDir,
    tasks: u64,
    by: By,
}

impl Batch {
    fn new(tasks: u64, by: By) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("data")).expect("a folder");
        std::fs::write(folder.path().join("data/ledger"), "").expect("a file");
        let input = |number: u64| format!("[\"/data/ledger\", \"{number}\\n\"]\n");
        std::fs::write(folder.path().join("inputs"), (1..=tasks).map(input).collect::<String>())
            .expect("a file");
        let manifest = format!(
            "[[task]]\nname = \"append\"\nmodule = \"{}\"\ntask = \"append_file\"\nfrom = \"inputs\"\nstarmap = true\n\
             dirs = [{{ host = \"data\", guest = \"/data\", mode = \"rw\" }}]\n",
            guests()
        );
        std::fs::write(folder.path().join("batch.toml"), manifest).expect("a file");
        Self { folder, tasks, by }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Runs it to its end, or to its death at this fault.
    fn run(&self, fault: Option<&str>) -> Finished {
        let dir = format!("{}::/data", self.path("data"));
        let (log, inputs) = (self.path("log"), self.path("inputs"));
        let options =
            ["--joblog", &log, "--resume", "--joblog-sync", "off", "-j", "2", "--max-tasks-per-worker", "50"];
        let manifest = self.path("batch.toml");
        let mut run = match self.by {
            By::Map => {
                let call = [guests(), "-t", "append_file", "--starmap", "--from", &inputs];
                wasmpool(["map", "--dir", &dir].into_iter().chain(options).chain(call))
            }
            By::Manifest => wasmpool(["batch"].into_iter().chain(options).chain([manifest.as_str()])),
        };
        if let Some(fault) = fault {
            run = run.env("WASMPOOL_FAULT", fault);
        }
        run.run()
    }

    /// How often each task ran.
    fn ledger(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for line in std::fs::read_to_string(self.path("data/ledger")).expect("a file").lines() {
            *counts.entry(line.parse().expect("a number")).or_default() += 1;
        }
        counts
    }

    /// The tasks that the whole records of the log say have ended, each time.
    fn finished(&self) -> Vec<u64> {
        let log = std::fs::read(self.path("log")).unwrap_or_default();
        let whole = log.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let records = log[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let records = records.map(|line| serde_json::from_slice::<Value>(line).expect("a record"));
        let ends = records.filter(|record| record["outcome"] == "succeeded");
        ends.map(|record| record["seq"].as_u64().expect("a number")).collect()
    }
}

/// Kills a run at this fault, goes on, and looks at what was run.
fn kill_and_resume(by: By, tasks: u64, fault: &str) {
    let batch = Batch::new(tasks, by);
    let killed = batch.run(Some(fault));
    assert!(matches!(killed.code, None | Some(0)), "{fault}: {killed:?}");
    let finished: BTreeSet<u64> = batch.finished().into_iter().collect();
    let resumed = batch.run(None);
    assert_eq!(resumed.code, Some(0), "{fault}: {}", resumed.stderr);
    assert_eq!(resumed.lines().len() as u64, tasks - finished.len() as u64, "{fault}");
    let mut all = batch.finished();
    all.sort_unstable();
    assert_eq!(all, (1..=tasks).collect::<Vec<_>>(), "{fault}: each task ends once");
    let ledger = batch.ledger();
    for task in 1..=tasks {
        let runs = ledger.get(&task).copied().unwrap_or(0);
        let expected = if finished.contains(&task) { 1..=1 } else { 1..=2 };
        assert!(expected.contains(&runs), "{fault}: task {task} ran {runs} times");
    }
    let log = std::fs::read(batch.path("log")).expect("a log");
    assert!(log.ends_with(b"\n"));
}

/// How many records the log of a whole run has, and how many bytes.
fn whole_log(by: By, tasks: u64) -> (u64, u64) {
    let batch = Batch::new(tasks, by);
    batch.run(None).expect(0);
    let log = std::fs::read(batch.path("log")).expect("a log");
    (log.iter().filter(|byte| **byte == b'\n').count() as u64, log.len() as u64)
}

/// Kills at each border between two records and a byte to either side, and at so many bytes that nobody chose.
fn kill_everywhere(by: By, tasks: u64, bytes: u64) {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (records, length) = whole_log(by, tasks);
    assert_eq!(records, 2 + 2 * tasks);
    for record in 0..records {
        for point in ["before", "at", "after"] {
            kill_and_resume(by, tasks, &format!("joblog-{point}:kill:{record}"));
        }
    }
    let mut state = 18_u64;
    for _ in 0..bytes {
        // Knuth's generator: any would do.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        kill_and_resume(by, tasks, &format!("joblog-byte:kill:{}", (state >> 33) % length));
    }
}

/// T18 with a short log.
#[test]
fn a_host_killed_anywhere_in_its_log_goes_on_without_running_a_finished_task_again() {
    kill_everywhere(By::Map, 6, 20);
}

/// T18 with a short log of a manifest.
#[test]
fn a_host_killed_anywhere_in_the_log_of_a_manifest_goes_on_without_running_a_finished_task_again() {
    kill_everywhere(By::Manifest, 4, 10);
}

/// T18 as it is written: at each of the 102 records of 50 tasks, a byte to either side, and at 200 bytes.
#[test]
#[ignore = "a thousand runs take minutes"]
fn a_host_killed_anywhere_in_a_log_of_fifty_tasks_goes_on_without_running_a_finished_task_again() {
    kill_everywhere(By::Map, 50, 200);
}

/// The same for a manifest.
#[test]
#[ignore = "hundreds of runs take minutes"]
fn a_host_killed_anywhere_in_a_longer_log_of_a_manifest_goes_on_without_running_a_finished_task_again() {
    kill_everywhere(By::Manifest, 20, 100);
}

/// Killed again and again, each time a little later, one log comes to its end.
#[test]
fn a_log_comes_to_its_end_through_many_deaths() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let batch = Batch::new(50, By::Map);
    let mut deaths = 0;
    loop {
        let before = batch.finished().len();
        // The run's own record, and seven of its tasks.
        let ended = batch.run(Some("joblog-before:kill:16"));
        assert!(batch.finished().len() > before, "{}", ended.stderr);
        if ended.code == Some(0) {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 5, "{deaths}");
    let mut all = batch.finished();
    all.sort_unstable();
    assert_eq!(all, (1..=batch.tasks).collect::<Vec<_>>());
}

/// A module that was changed is refused by its name, whatever the log holds.
#[test]
fn a_changed_module_is_refused_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let module = |result: u32| {
        let text = format!("(module (func (export \"f\") (param i32) (result i32) (i32.const {result})))");
        std::fs::write(folder.path().join("f.wat"), text).expect("a file");
    };
    let (log, file) = (path("log"), path("f.wat"));
    let run = || wasmpool(["map", "--joblog", &log, "--resume", &file, "-t", "f", "1", "2"]).run();
    module(1);
    run().expect(0);
    let before = std::fs::read(Path::new(&log)).expect("a log");
    module(2);
    let refused = run().expect(2);
    assert!(refused.stderr.contains(&format!("the module `{file}` has changed")), "{}", refused.stderr);
    assert_eq!(std::fs::read(Path::new(&log)).expect("a log"), before, "a refused run writes nothing");
    module(1);
    let kept = run().expect(0);
    assert_eq!(kept.stdout, "");
}
