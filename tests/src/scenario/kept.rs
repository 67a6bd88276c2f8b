//! Workers that are used again keep the memory of their instances, and nothing that a task wrote into it.

#![forbid(unsafe_code)]

use futures_util::StreamExt;
use wasmpool::{Limits, Module, ModuleSource, Order, Outcome, Record, Supervisor, Task};

use crate::support::{self, call, patiently};

/// With one memory for each it is kept; with nine there is no room.
const MANY: &str = include_str!("../../wat/many_memories.wat");
/// What a worker reserves that keeps memory: 8 times 4 GiB.
const RESERVED_KB: u64 = 8 << 22;

async fn load(supervisor: &Supervisor, name: &str, text: &str) -> Module {
    let source = ModuleSource::Bytes { name: name.to_owned(), bytes: text.as_bytes().to_vec() };
    supervisor.load(source).await.expect("the module loads")
}

/// Runs the tasks one after the other in one worker; how much address space that has, if it waits for more.
async fn run(supervisor: &Supervisor, tasks: Vec<Task>) -> (Vec<Record>, Option<u64>) {
    let pool = support::pool(supervisor, 1).max_tasks_per_worker(1000).build().expect("a pool");
    let records = pool.records(futures_util::stream::iter(tasks), Order::Input);
    let records: Vec<_> = patiently("the tasks", records.map(|(_, record)| record).collect()).await;
    let pid = records[0].pid.expect("it ran");
    assert!(records.iter().all(|record| record.pid == Some(pid)), "one worker ran them all");
    let size = support::status(pid, "VmSize");
    (records, size.map(|size| size.trim_end_matches(" kB").parse().expect("a number")))
}

fn value(record: &Record) -> i64 {
    let Outcome::Succeeded(value) = &record.outcome else { panic!("{}: {}", record.name, record.outcome) };
    value.to().expect("a number")
}

pub fn all(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let few = MANY.replacen("(memory 1) (memory 1)", "", 1);
        for (name, text, is_kept) in [("few_memories", few.as_str(), true), ("many_memories", MANY, false)] {
            let module = load(&supervisor, name, text).await;
            let swaps = (1..=100_i64).map(|number| call(&module, "swap", (number,))).collect();
            let (records, kilobytes) = run(&supervisor, swaps).await;
            assert!(records.iter().all(|record| value(record) == 0), "{name}: it was seen again");
            assert_eq!(kilobytes > Some(RESERVED_KB), is_kept, "{name}: {kilobytes:?} kB");

            // The limit is what is met, by default and where it is set, and its growth is none of the next task's.
            let grow = |elements: i64| call(&module, "grow_table", (elements,));
            let limits = |table_elements| Limits { table_elements, ..Limits::default() };
            for (limit, fits, is_kept) in
                [(1_000_000, 999_999, is_kept), (1000, 999, is_kept), (2_000_000, 1_999_999, false)]
            {
                let tasks = [fits, fits + 1, fits].map(|elements| grow(elements).limits(limits(limit)));
                let (records, kilobytes) = run(&supervisor, tasks.to_vec()).await;
                let grown: Vec<i64> = records.iter().map(value).collect();
                assert_eq!(grown, [1, -1, 1], "{name}: {fits} of {limit}");
                assert_eq!(kilobytes > Some(RESERVED_KB), is_kept, "{name}: {kilobytes:?} kB for {limit}");
            }
        }
        // Refused and unhandled, it is that limit.
        let module = load(&supervisor, "grow_table", include_str!("../../wat/grow_table.wat")).await;
        let task = Task::new(&module.command().expect("a command"));
        let (records, _) = run(&supervisor, vec![task]).await;
        assert_eq!(records[0].outcome.exit_code(), 223, "{}", records[0].outcome);
    });
}
