//! A worker in whose place native code of an attacker runs: one row for each thing it tries.

#![forbid(unsafe_code)]

use super::harness::*;
use crate::os::hardening;
use crate::os::memory_file::SealedFile;
use crate::os::test_hostile::{ATTEMPTS, refused, remember_sibling};
use crate::protocol::frame;
use crate::protocol::worker::{Body, Claim, Entry, FromWorker, Inputs, LogLevel, Start};

/// Runs in the worker, instead of its guest's end: tries everything and logs each answer. Its task's number is the
/// process id of another worker.
pub(in crate::worker) fn attack(task: u64, send: impl Fn(&[u8])) {
    remember_sibling(i32::try_from(task).unwrap());
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

#[test]
fn everything_that_a_hostile_worker_tries_is_refused() {
    let artifact = compile("(module (func (export \"_start\")))");
    for user in [User::Ours, User::Ordinary] {
        // Anybody who starts the tests may leave a descriptor open.
        let (server, layers) = serve_dirs(user, &artifact, &[], Some("before-finished:hostile"));
        assert_eq!(layers, Ok(available(user)));
        let (sibling, worker) = (fork(&server), fork(&server));
        worker.start(Start { task: sibling.pid().into(), ..start(Entry::Command) }, &[]);
        let story = worker.story();
        let records = logged(&story.said);
        let answers = &records[..ATTEMPTS.len()];
        let let_through: Vec<_> = answers.iter().filter(|(_, answer)| !answer.is_empty()).collect();
        assert!(let_through.is_empty(), "{user:?}: {let_through:#?}");
        let facts = &records[ATTEMPTS.len()..];
        // The standard streams and the task socket.
        let descriptors: Vec<i32> = serde_json::from_str(facts[0].1).unwrap();
        assert_eq!((descriptors.len(), &descriptors[..3]), (4, &[0, 1, 2][..]));
        assert_eq!(facts[1], ("environment", "[]"));
        assert_eq!(facts[2], ("threads", "1"));
        let first = std::fs::read_to_string(format!("/proc/{}/oom_score_adj", sibling.pid())).unwrap();
        assert_eq!(first.trim(), "1000", "memory that a worker takes is its own end, not the host's");
        // Whom it tried to hurt is as it was.
        sibling.start(start(Entry::Command), &[]);
        assert_eq!(sibling.story().claim(), &Claim::Exited { code: 0 });
    }
}

#[test]
fn a_guest_that_has_used_up_its_descriptors_has_a_large_result() {
    let artifact = compile(&echo());
    let server = serve(&artifact, ENGINE, Some("after-started:open-everything"));
    let worker = fork(&server);
    let length = 3_000_000;
    let file = SealedFile::from_bytes("input", &vec![7; length]).unwrap();
    let length = length as u64;
    let inputs = Inputs { lengths: vec![length], body: Body::Memory { length } };
    worker.start(Start { inputs, ..start(task()) }, &[&file]);
    let story = worker.story();
    assert!(
        matches!(story.claim(), Claim::Returned { body: Body::Memory { length: n }, .. } if *n == length),
        "{:?}",
        story.claim()
    );
}
