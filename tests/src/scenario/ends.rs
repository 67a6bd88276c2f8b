//! Pools and supervisors that end in every state.

#![forbid(unsafe_code)]

use std::any::Any;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use serde_json::json;
use wasmpool::outcome::CancelledBy;
use wasmpool::{Limits, Module, Order, Output, Pool, Supervisor, Task, TaskHandle};

use crate::support::{self, Ends, call, ms, say, target};

const GRACE: Duration = Duration::from_millis(200);
/// Grace period, the interrupt's 200 ms, and what a loaded machine takes.
const END_TIME_MAX: Duration = Duration::from_millis(200 + 200 + 1000);

const STATES: &[&str] =
    &["empty", "idle", "waiting", "running", "sleeping", "polite", "stopped", "starting", "unread", "chunk"];
const ENDINGS: &[&str] = &["drop", "shut_down", "terminate", "kill", "abandon"];

/// Everything that a state holds on to.
struct Held {
    module: Option<Module>,
    handles: Vec<TaskHandle>,
    /// Readers that are never read, streams that are never awaited.
    kept: Vec<Box<dyn Any>>,
}

/// Ends a supervisor and a pool in each state and each way: an outcome for all, within the grace period.
/// The first argument is the way.
pub fn run(args: &[String]) {
    assert!(ENDINGS.contains(&args[0].as_str()), "a way to end");
    for state in STATES {
        let supervisor = support::supervisor();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build();
        let runtime = runtime.expect("a runtime");
        let (pool, mut held) = runtime.block_on(bring_into(&supervisor, state));
        let mut ends = Ends::default();
        held.handles.iter().for_each(|handle| ends.watch(handle));
        let begun = Instant::now();
        match args[0].as_str() {
            "drop" => drop(pool),
            "shut_down" => {
                supervisor.shut_down();
                if let Some(module) = &held.module {
                    let late = support::block_on(pool.submit(call(module, "add", (1, 2)))).expect("a handle");
                    held.handles.push(late);
                }
            }
            "terminate" => runtime.block_on(pool.terminate(CancelledBy::Shutdown)),
            "kill" => runtime.block_on(pool.kill(CancelledBy::Shutdown)),
            // The runtime goes first.
            _ => drop(runtime),
        }
        if args[0] == "abandon" {
            supervisor.shut_down();
        }
        for handle in &held.handles {
            let record =
                handle.wait_timeout(END_TIME_MAX * 4).unwrap_or_else(|| panic!("{state}: no outcome"));
            let code = record.outcome.exit_code();
            assert!([0, 232].contains(&code), "{state}: {}", record.outcome);
        }
        support::block_on(ends.expect_one_each());
        drop(supervisor);
        drop(held);
        let took = begun.elapsed();
        say(&json!({ "state": state, "ending": args[0], "ms": ms(took) }));
        assert!(took < END_TIME_MAX, "{state}: {took:?}");
    }
}

fn limited(task: Task) -> Task {
    task.limits(Limits { grace_period: GRACE, ..Limits::default() })
}

async fn bring_into(supervisor: &Supervisor, state: &str) -> (Pool, Held) {
    let pool = support::pool(supervisor, 2).build().expect("a pool");
    let mut held = Held { module: None, handles: Vec::new(), kept: Vec::new() };
    if state == "empty" {
        return (pool, held);
    }
    let module = held.module.insert(support::guests(supervisor).await).clone();
    if state != "starting" {
        let value: i64 = pool.apply(&target(&module, "add"), (1, 2)).await.expect("a value");
        assert_eq!(value, 3);
    }
    match state {
        "idle" => {}
        "waiting" => {
            run_some(&pool, &module, "ignore_cancelled", &mut held).await;
            for _ in 0..100 {
                held.handles.push(pool.submit(call(&module, "add", (1, 2))).await.expect("a handle"));
            }
        }
        "running" => run_some(&pool, &module, "ignore_cancelled", &mut held).await,
        "polite" => run_some(&pool, &module, "wait_cancelled", &mut held).await,
        "stopped" => {
            run_some(&pool, &module, "ignore_cancelled", &mut held).await;
            held.handles.iter().for_each(|handle| support::signal(handle.pid().expect("it runs"), 19));
        }
        "sleeping" => {
            for _ in 0..2 {
                held.handles
                    .push(pool.submit(limited(call(&module, "sleep_forever", ()))).await.expect("a handle"));
            }
            support::until("they run", || held.handles.iter().all(|handle| handle.pid().is_some())).await;
        }
        "starting" => {
            for _ in 0..10 {
                held.handles.push(pool.submit(call(&module, "add", (1, 2))).await.expect("a handle"));
            }
        }
        "unread" => {
            let (sink, mut reader) = wasmpool::output_channel(1024);
            let task = limited(call(&module, "flood_output", ())).output(Output::Stream(sink));
            held.handles.push(pool.submit(task).await.expect("a handle"));
            assert!(reader.recv().await.is_some());
            held.kept.push(Box::new(reader));
        }
        "chunk" => {
            let pool = support::pool(supervisor, 1).chunksize(10).build().expect("a pool");
            let task = limited(call(&module, "sleep_ms", (1_000_000_u64,)));
            let tasks = futures_util::stream::iter(std::iter::repeat_n(task, 20));
            let mut records = Box::pin(pool.records(tasks, Order::Input));
            // The first look at it is what starts it.
            assert!(futures_util::FutureExt::now_or_never(records.next()).is_none());
            while supervisor.active_children().await.is_empty() {
                tokio::task::yield_now().await;
            }
            held.kept.push(Box::new(records));
            return (pool, held);
        }
        other => panic!("no state `{other}`"),
    }
    (pool, held)
}

async fn run_some(pool: &Pool, module: &Module, name: &str, held: &mut Held) {
    for _ in 0..2 {
        let handle = pool.submit(limited(call(module, name, ()))).await.expect("a handle");
        support::until_running(&handle).await;
        held.handles.push(handle);
    }
}
