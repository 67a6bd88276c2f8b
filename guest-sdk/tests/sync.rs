//! Shared objects as arguments of tasks, and tasks that submit tasks, through the whole of `#[task]`.

#![forbid(unsafe_code)]
#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it should be")]

use std::time::Duration;
use wasmpool_guest::__private::TaskError;
use wasmpool_guest::pool::{self, JoinError};
use wasmpool_guest::sync::{Connection, Dict, Event, Lock, Queue, SyncError, Value};
use wasmpool_guest::testing::Host;
use wasmpool_guest::{Bytes, context, exit, task};

#[task]
fn consume(jobs: &Queue<u64>, counter: Value<i64>, lock: Option<Lock>) -> Result<u64, SyncError> {
    let mut sum = 0;
    for job in jobs {
        sum += job?;
        counter.add(1);
    }
    match lock {
        Some(lock) => lock.with(|| sum),
        None => Ok(sum),
    }
}

/// Calls `consume` as the host does, with these granted.
fn consumed(host: Host, arguments: &str) -> Result<String, TaskError> {
    let ran = host.run(|| __wasmpool_task_consume(arguments.into()));
    ran.returned().map(|bytes| String::from_utf8(bytes).unwrap())
}

fn refusal(host: Host, arguments: &str) -> String {
    match consumed(host, arguments) {
        Err(TaskError::InvalidArguments(reason)) => reason,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[test]
fn objects_are_arguments_by_their_names() {
    let (jobs, counter, lock) = (Queue::stand_in(8), Value::<i64>::stand_in(0), Lock::stand_in());
    for job in [20_u64, 22] {
        jobs.put(job).unwrap();
    }
    jobs.close().unwrap();
    let host = Host::new().grant("jobs", &jobs).grant("counter", &counter).grant("guard", &lock);
    assert_eq!(consumed(host.clone(), r#"["jobs", "counter"]"#).unwrap(), "42");
    let named = r#"{"args": ["jobs"], "kwargs": {"lock": "guard", "counter": "counter"}}"#;
    assert_eq!(consumed(host, named).unwrap(), "0", "it came to its end before");
    assert_eq!(counter.get(), 2);
}

#[test]
fn a_refused_object_names_the_parameter_and_what_grants_it() {
    let signature = "the task is consume(jobs: &Queue<u64>, counter: Value<i64>, lock: Option<Lock>)";
    let denied = "access denied: `jobs` was not granted; in a test, `testing::Host::grant` does it";
    assert_eq!(
        refusal(Host::new(), r#"["jobs", "counter"]"#),
        format!(r#"`jobs` must be &Queue<u64>, but is "jobs": {denied}; {signature}"#)
    );
    let host = Host::new().grant("jobs", &Queue::<u64>::stand_in(1));
    assert_eq!(
        refusal(host.clone(), r#"["jobs", "jobs"]"#),
        format!(
            r#"`counter` must be Value<i64>, but is "jobs": wrong kind: `jobs` is of kind queue, not value; {signature}"#
        )
    );
    let reason = refusal(host, "[7]");
    assert!(reason.contains("invalid type: integer `7`, expected the name of a queue"), "{reason}");
}

#[test]
fn an_object_is_passed_on_by_the_name_it_was_opened_by() {
    let host = Host::new().grant("jobs", &Queue::<u64>::stand_in(1));
    let json = host.run(|| {
        let jobs = Queue::<u64>::open("jobs").unwrap();
        wasmpool_guest::serde_json::to_string(&(&jobs, 7)).unwrap()
    });
    assert_eq!(json.returned(), r#"["jobs",7]"#);
}

#[test]
fn handles_go_to_other_threads() {
    fn assert_send_and_sync<T: Send + Sync>() {}
    assert_send_and_sync::<Queue<u64>>();
    assert_send_and_sync::<Connection<u64, Bytes>>();
    assert_send_and_sync::<Dict<u64>>();
    assert_send_and_sync::<Value<f64>>();
}

/// A host with one task of each way to end.
fn host() -> Host {
    Host::new()
        .task("double", |(n,): (u64,)| n * 2)
        .task("nothing", |()| ())
        .task("upper", |(text,): (String,)| Bytes::from(text.to_uppercase()))
        .task("panics", |()| -> u64 { panic!("on purpose") })
        .task("exits", |()| -> u64 { exit(300) })
        .fallible_task("fails", |()| Err::<u64, _>("no luck"))
}

/// How a task without arguments ended.
fn end_of(task: &str) -> Result<u64, JoinError> {
    host().run(|| pool::submit::<u64>(task, ()).unwrap().join()).returned()
}

fn failed(exit_code: u8, message: &str) -> Result<u64, JoinError> {
    Err(JoinError::Failed { exit_code, message: message.to_owned() })
}

#[test]
fn submitted_tasks_give_their_results_or_how_they_ended() {
    let results = host().run(|| {
        let (double, nothing) =
            (pool::submit::<u64>("double", (21,)).unwrap(), pool::submit::<()>("nothing", ()).unwrap());
        let upper = pool::submit::<Bytes>("upper", ("raw",)).unwrap();
        (double.join(), nothing.join(), upper.join())
    });
    assert_eq!(results.returned(), (Ok(42), Ok(()), Ok(Bytes::from("RAW"))));
    assert_eq!(end_of("panics"), failed(200, "it panicked: on purpose"));
    assert_eq!(end_of("exits"), failed(125, "it called exit(300)"));
    assert_eq!(end_of("fails"), failed(1, "no luck"));
    assert!(matches!(end_of("upper"), Err(JoinError::Failed { exit_code: 96, .. })), "arguments are missing");
    assert!(matches!(end_of("nothing"), Err(JoinError::Unreadable(_))), "null is no number");
}

#[test]
fn what_is_not_there_is_not_submitted() {
    let error = host().run(|| pool::submit::<u64>("triple", (1,)).unwrap_err().to_string()).returned();
    assert_eq!(error, "there is no task `triple` here; in a test, `testing::Host::task` adds one");
    let mapped = host().run(|| pool::map::<u64>("triple", [1])).returned();
    assert!(matches!(mapped, Err(JoinError::NotSubmitted(_))), "{mapped:?}");
}

#[test]
fn more_than_may_be_under_way_are_mapped_in_order() {
    let doubled = host().run(|| pool::map::<u64>("double", 0..1000_u64)).returned().unwrap();
    assert!(doubled.into_iter().eq((0..1000).map(|n| n * 2)));
}

#[test]
fn a_result_is_had_once_and_a_wait_can_end_before() {
    let go = Event::stand_in();
    let host = Host::new().grant("go", &go).fallible_task("wait", |(go,): (Event,)| go.wait());
    let ran = host.run(|| {
        let task = pool::submit::<()>("wait", (Event::open("go").unwrap(),)).unwrap();
        assert_eq!(task.join_timeout(Duration::from_millis(1)), Ok(None));
        go.set().unwrap();
        assert_eq!(task.join_timeout(Duration::from_secs(60)), Ok(Some(())));
        task.join()
    });
    assert_eq!(ran.returned(), Err(JoinError::NotFound));
}

#[test]
fn a_cancelled_task_sees_it() {
    let host = Host::new().task("watch", |()| {
        while !context::cancelled() {
            std::thread::yield_now();
        }
        (context::name(), context::attempt())
    });
    let ran = host.run(|| {
        let task = pool::submit::<(String, u32)>("watch", ()).unwrap();
        task.cancel();
        task.join()
    });
    assert_eq!(ran.returned(), Ok(("watch".to_owned(), 1)));
}
