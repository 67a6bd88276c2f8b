//! Callbacks that panic, block, or stop everything.

#![forbid(unsafe_code)]

use std::sync::mpsc::channel;
use std::time::Duration;

use wasmpool::outcome::CancelledBy;

use crate::support::{self, Ends, call, target};

/// Whatever a callback does, tasks go on and every other callback is called.
pub fn run(_: &[String]) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("on purpose") {
            hook(panic);
        }
    }));
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let add = target(&module, "add");
        let submit = || async { pool.submit(call(&module, "add", (1, 2))).await.expect("a handle") };

        let panicking = submit().await;
        panicking.on_finish(|_| panic!("on purpose"));
        let record = support::patiently("the task", async { panicking.await }).await;
        assert!(record.outcome.is_success());

        // Blocks until the tasks below have ended: they do not wait for it.
        let (release, blocked) = channel::<()>();
        let blocking = submit().await;
        blocking.on_finish(move |_| {
            blocked.recv_timeout(Duration::from_secs(60)).expect("it is released");
        });
        let values = support::patiently("tasks", pool.starmap(&add, (0..20).map(|n| (n, 1)))).await;
        let values: Vec<i64> = values.expect("values");
        assert_eq!(values.len(), 20);
        release.send(()).expect("the callback waits");

        // Stops everything, from a callback; also submits one more task there.
        let mut ends = Ends::default();
        let spinning = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
        ends.watch(&spinning);
        let (told, telling) = channel();
        let last = submit().await;
        ends.watch(&last);
        let (stopping, spinner) = (pool.clone(), spinning.clone());
        last.on_finish(move |record| {
            spinner.kill();
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
            runtime.block_on(stopping.terminate(CancelledBy::Caller));
            told.send(record.outcome.is_success()).expect("somebody waits");
        });
        support::patiently("both end", async { (spinning.await, last.await) }).await;
        assert!(telling.recv_timeout(Duration::from_secs(60)).expect("it was called"));
        ends.expect_one_each().await;
        assert!(pool.submit(call(&module, "add", (1, 2))).await.is_err(), "the pool is closed");
        // A callback given after the end is called too.
        let (told, telling) = channel();
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let handle = pool.submit(call(&module, "add", (1, 2))).await.expect("a handle");
        let record = (&handle).await;
        handle.on_finish(move |late| told.send(late.task).expect("somebody waits"));
        assert_eq!(telling.recv_timeout(Duration::from_secs(60)), Ok(record.task));
    });
}
