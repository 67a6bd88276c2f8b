//! Guests and workers that send without end.

#![forbid(unsafe_code)]

use std::time::Duration;

use serde_json::json;
use wasmpool::{Limits, Output, Supervisor};

use crate::support::{self, call, say, target};

/// A worker with the fault of the first argument floods its supervisor; nobody reads what is streamed.
pub fn frames(args: &[String]) {
    let supervisor = Supervisor::builder().fault(args[0].as_str()).build().expect("a supervisor");
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 1).build().expect("a pool");
        let (sink, reader) = wasmpool::output_channel(1 << 20);
        let before = support::resident_bytes();
        // What counts against no limit ends with its time; the rest by its limit, on however busy a machine.
        let timeout = Some(Duration::from_secs(if args[0].ends_with("output") { 3 } else { 60 }));
        let limits = Limits { timeout, log_bytes: 1 << 20, ..Limits::default() };
        let task = call(&module, "add", (1, 2)).output(Output::Stream(sink)).limits(limits);
        let handle = pool.submit(task).await.expect("a handle");
        let mut most = before;
        while !handle.is_finished() {
            most = most.max(support::resident_bytes());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let record = handle.await;
        say(
            &json!({ "code": record.outcome.exit_code(), "text": record.outcome.to_string(), "grown_bytes": most - before }),
        );
        drop(reader);
    });
}

/// A guest prints without end to a reader that is slow: it waits, nothing is lost, memory is flat.
pub fn slow_reader(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let (sink, mut reader) = wasmpool::output_channel(256 * 1024);
        let before = support::resident_bytes();
        let task = call(&module, "flood_output", ()).output(Output::Stream(sink));
        let handle = pool.submit(task).await.expect("a handle");
        let (mut bytes, mut most) = (0, before);
        while bytes < 32 << 20 {
            let chunk = support::patiently("output", reader.recv()).await.expect("there is more");
            assert!(chunk.bytes.iter().enumerate().all(|(at, byte)| {
                let newline = (bytes + at) % 1024 == 1023;
                *byte == if newline { b'\n' } else { b'x' }
            }));
            bytes += chunk.bytes.len();
            // A task beside it, each now and then: the reader is slow and the others are not held up.
            if bytes % (1 << 20) < chunk.bytes.len() {
                let value: i64 = pool.apply(&target(&module, "add"), (1, 2)).await.expect("a value");
                assert_eq!(value, 3);
                most = most.max(support::resident_bytes());
            }
        }
        assert!(!handle.is_finished());
        handle.kill();
        while let Some(chunk) = support::patiently("the end", reader.recv()).await {
            assert_eq!(chunk.end, chunk.bytes.is_empty());
        }
        assert_eq!(handle.await.outcome.exit_code(), 230);
        say(&json!({ "read_bytes": bytes, "grown_bytes": most - before }));
    });
}

/// Output of several tasks on one stream: each chunk says whose it is, and each task's end is told.
pub fn shared_stream(_: &[String]) {
    let supervisor = support::supervisor();
    support::block_on(async {
        let module = support::guests(&supervisor).await;
        let pool = support::pool(&supervisor, 2).build().expect("a pool");
        let (sink, mut reader) = wasmpool::output_channel(1 << 20);
        let mut handles = Vec::new();
        for name in ["a", "b", "c"] {
            let task =
                call(&module, "print_lines", (100_u64,)).name(name).output(Output::Stream(sink.clone()));
            handles.push(pool.submit(task).await.expect("a handle"));
        }
        drop(sink);
        let mut texts = std::collections::BTreeMap::<String, String>::new();
        let mut ends = 0;
        while let Some(chunk) = support::patiently("output", reader.recv()).await {
            ends += usize::from(chunk.end);
            *texts.entry(chunk.name.to_string()).or_default() +=
                std::str::from_utf8(&chunk.bytes).expect("text");
        }
        let expected: String = (1..=100).map(|line| format!("{line}\n")).collect();
        assert_eq!((ends, texts.len()), (3, 3));
        assert!(texts.values().all(|text| *text == expected));
        for handle in handles {
            assert!(handle.await.stdout.is_empty(), "what is streamed is not kept");
        }
    });
}
