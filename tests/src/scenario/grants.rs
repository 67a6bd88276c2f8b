//! What tasks are granted, and the CPU time of each.

#![forbid(unsafe_code)]

use std::collections::HashSet;
use std::time::Duration;

use futures_util::StreamExt;
use serde_json::Value;
use wasmpool::{Limits, Module, Order, Pool, Task};

use crate::support::{self, call};

const CPU_TIME: Duration = Duration::from_millis(200);

/// Runs tasks to their ends, which are in the order of the tasks.
async fn records(pool: &Pool, tasks: Vec<Task>) -> Vec<Value> {
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    records.map(|(_, record)| support::record(&record)).collect().await
}

fn codes(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["code"].as_u64().expect("a code")).collect()
}

fn processes(records: &[Value]) -> usize {
    records.iter().map(|record| record["pid"].as_u64()).collect::<HashSet<_>>().len()
}

/// Each call has the whole CPU time for itself, also in a chunk and in a worker that had tasks before.
pub fn cpu_time(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let limited = |task: Task| task.limits(Limits { cpu_time: Some(CPU_TIME), ..Limits::default() });
        // Together, they use more than each of them may.
        let burn = |module: &Module| (0..4).map(|_| limited(call(module, "burn_ms", (120,)))).collect();
        let pools = [
            support::pool(&supervisor, 1).chunksize(4).build().expect("a pool"),
            support::pool(&supervisor, 1).max_tasks_per_worker(10).build().expect("a pool"),
        ];
        for pool in &pools {
            let burned = records(pool, burn(&module)).await;
            assert_eq!((codes(&burned), processes(&burned)), (vec![0; 4], 1), "{burned:#?}");
            let spun = (0..4).map(|number| limited(call(&module, "spin_if", (number, 2))));
            let spun = records(pool, spun.collect()).await;
            assert_eq!(codes(&spun), [0, 0, 227, 0], "{spun:#?}");
            let used = spun[2]["cpu_ms"].as_f64().expect("a time");
            assert!(used >= 200.0, "{spun:#?}");
        }
    });
}
