//! Many inputs, read lazily; many tasks under a small limit of descriptors.

#![forbid(unsafe_code)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rustix::process::{Resource, Rlimit};
use serde_json::json;
use wasmpool::{Limits, Order, Task};

use crate::oracle;
use crate::support::{self, ms, say, target};

/// Maps over many inputs: how far ahead of the results they are read, and how much memory grows.
/// Arguments: inputs, workers, chunksize.
pub fn inputs(args: &[String]) {
    let [inputs, workers, chunksize] =
        [0, 1, 2].map(|at: usize| args[at].parse::<usize>().expect("a number"));
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).chunksize(chunksize).build().expect("a pool");
        let (read, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let ahead_max = Arc::new(AtomicUsize::new(0));
        let counted = (0..inputs).map({
            let (read, taken, ahead_max) = (Arc::clone(&read), Arc::clone(&taken), Arc::clone(&ahead_max));
            move |input| {
                let read = read.fetch_add(1, Ordering::SeqCst) + 1;
                ahead_max.fetch_max(read - taken.load(Ordering::SeqCst), Ordering::SeqCst);
                input
            }
        });
        // A long time-out: deadlines of tasks that have ended must not pile up.
        let limits = Limits { timeout: Some(Duration::from_secs(3600)), ..Limits::default() };
        let task = Task::new(&target(&module, "echo_json")).limits(limits);
        let tasks =
            counted.map(move |input| task.clone().args(wasmpool::Args::one(&input).expect("a number")));
        let mut records = pool.records(futures_util::stream::iter(tasks), Order::Input);
        let (begun, mut early) = (Instant::now(), 0);
        while let Some((index, record)) = records.next().await {
            let taken = taken.fetch_add(1, Ordering::SeqCst) + 1;
            assert_eq!(usize::try_from(index).expect("small") + 1, taken, "in order");
            assert!(record.outcome.is_success(), "{}", record.outcome);
            if taken == inputs / 10 {
                early = support::resident_bytes();
            }
        }
        assert_eq!(taken.load(Ordering::SeqCst), inputs);
        say(&json!({
            "ahead_max": ahead_max.load(Ordering::SeqCst), "ms": ms(begun.elapsed()),
            "resident_early": early, "resident_late": support::resident_bytes(),
        }));
    });
}

/// An input that does not end: what is taken is taken, and dropping the rest cancels it.
pub fn endless(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let values = pool.imap::<_, u64>(&target(&module, "echo_json"), 0_u64..);
        let first: Vec<u64> = values.take(25).map(|value| value.expect("a value")).collect().await;
        assert_eq!(first, (0..25).collect::<Vec<u64>>());
        support::patiently("the pool is joined", pool.join()).await;
    });
}

/// Ten thousand tasks, a process each, with 64 descriptors.
pub fn ten_thousand(args: &[String]) {
    let tasks: usize = args[0].parse().expect("a number");
    let limit = Rlimit { current: Some(64), maximum: Some(64) };
    rustix::process::setrlimit(Resource::Nofile, limit).expect("a lower limit");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let mut values = pool.imap_unordered::<_, u64>(&target(&module, "echo_json"), 0..tasks as u64);
        let begun = Instant::now();
        let (mut seen, mut sum, mut descriptors, mut threads, mut zombies) = (0, 0, 0, 0, 0);
        let mut resident = [0, 0];
        while let Some(value) = values.next().await {
            sum += value.expect("a value");
            seen += 1;
            if seen % 500 == 0 {
                descriptors = descriptors.max(oracle::descriptors());
                threads = threads.max(oracle::threads().len());
                zombies = zombies.max(support::zombies());
                resident[usize::from(seen > tasks / 2)] = support::resident_bytes();
            }
        }
        assert_eq!((seen, sum), (tasks, (0..tasks as u64).sum()));
        say(&json!({
            "ms": ms(begun.elapsed()), "descriptors": descriptors, "threads": threads, "zombies": zombies,
            "resident": resident,
        }));
    });
}

/// Many modules, one after the other: nothing of a module stays behind for ever.
pub fn many_modules(args: &[String]) {
    let modules: usize = args[0].parse().expect("a number");
    let supervisor =
        wasmpool::Supervisor::builder().fork_servers_max(2).no_cache().build().expect("a supervisor");
    support::block_on(async {
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let mut descriptors = Vec::new();
        for number in 0..modules {
            let text = format!("(module (func (export \"f\") (result i32) (i32.const {number})))");
            let module = supervisor.load(wasmpool::ModuleSource::wat(&text)).await.expect("it loads");
            let value: Vec<u64> = vec![pool.apply(&target(&module, "f"), ()).await.expect("a value")];
            assert_eq!(value, [number as u64]);
            drop(module);
            descriptors.push(oracle::descriptors());
        }
        say(&json!({ "descriptors": descriptors }));
    });
}
