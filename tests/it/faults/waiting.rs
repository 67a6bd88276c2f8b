//! T14: tasks that wait for tasks, for each other, and for nobody.

use crate::support::scenario;

/// Tasks submit tasks and wait, also in a pool of one; nine deep is an error that says so.
#[test]
fn nested_tasks_end_in_a_pool_of_any_size() {
    for workers in ["1", "2", "16"] {
        let said = scenario("nested", &[workers]).run().expect(0).records();
        let text = said[0]["text"].as_str().expect("a text");
        assert!(text.contains("8 deep"), "{text}");
    }
}

/// Two consumers and a producer finish in a pool of two, and of one.
#[test]
fn a_task_that_waits_gives_its_place_back() {
    for workers in ["1", "2", "16"] {
        scenario("places", &[workers]).run().expect(0);
    }
}

/// Every cycle ends within a second and is named; unhandled it is code 233.
#[test]
fn cycles_end_with_an_error_that_names_them() {
    for workers in ["1", "2", "16"] {
        let said = scenario("deadlocks", &[workers]).run().expect(0).records();
        for cycle in said.iter().filter(|said| said["cycle"].is_string()) {
            assert_eq!(cycle["code"], 233, "{cycle}");
            assert!(cycle["text"].as_str().is_some_and(|text| text.contains("waits for")), "{cycle}");
        }
    }
}

#[test]
fn nobody_is_told_of_a_deadlock_while_somebody_can_act() {
    scenario("no-false-alarms", &[]).run().expect(0);
}

#[test]
fn who_was_asked_to_stop_is_not_started_again() {
    scenario("stopped-waiters", &[]).run().expect(0);
}
