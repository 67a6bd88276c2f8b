//! The end of a batch, as a person reads it.

use bytes::Bytes;

use super::*;
use crate::batch::BadInput;
use crate::outcome::Limit;
use crate::report::seen::tests::{begun, record};

fn digest(is_told: bool) -> Digest {
    let limits = Limits { timeout: Some(Duration::from_secs(1)), ..Limits::default() };
    Digest::new(&begun(&["t"]).head.groups, vec![limits], is_told)
}

fn ended(record: Record) -> Ended {
    Ended { seq: record.task, name: record.name.clone(), ending: Ending::Ran(Box::new(record)) }
}

fn failed(task: u64, reason: &str) -> Record {
    let mut record = record(task, &format!("t#{task}"), 1, (0, 5), Outcome::Failed(reason.to_owned()));
    (record.stdout, record.peak_memory_bytes) = (Bytes::new(), None);
    record
}

#[test]
fn each_section_says_what_there_is() {
    let mut digest = digest(false);
    let mut flood = failed(1, "by zero \x1b[31min red");
    flood.stderr = Bytes::from_static(b"one\ntwo\n\x1b]0;title\x07three\n\nfour\n");
    digest.add(&ended(flood));
    digest.add(&ended(failed(2, "3 is bad")));
    digest.add(&ended(failed(3, "17 is bad")));
    let limit = Limit { kind: LimitKind::Time, detail: "still running after 1s".to_owned(), trap: None };
    let slow = record(4, "t#4", 2, (0, 1000), Outcome::LimitExceeded(limit));
    digest.add(&ended(Record { stdout: Bytes::new(), ..slow }));
    let mut near = record(5, "t#5", 3, (0, 920), Outcome::Exited(0));
    near.peak_memory_bytes = Some(900 << 20);
    digest.add(&ended(near));
    let bad = BadInput { place: "in:6".to_owned(), reason: "not JSON".to_owned() };
    digest.add(&Ended { seq: 6, name: "t#6".into(), ending: Ending::Bad(bad) });
    assert_eq!(
        digest.text(0),
        "\
failed:
  t#2, t#3: such as 3 is bad (code 1)
  t#1: by zero in red (code 1)
      | two
      | three
      | four
  t#4: time-out: still running after 1s (code 221)
  t#6: in:6: not JSON (code 246)
slowest:
    1.00 s  t#4
    920 ms  t#5
      5 ms  t#1
      5 ms  t#2
      5 ms  t#3
tried again:
  t#4: 2 attempts, then time-out: still running after 1s (code 221)
  t#5: 3 attempts, then succeeded
near a limit:
  t#5: 92 % of its time-out (920 ms of 1.00 s)
  t#5: 88 % of its memory (900MiB of 1GiB)
"
    );
}

#[test]
fn thousands_of_failures_are_a_few_lines_of_a_terminals_width() {
    let mut digest = digest(true);
    for task in 1..=5000 {
        let words = ["alpha", "beta", "gamma", "delta"];
        let letter = char::from(b'a' + u8::try_from(task % 26).unwrap());
        let reason =
            format!("{} {letter} {task} {}", words[usize::try_from(task % 4).unwrap()], "long ".repeat(40));
        digest.add(&ended(failed(task, &reason)));
    }
    let text = digest.text(0);
    assert_eq!(text.lines().count(), 12, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    assert!(text.ends_with("  and 42 more\n"), "{text}");
}

#[test]
fn reasons_that_are_all_different_do_not_grow_without_end() {
    let mut digest = digest(true);
    for task in 1..=3000_u64 {
        let letters: String = task.to_string().bytes().map(|digit| char::from(b'a' + digit - b'0')).collect();
        digest.add(&ended(failed(task, &letters)));
    }
    assert!(digest.failures.len() <= SUMMARY_REASONS_MAX + 1);
    assert!(digest.text(0).contains("and 1997 more: such as"), "{}", digest.text(0));
}

#[test]
fn what_was_just_told_is_not_told_again() {
    let mut digest = digest(true);
    digest.add(&ended(failed(1, "no")));
    assert_eq!(digest.text(0), "");
    assert_eq!(digest.text(1), "failed:\n  t#1: no (code 1)\nslowest:\n      5 ms  t#1\n");
    // A failed command's standard output was shown nowhere.
    let mut other = super::tests::digest(true);
    let mut unseen = failed(3, "no");
    unseen.stdout = Bytes::from_static(b"half a result\n");
    other.add(&ended(unseen));
    assert_eq!(other.text(0), "failed:\n  t#3: no (code 1)\n      | half a result\n");
}
