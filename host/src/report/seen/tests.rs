//! Runs as reports are tested with: fixed times, every kind of ending.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;

use super::*;
use crate::outcome::{Encoding, Limit, LimitKind, TaskValue, Trap, TrapKind};
use crate::policy::Layer;

/// What happened in a run.
pub enum Happened {
    Event(Box<AttemptEvent>),
    Unrun(Ended),
}

pub struct Run {
    pub head: Head,
    pub happened: Vec<Happened>,
    pub end: End,
}

impl Run {
    /// Shows every end to a function.
    pub fn tell(&self, mut tell: impl FnMut(&Seen<'_>)) {
        let mut track = Track::new(&self.head);
        for happened in &self.happened {
            match happened {
                Happened::Event(event) => {
                    if let Some(seen) = track.event(event) {
                        tell(&seen);
                    }
                }
                Happened::Unrun(ended) => tell(&track.unrun(ended)),
            }
        }
    }

    pub fn start(&mut self, task: u64, attempt: u32, ms: u64) {
        let event = AttemptEvent::Started {
            task,
            tag: Some(task),
            name: Arc::from("n"),
            attempt,
            pid: Some(100),
            worker: task,
            at: at(ms),
        };
        self.happened.push(Happened::Event(Box::new(event)));
    }

    pub fn finish(&mut self, record: Record, retry_ms: Option<u64>) {
        if retry_ms.is_none() {
            self.end.tally.count(&record.outcome);
        }
        let retry = retry_ms.map(Duration::from_millis);
        self.happened
            .push(Happened::Event(Box::new(AttemptEvent::Ended { record: Box::new(record), retry })));
    }
}

fn at(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_700_000_000_000 + ms)
}

pub fn record(
    task: u64,
    name: &str,
    attempt: u32,
    (start_ms, wall_ms): (u64, u64),
    outcome: Outcome,
) -> Record {
    Record {
        task,
        tag: Some(task),
        name: name.into(),
        attempt,
        outcome,
        pid: Some(100),
        worker: Some(task),
        queued_at: at(start_ms.saturating_sub(1)),
        started_at: Some(at(start_ms)),
        wall_time: Duration::from_millis(wall_ms),
        cpu_time: Duration::from_millis(wall_ms / 2),
        peak_memory_bytes: Some(task << 20),
        layers: [Layer::Seccomp].into_iter().collect(),
        stdout: Bytes::from_static(b"out <1>\n"),
        stderr: Bytes::new(),
        progress: None,
        leaks: Vec::new(),
        chaos: false,
    }
}

pub fn begun(groups: &[&str]) -> Run {
    let group = |name: &&str| Group { name: (*name).to_owned(), module: format!("{name}.wasm") };
    let head = Head {
        title: "batch.toml".to_owned(),
        command: vec!["wasmpool".to_owned(), "batch".to_owned(), "batch.toml".to_owned()],
        version: "0.0.0",
        workers: 2,
        began: at(0),
        groups: groups.iter().map(group).collect(),
        with_output: true,
    };
    let end = End { elapsed: Duration::from_millis(1500), tally: Tally::default() };
    Run { head, happened: Vec::new(), end }
}

fn value(text: &'static str) -> Outcome {
    Outcome::Succeeded(TaskValue::new(Encoding::Json, Bytes::from_static(text.as_bytes())))
}

/// Two groups; a success, a flaky task, one that fails twice, a trap, a limit, a bad input and one that was not run.
pub fn usual() -> Run {
    let mut run = begun(&["resize", "pack"]);
    run.start(1, 1, 10);
    run.start(2, 1, 12);
    run.finish(record(1, "resize(a.png)", 1, (10, 30), value("7")), None);
    run.finish(record(2, "resize(b.png)", 1, (12, 5), Outcome::Killed(11)), Some(100));
    run.start(3, 1, 41);
    run.start(2, 2, 120);
    run.finish(
        record(3, "resize(c.png)", 1, (41, 700), Outcome::Failed("no <room>\x1b[31m".to_owned())),
        Some(100),
    );
    run.finish(record(2, "resize(b.png)", 2, (120, 6), value("\"</script>\"")), None);
    run.start(3, 2, 842);
    run.finish(record(3, "resize(c.png)", 2, (842, 3), Outcome::Exited(3)), None);
    run.start(4, 1, 850);
    let trap = Box::new(Trap {
        kind: TrapKind::Unreachable,
        message: String::new(),
        backtrace: Vec::new(),
        panic: None,
        before_task: None,
    });
    run.finish(record(4, "pack", 1, (850, 1), Outcome::Trapped(trap)), None);
    run.start(5, 1, 900);
    let limit = Limit { kind: LimitKind::Time, detail: "100 ms".to_owned(), trap: None };
    run.finish(record(5, "pack#2", 1, (900, 100), Outcome::LimitExceeded(limit)), None);
    let bad = BadInput { place: "in.jsonl:3".to_owned(), reason: "not JSON".to_owned() };
    run.end.tally.count_bad_input();
    run.happened.push(Happened::Unrun(Ended { seq: 6, name: "pack#3".into(), ending: Ending::Bad(bad) }));
    let outcome = Outcome::NotRun(NotRun::DependencyFailed("pack".to_owned()));
    run.end.tally.count(&outcome);
    let mut unrun = record(7, "pack#4", 0, (0, 0), outcome);
    (unrun.started_at, unrun.pid, unrun.worker, unrun.peak_memory_bytes, unrun.stdout) =
        (None, None, None, None, Bytes::new());
    let ending = Ending::Ran(Box::new(unrun));
    run.happened.push(Happened::Unrun(Ended { seq: 7, name: "pack#4".into(), ending }));
    run
}

/// One failure, and one that was cut off by it.
pub fn halted() -> Run {
    let mut run = begun(&["t"]);
    run.start(1, 1, 1);
    run.start(2, 1, 2);
    run.finish(record(1, "t#1", 1, (1, 5), Outcome::Exited(2)), None);
    run.finish(record(2, "t#2", 1, (2, 6), Outcome::Cancelled(CancelledBy::Batch)), None);
    run.end.tally.interrupt(Interruption::Halted);
    run
}

/// One task that failed, with these texts.
pub fn hostile(name: &str, error: &str, output: &[u8]) -> Run {
    let mut run = begun(&["t"]);
    run.start(1, 1, 1);
    let mut record = record(1, name, 1, (1, 5), Outcome::Failed(error.to_owned()));
    record.stdout = Bytes::copy_from_slice(output);
    record.stderr = Bytes::copy_from_slice(output);
    run.finish(record, None);
    run
}

#[test]
fn a_slot_is_the_lowest_that_is_free_and_nothing_overlaps_in_it() {
    let mut spans = Vec::new();
    usual().tell(|seen| {
        spans.push(seen.span.map(|span| (span.slot, span.start.as_millis(), span.end.as_millis())))
    });
    let ran =
        [(0, 10, 40), (1, 12, 17), (0, 41, 741), (1, 120, 126), (0, 842, 845), (0, 850, 851), (0, 900, 1000)];
    let expected: Vec<_> = ran.into_iter().map(Some).chain([None, None]).collect();
    assert_eq!(spans, expected);
    // A start that the clock puts before the end of the one before.
    let mut run = begun(&["t"]);
    run.start(1, 1, 10);
    run.finish(record(1, "t", 1, (10, 10), Outcome::Exited(0)), None);
    run.start(2, 1, 15);
    run.finish(record(2, "t", 1, (15, 2), Outcome::Exited(0)), None);
    let mut spans = Vec::new();
    run.tell(|seen| spans.extend(seen.span));
    assert_eq!((spans[1].start, spans[1].end), (Duration::from_millis(20), Duration::from_millis(20)));
}

#[test]
fn a_task_belongs_to_the_group_that_it_is_named_after() {
    let groups = GroupNames::new(&begun(&["resize", "pack(x", "a#b"]).head.groups);
    let of = |name| groups.of(name);
    assert_eq!([of("resize"), of("resize(a#1)"), of("resize#4")], [0; 3]);
    assert_eq!([of("pack(x"), of("pack(x(1)")], [1; 2]);
    assert_eq!([of("a#b#3"), of("else"), of("resizer")], [2, 3, 3]);
}
