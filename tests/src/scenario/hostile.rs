//! The guests that misbehave, each by itself and all of them at once.
//!
//! The rows are the test's (`tests/it/faults/hostile.rs`), each a task as in [`plan`](crate::plan) with the codes
//! that it may end with: `{ "guest": "5", "codes": [223], "module": ... }`.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use futures_util::FutureExt;
use futures_util::future::join_all;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::FdFlags;
use serde_json::{Value, json};
use wasmpool::{Module, ModuleSource, Outcome, Pool, Record, StartMethod, Supervisor, Task, TaskHandle};

use crate::plan::{self, Held};
use crate::stopping::expect_size;
use crate::support::{self, Ends, call, say};

/// What the supervisor may grow by, whatever its guests do.
const GROWTH_BYTES_MAX: u64 = 16 << 20;
const GOOD_TASKS: i64 = 100;

/// Each row by itself, with a good task after it, in a pool of this many workers.
pub fn alone(args: &[String]) {
    let (workers, rows) = (number(&args[0]), rows(&args[1]));
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let (mut ends, mut held) = (Ends::default(), Held::new());
        expect_good(&good(&pool, &module, 0).await, 0).await;
        let mut growth = Growth::begin();
        for row in &rows {
            let begun = Instant::now();
            let code = match plan::tasks(&supervisor, row, &mut held).await {
                Ok(tasks) => {
                    let mut code = 0;
                    for task in tasks {
                        let handle = pool.submit(task).await.expect("the pool is open");
                        ends.watch(&handle);
                        growth.watch(std::slice::from_ref(&handle)).await;
                        code = expect_code(row, &handle.await);
                    }
                    code
                }
                Err(refusal) => expect_refusal(row, &refusal),
            };
            expect_good(&good(&pool, &module, 1).await, 1).await;
            say(&json!({ "guest": name(row), "code": code, "ms": support::ms(begun.elapsed()) }));
        }
        expect_size(&pool, &module, workers).await;
        ends.expect_one_each().await;
        say(&growth.told());
    });
}

/// All rows at once among good tasks, in a pool of this many workers, while a second pool's workers are native
/// code that speaks for others.
pub fn batch(args: &[String]) {
    let (workers, rows) = (number(&args[0]), rows(&args[1]));
    let supervisor = support::supervisor();
    let forging = Supervisor::builder().fault("before-finished:stranger").build().expect("a supervisor");
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let forgers = support::pool(&forging, workers).build().expect("a pool");
        let forger = call(&support::guests(&forging).await, "add", (1, 2));
        let (mut ends, mut held) = (Ends::default(), Held::new());
        // Modules are loaded before: a batch is of tasks.
        let mut bad = Vec::new();
        for row in &rows {
            match plan::tasks(&supervisor, row, &mut held).await {
                Ok(tasks) => bad.extend(tasks.into_iter().map(|task| (row, task))),
                Err(refusal) => _ = expect_refusal(row, &refusal),
            }
        }
        warm_up(&pool, &module).await;
        let mut growth = Growth::begin();
        let mut expected = Vec::new();
        let mut bad = bad.into_iter();
        let each = rows.len().div_ceil(100);
        for index in 0..GOOD_TASKS {
            for (row, task) in bad.by_ref().take(each) {
                expected.push((Expected::Codes(row), submit(&pool, &mut ends, task).await));
            }
            expected.push((Expected::Sum(index), good(&pool, &module, index).await));
            if index % 10 == 0 {
                expected.push((Expected::Forgery, submit(&forgers, &mut ends, forger.clone()).await));
            }
        }
        assert_eq!(bad.count(), 0, "all were submitted");
        growth.watch(&expected.iter().map(|(_, handle)| handle.clone()).collect::<Vec<_>>()).await;
        let tasks = expected.len();
        for (expected, handle) in expected {
            match expected {
                Expected::Codes(row) => _ = expect_code(row, &handle.await),
                Expected::Sum(index) => expect_good(&handle, index).await,
                Expected::Forgery => assert_eq!(handle.await.outcome.exit_code(), 240, "a forger"),
            }
        }
        expect_size(&pool, &module, workers).await;
        ends.expect_one_each().await;
        say(&json!({ "tasks": tasks, "good": GOOD_TASKS, "workers": workers }));
        say(&growth.told());
    });
}

/// How a task of a batch must end.
enum Expected<'a> {
    /// As this row says.
    Codes(&'a Value),
    /// With the number after this one.
    Sum(i64),
    /// As one whose worker spoke for another.
    Forgery,
}

/// As many good tasks as the batch has, so that what is kept for them is there before it is measured.
async fn warm_up(pool: &Pool, module: &Module) {
    let mut handles = Vec::new();
    for index in 0..GOOD_TASKS {
        handles.push(good(pool, module, index).await);
    }
    for (index, handle) in (0..).zip(&handles) {
        expect_good(handle, index).await;
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

fn rows(text: &str) -> Vec<Value> {
    serde_json::from_str(text).expect("rows")
}

fn name(row: &Value) -> &str {
    row["guest"].as_str().expect("a row has a name")
}

async fn submit(pool: &Pool, ends: &mut Ends, task: Task) -> TaskHandle {
    let handle = pool.submit(task).await.expect("the pool is open");
    ends.watch(&handle);
    handle
}

async fn good(pool: &Pool, module: &Module, index: i64) -> TaskHandle {
    pool.submit(call(module, "add", (index, 1))).await.expect("the pool is open")
}

async fn expect_good(handle: &TaskHandle, index: i64) {
    let record = support::patiently("a good task", async { handle.await }).await;
    let Outcome::Succeeded(value) = &record.outcome else { panic!("a good task: {}", record.outcome) };
    assert_eq!(value.to::<i64>().expect("a number"), index + 1);
}

fn expect_code(row: &Value, record: &Record) -> u8 {
    let code = record.outcome.exit_code();
    let allowed = row["codes"].as_array().expect("a row has codes");
    assert!(allowed.contains(&json!(code)), "{}: {code}: {}", name(row), record.outcome);
    if let Some(text) = row["text"].as_str() {
        assert!(record.outcome.to_string().contains(text), "{}: {}", name(row), record.outcome);
    }
    code
}

fn expect_refusal(row: &Value, refusal: &Value) -> u8 {
    let allowed = row["codes"].as_array().expect("a row has codes");
    assert!(allowed.contains(&refusal["code"]), "{}: {refusal}", name(row));
    refusal["code"].as_u64().and_then(|code| u8::try_from(code).ok()).expect("a code")
}

/// How much resident memory this program has more than it had.
struct Growth {
    before: u64,
    most: u64,
}

impl Growth {
    fn begin() -> Self {
        let before = support::all_resident_bytes();
        Self { before, most: before }
    }

    /// Looks every millisecond until these have ended.
    async fn watch(&mut self, handles: &[TaskHandle]) {
        support::until("the guests end", || {
            self.look();
            handles.iter().all(TaskHandle::is_finished)
        })
        .await;
    }

    fn look(&mut self) {
        self.most = self.most.max(support::all_resident_bytes());
    }

    /// What was measured, which must be little.
    fn told(&mut self) -> Value {
        self.look();
        let after = support::all_resident_bytes().saturating_sub(self.before);
        let most = self.most - self.before;
        assert!(most < GROWTH_BYTES_MAX, "{most} bytes more at the most, {after} at the end");
        json!({ "before_bytes": self.before, "grown_bytes_at_most": most, "grown_bytes": after })
    }
}

/// Guest 21: a descriptor that this program has open for everybody it starts is in none of the library's processes.
/// It is the end of a pipe: when ours is closed, the kernel says whether somebody else has one.
pub fn secret_descriptor(_: &[String]) {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    rustix::io::fcntl_setfd(&writer, FdFlags::empty()).expect("it may be inherited");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let mut pools = Vec::new();
        let mut running = Vec::new();
        for method in [StartMethod::ForkServer, StartMethod::Spawn] {
            let pool = support::pool(&supervisor, 1).start_method(method).build().expect("a pool");
            let handle = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
            support::until_running(&handle).await;
            running.push(handle);
            pools.push(pool);
        }
        // One that this program starts otherwise has it: the question can be answered with yes.
        let mut other = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        drop(writer);
        assert!(!is_closed(&reader), "a program that inherited it keeps it open");
        other.kill().expect("it is killed");
        other.wait().expect("it is reaped");
        // A process that has only just begun may not have closed it yet.
        support::until("nobody else has it", || is_closed(&reader)).await;
        assert!(running.iter().all(|handle| !handle.is_finished()), "the workers are there");
        running.iter().for_each(TaskHandle::kill);
        for handle in running {
            assert_eq!(handle.await.outcome.exit_code(), 230);
        }
    });
}

/// Whether nobody has the other end of a pipe any more.
fn is_closed(reader: &std::io::PipeReader) -> bool {
    let mut fds = [PollFd::new(reader, PollFlags::empty())];
    rustix::event::poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).expect("a pipe can be polled");
    fds[0].revents().contains(PollFlags::HUP)
}

/// Guest 23: modules that a compiler never gets done with, while tasks of another module run. The arguments are the
/// milliseconds of CPU time that each may take, 0 for the default, and the modules.
pub fn compile_bombs(args: &[String]) {
    let (time, bombs) = (number(&args[0]), &args[1..]);
    let mut builder = Supervisor::builder().no_cache();
    if time > 0 {
        builder = builder.compile_time(Duration::from_millis(time as u64));
    }
    let supervisor = builder.build().expect("a supervisor");
    support::block_on(async {
        let module = supervisor.load(ModuleSource::wat(SMALL)).await.expect("it loads");
        let target = module.invoke("add(5)").expect("it exports this");
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let task = async || {
            let handle = pool.submit(Task::new(&target)).await.expect("the pool is open");
            expect_good(&handle, 5).await;
        };
        task().await;
        let mut growth = Growth::begin();
        let mut loads = std::pin::pin!(join_all(bombs.iter().map(|path| refused_bomb(&supervisor, path))));
        let mut times = Vec::new();
        // The others meanwhile, one after the other.
        while loads.as_mut().now_or_never().is_none() {
            let begun = Instant::now();
            task().await;
            times.push(support::ms(begun.elapsed()));
            growth.look();
        }
        times.sort_by(f64::total_cmp);
        say(
            &json!({ "tasks": times.len(), "median_ms": times[times.len() / 2], "longest_ms": times.last() }),
        );
        say(&growth.told());
    });
}

/// Compiles in no time.
const SMALL: &str = r#"(module (func (export "add") (param i32) (result i32)
    (i32.add (local.get 0) (i32.const 1))))"#;

async fn refused_bomb(supervisor: &Supervisor, path: &str) {
    let begun = Instant::now();
    let error = supervisor.load(path).await.expect_err("a bomb does not load");
    say(&json!({ "bomb": path, "code": error.exit_code(), "text": error.to_string(),
        "ms": support::ms(begun.elapsed()) }));
    assert_eq!(error.exit_code(), 243, "{error}");
}
