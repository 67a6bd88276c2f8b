//! Attempts as an observer sees them: each start, each end, retries and what is given up.

#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use wasmpool::outcome::CancelledBy;
use wasmpool::{AttemptEvent, Backoff, Outcome, RetryPolicy};

use crate::support::{self, call};

/// What an observer has seen, by tag.
type Seen = Arc<Mutex<BTreeMap<u64, Vec<AttemptEvent>>>>;

fn note(seen: &Seen, event: &AttemptEvent) {
    let tag = match event {
        AttemptEvent::Started { tag, .. } | AttemptEvent::Progress { tag, .. } => *tag,
        AttemptEvent::Ended { record, .. } => record.tag,
    };
    seen.lock()
        .expect("nobody panics")
        .entry(tag.expect("every task has a tag"))
        .or_default()
        .push(event.clone());
}

fn policy(retries: u32, base: Duration) -> RetryPolicy {
    RetryPolicy { retries, backoff: Backoff { base, ..Backoff::default() }, ..RetryPolicy::default() }
}

fn of(seen: &Seen, tag: u64) -> Vec<AttemptEvent> {
    seen.lock().expect("nobody panics").get(&tag).cloned().unwrap_or_default()
}

/// T7: a task whose worker is killed whenever it runs, among others. Prints what was seen of it, and its record.
pub fn quarantine(_: &[String]) {
    const VICTIM: u64 = 7;
    let supervisor = support::supervisor();
    let seen = Seen::default();
    let noting = Arc::clone(&seen);
    let kill = move |event: &AttemptEvent| {
        note(&noting, event);
        if let AttemptEvent::Started { tag: Some(VICTIM), pid: Some(pid), .. } = event {
            support::signal(*pid, 9);
        }
    };
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).on_attempt(kill).build().expect("a pool");
        let mut handles = Vec::new();
        for tag in 0..20_u64 {
            let task = if tag == VICTIM { call(&module, "spin", ()) } else { call(&module, "add", (tag, 1)) };
            let task = task.tag(tag).retry(policy(10, Duration::from_millis(1)));
            handles.push(pool.submit(task).await.expect("a handle"));
        }
        let mut records = Vec::new();
        for handle in handles {
            records.push(support::patiently("a task", async { handle.await }).await);
        }
        pool.join().await;
        for record in &records {
            let tag = record.tag.expect("every task has a tag");
            if tag != VICTIM {
                assert!(record.outcome.is_success() && record.attempt == 1, "task {tag}: {record:?}");
                let events = of(&seen, tag);
                let [
                    AttemptEvent::Started { at, pid, worker, .. },
                    AttemptEvent::Ended { record: told, retry: None },
                ] = events.as_slice()
                else {
                    panic!("task {tag} began and ended once: {events:?}");
                };
                assert_eq!(**told, *record);
                assert_eq!((Some(*at), *pid, Some(*worker)), (record.started_at, record.pid, record.worker));
                assert!(record.queued_at <= *at);
            }
        }
        support::say(&support::record(&records[VICTIM as usize]));
        for event in of(&seen, VICTIM) {
            support::say(&shown(&event));
        }
    });
}

fn shown(event: &AttemptEvent) -> Value {
    match event {
        AttemptEvent::Started { attempt, .. } => json!({ "started": attempt }),
        AttemptEvent::Progress { done, .. } => json!({ "progress": done }),
        AttemptEvent::Ended { record, retry } => json!({
            "ended": record.attempt, "code": record.outcome.exit_code(), "retry": retry.is_some(),
            "ran": record.started_at.is_some(),
        }),
    }
}

/// An observer that blocks holds up nothing but what goes through it; one that panics holds up nothing at all.
pub fn observers(_: &[String]) {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str() != Some("on purpose") {
            hook(panic);
        }
    }));
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let ((release, blocked), (arrive, arrived)) = (channel::<()>(), channel());
        let blocked = Mutex::new(blocked);
        let observer = move |event: &AttemptEvent| {
            if matches!(event, AttemptEvent::Ended { .. }) {
                arrive.send(()).expect("somebody waits");
                let blocked = blocked.lock().expect("nobody panics");
                blocked.recv_timeout(Duration::from_secs(60)).expect("it is released");
            }
        };
        let pool = support::pool(&supervisor, 1).on_attempt(observer).build().expect("a pool");
        let handle = pool.submit(call(&module, "add", (1, 2))).await.expect("a handle");
        // Another pool's tasks do not wait for this one's observer.
        let other =
            support::pool(&supervisor, 1).on_attempt(|_| panic!("on purpose")).build().expect("a pool");
        let record = other.submit(call(&module, "add", (1, 2))).await.expect("a handle");
        assert!(support::patiently("the other pool", async { record.await }).await.outcome.is_success());
        arrived.recv_timeout(Duration::from_secs(60)).expect("the task ended");
        assert!(handle.try_record().is_none(), "a record goes through the observer");
        release.send(()).expect("it waits");
        assert!(support::patiently("the task", async { handle.await }).await.outcome.is_success());
    });
}

/// Waits between attempts are kept, and end when the task is stopped.
pub fn waits(_: &[String]) {
    let supervisor = support::supervisor();
    let seen = Seen::default();
    let noting = Arc::clone(&seen);
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).on_attempt(move |event| note(&noting, event));
        let pool = pool.build().expect("a pool");
        let failing = |tag, retry| call(&module, "fail", ("no",)).tag(tag).retry(retry);
        let record = pool.submit(failing(1, policy(2, Duration::from_millis(40)))).await.expect("a handle");
        let record = support::patiently("the task", async { record.await }).await;
        assert_eq!((record.attempt, record.outcome.exit_code()), (3, 1));
        let (mut ready, mut starts) = (None, 0);
        for event in of(&seen, 1) {
            match event {
                AttemptEvent::Started { at, attempt, .. } => {
                    starts += 1;
                    assert_eq!(attempt, starts);
                    assert!(ready.is_none_or(|ready| at >= ready), "attempt {attempt} did not wait");
                }
                AttemptEvent::Ended { record, retry } => {
                    let began = record.started_at.expect("it ran");
                    ready = retry.map(|retry| began + retry);
                    let whole = Duration::from_millis(40 << (record.attempt - 1));
                    assert!(retry.is_none_or(|retry| retry >= whole / 2 && retry <= whole), "{retry:?}");
                }
                AttemptEvent::Progress { .. } => {}
            }
        }
        assert_eq!(starts, 3);
        // Only what is of a class is tried again.
        let on_crash = RetryPolicy { on: "crash".parse().expect("a class"), ..policy(5, Duration::ZERO) };
        let record = pool.submit(failing(2, on_crash)).await.expect("a handle").await;
        assert_eq!(record.attempt, 1);
        // A wait of an hour ends at once when the task is stopped, in each way.
        let hour = RetryPolicy {
            backoff: Backoff {
                base: Duration::from_secs(3600),
                max: Duration::from_secs(3600),
                ..Backoff::default()
            },
            ..policy(5, Duration::ZERO)
        };
        let cancelled = pool.submit(failing(3, hour)).await.expect("a handle");
        let terminated = pool.submit(failing(4, hour)).await.expect("a handle");
        for tag in [3, 4] {
            support::until("its first attempt ended", || of(&seen, tag).len() == 2).await;
        }
        cancelled.cancel();
        let record = support::patiently("the cancelled one", async { cancelled.await }).await;
        assert_eq!(record.outcome, Outcome::Cancelled(CancelledBy::Caller));
        pool.terminate(CancelledBy::Batch).await;
        let record = terminated.try_record().expect("everything has ended");
        assert_eq!((record.attempt, record.outcome), (2, Outcome::Cancelled(CancelledBy::Batch)));
    });
}
