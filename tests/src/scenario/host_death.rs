//! Programs that are killed from outside, in several states; and threads of a host that end before the
//! workers that they started.

#![forbid(unsafe_code)]

use std::io::Write;

use serde_json::json;
use wasmpool::{Outcome, Process, RunningProcess, Supervisor};

use crate::support::{self, call, say};

/// Brings workers into the state that the first argument names, says so, and waits to be killed.
pub fn wait_for_death(args: &[String]) {
    let builder = Supervisor::builder();
    let supervisor =
        if args[0] == "compiling" { builder.no_cache() } else { builder }.build().expect("a supervisor");
    support::block_on(async {
        let ready = || {
            say(&json!({ "state": args[0], "children": support::children().len() }));
            std::io::stdout().flush().expect("somebody reads");
        };
        if args[0] == "compiling" {
            let loading = support::guests(&supervisor);
            let started = support::until("it compiles", || !support::children().is_empty());
            return drop(tokio::join!(
                loading,
                async {
                    started.await;
                    ready()
                },
                std::future::pending::<()>()
            ));
        }
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 4).build().expect("a pool");
        if args[0] == "starting" {
            ready();
        }
        let _: i64 = pool.apply(&support::target(&module, "add"), (1, 2)).await.expect("a value");
        let mut handles = Vec::new();
        if args[0] != "idle" {
            for name in ["ignore_cancelled", "wait_cancelled", "ignore_cancelled"] {
                let handle = pool.submit(call(&module, name, ())).await.expect("a handle");
                let pid = support::until_running(&handle).await;
                if args[0] == "stopped" {
                    support::signal(pid, 19);
                }
                handles.push(handle);
            }
        }
        if args[0] == "fork-server-stopped" {
            support::signal(support::fork_servers()[0], 19);
        }
        ready();
        std::future::pending::<()>().await;
    });
}

/// Leaves `main` by `exit`, with workers that run, without dropping anything.
pub fn exit_at_once(_: &[String]) {
    let module = wasmpool::blocking::load(support::guests_path().as_str()).expect("the guests");
    let running = Process::new(call(&module, "ignore_cancelled", ())).start().expect("it starts");
    while running.handle().progress().is_none() {
        std::thread::yield_now();
    }
    say(&json!({ "pid": running.pid() }));
    std::process::exit(0);
}

/// Workers outlive the thread, and the runtime, that started them.
pub fn thread_ends(_: &[String]) {
    let supervisor = support::supervisor();
    let start = |supervisor: &Supervisor| -> RunningProcess {
        let module =
            wasmpool::blocking::load_with(supervisor, support::guests_path().as_str()).expect("the guests");
        let process = Process::new(call(&module, "sleep_ms", (500_u64,))).supervisor(supervisor);
        let running = process.start().expect("it starts");
        while running.pid().is_none() {
            std::thread::yield_now();
        }
        running
    };
    let of_thread = std::thread::scope(|scope| scope.spawn(|| start(&supervisor)).join().expect("a process"));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("a runtime");
    let inner = supervisor.clone();
    let of_runtime = runtime.block_on(runtime.spawn(async move {
        let module = support::guests(&inner).await;
        let process = Process::new(call(&module, "sleep_ms", (500_u64,))).supervisor(&inner);
        let running = process.start().expect("it starts");
        support::until("it has a worker", || running.pid().is_some()).await;
        running
    }));
    let of_runtime = of_runtime.expect("a process");
    drop(runtime);
    for running in [of_thread, of_runtime] {
        let record = wasmpool::blocking::join(&running);
        assert!(matches!(record.outcome, Outcome::Succeeded(_)), "{}", record.outcome);
    }
}
