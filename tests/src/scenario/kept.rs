//! Workers that are used again keep the memory of their instances, and nothing that a task wrote into it.

#![forbid(unsafe_code)]

use futures_util::StreamExt;
use wasmpool::{Limits, Module, ModuleSource, Order, Outcome, Record, Supervisor, Task};

use crate::support::{self, call, patiently};

/// There is no room for nine memories.
const MANY: &str = include_str!("../../wat/many_memories.wat");
/// What a worker reserves that keeps memory: 8 times 4 GiB.
const RESERVED_KB: u64 = 8 << 22;

async fn load(supervisor: &Supervisor, name: &str, text: &str) -> Module {
    let source = ModuleSource::Bytes { name: name.to_owned(), bytes: text.as_bytes().to_vec() };
    supervisor.load(source).await.expect("the module loads")
}

/// Runs the tasks one after the other in one worker, which then waits with its memory, or without.
async fn run(supervisor: &Supervisor, tasks: Vec<Task>, is_kept: bool) -> Vec<Record> {
    let pool = support::pool(supervisor, 1).max_tasks_per_worker(1000).build().expect("a pool");
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    let records: Vec<_> = patiently("the tasks", records.map(|(_, record)| record).collect()).await;
    let pid = records[0].pid.expect("it ran");
    assert!(records.iter().all(|record| record.pid == Some(pid)), "one worker ran them all");
    let reserves = || {
        let size = support::status(pid, "VmSize").expect("it waits for more");
        size.trim_end_matches(" kB").parse::<u64>().expect("a number") > RESERVED_KB
    };
    // An instance with memory of its own takes that along when it goes, which is after its record.
    support::until("it has what it keeps", || reserves() == is_kept).await;
    records
}

fn value(record: &Record) -> i64 {
    let Outcome::Succeeded(value) = &record.outcome else { panic!("{}: {}", record.name, record.outcome) };
    value.to().expect("a number")
}

pub fn all(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        // One memory, for which it keeps the room of eight.
        let one = MANY.replace("(memory 1)", "");
        for (name, text, is_kept) in [("one_memory", one.as_str(), true), ("many_memories", MANY, false)] {
            let module = load(&supervisor, name, text).await;
            let swaps = (1..=100_i64).map(|number| call(&module, "swap", (number,))).collect();
            let records = run(&supervisor, swaps, is_kept).await;
            assert!(records.iter().all(|record| value(record) == 0), "{name}: it was seen again");

            // The limit is what is met, by default and where it is set, and its growth is none of the next task's.
            let grow = |elements: i64| call(&module, "grow_table", (elements,));
            let limits = |table_elements| Limits { table_elements, ..Limits::default() };
            for (limit, fits, is_kept) in
                [(1_000_000, 999_999, is_kept), (1000, 999, is_kept), (2_000_000, 1_999_999, false)]
            {
                let tasks = [fits, fits + 1, fits].map(|elements| grow(elements).limits(limits(limit)));
                let records = run(&supervisor, tasks.to_vec(), is_kept).await;
                let grown: Vec<i64> = records.iter().map(value).collect();
                assert_eq!(grown, [1, -1, 1], "{name}: {fits} of {limit}");
            }
        }
        // Refused and unhandled, it is that limit.
        let module = load(&supervisor, "grow_table", include_str!("../../wat/grow_table.wat")).await;
        let task = Task::new(&module.command().expect("a command"));
        let pool = support::pool(&supervisor, 1).max_tasks_per_worker(1000).build().expect("a pool");
        let record = pool.submit(task).await.expect("the pool is open").await;
        assert_eq!(record.outcome.exit_code(), 223, "{}", record.outcome);
    });
}
