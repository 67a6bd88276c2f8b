//! T3: who holds a lock, permits or a barrier's place dies, in each of the ways there are.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use serde_json::json;
use wasmpool::sync::{Barrier, Lock, Semaphore, Value};
use wasmpool::{Limits, Module, Outcome, Pool, TaskHandle};

use crate::support::{self, Ends, call, say};

/// The ways in which a holder ends, by the first argument.
const WAYS: &[&str] = &["kill", "trap", "cancel", "terminate", "timeout", "stop"];

/// A task that holds something, and how it is to end.
async fn end(way: &str, handle: &TaskHandle) {
    let pid = support::until_running(handle).await;
    match way {
        "kill" => support::signal(pid, 9),
        "cancel" => handle.cancel(),
        "terminate" => handle.terminate(),
        // SIGSTOP, then what a time-out does to one that does not move.
        "stop" => {
            support::signal(pid, 19);
            handle.kill();
        }
        // It does it itself.
        "trap" | "timeout" => {}
        other => panic!("a task does not end by `{other}`"),
    }
}

fn limits(way: &str) -> Limits {
    let timeout = (way == "timeout").then_some(Duration::from_millis(200));
    Limits { timeout, grace_period: Duration::from_millis(100), ..Limits::default() }
}

fn holder(module: &Module, way: &str, lock: &Lock) -> wasmpool::Task {
    let name = if way == "trap" { "hold_lock_and_trap" } else { "hold_lock_and_spin" };
    call(module, name, (lock,)).limits(limits(way))
}

/// The next waiter gets the lock and is told; permits come back; in pools of this many workers.
pub fn holders(args: &[String]) {
    let workers: usize = args[0].parse().expect("a number of workers");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        for way in WAYS {
            let pool = support::pool(&supervisor, workers).build().expect("a pool");
            let mut ends = Ends::default();
            let lock = Lock::new().expect("a lock");
            let handle = pool.submit(holder(&module, way, &lock)).await.expect("a handle");
            ends.watch(&handle);
            support::until_running(&handle).await;
            let waiter =
                pool.submit(call(&module, "increments", (&lock, &Value::new(0_i64).expect("a value"), 1)));
            let waiter = waiter.await.expect("a handle");
            ends.watch(&waiter);
            end(way, &handle).await;
            let record = support::patiently("the holder", async { (&handle).await }).await;
            assert!(!record.outcome.is_success(), "{way}: {}", record.outcome);
            let record = support::patiently("the waiter", async { waiter.await }).await;
            assert!(record.outcome.is_success(), "{way}: {}", record.outcome);
            // The first of the two that waited was told; this thread was not among them, and the lock is whole.
            assert_eq!(
                lock.try_acquire().expect("no error").expect("it is free").abandoned_by(),
                None,
                "{way}"
            );
            permits(&pool, &module, way, &mut ends).await;
            told(&pool, &module, way).await;
            ends.expect_one_each().await;
        }
    });
}

async fn permits(pool: &Pool, module: &Module, way: &str, ends: &mut Ends) {
    if *way == *"trap" {
        return;
    }
    let semaphore = Semaphore::new(1).expect("a semaphore");
    let task = call(module, "semaphore_hold_and_spin", (&semaphore,)).limits(limits(way));
    let handle = pool.submit(task).await.expect("a handle");
    ends.watch(&handle);
    support::until_running(&handle).await;
    assert!(semaphore.try_acquire().expect("no error").is_none(), "{way}: the permit is taken");
    end(way, &handle).await;
    support::patiently("the holder of the permit", async { handle.await }).await;
    let permit = semaphore.acquire_timeout(Duration::from_secs(10)).expect("no error");
    assert!(permit.is_some(), "{way}: the permit came back");
}

/// The host is told who abandoned the lock.
async fn told(pool: &Pool, module: &Module, way: &str) {
    let lock = Lock::new().expect("a lock");
    let handle = pool.submit(holder(module, way, &lock)).await.expect("a handle");
    end(way, &handle).await;
    let task = handle.id();
    support::patiently("the holder", async { handle.await }).await;
    let guard = lock.acquire_timeout(Duration::from_secs(10)).expect("no error").expect("the lock");
    assert_eq!(guard.abandoned_by(), Some(task), "{way}");
}

/// Tasks that increment one number under a lock, and are killed at random: no two hold it at once, so the number
/// is what those that ended say, and at most one more for each that was killed.
pub fn races(args: &[String]) {
    let (rounds, workers): (u64, usize) =
        (args[0].parse().expect("rounds"), args[1].parse().expect("workers"));
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, workers).build().expect("a pool");
        let (lock, value) = (Lock::new().expect("a lock"), Value::new(0_i64).expect("a value"));
        let mut random = support::Random::new(rounds);
        let (mut done, mut killed, mut running) = (0_i64, 0_i64, Vec::new());
        let each = 50;
        for _ in 0..rounds {
            let task = call(&module, "increments", (&lock, &value, each));
            running.push(pool.submit(task).await.expect("a handle"));
            if running.len() > 2 * workers {
                let handle = running.remove(0);
                if random.below(2) == 0
                    && let Some(pid) = handle.pid()
                {
                    support::try_signal(pid, 9);
                }
                match support::patiently("a task", async { handle.await }).await.outcome {
                    Outcome::Succeeded(_) => done += each,
                    Outcome::Killed(9) => killed += 1,
                    other => panic!("{other}"),
                }
            }
        }
        for handle in running {
            let record = support::patiently("a task", async { handle.await }).await;
            assert!(record.outcome.is_success(), "{}", record.outcome);
            done += each;
        }
        let sum = value.get();
        assert!(sum >= done && sum <= done + killed * each, "{sum} with {done} done and {killed} killed");
        assert!(killed > 0, "some were killed");
        say(&json!({ "done": done, "killed": killed, "sum": sum }));
    });
}

/// How long it takes from the SIGKILL of a lock's holder until the next one has it: the host waits for it.
pub fn succession(args: &[String]) {
    let kills: usize = args[0].parse().expect("a number of kills");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let mut times = Vec::new();
        for _ in 0..kills {
            let lock = Lock::new().expect("a lock");
            let handle = pool.submit(call(&module, "hold_lock_and_spin", (&lock,))).await.expect("a handle");
            let pid = support::until_running(&handle).await;
            let waits = lock.clone();
            let waiter = std::thread::spawn(move || {
                let guard = waits.acquire_timeout(Duration::from_secs(60)).expect("no error");
                assert!(guard.expect("the lock").abandoned_by().is_some());
                Instant::now()
            });
            // Its thread sleeps once the word says that somebody waits; a millisecond more is no matter.
            let killed = Instant::now();
            support::signal(pid, 9);
            let got = waiter.join().expect("the waiter");
            times.push(support::ms(got.saturating_duration_since(killed)));
            handle.await;
        }
        times.sort_by(f64::total_cmp);
        say(&json!({ "median_ms": times[times.len() / 2], "longest_ms": times[times.len() - 1] }));
    });
}

/// 16 workers contend for one lock for a while: all of them get it.
pub fn sixteen(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 16).build().expect("a pool");
        let (lock, start) = (Lock::new().expect("a lock"), Barrier::new(16).expect("a barrier"));
        let mut handles = Vec::new();
        for _ in 0..16 {
            let task = call(&module, "lock_for_a_while", (&lock, &start, 500));
            handles.push(pool.submit(task).await.expect("a handle"));
        }
        let mut counts = Vec::new();
        for handle in handles {
            let record = support::patiently("a task", async { handle.await }).await;
            let Outcome::Succeeded(count) = &record.outcome else { panic!("{}", record.outcome) };
            counts.push(count.to::<u64>().expect("a number"));
        }
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
        say(&json!({ "acquired": counts }));
    });
}

/// Guest 17: wrong uses are errors, and change nothing.
pub fn wrong_uses(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let lock = Lock::new().expect("a lock");
        let guard = lock.acquire().expect("the lock");
        for name in ["acquire_twice", "release_twice", "release_foreign"] {
            let own = Lock::new().expect("a lock");
            let lock = if name == "release_foreign" { &lock } else { &own };
            let handle = pool.submit(call(&module, name, (lock,))).await.expect("a handle");
            let record = support::patiently("a task", async { handle.await }).await;
            let Outcome::Failed(error) = &record.outcome else { panic!("{name}: {}", record.outcome) };
            say(&json!({ "use": name, "error": error }));
            // The next one finds it as it was.
            if name == "acquire_twice" {
                drop(lock.acquire_timeout(Duration::from_secs(10)).expect("no error").expect("it is free"));
            }
        }
        guard.release().expect("it is still ours");
        // One that returned and kept the lock has abandoned it too.
        let kept = Lock::new().expect("a lock");
        let keeper = pool.submit(call(&module, "hold_lock_and_return", (&kept,))).await.expect("a handle");
        let task = keeper.id();
        assert!(support::patiently("its keeper", async { keeper.await }).await.outcome.is_success());
        let asks = pool.submit(call(&module, "ask_who_abandoned", (&kept,))).await.expect("a handle");
        let record = support::patiently("the next", async { asks.await }).await;
        let Outcome::Succeeded(told) = &record.outcome else { panic!("{}", record.outcome) };
        assert_eq!(told.to::<Option<u64>>().expect("a task"), Some(task));
        pool.apply::<_, ()>(&support::target(&module, "lock_once"), (&kept,)).await.expect("the lock");
    });
}

/// The example `shared_counter`: its module is the argument.
pub fn shared_counter(args: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = supervisor.load(args[0].as_str()).await.expect("the example loads");
        let pool = support::pool(&supervisor, 4).build().expect("a pool");
        let (lock, locked) = (Lock::new().expect("a lock"), Value::new(0_i64).expect("a value"));
        let atomic = Value::new(0_i64).expect("a value");
        let tasks = (0..4).flat_map(|_| {
            [call(&module, "add_locked", (&lock, &locked, 500)), call(&module, "add", (&atomic, 500))]
        });
        let mut handles = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            handles.push(pool.submit(task).await.expect("a handle"));
        }
        for handle in handles {
            let record = support::patiently("a task", async { handle.await }).await;
            assert!(record.outcome.is_success(), "{}", record.outcome);
        }
        assert_eq!((locked.get(), atomic.get()), (2000, 2000));
        // As in Python's tutorial: a number and an array.
        let (n, a) =
            (Value::new(0.0).expect("a value"), wasmpool::sync::Array::<i32>::new(10).expect("an array"));
        a.write(0, &(0..10).collect::<Vec<i32>>()).expect("it fits");
        let done: () = pool.apply(&support::target(&module, "f"), (&n, &a)).await.expect("it succeeds");
        let ((), pi) = (done, std::f64::consts::PI);
        assert!((n.get() - pi).abs() < 1e-6, "{}", n.get());
        assert_eq!(a.read(..).expect("numbers"), (0..10).map(|i| -i).collect::<Vec<i32>>());
    });
}
