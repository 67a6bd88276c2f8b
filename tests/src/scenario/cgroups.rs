//! The wall around a whole pool: its limits, what they kill, and how that is told from other deaths.
//!
//! Where no cgroup can be made, each scenario shows that this is said and that everything else works.

#![forbid(unsafe_code)]

use std::path::PathBuf;

use serde_json::json;
use wasmpool::policy::Layer;
use wasmpool::{Limits, Module, Outcome, Policy, Pool, Record, SandboxMode, StartMethod, Supervisor, Task};

use crate::support::{self, call, children, fork_servers, say, signal, target};

const MIB: u64 = 1 << 20;

/// The cgroups that a process has made and that are there, in all hierarchies.
pub fn groups_of(pid: u32) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![PathBuf::from("/sys/fs/cgroup")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            let numbers: Vec<_> =
                name.strip_prefix("wasmpool-").map_or(Vec::new(), |rest| rest.split('-').collect());
            if numbers.get(1) == Some(&pid.to_string().as_str()) {
                found.push(entry.path());
            }
            folders.push(entry.path());
        }
    }
    found
}

/// Why the doctor says that there is no cgroup here; `None` when there is.
async fn missing(supervisor: &Supervisor) -> Option<String> {
    let layers = supervisor.doctor().await.expect("the doctor answers");
    let (_, state) = layers.into_iter().find(|(layer, _)| *layer == Layer::Cgroup).expect("its line");
    state.err()
}

/// One try at a task, in a sandbox of this mode.
async fn attempt(pool: &Pool, task: Task, mode: SandboxMode) -> Record {
    let handle = pool.submit(task.policy(Policy { sandbox: mode })).await.expect("the pool is open");
    support::patiently("the task", async { handle.await }).await
}

fn is_enclosed(record: &Record) -> bool {
    record.layers.contains(Layer::Cgroup)
}

/// Takes `n` MiB, of the 1 GiB that every task may have by default.
fn grow(module: &Module, n: u64) -> Task {
    call(module, "grow_mib", (n,))
}

/// The limit of a pool kills, and only it is blamed for its kills; everything else in the pool goes on.
pub fn pool_memory(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        if let Some(cause) = missing(&supervisor).await {
            without_cgroups(&supervisor, &module).await;
            return say(&json!({ "missing": cause }));
        }
        let builder = || support::pool(&supervisor, 4).memory_bytes_max(128 * MIB);
        for pool in [builder(), builder().start_method(StartMethod::Spawn)] {
            told_apart(&module, &pool.build().expect("a pool")).await;
        }
    });
}

async fn told_apart(module: &Module, pool: &Pool) {
    let required = SandboxMode::Required;
    let add = target(module, "add");
    for _ in 0..3 {
        // Beside it, others have no part in it.
        let others = pool.starmap::<_, i64>(&add, (0..20).map(|n| (n, 1)));
        let (flood, others) = tokio::join!(attempt(pool, grow(module, 600), required), others);
        let text = flood.outcome.to_string();
        assert_eq!(flood.outcome.exit_code(), 228, "{text}");
        assert!(text.contains("128 MiB") && is_enclosed(&flood), "{text} {:?}", flood.layers);
        assert_eq!(others.expect("values"), (1..=20).collect::<Vec<i64>>());
        // The kernel's kill was explained by that death, so this one is somebody else's.
        let victim = pool.submit(call(module, "ignore_cancelled", ())).await.expect("a handle");
        signal(support::until_running(&victim).await, 9);
        assert_eq!(victim.await.outcome, Outcome::Killed(9));
        let own = Limits { memory_bytes: 32 * MIB, ..Limits::default() };
        let own = attempt(pool, call(module, "grow", ()).limits(own), required).await;
        assert_eq!(own.outcome.exit_code(), 222, "{}", own.outcome);
    }
    say(&json!({ "told": "apart" }));
}

/// An ordinary user's machine: whoever set limits is told, and others miss nothing.
async fn without_cgroups(supervisor: &Supervisor, module: &Module) {
    let plain = support::pool(supervisor, 2).build().expect("a pool");
    let limited = support::pool(supervisor, 2).memory_bytes_max(128 * MIB).build().expect("a pool");
    for (pool, mode, code) in [
        (&plain, SandboxMode::Required, 0),
        (&limited, SandboxMode::Required, 247),
        (&limited, SandboxMode::BestEffort, 0),
        (&limited, SandboxMode::Off, 247),
    ] {
        let record = attempt(pool, call(module, "add", (1, 2)), mode).await;
        assert_eq!(record.outcome.exit_code(), code, "{mode:?}: {}", record.outcome);
        assert!(!is_enclosed(&record), "{:?}", record.layers);
    }
}

/// T21: the kernel kills fork servers for their pool's memory; the tasks are told so.
pub fn pool_memory_of_servers(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        if missing(&supervisor).await.is_some() {
            return say(&json!({ "text": "missing" }));
        }
        // Less than any process needs to begin.
        let pool = support::pool(&supervisor, 1).memory_bytes_max(MIB / 4).build().expect("a pool");
        let record = attempt(&pool, call(&module, "add", (1, 2)), SandboxMode::Required).await;
        assert_eq!(record.outcome.exit_code(), 248, "{}", record.outcome);
        say(&json!({ "text": record.outcome.to_string() }));
        // Others have their own.
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let sum: i64 = pool.apply(&target(&module, "add"), (1, 2)).await.expect("a value");
        assert_eq!(sum, 3);
    });
}

/// Each pool has a group of its own, made with it and gone with it; its processes are in it and this one is not; two
/// pools share no fork server.
pub fn pool_groups(_: &[String]) {
    let own = std::process::id();
    let membership = || std::fs::read_to_string("/proc/self/cgroup").expect("/proc is mounted");
    let (before, supervisor) = (membership(), support::supervisor());
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        if let Some(cause) = missing(&supervisor).await {
            return say(&json!({ "missing": cause }));
        }
        assert_eq!(groups_of(own), Vec::<PathBuf>::new(), "the doctor cleans up");
        let add = || call(&module, "add", (1, 2));
        let pools: Vec<Pool> =
            (0..2).map(|_| support::pool(&supervisor, 1).build().expect("a pool")).collect();
        let folders = groups_of(own);
        let names: std::collections::BTreeSet<_> =
            folders.iter().filter_map(|folder| folder.file_name()).collect();
        assert_eq!(names.len(), 2, "{folders:?}");
        for pool in &pools {
            for (mode, expected) in
                [(SandboxMode::Required, true), (SandboxMode::BestEffort, true), (SandboxMode::Off, false)]
            {
                let record = attempt(pool, add(), mode).await;
                assert!(record.outcome.is_success(), "{}", record.outcome);
                assert_eq!(is_enclosed(&record), expected, "{mode:?}: {:?}", record.layers);
            }
        }
        // Two modes with a group, in two pools; without one they share.
        assert_eq!(fork_servers().len(), 5);
        let listed =
            |folder: &PathBuf| std::fs::read_to_string(folder.join("cgroup.procs")).expect("it is there");
        let inside: Vec<u32> = folders
            .iter()
            .flat_map(|folder| {
                listed(folder).lines().filter_map(|line| line.parse().ok()).collect::<Vec<_>>()
            })
            .collect();
        assert!(inside.iter().all(|pid| children().contains(pid)), "{inside:?}");
        assert!(fork_servers().iter().filter(|pid| inside.contains(pid)).count() == 4, "{inside:?}");
        for pool in pools {
            let name = groups_of(own);
            drop(pool);
            support::until("its group is gone", || groups_of(own).len() < name.len()).await;
        }
        support::until("both are gone", || groups_of(own).is_empty()).await;
        assert_eq!(fork_servers().len(), 1, "the one that is in no group");
        limits_are_written(&supervisor, &module).await;
    });
    assert_eq!(membership(), before, "this process stays where it was");
}

/// What was asked for is what the kernel was told; and what it refuses is no cgroup.
async fn limits_are_written(supervisor: &Supervisor, module: &Module) {
    let pool =
        support::pool(supervisor, 3).memory_bytes_max(256 * MIB).cpus_max(0.5).build().expect("a pool");
    let read = |names: [&str; 2]| {
        let paths = groups_of(std::process::id());
        let files = paths.iter().flat_map(|path| names.map(|name| path.join(name)));
        files.filter_map(|file| std::fs::read_to_string(file).ok()).next().expect("one of them")
    };
    assert_eq!(read(["memory.max", "memory.limit_in_bytes"]).trim(), (256 * MIB).to_string());
    let quota = read(["cpu.max", "cpu.cfs_quota_us"]);
    assert_eq!(quota.split_whitespace().next(), Some("50000"));
    let processes = |workers: u64| (2 * workers + wasmpool::limits::POOL_PROCESSES_BESIDE).to_string();
    assert_eq!(read(["pids.max"; 2]).trim(), processes(3));
    pool.resize(8);
    support::until("another limit", || read(["pids.max"; 2]).trim() == processes(8)).await;
    drop(pool);
    let pool = support::pool(supervisor, 1).cpus_max(1e15).build().expect("a pool");
    for (mode, code) in [(SandboxMode::Required, 247), (SandboxMode::BestEffort, 0)] {
        let record = attempt(&pool, call(module, "add", (1, 2)), mode).await;
        assert_eq!(record.outcome.exit_code(), code, "{mode:?}: {}", record.outcome);
        assert!(code == 0 || record.outcome.to_string().contains("`cgroup`"), "{}", record.outcome);
    }
    say(&json!({ "limits": "written" }));
}

/// Says which groups a process has made that may have ended.
pub fn groups_left(args: &[String]) {
    let supervisor = support::supervisor();
    let pid = args[0].parse().expect("a process id");
    let before = groups_of(pid).len();
    support::block_on(async {
        let missing = missing(&supervisor).await;
        say(&json!({ "missing": missing, "before": before, "after": groups_of(pid).len() }));
    });
}
