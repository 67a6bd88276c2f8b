//! Guest 25: modules that a machine made up, each a task in a real pool.
//!
//! Whatever such a module does, its task ends by its own doing or at a limit. What must not be is a worker that
//! dies of a signal which nobody sent, or says what it must not say: those are mistakes of the host.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use arbitrary::Unstructured;
use futures_util::StreamExt;
use serde_json::json;
use wasm_smith::{Component, Config};
use wasmpool::{Limits, ModuleSource, Pool, Supervisor, Target, Task};

use crate::support::{self, Random, say};

/// What each module is made from, in bytes.
const ENTROPY_BYTES: u64 = 6 * 1024;
/// Modules on their way at one time.
const AT_ONCE: usize = 4;
const TIMEOUT: Duration = Duration::from_millis(500);

/// Every core module exports what a command does; a generator left alone seldom makes something to call.
const COMMAND: &str = r#"(module (func (export "_start")) (memory (export "memory") 1))"#;
/// What half of the core modules may import: functions that write, read, wait and end.
const IMPORTS: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_read" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_close" (func (param i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_renumber" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "args_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "environ_sizes_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
    (import "wasi_snapshot_preview1" "path_open"
        (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "wasmpool" "open" (func (param i32 i32 i32) (result i64)))
    (import "wasmpool" "put" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasmpool" "last_error" (func (param i32 i32) (result i32))))"#;

/// How one module ended: the code, and what it is called.
type End = (u8, &'static str);

/// Makes that many modules from that seed on, and runs each.
pub fn run(args: &[String]) {
    let (first, count): (u64, u64) = (args[0].parse().expect("a seed"), args[1].parse().expect("a number"));
    let supervisor = Supervisor::builder().no_cache().build().expect("a supervisor");
    let begun = Instant::now();
    let mut ends = BTreeMap::<End, u64>::new();
    support::block_on(async {
        let pool = support::pool(&supervisor, AT_ONCE).build().expect("a pool");
        let runs = (first..first + count).map(|seed| one(&supervisor, &pool, seed));
        let mut runs = futures_util::stream::iter(runs).buffer_unordered(AT_ONCE);
        while let Some(end) = runs.next().await {
            *ends.entry(end).or_default() += 1;
        }
        // The pool is as it was.
        let module = support::guests(&supervisor).await;
        crate::stopping::expect_size(&pool, &module, AT_ONCE).await;
    });
    for ((code, label), count) in &ends {
        say(&json!({ "code": code, "end": label, "count": count }));
    }
    say(&json!({ "modules": count, "seconds": begun.elapsed().as_secs_f64() }));
}

/// One module from its bytes to its end.
async fn one(supervisor: &Supervisor, pool: &Pool, seed: u64) -> End {
    let mut random = Random::new(seed);
    let Some(bytes) = module(&mut random) else { return (0, "not made") };
    let source = ModuleSource::Bytes { name: format!("generated-{seed}"), bytes };
    let loaded = match support::patiently("it loads", supervisor.load(source)).await {
        Ok(loaded) => loaded,
        Err(error) => {
            let (code, label) = (error.exit_code(), error.cause().kind.label());
            // What is off, what is missing, what takes the compiler too long.
            assert!([126, 127, 243].contains(&code), "module {seed}: {error}");
            return (code, label);
        }
    };
    let Some(target) = target(&loaded) else { return (127, "nothing to call") };
    let limits = Limits {
        timeout: Some(TIMEOUT),
        fuel: (random.below(2) == 0).then_some(10_000_000),
        memory_bytes: 16 << 20,
        table_elements: 10_000,
        output_bytes: 1 << 20,
        result_bytes: 1 << 20,
        ..Limits::default()
    };
    let handle = pool.submit(Task::new(&target).limits(limits)).await.expect("the pool is open");
    let record = support::patiently("it ends", async { handle.await }).await;
    let code = record.outcome.exit_code();
    // A value, an error or an exit; not callable; a trap; a limit; no instance.
    let allowed = [0..=127, 200..=219, 220..=227, 242..=243];
    assert!(allowed.iter().any(|range| range.contains(&code)), "module {seed}: {code}: {}", record.outcome);
    (code, record.outcome.label())
}

/// A module in the binary format; `None` when the bytes are too few for what it was to have.
fn module(random: &mut Random) -> Option<Vec<u8>> {
    let entropy: Vec<u8> =
        (0..ENTROPY_BYTES).map(|_| u8::try_from(random.below(256)).expect("a byte")).collect();
    let mut bytes = Unstructured::new(&entropy);
    let kind = random.below(8);
    let mut config = Config {
        max_memories: 3,
        max_tables: 3,
        max_instructions: 400,
        max_memory32_bytes: 64 << 20,
        memory64_enabled: false,
        threads_enabled: false,
        ..Config::default()
    };
    if kind == 0 {
        return Some(Component::new(config, &mut bytes).ok()?.to_bytes());
    }
    if kind == 1 {
        // Whatever there is: mostly refused, which must be done well too.
        (config.memory64_enabled, config.threads_enabled) = (true, true);
        (config.custom_page_sizes_enabled, config.wide_arithmetic_enabled) = (true, true);
    } else {
        config.exports = Some(wat::parse_str(COMMAND).expect("it is valid"));
    }
    config.available_imports = match kind {
        2..=4 => Some(wat::parse_str(IMPORTS).expect("it is valid")),
        5.. => Some(wat::parse_str("(module)").expect("it is valid")),
        _ => None,
    };
    config.allow_start_export = kind.is_multiple_of(2);
    Some(wasm_smith::Module::new(config, &mut bytes).ok()?.to_bytes())
}

/// What can be called in it.
fn target(module: &wasmpool::Module) -> Option<Target> {
    if let Ok(command) = module.command() {
        return Some(command);
    }
    let export = module.info().exports.first()?;
    let zeros = vec!["0"; export.signature.matches(['i', 'f']).count().min(8)];
    module.invoke(&format!("{}({})", export.name, zeros.join(", "))).ok()
}
