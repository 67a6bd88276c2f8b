//! `Pool`: its calls, its order, its chunks, its reuse.

#![forbid(unsafe_code)]

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt;
use rustix::process::{Resource, Rlimit};
use serde_json::{Value, json};
use wasmpool::{Module, ModuleSource, Order, Outcome, Pool, StartMethod, Task, TaskFailed, TrySubmitError};

use crate::support::{self, call, say, target};

/// `apply`, `map` and their kind.
pub fn calls(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let (add, echo, fail_if) =
            (target(&module, "add"), target(&module, "echo_json"), target(&module, "fail_if"));
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let pool = support::pool(&supervisor, 2).start_method(method).build().expect("a pool");
            let one: i64 = pool.apply(&add, (1, 2)).await.expect("a value");
            let handle = pool.apply_async(&add, (2, 2)).await.expect("a handle");
            let mapped: Vec<u64> = pool.map(&echo, 0..10_u64).await.expect("values");
            let starmapped: Vec<i64> = pool.starmap(&add, (0..10).map(|n| (n, n))).await.expect("values");
            let ordered: Vec<u64> =
                pool.imap::<_, u64>(&echo, 0..10_u64).map(|value| value.expect("a value")).collect().await;
            let unordered: HashSet<u64> = pool
                .imap_unordered::<_, u64>(&echo, 0..10_u64)
                .map(|value| value.expect("a value"))
                .collect()
                .await;
            let later: Vec<u64> = pool.map_async(&echo, 0..10_u64).await.expect("values");
            assert_eq!(one, 3);
            assert!(
                matches!(handle.await.outcome, Outcome::Succeeded(value) if value.to::<i64>().ok() == Some(4))
            );
            assert_eq!(
                (&mapped, &later, &ordered),
                (&(0..10).collect(), &(0..10).collect(), &(0..10).collect())
            );
            assert_eq!(starmapped, (0..10).map(|n| 2 * n).collect::<Vec<i64>>());
            assert_eq!(unordered, (0..10).collect());
            // The first failure in the order of the items.
            let failed = pool.starmap::<_, i64>(&fail_if, (0..10).map(|n| (n, 4))).await;
            assert!(
                matches!(&failed, Err(TaskFailed::Ended(record)) if record.outcome == Outcome::Failed("4 is bad".to_owned())),
                "{failed:?}"
            );
            let wrong = pool.apply::<_, String>(&add, (1, 2)).await;
            assert!(matches!(wrong, Err(TaskFailed::Type { .. })));
            pool.close();
            assert!(matches!(pool.apply::<_, i64>(&add, (1, 2)).await, Err(TaskFailed::Closed(_))));
            pool.join().await;
        }
    });
}

/// Tasks run in the order of their priority, then first come, first served; each in a process of its own.
pub fn order(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let gate = pool.submit(call(&module, "wait_cancelled", ())).await.expect("a handle");
        support::until_running(&gate).await;
        let (sink, mut reader) = wasmpool::output_channel(1 << 20);
        let mut handles = Vec::new();
        for (name, priority) in [("c", 0), ("d", 0), ("a", 5), ("e", -1), ("b", 5)] {
            let task = call(&module, "print", (name,))
                .priority(priority)
                .output(wasmpool::Output::Stream(sink.clone()));
            handles.push(pool.submit(task).await.expect("a handle"));
        }
        drop(sink);
        gate.terminate();
        let mut text = String::new();
        while let Some(chunk) = support::patiently("output", reader.recv()).await {
            text += std::str::from_utf8(&chunk.bytes).expect("text");
        }
        assert_eq!(text, "abcde");
        let mut pids = HashSet::new();
        for handle in handles {
            assert!(pids.insert(handle.await.pid), "two tasks in one process");
        }
    });
}

async fn records(pool: &Pool, tasks: impl Iterator<Item = Task>) -> Vec<Value> {
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    records.map(|(_, record)| support::record(&record)).collect().await
}

/// The calls of a chunk share a process and an instance. When one dies, the finished ones keep their
/// results, it gets the outcome, and the rest runs in a fresh instance.
pub fn chunks(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let chunked = |size| support::pool(&supervisor, 1).chunksize(size).build().expect("a pool");
        let counters = records(&chunked(5), (0..10).map(|_| call(&module, "static_counter", ()))).await;
        let counted: Vec<_> = counters.iter().map(|record| record["value"].as_u64()).collect();
        assert_eq!(counted, [1, 2, 3, 4, 5, 1, 2, 3, 4, 5].map(Some));
        let pids: HashSet<_> = counters.iter().map(|record| record["pid"].as_u64()).collect();
        assert_eq!(pids.len(), 2);
        let notes =
            records(&chunked(3), ["a", "b", "c"].into_iter().map(|text| call(&module, "keep", (text,))))
                .await;
        assert_eq!(notes[2]["value"], json!(["a", "b", "c"]), "an instance keeps its memory within a chunk");
        for (name, code) in [("trap_if", 200), ("panic_if", 200), ("exit_if", 7), ("fail_if", 1)] {
            let all = records(&chunked(6), (0..6).map(|n| call(&module, name, (n, 2)))).await;
            let codes: Vec<_> = all.iter().map(|record| record["code"].as_u64()).collect();
            assert_eq!(codes, [0, 0, code, 0, 0, 0].map(Some), "{name}: {all:#?}");
            let first: HashSet<_> = all[..3].iter().map(|record| record["pid"].as_u64()).collect();
            let rest: HashSet<_> = all[3..].iter().map(|record| record["pid"].as_u64()).collect();
            assert_eq!((first.len(), rest.len()), (1, 1), "{name}: {all:#?}");
            assert_eq!(first == rest, name == "fail_if", "an error is no death: {name}");
        }
        // A call of a chunk that has not begun can be cancelled; one that is killed ends alone.
        let pool = chunked(4);
        let names = ["add", "ignore_cancelled", "add", "add"];
        let mut tasks = names.iter().map(|name| match *name {
            "add" => call(&module, "add", (1, 1)),
            other => call(&module, other, ()),
        });
        let killed = async {
            // Again and again: one that is killed before it began is dispatched again.
            let kill = async {
                loop {
                    let children = supervisor.active_children().await;
                    let victim = children.iter().find(|child| child.name == "ignore_cancelled");
                    if let Some(child) = victim.filter(|child| support::burned_ms(child.pid) >= 50) {
                        support::try_signal(child.pid, 9);
                    }
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                records = records(&pool, tasks.by_ref()) => records,
                () = kill => unreachable!("it never ends"),
            }
        };
        // They are different tasks, so each is a chunk of its own, in the order of the inputs.
        let all = support::patiently("the chunk", killed).await;
        let codes: Vec<_> = all.iter().map(|record| record["code"].as_u64()).collect();
        assert_eq!(codes, [0, 137, 0, 0].map(Some), "{all:#?}");
        // Inputs of very different sizes share chunks.
        let big = "x".repeat(100_000);
        let texts = ["a", big.as_str(), "b", big.as_str(), "c"];
        let all: Vec<String> =
            chunked(5).map(&target(&module, "echo_json"), texts.map(str::to_owned)).await.expect("values");
        assert_eq!(all, texts);
    });
}

/// A worker that runs many tasks has one process id, and every task a fresh instance.
pub fn reuse(args: &[String]) {
    let tasks: usize = args[0].parse().expect("a number");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).max_tasks_per_worker(5).build().expect("a pool");
        let counters = records(&pool, (0..10).map(|_| call(&module, "static_counter", ()))).await;
        assert!(counters.iter().all(|record| record["value"] == 1), "an instance was reused");
        let pids: Vec<_> = counters.iter().map(|record| record["pid"].as_u64()).collect();
        assert!(pids[..5].iter().all(|pid| *pid == pids[0]) && pids[5..].iter().all(|pid| *pid == pids[5]));
        assert_ne!(pids[0], pids[5], "a worker is replaced after 5 tasks");
        // The canary: nothing of one task's memory is seen by a later one.
        let pool = support::pool(&supervisor, 1).max_tasks_per_worker(tasks).build().expect("a pool");
        let name = |n: usize| if n.is_multiple_of(2) { "set_secret" } else { "find_secret" };
        let searched = records(&pool, (0..tasks).map(|n| call(&module, name(n), ()))).await;
        let found: u64 =
            searched.iter().skip(1).step_by(2).filter_map(|record| record["value"].as_u64()).sum();
        let set: u64 = searched.iter().step_by(2).filter_map(|record| record["value"].as_u64()).sum();
        assert_eq!((found, set), (0, (tasks as u64 / 2) << 17), "words of the secret");
        let pids: HashSet<_> = searched.iter().map(|record| record["pid"].as_u64()).collect();
        assert_eq!(pids.len(), 1, "one worker ran them all");
    });
}

/// An initializer runs in each fresh instance before its task; what it does but return is the end.
pub fn initializers(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let with = |task: Task| support::pool(&supervisor, 2).initializer(task).build();
        let run = |pool: Pool| {
            let task = call(&module, "initialized", ());
            async move { pool.submit(task).await.expect("a handle").await }
        };
        for (task, code, says) in [
            (call(&module, "init_ok", ()), 0, ""),
            (call(&module, "init_if", (true,)), 0, ""),
            (call(&module, "init_if", (false,)), 1, "initializer"),
            (call(&module, "init_fails", ()), 1, "initializer"),
            (call(&module, "init_panics", ()), 200, "initializer"),
        ] {
            let record = run(with(task).expect("a pool")).await;
            assert_eq!(record.outcome.exit_code(), code, "{}", record.outcome);
            assert!(record.outcome.to_string().contains(says), "{}", record.outcome);
            if let Outcome::Succeeded(value) = record.outcome {
                assert!(value.to::<bool>().expect("a bool"));
            }
        }
        let without: bool = support::pool(&supervisor, 1)
            .build()
            .expect("a pool")
            .apply(&target(&module, "initialized"), ())
            .await
            .expect("a value");
        assert!(!without);
        let plain =
            supervisor.load(ModuleSource::wat("(module (func (export \"f\")))")).await.expect("it loads");
        assert!(with(Task::new(&target(&plain, "f"))).is_err(), "an initializer is a task of the SDK");
    });
}

async fn constant(supervisor: &wasmpool::Supervisor, number: usize) -> Module {
    let text = format!("(module (func (export \"f\") (result i32) (i32.const {number})))");
    supervisor.load(ModuleSource::wat(&text)).await.expect("it loads")
}

/// One pool runs tasks of several modules, more of them than there may be fork servers.
pub fn modules(_: &[String]) {
    let supervisor = wasmpool::Supervisor::builder().fork_servers_max(2).build().expect("a supervisor");
    support::block_on(async {
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let mut modules = Vec::new();
        for number in 0..5 {
            modules.push(constant(&supervisor, number).await);
        }
        let mut handles = Vec::new();
        for round in 0..10 {
            for (number, module) in modules.iter().enumerate() {
                handles.push((
                    (round, number),
                    pool.submit(Task::new(&target(module, "f"))).await.expect("a handle"),
                ));
            }
        }
        for ((round, number), handle) in handles {
            let record = support::patiently("a task", async { handle.await }).await;
            let Outcome::Succeeded(value) = &record.outcome else { panic!("{}", record.outcome) };
            assert_eq!(value.to::<usize>().expect("a number"), number, "round {round}");
        }
    });
}

/// Random bytes and hash keys differ in each of 100 tasks, in forked and in reused workers.
pub fn randomness(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let mut seen = HashSet::new();
        for per_worker in [1, 50] {
            let pool =
                support::pool(&supervisor, 2).max_tasks_per_worker(per_worker).build().expect("a pool");
            let bytes = records(&pool, (0..50).map(|_| call(&module, "random_bytes", (16,)))).await;
            let order = records(&pool, (0..50).map(|_| call(&module, "hash_order", ()))).await;
            for record in bytes.iter().chain(&order) {
                assert!(seen.insert(record["value"].to_string()), "two are the same: {record:#}");
            }
        }
        say(&json!({ "distinct": seen.len() }));
    });
}

/// A worker has one thread from its start to its end, while its guest prints, sleeps, computes and waits.
pub fn one_thread(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let tasks = [
            call(&module, "print_lines", (20_000_u64,)),
            call(&module, "sleep_ms", (100_u64,)),
            call(&module, "burn_ms", (100_u64,)),
            call(&module, "wait_cancelled", ()),
        ];
        let (mut looked, mut submitted) = (0, 0);
        // On a machine that is busy a round of them may be seen a few times only.
        for task in tasks.iter().cycle() {
            if submitted >= tasks.len() && looked > 100 {
                break;
            }
            submitted += 1;
            assert!(submitted < 100, "it looked {looked} times");
            let handle = pool.submit(task.clone()).await.expect("a handle");
            while !handle.is_finished() {
                for child in support::children() {
                    if let Some(threads) = support::status(child, "Threads") {
                        // A process that is ending has none.
                        assert!(
                            ["0", "1"].contains(&threads.as_str()),
                            "process {child} has {threads} threads"
                        );
                        looked += 1;
                    }
                }
                if handle.progress().is_some() {
                    handle.terminate();
                }
                tokio::task::yield_now().await;
            }
        }
    });
}

/// As many tasks wait as may wait, and not one more; they are let go together.
pub fn full(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let busy = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
        support::until_running(&busy).await;
        let task = call(&module, "add", (1, 2));
        let mut waiting = Vec::new();
        let full = loop {
            match pool.try_submit(task.clone()) {
                Ok(handle) => waiting.push(handle),
                Err(full) => break full,
            }
        };
        assert_eq!((full, waiting.len()), (TrySubmitError::Full, 10_000));
        let one_more = tokio::time::timeout(Duration::from_millis(1), pool.submit(task.clone()));
        assert!(one_more.await.is_err(), "it waits for room");
        // The one that is let go makes room for one.
        waiting.pop().expect("one").cancel();
        let one_more = support::patiently("room", pool.submit(task)).await.expect("a handle");
        pool.stop_starting();
        for handle in waiting {
            assert_eq!(support::patiently("its end", async { handle.await }).await.outcome.exit_code(), 231);
        }
        assert_eq!(one_more.await.outcome.exit_code(), 231);
        assert!(!busy.is_finished(), "what runs goes on");
        drop(pool);
        assert_eq!(support::patiently("its end", async { busy.await }).await.outcome.exit_code(), 232);
    });
}

/// More workers than there may be descriptors for: tasks end, with a result or with the cause.
/// Arguments: descriptors, workers.
pub fn too_many_workers(args: &[String]) {
    let [descriptors, workers] = [0, 1].map(|at: usize| args[at].parse::<u64>().expect("a number"));
    let limit = Rlimit { current: Some(descriptors), maximum: Some(descriptors) };
    rustix::process::setrlimit(Resource::Nofile, limit).expect("a lower limit");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool =
            support::pool(&supervisor, usize::try_from(workers).expect("small")).build().expect("a pool");
        let mut codes = BTreeMap::<u8, usize>::new();
        let mut handles = Vec::new();
        for _ in 0..200 {
            handles.push(pool.submit(call(&module, "sleep_ms", (20_u64,))).await.expect("a handle"));
        }
        for handle in handles {
            let record = support::patiently("a task", async { handle.await }).await;
            *codes.entry(record.outcome.exit_code()).or_default() += 1;
        }
        assert!(codes.keys().all(|code| [0, 247, 248].contains(code)), "{codes:?}");
        // With room again, everything is as before.
        pool.resize(2);
        let values: Vec<i64> =
            pool.starmap(&target(&module, "add"), (0..20).map(|n| (n, 1))).await.expect("values");
        assert_eq!(values, (1..=20).collect::<Vec<i64>>());
        say(&json!({ "codes": codes }));
    });
}
