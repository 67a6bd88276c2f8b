//! T18, the pure half: a log of 50 tasks is cut at every byte.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::batch::joblog::key::tests::task;
use crate::batch::joblog::record::{
    Entry, Origin, RunInfo, Start, end_line, run_line, shape_line, start_line,
};

fn key(number: u64) -> Key {
    let mut task = task();
    task.args.1 = format!("[{number}]").into();
    Key::of(&task, "empty")
}

fn entry(number: u64) -> Entry {
    Entry {
        seq: number,
        is_daemon: false,
        key: key(number),
        shape: 1,
        arguments: format!("\"args\":[{number}]"),
    }
}

fn start(number: u64) -> Vec<u8> {
    let (name, at) = ("square#1", UNIX_EPOCH + Duration::from_millis(1500));
    start_line(&entry(number), Start { name, attempt: 1, pid: Some(7), worker: 3, at })
}

fn end(number: u64, outcome: &str, code: u8, retry: Option<Duration>) -> Vec<u8> {
    let jsonl = format!(
        "{{\"seq\":{number},\"outcome\":\"{outcome}\",\"exit_code\":{code},\"value\":\"ä\\n\",\"started_at\":1.5}}\n"
    );
    end_line(jsonl.as_bytes(), Some(&entry(number)), retry)
}

fn run(retry_failed: bool) -> Vec<u8> {
    run_line(&RunInfo { command: vec!["wasmpool".to_owned()], retry_failed }, 1, UNIX_EPOCH)
}

fn shape() -> Vec<u8> {
    let origin =
        Origin { module_path: "squares.wasm".to_owned(), stdin: "empty".to_owned(), stdin_path: None };
    shape_line(&task(), &origin, Some(1))
}

/// 50 tasks, two at a time; each fifth fails, each seventh is tried twice.
fn records() -> Vec<Vec<u8>> {
    let mut records = vec![run(false), shape(), start(0)];
    for number in 0..50 {
        if number < 49 {
            records.push(start(number + 1));
        }
        if number % 7 == 0 {
            records.extend([end(number, "killed", 137, Some(Duration::from_millis(100))), start(number)]);
        }
        let (outcome, code) = if number % 5 == 0 { ("failed", 1) } else { ("succeeded", 0) };
        records.push(end(number, outcome, code, None));
    }
    records
}

/// The numbers of the tasks that these records say have ended.
fn ended(records: &[Vec<u8>]) -> Vec<u64> {
    let text = |record: &Vec<u8>| serde_json::from_slice::<serde_json::Value>(record).unwrap();
    let ends = records.iter().map(text).filter(|record| record.get("outcome").is_some());
    let last = ends.filter(|record| record.get("retry_ms").is_none());
    last.map(|record| record["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_log_of_fifty_tasks_is_recovered_when_it_ends_at_any_byte() {
    let records = records();
    let whole = records.concat();
    let mut borders = vec![0];
    for record in &records {
        borders.push(borders.last().unwrap() + record.len());
    }
    // What whole records say is read once for each border: that pieces make no difference is a test of its own.
    let at_border: Vec<Recovery> = borders.iter().map(|border| recover(&whole[..*border]).unwrap()).collect();
    for length in 0..=whole.len() {
        let count = borders.partition_point(|border| *border <= length) - 1;
        let mut recovery = at_border[count].clone();
        recovery.feed(&whole[borders[count]..length]).unwrap();
        assert_eq!(recovery.whole_bytes(), borders[count] as u64, "cut at {length}");
        assert_eq!(recovery.torn_bytes(), (length - borders[count]) as u64, "cut at {length}");
        let expected = ended(&records[..count]);
        assert_eq!(recovery.finished(), expected.len() as u64, "cut at {length}");
        for number in 0..50 {
            let code = expected.contains(&number).then_some(u8::from(number % 5 == 0));
            assert_eq!(recovery.take_done(key(number)), code, "task {number}, cut at {length}");
            assert_eq!(recovery.take_done(key(number)), None, "task {number}, cut at {length}");
        }
    }
}

#[test]
fn it_does_not_matter_in_which_pieces_a_log_is_read() {
    let whole = records().concat();
    let at_once = recover(&whole).unwrap();
    for size in [1, 7, 100, 4096] {
        let mut recovery = Recovery::default();
        whole.chunks(size).for_each(|piece| recovery.feed(piece).unwrap());
        assert_eq!(recovery, at_once, "pieces of {size}");
    }
}

#[test]
fn tasks_of_one_key_are_counted() {
    let records =
        [run(false), start(1), end(1, "succeeded", 0, None), start(1), end(1, "failed", 1, None), start(1)];
    let mut recovery = recover(&records.concat()).unwrap();
    assert_eq!((recovery.finished(), recovery.failed(), recovery.cut_off()), (2, 1, 1));
    let taken: Vec<_> = std::iter::from_fn(|| recovery.take_done(key(1))).collect();
    assert_eq!(taken, [0, 1]);
}

#[test]
fn what_failed_runs_again_in_a_run_that_was_told_to() {
    let first = [run(false), start(1), end(1, "failed", 1, None), start(2), end(2, "succeeded", 0, None)];
    let second = [run(true), start(1), end(1, "succeeded", 0, None)];
    let mut between = recover(&[first.concat(), run(true)].concat()).unwrap();
    assert_eq!((between.take_done(key(1)), between.take_done(key(2))), (None, Some(0)));
    let after = recover(&[first.concat(), second.concat()].concat()).unwrap();
    assert_eq!((after.finished(), after.failed()), (2, 0));
    let mut asked = recover(&first.concat()).unwrap();
    asked.retry_failed();
    assert_eq!((asked.take_done(key(1)), asked.take_done(key(2))), (None, Some(0)));
}

#[test]
fn what_was_stopped_or_never_had_its_turn_is_not_finished() {
    for (outcome, code, is_finished) in [
        ("cancelled", 230, false),
        ("cancelled", 231, false),
        ("not_run", 234, false),
        ("not_run", 235, true),
        ("not_run", 225, true),
        ("start_failed", 247, false),
        ("start_failed", 248, false),
        ("start_failed", 242, true),
        ("limit_exceeded", 221, true),
    ] {
        let mut recovery = recover(&[run(false), start(1), end(1, outcome, code, None)].concat()).unwrap();
        assert_eq!(recovery.take_done(key(1)), is_finished.then_some(code), "{outcome} {code}");
    }
}

#[test]
fn the_modules_and_the_highest_shape_are_known() {
    let recovery = recover(&[run(false), shape(), shape()].concat()).unwrap();
    assert_eq!(recovery.modules(), [("squares.wasm".to_owned(), "ab".repeat(32))]);
    assert_eq!((recovery.runs(), recovery.shapes()), (1, 1));
}

#[test]
fn what_is_no_log_is_refused_with_its_line() {
    let told = |bytes: &[u8]| recover(bytes).unwrap_err().to_string();
    assert!(told(b"Seq\tHost\n").starts_with("line 1 is no record of a job log"));
    assert!(told(b"{}\n").contains("the first record of a log says `joblog`"));
    assert!(told(&[run(false), b"{}\n".to_vec()].concat()).starts_with("line 2"));
    assert!(told(&[run(false), b"{\"key\":\"xyz\"}\n".to_vec()].concat()).contains("`xyz` is no key"));
    assert!(told(b"{\"joblog\":2}\n").contains("version 2"));
    let endless = vec![b' '; 2 * JOBLOG_RECORD_BYTES_MAX + 1];
    assert!(told(&endless).contains("longer than any record"));
}

proptest::proptest! {
    /// Whatever lies in the middle of a log, it is read or refused, and its bytes are accounted for.
    #[test]
    fn garbage_in_a_log_is_read_or_refused(garbage: Vec<u8>, at in 0.0..1.0_f64) {
        let mut log = records().concat();
        let at = (log.len() as f64 * at) as usize;
        log.splice(at..at, garbage);
        if let Ok(recovery) = recover(&log) {
            proptest::prop_assert_eq!(recovery.whole_bytes() + recovery.torn_bytes(), log.len() as u64);
        }
    }
}
