//! T7: a task that always kills its worker, with retries 10.

use serde_json::json;

use crate::support::scenario;

/// It is given up after the second death, with its own code; the other 19 tasks succeed at their first attempt; only
/// attempts that began are blamed.
#[test]
fn a_task_that_keeps_killing_its_workers_is_quarantined_after_two_and_the_rest_completes() {
    let mut said = scenario("quarantine", &[]).run().expect(0).records();
    said.pop();
    let record = said.remove(0);
    assert_eq!((&record["code"], &record["attempt"]), (&json!(235), &json!(3)), "{record}");
    let text = record["text"].as_str().expect("a text");
    assert_eq!(
        text,
        "not run: quarantined after 2 deaths of its workers, the last one: worker was killed by signal 9"
    );
    let ended =
        |attempt, code, retry, ran| json!({ "ended": attempt, "code": code, "retry": retry, "ran": ran });
    let expected = [
        json!({ "started": 1 }),
        ended(1, 137, true, true),
        json!({ "started": 2 }),
        ended(2, 137, true, true),
        ended(3, 235, false, false),
    ];
    assert_eq!(said, expected);
}

#[test]
fn waits_between_attempts_are_kept_and_end_when_the_task_is_stopped() {
    scenario("retry-waits", &[]).run().expect(0);
}

#[test]
fn an_observer_that_blocks_or_panics_holds_up_nothing_but_the_records_that_go_through_it() {
    scenario("observers", &[]).run().expect(0);
}
