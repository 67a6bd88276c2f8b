//! One worker of many is killed.

#![forbid(unsafe_code)]

use serde_json::json;
use wasmpool::Outcome;

use crate::support::{self, Ends, call, say, target};

/// Of 16 workers one is killed: the 15 others keep their process and their result, the pool its size.
pub fn one_of_sixteen(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 16).build().expect("a pool");
        let mut ends = Ends::default();
        let victim = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
        ends.watch(&victim);
        let mut others = Vec::new();
        for _ in 0..15 {
            let other = pool.submit(call(&module, "wait_cancelled", ())).await.expect("a handle");
            ends.watch(&other);
            others.push(other);
        }
        let pid = support::until_running(&victim).await;
        let mut pids = Vec::new();
        for other in &others {
            pids.push(support::until_running(other).await);
        }
        assert_eq!(supervisor.active_children().await.len(), 16);
        support::signal(pid, 9);
        assert_eq!((&victim).await.outcome, Outcome::Killed(9));
        for (other, pid) in others.iter().zip(&pids) {
            assert!(!other.is_finished(), "it ended with its neighbour");
            other.terminate();
            let record = other.await;
            // It was asked to end and did: its last words are its own.
            assert_eq!((record.pid, record.outcome.exit_code()), (Some(*pid), 0));
        }
        let values: Vec<i64> =
            pool.starmap(&target(&module, "add"), (0..100).map(|n| (n, 1))).await.expect("values");
        assert_eq!(values, (1..=100).collect::<Vec<i64>>());
        ends.expect_one_each().await;
        say(&json!({ "victim": pid, "others": pids }));
    });
}

/// The same while the others compute a value.
pub fn results_are_kept(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 16).build().expect("a pool");
        let victim = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
        let pid = support::until_running(&victim).await;
        let mut others = Vec::new();
        for _ in 0..15 {
            others.push(pool.submit(call(&module, "sleep_ms", (1000_u64,))).await.expect("a handle"));
        }
        support::until("all have a worker", || others.iter().all(|other| other.pid().is_some())).await;
        let pids: Vec<_> = others.iter().map(wasmpool::TaskHandle::pid).collect();
        support::signal(pid, 9);
        for (other, pid) in others.iter().zip(pids) {
            let record = other.await;
            let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
            assert_eq!((record.pid, value.to::<u64>().expect("a number")), (pid, 1000));
        }
        assert_eq!(victim.await.outcome, Outcome::Killed(9));
    });
}

/// Workers that wait for a task are killed, many at once and again and again: no task is the worse for it.
pub fn idle_ones(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 6).build().expect("a pool");
        let mut ends = Ends::default();
        let mut running = Vec::new();
        for _ in 0..6 {
            let handle = pool.submit(call(&module, "wait_cancelled", ())).await.expect("a handle");
            ends.watch(&handle);
            running.push(handle);
        }
        let mut busy = support::fork_servers();
        for handle in &running {
            busy.push(support::until_running(handle).await);
        }
        let mut waiting = Vec::new();
        for number in 0..20 {
            let handle = pool.submit(call(&module, "add", (number, 1))).await.expect("a handle");
            ends.watch(&handle);
            waiting.push(handle);
        }
        let idle = || support::children().into_iter().filter(|pid| !busy.contains(pid)).collect::<Vec<_>>();
        for _ in 0..3 {
            support::until("workers wait for tasks", || idle().len() >= 6).await;
            idle().into_iter().for_each(|pid| support::try_signal(pid, 9));
        }
        running.iter().for_each(wasmpool::TaskHandle::terminate);
        for handle in waiting.into_iter().chain(running) {
            let record = support::patiently("a task", async { handle.await }).await;
            assert!(record.outcome.is_success(), "{}", record.outcome);
        }
        ends.expect_one_each().await;
    });
}

/// A worker that waits for its task is stopped: the task is given to another one when it does not begin.
pub fn stopped_idle_one(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let warm: i64 = pool.apply(&target(&module, "add"), (1, 1)).await.expect("a value");
        assert_eq!(warm, 2);
        let servers = support::fork_servers();
        let idle = || support::children().into_iter().find(|pid| !servers.contains(pid));
        support::until("a worker waits for a task", || idle().is_some()).await;
        let stopped = idle().expect("there is one");
        support::signal(stopped, 19);
        let begun = std::time::Instant::now();
        let handle = pool.submit(call(&module, "add", (1, 2))).await.expect("a handle");
        let record = support::patiently("the task", async { handle.await }).await;
        assert!(record.outcome.is_success() && record.pid != Some(stopped), "{}", record.outcome);
        assert_eq!(record.attempt, 1, "it never ran before");
        say(&json!({ "began_elsewhere_ms": support::ms(begun.elapsed()) }));
    });
}
