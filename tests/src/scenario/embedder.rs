//! What an embedding program may do to itself: ignore SIGCHLD, listen to the log, forget `init`.

#![forbid(unsafe_code)]

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use wasmpool::{Outcome, Supervisor, SupervisorError};

use crate::support::{self, call, say, target};

/// In a program that never called `init`, nothing is started, and the error says what to add.
pub fn without_init() {
    let error = Supervisor::builder().build().expect_err("no program is known");
    assert_eq!(error, SupervisorError::NoProgram);
    say(&json!({ "text": error.to_string() }));
}

/// The parent ignores SIGCHLD (the test starts it like that), so the kernel reaps its children itself:
/// outcomes are right all the same, or unknown, and never wrong.
pub fn sigchld_ignored(_: &[String]) {
    let status = support::status(std::process::id(), "SigIgn").expect("a mask");
    let mask = u64::from_str_radix(&status, 16).expect("a number");
    assert_ne!(mask & (1 << 16), 0, "SIGCHLD is ignored");
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let values: Vec<i64> =
            pool.starmap(&target(&module, "add"), (0..50).map(|n| (n, 1))).await.expect("values");
        assert_eq!(values, (1..=50).collect::<Vec<i64>>());
        let trapped = pool.submit(call(&module, "trap", ())).await.expect("a handle").await;
        assert_eq!(trapped.outcome.exit_code(), 200);
        let mut killed = Vec::new();
        for _ in 0..5 {
            let victim = pool.submit(call(&module, "ignore_cancelled", ())).await.expect("a handle");
            support::signal(support::until_running(&victim).await, 9);
            let record = support::patiently("its end", async { victim.await }).await;
            assert!(matches!(record.outcome, Outcome::Killed(9) | Outcome::Unknown), "{}", record.outcome);
            killed.push(record.outcome.label());
        }
        say(&json!({ "killed": killed }));
    });
}

/// What was logged.
#[derive(Clone, Debug, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// Guests' log records reach `tracing`, with the task's name, at and above the level that is listened to.
pub fn logs(_: &[String]) {
    let log = Log::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_max_level(tracing::Level::DEBUG).with_writer(log.clone());
    subscriber.init();
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        for name in ["first", "second"] {
            let record =
                pool.submit(call(&module, "log_levels", ()).name(name)).await.expect("a handle").await;
            assert!(record.outcome.is_success(), "{}", record.outcome);
        }
        let text = call(&module, "log_text", ("my::place", "line one\nline two")).name("third");
        assert!(pool.submit(text).await.expect("a handle").await.outcome.is_success());
        let steps = pool.submit(call(&module, "report_progress", (5_u64,))).await.expect("a handle").await;
        assert_eq!(steps.progress, Some((6, None)));
    });
    let bytes = log.0.lock().unwrap_or_else(PoisonError::into_inner);
    let text = String::from_utf8_lossy(&bytes);
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("a record"));
    let guests: Vec<Value> = lines.filter(|line| line["target"] == "wasmpool::guest").collect();
    let of = |name: &str| -> Vec<String> {
        let own = guests.iter().filter(|line| line["span"]["task"] == name);
        own.map(|line| format!("{} {}", line["level"], line["fields"]["message"])).collect()
    };
    let expected = [
        r#""DEBUG" "a debug record""#,
        r#""INFO" "an info record""#,
        r#""WARN" "a warn record""#,
        r#""ERROR" "an error record, number 5""#,
    ];
    assert_eq!(
        (of("first"), of("second")),
        (expected.map(str::to_owned).to_vec(), expected.map(str::to_owned).to_vec())
    );
    assert_eq!(of("third"), [r#""INFO" "line one\nline two""#]);
    let third = guests.iter().find(|line| line["span"]["task"] == "third").expect("a record");
    assert_eq!(third["fields"]["module"], "my::place");
}
