//! A worker in whose place native code of an attacker runs: one row for each thing it tries.

#![forbid(unsafe_code)]

use super::harness::*;
use crate::os::hardening;
use crate::os::test_hostile::{ATTEMPTS, refused};
use crate::protocol::frame;
use crate::protocol::worker::{Entry, FromWorker, LogLevel};

/// Runs in the worker, instead of its guest's end: tries everything and logs each answer.
pub(in crate::worker) fn attack(send: impl Fn(&[u8])) {
    let log = |target: &str, message: String| {
        let record = FromWorker::Log { level: LogLevel::Info, target: target.to_owned(), message };
        send(&frame::encode(&record).unwrap());
    };
    for (name, attempt) in ATTEMPTS {
        log(name, refused(*attempt).err().unwrap_or_default());
    }
    log("descriptors", format!("{:?}", hardening::open_descriptors()));
    log("environment", format!("{:?}", std::env::vars().collect::<Vec<_>>()));
    log("threads", if hardening::is_single_threaded() { "1" } else { "many" }.to_owned());
}

fn records(said: &[FromWorker]) -> Vec<(&str, &str)> {
    said.iter()
        .filter_map(|message| match message {
            FromWorker::Log { target, message, .. } => Some((target.as_str(), message.as_str())),
            _ => None,
        })
        .collect()
}

#[test]
fn everything_that_a_hostile_worker_tries_is_refused() {
    let artifact = compile("(module (func (export \"_start\")))");
    let server = serve(&artifact, ENGINE, Some("before-finished:hostile"));
    let worker = fork(&server);
    worker.start(start(Entry::Command), &[]);
    let story = worker.story();
    let records = records(&story.said);
    let let_through: Vec<_> =
        records[..ATTEMPTS.len()].iter().filter(|(_, answer)| !answer.is_empty()).collect();
    assert!(let_through.is_empty(), "{let_through:#?}");
    let facts = &records[ATTEMPTS.len()..];
    // The standard streams and the task socket.
    let descriptors: Vec<i32> = serde_json::from_str(facts[0].1).unwrap();
    assert_eq!((descriptors.len(), &descriptors[..3]), (4, &[0, 1, 2][..]));
    assert_eq!(facts[1], ("environment", "[]"));
    assert_eq!(facts[2], ("threads", "1"));
}
