//! The program's code in huge pages: for pools with many tasks, and for nobody else.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::outcome::LimitKind;
use wasmpool::{Limits, Module, ModuleSource, Outcome, Pool, Process, Supervisor, Task};

use crate::oracle;
use crate::support::{self, call, fork_servers, say, target};

/// The name of the memory file, as the kernel shows it.
const NAME: &str = "/memfd:wasmpool-code";
/// How long a pool may take until its fork server has been replaced.
const PATIENCE: Duration = Duration::from_secs(30);
/// Another module.
const OTHER: &str = "(module (func (export \"_start\")))";

/// KiB of code in huge pages of the copy that a process has; `None` for one that does not have the copy.
fn huge_kib(pid: u32) -> Option<u64> {
    let smaps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).unwrap_or_default();
    let mut lines = smaps.lines().skip_while(|line| !(line.contains(" r-xp ") && line.contains(NAME)));
    let sizes = lines.by_ref().skip(1).find_map(|line| line.strip_prefix("ShmemPmdMapped:"));
    sizes.and_then(|size| size.trim().trim_end_matches("kB").trim().parse().ok())
}

fn copies() -> usize {
    oracle::targets().iter().filter(|target| target.starts_with(NAME)).count()
}

async fn some(pool: &Pool, module: &Module, tasks: i64) {
    let values: Vec<i64> =
        pool.starmap(&target(module, "add"), (0..tasks).map(|n| (n, 1))).await.expect("values");
    assert_eq!(values, (1..=tasks).collect::<Vec<i64>>());
}

/// What a task shows by its process while it runs: as [`huge_kib`].
async fn of_a_worker(pool: &Pool, module: &Module) -> Option<u64> {
    let running = pool.submit(call(module, "wait_cancelled", ())).await.expect("a handle");
    let pid = support::until_running(&running).await;
    let huge = huge_kib(pid);
    running.terminate();
    let record = support::patiently("it was told", async { running.await }).await;
    assert!(record.outcome.is_success(), "{}", record.outcome);
    huge
}

/// One process, and a hundred tasks: nothing is copied.
pub fn few(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let process = Process::new(call(&module, "add", (1, 2))).supervisor(&supervisor);
        assert!(process.start().expect("it starts").await.outcome.is_success());
        assert_eq!(copies(), 0);
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        some(&pool, &module, 100).await;
        assert_eq!((copies(), of_a_worker(&pool, &module).await), (0, None));
    });
}

/// A supervisor with a pool whose only fork server has the copy; `None` where the memory was in pieces just then.
async fn with_copy() -> Option<(Supervisor, Pool, Module)> {
    let supervisor = support::supervisor();
    let module = support::guests(&supervisor).await;
    let pool = support::pool(&supervisor, 2).build().expect("a pool");
    let begun = Instant::now();
    loop {
        // Nothing is lost meanwhile.
        some(&pool, &module, 100).await;
        let servers = fork_servers();
        if servers.len() == 1 && huge_kib(servers[0]).is_some() {
            assert_eq!(copies(), 1);
            return Some((supervisor, pool, module));
        }
        if begun.elapsed() > PATIENCE {
            return None;
        }
    }
}

/// Many tasks: their fork server is replaced by one with the copy, and everything works as before.
pub fn many(_: &[String]) {
    support::block_on(async {
        let Some((supervisor, pool, module)) = with_copy().await else {
            return say(&json!({ "huge": 0 }));
        };
        let huge = of_a_worker(&pool, &module).await.expect("its fork server has the copy");
        for _ in 0..5 {
            ends_as_it_should(&pool, &module).await;
        }
        // Whoever comes later has it too, and the same.
        let other = supervisor.load(ModuleSource::wat(OTHER)).await.expect("it loads");
        let record = pool.submit(Task::new(&other.command().expect("a command"))).await;
        let record = support::patiently("another module", async { record.expect("a handle").await }).await;
        assert_eq!(record.outcome, Outcome::Exited(0));
        let servers = fork_servers();
        assert!(servers.len() == 2 && servers.iter().all(|server| huge_kib(*server).is_some()));
        assert_eq!(copies(), 1);
        say(&json!({ "huge": huge }));
    });
}

/// A trap, a panic, a stack without end, and a time-out.
async fn ends_as_it_should(pool: &Pool, module: &Module) {
    let run = async |task| {
        let handle = pool.submit(task).await.expect("a handle");
        support::patiently("a task that ends badly", async { handle.await }).await.outcome
    };
    let Outcome::Trapped(trap) = run(call(module, "trap", ())).await else { panic!("no trap") };
    assert!(trap.backtrace.iter().any(|frame| frame.function.contains("trap")), "{trap:?}");
    let Outcome::Trapped(trap) = run(call(module, "panic", ("oh",))).await else { panic!("no trap") };
    assert!(!trap.backtrace.is_empty(), "{trap:?}");
    let ended = run(call(module, "recurse", ())).await;
    assert!(!ended.is_success() && !matches!(ended, Outcome::Killed(_)), "{ended}");
    let limits = Limits { timeout: Some(Duration::from_millis(50)), ..Limits::default() };
    let Outcome::LimitExceeded(limit) = run(call(module, "spin", ()).limits(limits)).await else {
        panic!("no time-out")
    };
    assert_eq!(limit.kind, LimitKind::Time);
}

/// While a fork server is being replaced by one with the copy, one of the two is killed: nothing is lost.
pub fn killed(_: &[String]) {
    for is_successor in [true, false] {
        let killed = support::block_on(async {
            for _ in 0..5 {
                if kill_one(is_successor).await {
                    return true;
                }
            }
            false
        });
        say(&json!({ "killed": killed }));
    }
}

/// False when it was not seen in time that there were two.
async fn kill_one(is_successor: bool) -> bool {
    let supervisor = support::supervisor();
    let module = support::guests(&supervisor).await;
    let pool = support::pool(&supervisor, 2).build().expect("a pool");
    some(&pool, &module, 1).await;
    let first = fork_servers();
    let begun = Instant::now();
    let victim = loop {
        some(&pool, &module, 4).await;
        let servers = fork_servers();
        let successor = servers.iter().copied().find(|server| !first.contains(server));
        match successor {
            Some(successor) if servers.len() == 2 => break if is_successor { successor } else { first[0] },
            _ if copies() > 0 && successor.is_some() || begun.elapsed() > PATIENCE => return false,
            _ => {}
        }
    };
    support::try_signal(victim, 9);
    for _ in 0..10 {
        some(&pool, &module, 20).await;
    }
    support::until("one is left", || fork_servers().len() == 1 && !fork_servers().contains(&victim)).await;
    true
}
