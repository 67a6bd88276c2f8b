//! Fork servers that die, stop, or never get ready.

#![forbid(unsafe_code)]

use std::time::Instant;

use serde_json::json;
use wasmpool::{ModuleSource, Outcome, Supervisor, Task};

use crate::support::{self, call, fork_servers, ms, say, target};

/// The fork server is killed: running workers go on, it is replaced, nothing is lost.
pub fn server_killed(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 4).build().expect("a pool");
        for _ in 0..5 {
            let running = pool.submit(call(&module, "sleep_ms", (200_u64,))).await.expect("a handle");
            support::until("it has a worker", || running.pid().is_some()).await;
            let pid = running.pid();
            fork_servers().into_iter().for_each(|server| support::try_signal(server, 9));
            let begun = Instant::now();
            let add = target(&module, "add");
            let values: Vec<i64> = pool.starmap(&add, (0..20).map(|n| (n, 1))).await.expect("values");
            assert_eq!(values, (1..=20).collect::<Vec<i64>>());
            say(&json!({ "twenty_more_ms": ms(begun.elapsed()) }));
            let record = support::patiently("the running task", async { running.await }).await;
            assert!(record.outcome.is_success() && record.pid == pid, "{}", record.outcome);
        }
    });
}

/// A fork server forks as often as it may, and then another takes its place.
pub fn server_replaced(_: &[String]) {
    let supervisor = Supervisor::builder().forks_per_server_max(5).build().expect("a supervisor");
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let add = target(&module, "add");
        let mut servers = std::collections::BTreeSet::new();
        for n in 0..40_i64 {
            assert_eq!(pool.apply::<_, i64>(&add, (n, 1)).await.expect("a value"), n + 1);
            servers.extend(fork_servers());
        }
        assert!(servers.len() >= 8, "{} fork servers for 40 workers", servers.len());
    });
}

/// The fork server is stopped: it is found out at the next fork, and replaced.
pub fn server_stopped(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let add = target(&module, "add");
        let first: i64 = pool.apply(&add, (1, 1)).await.expect("a value");
        assert_eq!(first, 2);
        let running = pool.submit(call(&module, "wait_cancelled", ())).await.expect("a handle");
        support::until_running(&running).await;
        fork_servers().into_iter().for_each(|server| support::signal(server, 19));
        running.terminate();
        let record = support::patiently("the running task", async { running.await }).await;
        assert!(record.outcome.is_success(), "{}", record.outcome);
        let begun = Instant::now();
        let values = support::patiently("more tasks", pool.starmap(&add, (0..5).map(|n| (n, 1)))).await;
        let values: Vec<i64> = values.expect("values");
        assert_eq!(values, (1..=5).collect::<Vec<i64>>());
        say(&json!({ "replaced_ms": ms(begun.elapsed()) }));
    });
}

/// The fork server reads nothing any more after its first fork, while hundreds of workers are wanted of it: the host goes
/// on, and cancels what waits.
pub fn server_stopped_in_a_crowd(_: &[String]) {
    const CROWD: i64 = 400;
    let builder = Supervisor::builder().fault("fork-server-after-clone:hang");
    let supervisor = builder.build().expect("a supervisor");
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, CROWD as usize).build().expect("a pool");
        let mut waiting = Vec::new();
        for n in 0..CROWD {
            waiting.push(pool.submit(call(&module, "add", (n, 1))).await.expect("a handle"));
        }
        // A fork server leads its group, its workers are led by it.
        let is_led =
            |pid: &u32| support::status(*pid, "NSpgid").is_some_and(|group| group != pid.to_string());
        support::until("a worker was forked", || support::children().iter().any(is_led)).await;
        let begun = Instant::now();
        waiting.iter().for_each(|handle| handle.cancel());
        for handle in waiting {
            let record = support::patiently("a cancelled task", async { handle.await }).await;
            assert!(matches!(record.outcome, Outcome::Cancelled(_)), "{}", record.outcome);
        }
        say(&json!({ "cancelled_ms": ms(begun.elapsed()) }));
    });
}

/// One module gets no fork server, because the program has gone in the meantime: its tasks fail with the
/// cause, the other module goes on, and once the program is back it runs too.
pub fn one_module_cannot_start(_: &[String]) {
    let own = std::env::current_exe().expect("a program knows its file");
    let link = std::env::current_dir().expect("a folder").join("program");
    let install = || std::os::unix::fs::symlink(&own, &link).expect("a link");
    install();
    let supervisor = Supervisor::builder().program(&link).build().expect("a supervisor");
    support::block_on(async {
        let good = support::guests(&supervisor).await;
        let bad = supervisor
            .load(ModuleSource::wat("(module (func (export \"_start\")))"))
            .await
            .expect("it loads");
        let task = || Task::new(&bad.command().expect("a command"));
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let warm: i64 = pool.apply(&target(&good, "add"), (1, 1)).await.expect("a value");
        assert_eq!(warm, 2);
        std::fs::remove_file(&link).expect("the link");
        let begun = Instant::now();
        let victims =
            [pool.submit(task()).await.expect("a handle"), pool.submit(task()).await.expect("a handle")];
        let values: Vec<i64> =
            pool.starmap(&target(&good, "add"), (0..50).map(|n| (n, 1))).await.expect("values");
        assert_eq!(values, (1..=50).collect::<Vec<i64>>());
        for victim in victims {
            let record = support::patiently("the other module's task", async { victim.await }).await;
            let (code, text) = (record.outcome.exit_code(), record.outcome.to_string());
            say(&json!({ "failed_ms": ms(begun.elapsed()), "code": code, "text": text }));
        }
        install();
        let again = async { pool.submit(task()).await.expect("a handle").await };
        let record = support::patiently("it recovers", again).await;
        assert_eq!(record.outcome, Outcome::Exited(0));
        std::fs::remove_file(&link).expect("the link");
    });
}
