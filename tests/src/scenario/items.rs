//! Items of a chunk: each ends as if it had run alone, though the guest goes from one to the next by itself.

#![forbid(unsafe_code)]

use std::time::Duration;

use futures_util::StreamExt;
use serde_json::{Value, json};
use wasmpool::{Limits, Module, Order, Pool, PoolBuilder, Supervisor, Task};

use crate::support::{self, call};

/// More than it takes for what a worker says to go through shared memory.
const ITEMS: i64 = 20;

async fn records(pool: &Pool, tasks: Vec<Task>) -> Vec<Value> {
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    records.map(|(_, record)| support::record(&record)).collect().await
}

fn each(module: &Module, name: &str, bad: i64, change: impl Fn(Task) -> Task) -> Vec<Task> {
    (0..ITEMS).map(|n| change(call(module, name, (n, bad)))).collect()
}

/// What is the same wherever a task runs.
fn essence(record: &Value) -> Value {
    let keys = ["name", "attempt", "outcome", "code", "text", "stdout", "stderr", "value", "bytes", "layers"];
    keys.iter().map(|key| record[*key].clone()).collect()
}

/// All of `ITEMS` in one chunk, in the pool that `change` makes.
async fn run(
    supervisor: &Supervisor,
    change: impl Fn(PoolBuilder) -> PoolBuilder,
    tasks: Vec<Task>,
) -> Vec<Value> {
    let pool = change(support::pool(supervisor, 1).chunksize(usize::try_from(ITEMS).expect("few")));
    support::patiently("the chunk", records(&pool.build().expect("a pool"), tasks)).await
}

/// An item that prints, fails, takes too long or returns more than fits a frame.
pub fn ends(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let alone = |pool: PoolBuilder| pool.chunksize(1);
        let together = |pool: PoolBuilder| pool;
        let reused = |pool: PoolBuilder| pool.max_tasks_per_worker(100);
        let watched = |pool: PoolBuilder| pool.on_attempt(|_| ());
        let hour = Limits { timeout: Some(Duration::from_secs(3600)), ..Limits::default() };
        let timed = |task: Task| task.limits(hour.clone());
        // What is printed, on either stream, is in the record of the item that printed it.
        let printed = |name: &str| -> Vec<Task> {
            (0..ITEMS).map(|n| call(&module, name, (format!("item {n}"),))).collect()
        };
        let long = "x".repeat(60_000);
        let echoed: Vec<Task> = (0..ITEMS)
            .map(|n| call(&module, "echo_json", (if n % 3 == 0 { long.clone() } else { n.to_string() },)))
            .collect();
        for tasks in [
            printed("print"),
            printed("eprint"),
            each(&module, "fail_if", 7, |task| task),
            each(&module, "fail_if", 7, timed),
            each(&module, "fail_if", 7, |task| task.retries(1)),
            each(&module, "trap_if", 7, |task| task),
            echoed,
        ] {
            let expected: Vec<Value> =
                run(&supervisor, alone, tasks.clone()).await.iter().map(essence).collect();
            for pool in [&together as &dyn Fn(PoolBuilder) -> PoolBuilder, &reused, &watched] {
                let found = run(&supervisor, pool, tasks.clone()).await;
                assert_eq!(found.iter().map(essence).collect::<Vec<_>>(), expected);
            }
        }
        // A time is that of each item, and the one behind it begins anew.
        let limits = Limits { timeout: Some(Duration::from_millis(300)), ..Limits::default() };
        for (name, bad) in [("spin_if", 12), ("sleep_if", 0)] {
            let all =
                run(&supervisor, together, each(&module, name, bad, |task| task.limits(limits.clone())))
                    .await;
            let codes: Vec<Value> = all.iter().map(|record| record["code"].clone()).collect();
            let expected: Vec<Value> = (0..ITEMS).map(|n| json!(if n == bad { 221 } else { 0 })).collect();
            assert_eq!(codes, expected, "{name}");
        }
    });
}
