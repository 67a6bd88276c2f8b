//! `Process`: one task in a process of its own.

#![forbid(unsafe_code)]

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec};
use wasmpool::{Outcome, Process, Supervisor};

use crate::support::{self, call};

/// Names, pids, exit codes, joins and ends.
pub fn life(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let process = |name: &str| Process::new(call(&module, name, ())).supervisor(&supervisor);

        let first =
            Process::new(call(&module, "add", (1, 2))).supervisor(&supervisor).start().expect("it starts");
        assert_eq!(first.name(), "Process-1");
        let record = first.join().await;
        assert_eq!((first.exitcode(), first.is_alive(), &*record.name), (Some(0), false, "Process-1"));
        assert!(first.join_timeout(Duration::ZERO).await.is_some(), "a second join gives the same");

        let named = process("who_am_i").name("counter").start().expect("it starts");
        let Outcome::Succeeded(value) = named.join().await.outcome else { panic!("no value") };
        assert_eq!(value.to::<serde_json::Value>().expect("a map")["name"], "counter");

        // While it runs: alive, without an exit code, a join with a time-out comes back empty.
        let running = process("wait_cancelled").start().expect("it starts");
        let pid = support::until_running(running.handle()).await;
        assert_eq!((running.pid(), running.is_alive(), running.exitcode()), (Some(pid), true, None));
        assert!(running.outcome().is_none());
        assert!(running.join_timeout(Duration::from_millis(10)).await.is_none());
        let children = supervisor.active_children().await;
        assert_eq!(children.iter().map(|child| child.pid).collect::<Vec<_>>(), [pid]);
        assert_eq!(children[0].name, running.name());
        let sentinel = running.pidfd().expect("a descriptor");
        assert!(!is_readable(&sentinel, Duration::ZERO));
        running.terminate();
        let Outcome::Succeeded(value) = running.join().await.outcome else { panic!("it tidied up") };
        assert_eq!(value.to::<String>().expect("a text"), "tidied up");
        assert!(is_readable(&sentinel, Duration::from_secs(10)), "its end can be polled for");
        assert_eq!(running.pidfd().map(drop), None);
        assert!(supervisor.active_children().await.is_empty());

        // Python's sign rule: killed from outside by signal N is -N.
        for number in [9, 15, 11] {
            let victim = process("ignore_cancelled").start().expect("it starts");
            support::signal(support::until_running(victim.handle()).await, number);
            assert_eq!(victim.join().await.outcome, Outcome::Killed(number));
            assert_eq!(victim.exitcode(), Some(-number));
        }
        let killed = process("ignore_cancelled").start().expect("it starts");
        support::until_running(killed.handle()).await;
        killed.kill();
        assert_eq!(killed.await.outcome.exit_code(), 230);

        let all = (0..4).map(|n| {
            let sleeper = Process::new(call(&module, "sleep_ms", (n,))).supervisor(&supervisor);
            sleeper.start().expect("it starts")
        });
        let records = wasmpool::join_all(all.collect::<Vec<_>>()).await;
        assert!(records.iter().all(|record| record.outcome.is_success()));
    });
}

fn is_readable(fd: &impl std::os::fd::AsFd, timeout: Duration) -> bool {
    let timeout = Timespec::try_from(timeout).expect("a short time");
    rustix::event::poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)).expect("poll") == 1
}

/// A scope waits for its processes and ends its daemons.
pub fn scopes(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let make = |name: &str, ms: u64| {
            let task = if ms > 0 { call(&module, name, (ms,)) } else { call(&module, name, ()) };
            Process::new(task).supervisor(&supervisor)
        };
        let (daemon, waited) = wasmpool::scope(|scope| {
            let daemon = scope.start(make("wait_cancelled", 0).daemon(true)).expect("it starts");
            let waited = scope.start(make("sleep_ms", 100)).expect("it starts");
            async move {
                support::until_running(daemon.handle()).await;
                (daemon, waited)
            }
        })
        .await;
        assert!(daemon.is_daemon() && !daemon.is_alive() && !waited.is_alive());
        assert_eq!((daemon.exitcode(), waited.exitcode()), (Some(230), Some(0)), "the daemon is killed");

        // A scope that is left early ends all of them.
        let mut started = None;
        let left = tokio::time::timeout(
            Duration::from_millis(1),
            wasmpool::scope(|scope| {
                let running = scope.start(make("ignore_cancelled", 0)).expect("it starts");
                started = Some(running.clone());
                std::future::pending::<()>()
            }),
        );
        assert!(left.await.is_err());
        let record = support::patiently("it is ended", started.expect("it was started").join()).await;
        assert_eq!(record.outcome.exit_code(), 232);
    });
}

/// The global supervisor, in a program without a runtime.
pub fn blocking(_: &[String]) {
    use wasmpool::blocking::{Pool, active_children, join, load, scope};
    let module = load(support::guests_path().as_str()).expect("the guests");
    let pool = Pool::new(wasmpool::Pool::builder().workers(2)).expect("a pool");
    let target = module.task("add").expect("a task");
    let one: i64 = pool.apply(&target, (1, 2)).expect("a value");
    let many: Vec<i64> = pool.starmap(&target, (0..5).map(|n| (n, n))).expect("values");
    assert_eq!((one, many), (3, vec![0, 2, 4, 6, 8]));
    let running =
        scope(|scope| scope.start(Process::new(call(&module, "sleep_ms", (10,)))).expect("it starts"));
    assert!(join(&running).outcome.is_success());
    assert!(active_children().expect("a supervisor").is_empty());
    let mut lazily = pool.imap_unordered::<_, u64>(&module.task("echo_json").expect("a task"), 0_u64..);
    assert!(lazily.by_ref().take(5).all(|value| value.is_ok()));
    drop(lazily);
    pool.close();
    pool.join();
    drop(pool);
    Supervisor::global().expect("the same").shut_down();
}
